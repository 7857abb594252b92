//! Extensions of holds: which rows they count, what brings rows up to date, and what a server of an older schema may not do.

use onsale_app::calendar::Calendar;
use onsale_app::catalogue::Catalogue;
use onsale_domain::concert::{self, Extended, Extension, HoldsCounted, Notice, Reservation};
use onsale_domain::ids::{EventId, PerformanceId, ReservationId};
use onsale_domain::rows::Keys;
use onsale_domain::time::Timestamp;
use onsale_testing::without;
use std::sync::Arc;
use uuid::Uuid;

use crate::bed::{Bed, on_each_database};
use crate::lane::{Lane, Outcome};
use crate::mixed::{AnyCommand, Done};
use crate::stage::{Stage, hold, pay, schedule};
use onsale_app::store::Wanted;

/// Extensions of the past, each with its seconds before now and its length. The first ones are over by now, and the others
/// last beyond now.
const CHAINS: [[(i64, u32); 3]; 2] = [[(50, 10), (30, 5), (20, 3)], [(50, 60), (30, 5), (1, 100)]];

fn extend(stage: &Stage, seconds: u32) -> AnyCommand {
    let (concert, performance) = (stage.token.concert, Some(stage.performance.id));
    concert::Extend { concert, performance, seconds, reason: "an outage".into() }.into()
}

fn extended(done: Outcome) -> Extended {
    match done {
        Ok(Done::Extend(extended)) => extended,
        other => unreachable!("{other:?}"),
    }
}

async fn counted(lane: &mut Lane, performance: PerformanceId) -> HoldsCounted {
    let keys = Keys { counted_performances: [performance].into(), ..Keys::default() };
    let mut unit = lane.writer.load(&Wanted { keys, ..Wanted::default() }).await.unwrap();
    lane.writer.abandon().await;
    let mut counted = unit.rows.counted.remove(&performance).expect("the holds are counted");
    counted.ending.sort_unstable();
    counted
}

/// Rows that end at many instants, and that lack none, some or all of three extensions. Returns the end of each.
async fn fill(
    stage: &mut Stage,
    performance: PerformanceId,
    chain: &[(Timestamp, u32)],
) -> Vec<(ReservationId, Timestamp)> {
    let keys = Keys { performances: [performance].into(), rooms: [stage.token.concert].into(), ..Keys::default() };
    let mut unit = stage.lane.writer.load(&Wanted { keys, ..Wanted::default() }).await.unwrap();
    for (number, (at, seconds)) in (1..).zip(chain) {
        unit.rows.extensions.push(Extension {
            concert: stage.token.concert,
            performance,
            number,
            version: 100 + number,
            event: EventId::new(Uuid::from_u128(u128::from(number))),
            at: *at,
            seconds: *seconds,
            holds: 1,
            reason: "an outage".into(),
        });
    }
    let mut ends = Vec::new();
    for (extended, lacking) in (0..).zip((0..=chain.len()).map(|contained| &chain[contained..])) {
        for end in (-300_000_i64..300_000).step_by(1_237) {
            let next = 1_000 + ends.len() as u128;
            let id = ReservationId::new(Uuid::from_u128(performance.uuid().as_u128().wrapping_add(next)));
            let held_until = stage.now.plus_millis(end);
            let held_at = held_until.plus_millis(-400_000);
            let row = Reservation { id, performance, held_at, held_until, extended, ..stage.held.clone() };
            ends.push((id, row.end().after(lacking.iter().copied()).until));
            unit.rows.reservations.put(id, row);
        }
    }
    stage.lane.writer.save(&unit).await.unwrap();
    ends
}

async fn holds_are_counted_by_their_ends(bed: Bed) {
    let store = bed.store().await;
    let mut stage = Stage::new(&*store).await;
    for chain in CHAINS {
        let performance = schedule(&mut stage.lane, stage.now, stage.token.concert, 4, 100).await.id;
        let chain = chain.map(|(before, seconds)| (stage.now.plus_millis(-before * 1_000), seconds));
        let ends = fill(&mut stage, performance, &chain).await;
        let found = counted(&mut stage.lane, performance).await;
        let lapsed = ends.iter().filter(|(_, end)| *end <= found.at).count() as u64;
        let soon = found.at.plus_millis(concert::ENDING_WITHIN_MILLIS);
        let mut ending: Vec<_> = ends.into_iter().filter(|(_, end)| found.at < *end && *end <= soon).collect();
        ending.sort_unstable();
        assert!(lapsed > 500 && ending.len() > 2, "{lapsed} lapsed, {} end now", ending.len());
        assert_eq!((found.lapsed, found.ending, found.held), (lapsed, ending, None));
    }
}

/// A row is rewritten once: another instance that does the same finds nothing to do.
async fn rows_are_brought_up_to_date_once(bed: Bed) {
    let store = bed.store().await;
    let mut stage = Stage::new(&*store).await;
    let performance = stage.performance.id;
    let rewrite = |done_to| concert::Rewrite { performance, reservations: vec![stage.held.id], done_to };
    let (first, again, last) = (rewrite(None), rewrite(None), rewrite(Some(1)));
    let done = stage.lane.run([extend(&stage, 60)]).await.unwrap().remove(0);
    assert_eq!(extended(done).holds, 1);
    let reader = store.reader();
    assert_eq!(reader.unwritten_extensions().await.unwrap(), [(performance, 1)]);
    let lacking: Vec<u32> =
        reader.holds_to_rewrite(performance, 1, 0, 9).await.unwrap().iter().map(|(seat, _)| *seat).collect();
    assert_eq!(lacking, [2, 3], "not the paid seat");
    let shown = reader.reservation(stage.held.id).await.unwrap().unwrap();
    assert_eq!(shown.held_until, stage.held.held_until.plus_seconds(60), "before its row is rewritten");
    assert!(matches!(stage.lane.done(first).await, Done::Rewrite(1)));
    assert!(matches!(stage.lane.done(again).await, Done::Rewrite(0)));
    assert!(reader.holds_to_rewrite(performance, 1, 0, 9).await.unwrap().is_empty());
    assert!(matches!(stage.lane.done(last).await, Done::Rewrite(0)));
    assert!(reader.unwritten_extensions().await.unwrap().is_empty());
    assert_eq!(reader.reservation(stage.held.id).await.unwrap().unwrap(), shown);
}

/// A unit that reads a hold without its seats writes the hold alone: then its seats still lack the extension.
async fn a_hold_whose_seats_alone_lack_an_extension_is_rewritten(bed: Bed) {
    let store = bed.store().await;
    let mut stage = Stage::new(&*store).await;
    // The second hold loads the reservations of its user, and the extension extends all that is loaded.
    let batch = [hold(&stage.token, &stage.performance, &[4]), extend(&stage, 60)];
    let done = stage.lane.run(batch).await.unwrap().remove(1);
    assert_eq!(extended(done).holds, 2);
    let performance = stage.performance.id;
    let lacking = store.reader().holds_to_rewrite(performance, 1, 0, 9).await.unwrap();
    assert!(lacking.iter().all(|(_, hold)| *hold == stage.held.id), "{lacking:?}");
    let reservations = vec![stage.held.id];
    let Done::Rewrite(rewritten) =
        stage.lane.done(concert::Rewrite { performance, reservations, done_to: Some(1) }).await
    else {
        unreachable!("a rewrite")
    };
    assert_eq!(rewritten, usize::from(!lacking.is_empty()));
    assert!(store.reader().holds_to_rewrite(performance, 1, 0, 9).await.unwrap().is_empty());
}

on_each_database!(
    holds_are_counted_by_their_ends,
    rows_are_brought_up_to_date_once,
    a_hold_whose_seats_alone_lack_an_extension_is_rewritten,
);

/// What a server of schema 10 does to a performance and a room: it writes what it knows, and a new version.
const OLD_WRITES: [&str; 2] = [
    "UPDATE performances SET sold = sold, version = version + 1, updated_at = updated_at",
    "UPDATE rooms SET issued = issued, version = version + 1, updated_at = updated_at",
];

#[tokio::test]
async fn a_server_of_schema_10_cannot_write() {
    if without("postgres") {
        return;
    }
    let bed = Bed::postgres().await;
    let Bed::Postgres(database) = &bed else { unreachable!("a database of the server") };
    let store = bed.store().await;
    let mut stage = Stage::new(&*store).await;
    let sql = database.sql().await;
    for write in OLD_WRITES {
        let refused = sql.batch_execute(write).await.unwrap_err();
        let refused = refused.as_db_error().expect("the server refused it").constraint().map(str::to_owned);
        assert_eq!(refused.as_deref(), Some("servers_of_older_schemas_must_stop"), "{write}");
    }
    stage.lane.done(pay(&stage.token, &stage.held)).await;
}

/// A notice that another instance wrote is known although the room of the concert has left memory.
#[tokio::test]
async fn a_newer_version_of_a_concert_is_read_and_an_older_one_is_not() {
    if without("postgres") {
        return;
    }
    let bed = Bed::postgres().await;
    let (store, other) = (bed.store().await, bed.store().await);
    let mut stage = Stage::new(&*other).await;
    let concert = stage.token.concert;
    let calendar = Calendar::new("Asia/Seoul").unwrap();
    let catalogue = Catalogue::load(store.reader(), store.news(), calendar, true).await.unwrap();
    let shown = || catalogue.programme(concert).unwrap().concert.notice.clone();
    let notice = Some(Arc::new(Notice { ko: None, en: Some("late".into()) }));
    stage.lane.done(concert::Change { notice: Some(notice.clone()), ..concert::Change::of(concert) }).await;
    let before = catalogue.edition().await.unwrap();
    let asked = catalogue.reads.get();
    let reads = || catalogue.reads.get() - asked;
    catalogue.follow(&[(concert, 0)], &[]).await.unwrap();
    assert_eq!((shown(), reads()), (None, 0), "the version that is known");
    catalogue.follow(&[(concert, 1)], &[]).await.unwrap();
    assert_eq!((shown(), reads()), (notice.clone(), 1));
    assert!(catalogue.edition().await.unwrap() > before, "lists are made again");
    catalogue.follow(&[(concert, 1)], &[]).await.unwrap();
    catalogue.know(&[concert], &[]).await.unwrap();
    assert_eq!((shown(), reads(), catalogue.programme(concert).unwrap().showings.len()), (notice, 1, 1));
}
