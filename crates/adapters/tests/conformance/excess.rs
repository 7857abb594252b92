//! Page cursors beyond the end of every list, and a waiting line of which one unit of work loads only a part.

use crate::mixed::AnyCommand;
use onsale_app::store::{LectureFilter, Page, Reader};
use onsale_domain::ids::LectureId;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Entered;
use onsale_domain::waiting_room::{self, GivenUp, Patch, Settings, Step, Token};
use uuid::Uuid;

use crate::bed::{Bed, on_each_database};
use crate::picture::{events, rooms};
use crate::stage::{OPEN_DOORS, Stage, enter, open_concert, user};

/// Maximum number of commands in a batch of a lane.
const BATCH: usize = 256;

/// Callers may send any cursor. Each is a position in the list, even if no page ended there.
async fn an_invented_cursor_is_a_position_in_the_list(bed: Bed) {
    let store = bed.store().await;
    let stage = Stage::new(&*store).await;
    let reader = store.reader();
    let everything = reader.ledger(&stage.ann, Page { after: None, limit: 9 }).await.unwrap();
    let told = events(&*reader, 7, 9).await;
    assert!(everything.len() > 1);
    let largest = u64::try_from(i64::MAX).unwrap();
    for after in [largest - 1, largest, largest + 1, u64::MAX] {
        let page = Page { after: Some(after), limit: 9 };
        assert_eq!(reader.ledger(&stage.ann, page).await.unwrap(), everything, "all are older than {after}");
        let history = reader.lecture_history(stage.lecture, page).await.unwrap();
        assert_eq!(history, Some(Vec::new()), "none is younger than {after}");
        assert_eq!(reader.events(page).await.unwrap().len(), 0, "none comes after {after}");
    }
    let page = Page { after: Some(0), limit: 9 };
    assert_eq!(reader.ledger(&stage.ann, page).await.unwrap(), []);
    assert_eq!(reader.lecture_history(stage.lecture, page).await.unwrap().unwrap().len(), 1);
    assert_eq!(reader.events(page).await.unwrap().len(), told.len());
    assert_eq!(lectures_after(&*reader, i64::MIN, Uuid::nil()).await, [stage.lecture]);
    assert_eq!(lectures_after(&*reader, i64::MIN, Uuid::max()).await, [stage.lecture]);
    assert_eq!(lectures_after(&*reader, i64::MAX, Uuid::nil()).await, []);
    assert_eq!(lectures_after(&*reader, i64::MAX, Uuid::max()).await, []);
}

async fn lectures_after(reader: &dyn Reader, millis: i64, id: Uuid) -> Vec<LectureId> {
    let filter = LectureFilter::starting(Timestamp::from_millis(i64::MIN));
    let after = Some((Timestamp::from_millis(millis), LectureId::new(id)));
    let found = reader.lectures(filter, Page { after, limit: 9 }).await.unwrap();
    found.iter().map(|lecture| lecture.id).collect()
}

/// More consecutive places were given up than one unit of work loads. Admission then takes several steps: it admits no user who
/// left, and skips none who waits.
async fn a_partly_loaded_line_is_admitted_in_order(bed: Bed) {
    let store = bed.store().await;
    let mut stage = Stage::new(&*store).await;
    let lane = &mut stage.lane;
    let concert = open_concert(lane, Settings { paused: true, ..OPEN_DOORS }).await;
    let the_room = async || {
        let rooms = rooms(&*store.reader()).await;
        rooms.into_iter().find(|room| room.concert == concert).unwrap()
    };
    let gone = GivenUp::LOADED_MAX + 50;
    let mut tokens: Vec<Token> = Vec::new();
    let people: Vec<_> = (0..gone).map(|number| user(&format!("user{number}"))).collect();
    for some in people.chunks(BATCH) {
        let enter = |user: &_| waiting_room::Enter { concert, user: Clone::clone(user), pass: None, ended: None };
        let outcomes = lane.run(some.iter().map(enter).map(AnyCommand::from)).await.unwrap();
        tokens.extend(outcomes.into_iter().map(|outcome| match outcome {
            Ok(crate::mixed::Done::Enter(Entered { token, .. })) => token,
            other => unreachable!("{other:?}"),
        }));
    }
    let last = enter(lane, concert, &user("last")).await;
    // One user in the middle stays.
    let stays = tokens.remove(gone - 20);
    for some in tokens.chunks(BATCH) {
        let leave = |token: &Token| AnyCommand::from(onsale_domain::leaving::Leave(token.clone()));
        lane.run(some.iter().map(leave)).await.unwrap();
    }
    assert_eq!(the_room().await.given_up.len(), gone - 1);

    let patch = Patch { paused: Some(false), ..Patch::default() };
    lane.done(waiting_room::Configure { concert, patch, draw: waiting_room::DrawPatch::default() }).await;
    for _ in 0..2 {
        lane.done(Step::of(concert)).await;
    }
    let room = the_room().await;
    let called: Vec<u64> = room.turns.iter().map(|(place, ..)| *place).collect();
    assert_eq!(called, [stays.place, last.place]);
    assert_eq!((room.room.served, room.room.given_up, room.given_up.len()), (last.place, 0, 0));
}

on_each_database!(an_invented_cursor_is_a_position_in_the_list, a_partly_loaded_line_is_admitted_in_order,);
