//! A lane that waited for a row reads it as the other lane committed it, and a time after that.

use std::time::Instant;

use crate::mixed::AnyCommand;
use onsale_app::idempotency::{KeyId, Owner};
use onsale_app::store::StoreError;
use onsale_domain::lecture;
use onsale_domain::waiting_room::{self, Patch};
use onsale_testing::postgres::driver::Client;
use onsale_testing::{PATIENCE, without};

use crate::bed::Bed;
use crate::lane::{Answer, Lane, Request};
use crate::stage::{Stage, charge, enter, hold, pay, user};

/// Returns when a session of the observer's database waits for a lock. Panics if none does.
async fn until_one_waits(observer: &Client) {
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock')";
    let asked = Instant::now();
    while !observer.query_one(waits, &[]).await.unwrap().get::<_, bool>(0) {
        assert!(asked.elapsed() < PATIENCE, "no session waits for a lock");
    }
}

/// Runs the first request while the second waits for its lock. Returns the answers.
async fn one_after_the_other(bed: &Bed, first: Request, second: Request) -> (Answer, Answer) {
    let Bed::Postgres(database) = bed else { unreachable!("a database of the server") };
    let (one, other) = (bed.store().await, bed.store().await);
    let (mut leader, mut follower) = (Lane::new(&*one, 11).await, Lane::new(&*other, 12).await);
    // Connected in advance: the server ends a unit of work that is idle for long.
    let observer = database.sql().await;
    follower.run([]).await.unwrap();
    let first = [first];
    let mut unit = leader.load(&first).await.unwrap();
    let waiting = tokio::spawn(async move {
        let requests = [second];
        // On a busy machine the leader may take longer than a lane waits for a lock: the desk runs the batch again then.
        let mut unit = loop {
            match follower.load(&requests).await {
                Err(StoreError::Locked(_)) => {}
                loaded => break loaded.unwrap(),
            }
        };
        let answer = follower.decide(&requests, &mut unit).remove(0);
        follower.writer.save(&unit).await.unwrap();
        (unit.at, answer)
    });
    until_one_waits(&observer).await;
    let answer = leader.decide(&first, &mut unit).remove(0);
    leader.writer.save(&unit).await.unwrap();
    let (at, waited) = waiting.await.unwrap();
    assert!(unit.at <= at, "the time is read behind the locks");
    (answer, waited)
}

#[tokio::test]
async fn a_waiting_lane_reads_what_the_other_lane_committed() {
    if without("postgres") {
        return;
    }
    let bed = Bed::postgres().await;
    let mut stage = Stage::new(&*bed.store().await).await;
    let (lecture, concert) = (stage.lecture, stage.token.concert);
    let patch = Patch { max_active: Some(9), ..Patch::default() };
    stage.lane.done(waiting_room::Configure { concert, patch, draw: waiting_room::DrawPatch::default() }).await;
    let eve = enter(&mut stage.lane, concert, &user("eve")).await;

    let apply = AnyCommand::from(lecture::Apply { user: stage.bob.clone(), lecture, waitlist: false });
    let enter = AnyCommand::from(waiting_room::Enter { concert, user: user("fay"), pass: None, ended: None });
    let pay = pay(&stage.token, &stage.held);
    let holds = [&stage.token, &eve].map(|token| hold(token, &stage.performance, &[4]));
    // Each pair collides at one kind of row: wallet, lecture, room, performance. The last pair collides at two.
    let pairs = [
        ([charge(&stage.ann, 1), charge(&stage.ann, 2)], "version: 4"),
        ([apply.clone(), apply], "AlreadyApplied"),
        ([enter.clone(), enter], "is_new: false"),
        (holds, "SeatTaken"),
        ([pay.clone(), pay], "AlreadyPaid"),
    ];
    for ([first, second], expected) in pairs {
        let (_, waited) = one_after_the_other(&bed, first.into(), second.into()).await;
        assert!(format!("{waited:?}").contains(expected), "{waited:?} contains {expected}");
    }
}

/// Keys are not locked: of two units with one key, the second to commit fails with a conflict. When it runs again, as in the desk,
/// it finds the answer of the first.
#[tokio::test]
async fn a_concurrently_used_key_is_a_conflict_and_then_a_replay() {
    if without("postgres") {
        return;
    }
    let bed = Bed::postgres().await;
    let stage = Stage::new(&*bed.store().await).await;
    let (one, other) = (bed.store().await, bed.store().await);
    let (mut leader, mut follower) = (Lane::new(&*one, 11).await, Lane::new(&*other, 12).await);
    let key = KeyId { owner: Owner::Root, key: "once".into() };
    // Two wallets: the requests collide only at the key.
    let keyed = |user| [Request { command: charge(user, 5), key: Some(key.clone()) }];
    let (first, second) = (keyed(&stage.ann), keyed(&stage.bob));
    let mut first_unit = leader.load(&first).await.unwrap();
    let mut second_unit = follower.load(&second).await.unwrap();
    let decided = leader.decide(&first, &mut first_unit).remove(0);
    follower.decide(&second, &mut second_unit);

    leader.writer.save(&first_unit).await.unwrap();
    let refused = follower.writer.save(&second_unit).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    let again = follower.answer(&second).await.unwrap().remove(0);
    let Answer::Replayed(kept) = &again else { panic!("{again:?}") };
    assert_eq!(String::from_utf8_lossy(kept), format!("{:?}", decided.decided().unwrap()));
}
