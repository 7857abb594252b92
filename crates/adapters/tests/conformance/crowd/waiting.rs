//! Concurrent places in lectures and in waiting rooms.

use onsale_domain::lecture::{Applied, Outcome};
use onsale_domain::waiting_room::Entered;
use std::collections::{BTreeMap, BTreeSet};

use crate::mixed::{AnyCommand, Done};
use onsale_app::store::Page;
use onsale_domain::Refusal;
use onsale_domain::ids::UserId;
use onsale_domain::lecture::{self, HistoryKind};
use onsale_domain::waiting_room::{self, Settings, Token};
use onsale_testing::without;

use super::{Crowd, INSTANCES, dones, refused};
use crate::stage::{OPEN_DOORS, open_concert, open_lecture, user};

fn users(many: usize) -> Vec<UserId> {
    (0..many).map(|number| user(&format!("user-{number}"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_six_hundred_applicants_thirty_have_a_place() {
    if without("postgres") {
        return;
    }
    let mut crowd = Crowd::new().await;
    let now = crowd.reader().now();
    let lecture = open_lecture(crowd.lane(), now, 30).await;
    let apply = |user: &UserId| AnyCommand::from(lecture::Apply { user: user.clone(), lecture, waitlist: false });
    // Every user applies at every instance.
    let commands: Vec<AnyCommand> = users(600).iter().map(apply).collect();
    let batches = crowd.shuffled(&commands, 20);
    let outcomes = crowd.run(batches).await;
    let places: BTreeMap<u32, UserId> = dones(&outcomes)
        .map(|done| match done {
            Done::Apply(Outcome::Applied(Applied { seat_number, user, .. })) => (*seat_number, user.clone()),
            other => unreachable!("{other:?}"),
        })
        .collect();
    assert_eq!(dones(&outcomes).count(), 30);
    assert!(places.keys().copied().eq(1..=30), "seat numbers without a gap: {places:?}");
    assert_eq!(places.values().collect::<BTreeSet<_>>().len(), 30, "one place per user");
    let already = refused(&outcomes, &Refusal::AlreadyApplied);
    assert_eq!(already, 30 * (INSTANCES - 1), "the other instances return the existing place");
    assert_eq!(already + refused(&outcomes, &Refusal::LectureFull) + 30, INSTANCES * 600);

    let page = Page { after: None, limit: 100 };
    let history = crowd.reader().lecture_history(lecture, page).await.unwrap().unwrap();
    assert!(history.iter().map(|line| line.version).eq(1..=30));
    for line in &history {
        let HistoryKind::Applied { seat_number } = line.kind else { unreachable!("{line:?}") };
        assert_eq!(places[&seat_number], line.user, "the history names the user of each seat");
    }
    crowd.assert_no_deadlock();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_places_are_given_to_other_users() {
    if without("postgres") {
        return;
    }
    let mut crowd = Crowd::new().await;
    let now = crowd.reader().now();
    let mut lectures = Vec::new();
    for _ in 0..6 {
        lectures.push(open_lecture(crowd.lane(), now, 5).await);
    }
    let mut commands: Vec<AnyCommand> = Vec::new();
    for user in users(12) {
        for lecture in lectures.iter().copied() {
            commands.push(lecture::Apply { user: user.clone(), lecture, waitlist: false }.into());
            commands.push(lecture::Cancel { user: user.clone(), lecture }.into());
        }
    }
    let commands = [&commands[..]; 3].concat();
    let batches = crowd.shuffled(&commands, 9);
    let outcomes = crowd.run(batches).await;
    let page = Page { after: None, limit: 1_000 };
    let mut lines = 0;
    for lecture in lectures {
        let mut seats: BTreeMap<u32, UserId> = BTreeMap::new();
        for line in crowd.reader().lecture_history(lecture, page).await.unwrap().unwrap() {
            lines += 1;
            match line.kind {
                HistoryKind::Applied { seat_number } => {
                    let lowest = (1..=5).find(|seat| !seats.contains_key(seat));
                    assert_eq!(Some(seat_number), lowest, "the lowest that is free");
                    seats.insert(seat_number, line.user);
                }
                HistoryKind::Cancelled { seat_number } => assert_eq!(seats.remove(&seat_number), Some(line.user)),
                other => unreachable!("{other:?} without a waiting list"),
            }
        }
        for user in users(12) {
            let applied = crowd.reader().applications(&user, Some(lecture)).await.unwrap();
            assert_eq!(applied.len(), seats.values().filter(|owner| **owner == user).count());
        }
    }
    assert_eq!(lines, dones(&outcomes).count());
    crowd.assert_no_deadlock();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_has_no_gap_and_each_user_once() {
    if without("postgres") {
        return;
    }
    let mut crowd = Crowd::new().await;
    let room = Settings { max_active: 10, admit_per_second: 1_000, ..OPEN_DOORS };
    let concerts = [open_concert(crowd.lane(), room).await, open_concert(crowd.lane(), room).await];
    let enter = |user: &UserId| {
        concerts.map(|concert| {
            AnyCommand::from(waiting_room::Enter { concert, user: user.clone(), pass: None, ended: None })
        })
    };
    let commands: Vec<AnyCommand> = users(150).iter().flat_map(enter).collect();
    let batches = crowd.shuffled(&commands, 15);
    let outcomes = crowd.run(batches).await;
    let entered = dones(&outcomes).map(|done| match done {
        Done::Enter(Entered { token, is_new }) => (token, *is_new),
        other => unreachable!("{other:?}"),
    });
    let entered: Vec<(&Token, bool)> = entered.collect();
    assert_eq!(entered.len(), INSTANCES * commands.len());
    for concert in concerts {
        let here = || entered.iter().filter(|(token, _)| token.concert == concert);
        let new: BTreeMap<u64, &Token> =
            here().filter(|(_, is_new)| *is_new).map(|(token, _)| (token.place, *token)).collect();
        assert!(new.keys().copied().eq(1..=150), "places without a gap");
        assert_eq!(here().filter(|(_, is_new)| *is_new).count(), 150, "each handed out once");
        assert!(
            here().all(|(token, _)| new[&token.place] == *token),
            "each user gets the same place at every instance"
        );
        assert!(new.values().is_sorted_by_key(|token| token.issued_at), "in order of arrival");
        let rooms = crowd.reader().rooms().await.unwrap();
        let room = rooms.iter().find(|room| room.concert == concert).unwrap();
        assert_eq!((room.room.issued, room.room.served, room.room.active, room.turns.len()), (150, 10, 10, 10));
    }
    crowd.assert_no_deadlock();
}
