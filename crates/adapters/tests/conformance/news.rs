//! What one process reads of the changes of another: exactly what has changed since its last query.

use std::collections::BTreeSet;
use std::sync::Arc;

use onsale_app::store::news::{News, RoomNews, RoomsKnown, RoomsNews, SeatsBecame};
use onsale_app::store::{HoldRecord, Store};
use onsale_domain::concert::{self, ChangePerformance};
use onsale_domain::ids::{ConcertId, PerformanceId};
use onsale_domain::waiting_room::{Settings, Step, Token};
use onsale_testing::without;

use crate::bed::Bed;
use crate::lane::Lane;
use crate::stage::{OPEN_DOORS, charge, enter, held, hold, open_concert, pay, schedule, user};

#[tokio::test]
async fn a_file_has_one_process_and_no_changes_of_other_instances() {
    assert!(Bed::sqlite().store().await.news().is_none());
}

/// Two rooms that another process changes, and the version of each that this process has read last.
struct Follower {
    lane: Lane,
    store: Arc<dyn Store>,
    news: Arc<dyn News>,
    known: RoomsKnown,
    busy: ConcertId,
    bed: Bed,
}

impl Follower {
    async fn new(room: Settings) -> Self {
        let bed = Bed::postgres().await;
        let (store, other) = (bed.store().await, bed.store().await);
        let mut lane = Lane::new(&*other, 1).await;
        let busy = open_concert(&mut lane, room).await;
        open_concert(&mut lane, room).await;
        let news = store.news().unwrap();
        let mut follower = Self { lane, store, news, known: RoomsKnown::default(), busy, bed };
        assert_eq!(follower.ask().await.rooms.len(), 2, "a room without a known version is read");
        follower
    }

    async fn ask(&mut self) -> RoomsNews {
        let news = self.news.rooms(&self.known).await.unwrap();
        for changed in &news.rooms {
            let known = &mut self.known.versions;
            known.retain(|(concert, _)| *concert != changed.record.concert);
            known.push((changed.record.concert, changed.record.room.version));
        }
        news
    }

    /// The only room that has changed.
    async fn changed_room(&mut self) -> RoomNews {
        let mut news = self.ask().await;
        assert_eq!(news.rooms.len(), 1, "one room has changed");
        let changed = news.rooms.remove(0);
        assert_eq!(changed.record.concert, self.busy);
        assert!(changed.record.holds.is_empty(), "holds are read for all rooms together");
        changed
    }

    async fn step(&mut self, due: Vec<u64>) {
        let (seen, claimed) = (Vec::new(), Vec::new());
        self.lane.done(Step { seen, claimed, due, ..Step::of(self.busy) }).await;
    }

    async fn enter(&mut self, name: &str) -> Token {
        enter(&mut self.lane, self.busy, &user(name)).await
    }
}

fn called(changed: &RoomNews) -> Vec<u64> {
    let mut places: Vec<u64> = changed.record.turns.iter().map(|(place, ..)| *place).collect();
    places.sort_unstable();
    places
}

#[tokio::test]
async fn changed_turns_and_places_of_a_room_are_read() {
    if without("postgres") {
        return;
    }
    let mut follower = Follower::new(Settings { max_active: 2, ..OPEN_DOORS }).await;
    assert!(follower.ask().await.rooms.is_empty(), "nothing has changed");
    let (first, second) = (follower.enter("ann").await, follower.enter("bob").await);
    assert_eq!(called(&follower.changed_room().await), [1, 2], "turns that began");
    let (third, _fourth) = (follower.enter("cid").await, follower.enter("dan").await);
    let changed = follower.changed_room().await;
    assert_eq!(
        (called(&changed), changed.record.given_up.len(), changed.record.room.issued),
        (vec![], 0, 4),
        "two wait"
    );

    follower.lane.done(onsale_domain::leaving::Leave(third)).await;
    let changed = follower.changed_room().await;
    assert_eq!((called(&changed), changed.record.given_up), (vec![], vec![3]), "a place given up");
    follower.enter("eve").await;
    assert_eq!(follower.changed_room().await.record.given_up, [0; 0], "changed once");

    // A user who leaves during a turn makes room; place 3 was given up and is skipped.
    follower.lane.done(onsale_domain::leaving::Leave(second.clone())).await;
    let changed = follower.changed_room().await;
    assert_eq!((changed.settled.clone(), called(&changed), changed.record.room.served), (vec![2], vec![4], 4));
    follower.lane.done(onsale_domain::leaving::Leave(second)).await;
    assert!(follower.ask().await.rooms.is_empty(), "to leave twice changes nothing");

    // Two missed changes of one room are read together. A turn that began and ended in between is read as ended.
    follower.lane.done(onsale_domain::leaving::Leave(first)).await;
    let seen = vec![(4, follower.store.reader().now().plus_seconds(9))];
    let claimed = vec![5];
    let concert = follower.busy;
    follower.lane.done(Step { seen: seen.clone(), claimed, ..Step::of(concert) }).await;
    let changed = follower.changed_room().await;
    assert_eq!((changed.settled.clone(), called(&changed)), (vec![1], vec![4, 5]));
    for (place, turn, ended) in changed.record.turns {
        assert_eq!((turn.claimed, turn.seen_at == seen[0].1, ended), (place == 5, place == 4, false));
    }
    // A process without a known version reads the whole room, without ended turns.
    let whole = follower.news.rooms(&RoomsKnown::default()).await.unwrap();
    let busy = whole.rooms.iter().find(|changed| changed.record.concert == concert).unwrap();
    assert_eq!((called(busy), busy.settled.len(), busy.record.given_up.len()), (vec![4, 5], 0, 0));
}

#[tokio::test]
async fn ends_holds_and_stock_are_read_as_they_are_stored() {
    if without("postgres") {
        return;
    }
    let mut follower = Follower::new(OPEN_DOORS).await;
    let now = follower.store.reader().now();
    let performance = schedule(&mut follower.lane, now, follower.busy, 1, 10).await;
    let token = follower.enter("ann").await;
    follower.lane.done(charge(&token.user, 10)).await;
    let reservation = held(follower.lane.done(hold(&token, &performance, &[1])).await);
    follower.known.with_availability = true;
    let news = follower.ask().await;
    assert_eq!(
        (news.availability.len(), news.availability[0].id, news.availability[0].is_unsold),
        (1, performance.id, true)
    );
    assert!(news.ended.is_empty() && news.holds.is_empty(), "holds of a known room are read on request");
    let (place, id, until) = (1, reservation.id, reservation.held_until);
    let holds =
        [(follower.busy, HoldRecord { place, reservation: id, performance: performance.id, until, extended: 0 })];
    follower.known.holds_of = vec![(follower.busy, 1)];
    assert_eq!(follower.ask().await.holds, holds);
    assert_eq!(
        follower.news.rooms(&RoomsKnown::default()).await.unwrap().holds,
        holds,
        "and all of them if none is known"
    );

    // A payment ends the turn under the wallet's lock alone: the room's row changes with its next step.
    follower.lane.done(pay(&token, &reservation)).await;
    let news = follower.ask().await;
    assert_eq!((news.rooms.len(), &news.ended[..], news.holds.len()), (0, &[(follower.busy, 1)][..], 0));
    assert!(!news.availability[0].is_unsold, "the last seat is sold");
    follower.known.with_availability = false;
    let rooms = follower.store.reader().rooms().await.unwrap();
    let room = rooms.iter().find(|room| room.concert == follower.busy).unwrap();
    assert!(room.turns.iter().all(|(_, _, ended)| *ended));
    follower.step(vec![1]).await;
    let news = follower.ask().await;
    assert_eq!((news.rooms[0].settled.clone(), news.ended.len(), news.availability.len()), (vec![1], 0, 0));
}

/// Instances have to see that it was moved. Two days later all of them have seen it.
#[tokio::test]
async fn a_performance_that_was_moved_far_into_the_past_is_read_for_two_days() {
    if without("postgres") {
        return;
    }
    let mut follower = Follower::new(OPEN_DOORS).await;
    let now = follower.store.reader().now();
    let performance = schedule(&mut follower.lane, now, follower.busy, 9, 10).await;
    let long_ago = now.plus_millis(-30 * 86_400_000);
    let moved = ChangePerformance { starts_at: Some(long_ago), ..ChangePerformance::of(performance.id) };
    follower.lane.done(moved).await;
    follower.known.with_availability = true;
    let found: Vec<_> = follower.ask().await.availability.iter().map(|of| (of.id, of.starts_at, of.revision)).collect();
    assert_eq!(found, [(performance.id, long_ago, 1)]);
    let Bed::Postgres(database) = &follower.bed else { unreachable!("a database of the server") };
    let later = "UPDATE performances SET revised_at = revised_at - 172800001";
    database.sql().await.batch_execute(later).await.unwrap();
    assert!(follower.ask().await.availability.is_empty());
}

/// Instances have to learn of it, too.
#[tokio::test]
async fn a_performance_that_is_added_long_after_its_start_is_read_for_two_days() {
    if without("postgres") {
        return;
    }
    let mut follower = Follower::new(OPEN_DOORS).await;
    let now = follower.store.reader().now();
    let mut added = Vec::new();
    for days in [0, 1, 2, 3, 4_000] {
        // An hour later than that.
        let at = now.plus_millis(-days * 86_400_000);
        added.push(schedule(&mut follower.lane, at, follower.busy, 9, 10).await.id);
    }
    follower.known.with_availability = true;
    let mut named: Vec<_> = follower.ask().await.availability.iter().map(|of| of.id).collect();
    let by_id = |ids: &[PerformanceId]| ids.iter().copied().collect::<BTreeSet<_>>();
    assert_eq!((named.len(), by_id(&named)), (5, by_id(&added)), "each once");
    let Bed::Postgres(database) = &follower.bed else { unreachable!("a database of the server") };
    let later = "UPDATE performances SET revised_at = revised_at - 172800001";
    database.sql().await.batch_execute(later).await.unwrap();
    named = follower.ask().await.availability.iter().map(|of| of.id).collect();
    assert_eq!(by_id(&named), by_id(&added[..3]), "those that started in the last two days");
}

#[tokio::test]
async fn changes_of_a_performance_are_read_one_by_one() {
    if without("postgres") {
        return;
    }
    let mut follower = Follower::new(OPEN_DOORS).await;
    let now = follower.store.reader().now();
    let performance = schedule(&mut follower.lane, now, follower.busy, 9, 10).await;
    let other = schedule(&mut follower.lane, now, follower.busy, 9, 10).await;
    let token = follower.enter("ann").await;
    follower.lane.done(charge(&token.user, 1_000)).await;
    let first = held(follower.lane.done(hold(&token, &performance, &[7, 2])).await);
    let second = held(follower.lane.done(hold(&token, &performance, &[5])).await);
    held(follower.lane.done(hold(&token, &other, &[1])).await);
    follower.lane.done(concert::Release { token: token.clone(), reservation: second.id }).await;
    follower.lane.done(pay(&token, &first)).await;
    let changes = [
        (1, vec![7, 2], SeatsBecame::Held(first.held_until)),
        (2, vec![5], SeatsBecame::Held(second.held_until)),
        (3, vec![5], SeatsBecame::Free),
        (4, vec![7, 2], SeatsBecame::Sold),
    ];
    for known in 0..=4 {
        // Both performances in one query: each has its own version.
        let mut news = follower.news.seats(&[(other.id, 1), (performance.id, known)]).await.unwrap();
        assert!(!news.contains_key(&other.id), "nothing happened there after version 1");
        let changed = news
            .remove(&performance.id)
            .unwrap_or_default()
            .into_iter()
            .map(|news| (news.version, news.seats, news.became));
        assert!(changed.eq(changes.iter().skip(usize::try_from(known).unwrap()).cloned()), "after version {known}");
    }
    let news = follower.news.seats(&[(performance.id, 3), (other.id, 0)]).await.unwrap();
    assert_eq!((news[&performance.id].len(), news[&other.id].len()), (1, 1));
}
