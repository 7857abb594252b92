//! Two tokens for one place that Redis handed out twice: one of them keeps it, at any order of holds and steps.

use std::cell::Cell;

use onsale_app::store::StoreError;
use onsale_domain::Refusal;
use onsale_domain::concert::Performance;
use onsale_domain::ids::{ConcertId, TokenId};
use onsale_domain::leaving::Leave;
use onsale_domain::waiting_room::{HandOut, Memory, Request as Asked, Settings, Step, Token};
use onsale_testing::{PATIENCE, without};
use uuid::Uuid;

use crate::bed::{Bed, on_each_database};
use crate::lane::{Answer, Lane, Request};
use crate::mixed::{AnyCommand, Done};
use crate::stage::{OPEN_DOORS, enter, hold, open_concert, schedule, user};

/// Opens a room in a Redis that has no data yet.
fn reopen() -> Asked {
    let (memory, places) = (Memory([7; 20]), 10);
    Asked::Reopen { epoch: 0, memory, epoch_seen: 0, known: 0, reserved_to: 0, in_doubt: (0, 0), places }
}

/// A room that Redis opened, with the turn of place 1 and two tokens for it.
struct Twice {
    lane: Lane,
    concert: ConcertId,
    performances: [Performance; 2],
    owner: Token,
    second: Token,
}

impl Twice {
    async fn new(bed: &Bed) -> Self {
        let store = bed.store().await;
        let (mut lane, now) = (Lane::new(&*store, 1).await, store.reader().now());
        let concert = open_concert(&mut lane, Settings { max_active: 1, ..OPEN_DOORS }).await;
        let performances =
            [schedule(&mut lane, now, concert, 9, 100).await, schedule(&mut lane, now, concert, 9, 100).await];
        lane.done(HandOut { concert, request: reopen() }).await;
        lane.done(Step { issued: 1, ..Step::of(concert) }).await;
        let token = |id: u128, name: &str| Token {
            id: TokenId::new(Uuid::from_u128(id)),
            concert,
            user: user(name),
            place: 1,
            issued_at: now,
        };
        Self { lane, concert, performances, owner: token(1, "owner"), second: token(2, "second") }
    }

    /// Holds in a performance of the token's own, so that no lock but that of the place decides.
    fn hold(&self, token: &Token, seat: u32) -> AnyCommand {
        hold(token, &self.performances[usize::from(token.user != self.owner.user)], &[seat])
    }

    fn step(&self, tokens: &[&Token]) -> AnyCommand {
        let shown_tokens = tokens.iter().copied().cloned().collect();
        Step { shown_tokens, ..Step::of(self.concert) }.into()
    }

    async fn holds(&mut self, token: &Token, seat: u32) -> bool {
        let command = self.hold(token, seat);
        match self.lane.run([command]).await.unwrap().remove(0) {
            Ok(Done::Hold(_)) => true,
            Err(Refusal::TokenExpired) => false,
            other => unreachable!("{other:?}"),
        }
    }

    /// Takes a step, and returns the users whose tokens were shown for the place of another token.
    async fn disputes(&mut self, tokens: &[&Token]) -> Vec<String> {
        let requests = [Request::from(self.step(tokens))];
        let mut unit = self.lane.load(&requests).await.unwrap();
        self.lane.decide(&requests, &mut unit);
        self.lane.writer.save(&unit).await.unwrap();
        unit.rows.disputes.iter().map(|token| token.user.to_string()).collect()
    }

    /// Asserts that the owner goes on, and that the second token is refused and reported.
    async fn assert_the_owner_keeps_it(mut self) {
        let (owner, second) = (self.owner.clone(), self.second.clone());
        assert_eq!(self.disputes(&[&second, &owner]).await, ["second"]);
        assert!(!self.holds(&second, 5).await);
        assert!(self.holds(&owner, 6).await);
        assert_eq!(enter(&mut self.lane, self.concert, &owner.user).await, owner, "the place is the owner's");
        let new = enter(&mut self.lane, self.concert, &second.user).await;
        assert_ne!(new.place, 1, "the second user gets a place of their own");
    }
}

async fn a_hold_keeps_the_place_if_the_other_token_is_named_after_it(bed: Bed) {
    let mut twice = Twice::new(&bed).await;
    let (owner, second) = (twice.owner.clone(), twice.second.clone());
    assert!(twice.holds(&owner, 1).await);
    assert_eq!(twice.disputes(&[&second]).await, ["second"]);
    twice.assert_the_owner_keeps_it().await;
}

async fn a_second_token_cannot_hold_before_any_step(bed: Bed) {
    let mut twice = Twice::new(&bed).await;
    let (owner, second) = (twice.owner.clone(), twice.second.clone());
    assert!(twice.holds(&owner, 1).await);
    assert!(!twice.holds(&second, 2).await);
    twice.assert_the_owner_keeps_it().await;
}

async fn a_token_that_was_named_keeps_the_place_if_the_other_holds_after_it(bed: Bed) {
    let mut twice = Twice::new(&bed).await;
    let (owner, second) = (twice.owner.clone(), twice.second.clone());
    assert!(twice.disputes(&[&owner]).await.is_empty());
    assert!(!twice.holds(&second, 1).await);
    twice.assert_the_owner_keeps_it().await;
}

async fn a_user_whose_turn_before_is_over_holds_with_a_new_place(bed: Bed) {
    let mut twice = Twice::new(&bed).await;
    let first = twice.owner.clone();
    assert!(twice.disputes(&[&first]).await.is_empty());
    // The turn of place 1 ends by its time, and place 2 is admitted.
    twice.lane.at = Some(twice.owner.issued_at.plus_seconds(OPEN_DOORS.active_seconds + 1));
    let step = Step { issued: 2, due: vec![1], ..Step::of(twice.concert) };
    twice.lane.done(step).await;
    twice.lane.at = None;
    let again = Token { id: TokenId::new(Uuid::from_u128(3)), place: 2, ..first };
    assert!(twice.holds(&again, 1).await);
    assert!(twice.disputes(&[&again]).await.is_empty());
    assert_eq!(enter(&mut twice.lane, twice.concert, &again.user).await, again, "the new place is the current one");
}

/// A place that the database handed out before Redis opened the room is admitted and used in one unit of work.
async fn a_user_admitted_in_a_batch_holds_in_the_same_batch(bed: Bed) {
    let store = bed.store().await;
    let (mut lane, now) = (Lane::new(&*store, 1).await, store.reader().now());
    let concert = open_concert(&mut lane, Settings { max_active: 1, ..OPEN_DOORS }).await;
    let performance = schedule(&mut lane, now, concert, 9, 100).await;
    let first = enter(&mut lane, concert, &user("first")).await;
    let next = enter(&mut lane, concert, &user("next")).await;
    lane.done(HandOut { concert, request: reopen() }).await;
    // Leaving ends the only turn and admits the next place, which the hold uses.
    let answers = lane.run([Leave(first).into(), hold(&next, &performance, &[1])]).await.unwrap();
    assert!(matches!(answers[1], Ok(Done::Hold(_))), "{answers:?}");
}

on_each_database!(
    a_user_admitted_in_a_batch_holds_in_the_same_batch,
    a_hold_keeps_the_place_if_the_other_token_is_named_after_it,
    a_second_token_cannot_hold_before_any_step,
    a_token_that_was_named_keeps_the_place_if_the_other_holds_after_it,
    a_user_whose_turn_before_is_over_holds_with_a_new_place,
);

/// Two units of work at two instances, both loaded before either is saved. Returns what the second save returned.
async fn at_once(bed: &Bed, first: AnyCommand, second: AnyCommand) -> Result<(), StoreError> {
    let (one, other) = (bed.store().await, bed.store().await);
    let mut lanes = [Lane::new(&*one, 11).await, Lane::new(&*other, 12).await];
    let requests = [[Request::from(first)], [Request::from(second)]];
    let mut units = [lanes[0].load(&requests[0]).await.unwrap(), lanes[1].load(&requests[1]).await.unwrap()];
    for ((lane, requests), unit) in lanes.iter_mut().zip(&requests).zip(&mut units) {
        let answers = lane.decide(requests, unit);
        assert!(answers.into_iter().filter_map(Answer::decided).all(|outcome| outcome.is_ok()));
    }
    lanes[0].writer.save(&units[0]).await.unwrap();
    lanes[1].writer.save(&units[1]).await
}

fn is_conflict(saved: &Result<(), StoreError>) -> bool {
    matches!(saved, Err(StoreError::Conflict(_)))
}

#[tokio::test]
async fn of_two_holds_at_once_at_two_instances_one_commits() {
    if without("postgres") {
        return;
    }
    let bed = Bed::postgres().await;
    let twice = Twice::new(&bed).await;
    let saved = at_once(&bed, twice.hold(&twice.owner, 1), twice.hold(&twice.second, 1)).await;
    assert!(is_conflict(&saved), "{saved:?}");
    twice.assert_the_owner_keeps_it().await;
}

#[tokio::test]
async fn a_hold_that_commits_during_a_step_keeps_the_place() {
    if without("postgres") {
        return;
    }
    let bed = Bed::postgres().await;
    let twice = Twice::new(&bed).await;
    let saved = at_once(&bed, twice.hold(&twice.owner, 1), twice.step(&[&twice.second])).await;
    assert!(is_conflict(&saved), "{saved:?}");
    twice.assert_the_owner_keeps_it().await;
}

#[tokio::test]
async fn a_step_that_commits_during_a_hold_keeps_the_place() {
    if without("postgres") {
        return;
    }
    let bed = Bed::postgres().await;
    let twice = Twice::new(&bed).await;
    let saved = at_once(&bed, twice.step(&[&twice.owner]), twice.hold(&twice.second, 1)).await;
    assert!(is_conflict(&saved), "{saved:?}");
    twice.assert_the_owner_keeps_it().await;
}

#[tokio::test]
async fn a_hold_and_a_step_of_the_same_token_do_not_disturb_each_other() {
    if without("postgres") {
        return;
    }
    for the_step_is_first in [true, false] {
        let bed = Bed::postgres().await;
        let twice = Twice::new(&bed).await;
        let (hold, step) = (twice.hold(&twice.owner, 1), twice.step(&[&twice.owner]));
        let (first, second) = if the_step_is_first { (step, hold) } else { (hold, step) };
        at_once(&bed, first, second).await.unwrap();
        twice.assert_the_owner_keeps_it().await;
    }
}

/// Saves a unit of work while another transaction has written the row of place 1 and not committed it. Commits that one once
/// the save waits for it, and returns what the save returned: `Locked` if the commit came later than a lane waits for a lock.
async fn saved_meanwhile(bed: &Bed, written_by: &Token, command: AnyCommand) -> Result<(), StoreError> {
    let Bed::Postgres(database) = bed else { unreachable!("only Postgres has writers at the same time") };
    // Connected in advance: the server ends a unit of work that is idle for long.
    let (other, observer) = (database.sql().await, database.sql().await);
    let store = bed.store().await;
    let mut lane = Lane::new(&*store, 21).await;
    let requests = [Request::from(command)];
    let mut unit = lane.load(&requests).await.unwrap();
    lane.decide(&requests, &mut unit);
    let insert = format!(
        "BEGIN; INSERT INTO places (concert_id, place, user_id, token_id, issued_at, standing)
            VALUES ('{}', 1, '{}', '{}', {}, 'REPLACED')",
        written_by.concert.uuid(),
        written_by.user,
        written_by.id.uuid(),
        written_by.issued_at.as_millis(),
    );
    other.batch_execute(&insert).await.unwrap();
    let is_over = Cell::new(false);
    let save = async {
        let saved = lane.writer.save(&unit).await;
        is_over.set(true);
        saved
    };
    let commit = async {
        let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'
            AND pid <> pg_backend_pid() AND (SELECT datname FROM pg_stat_activity a WHERE a.pid = pg_locks.pid) = current_database())";
        while !is_over.get() && !observer.query_one(waits, &[]).await.unwrap().get::<_, bool>(0) {}
        other.batch_execute("COMMIT").await.unwrap();
    };
    tokio::join!(save, commit).0
}

/// The same with a sale of its own, and with another one as long as the machine is too busy to commit in time.
async fn during_a_write(command: impl Fn(&Twice) -> AnyCommand) -> (Bed, Twice, Result<(), StoreError>) {
    let trying = async {
        loop {
            let bed = Bed::postgres().await;
            let twice = Twice::new(&bed).await;
            match saved_meanwhile(&bed, &twice.owner, command(&twice)).await {
                Err(StoreError::Locked(_)) => {}
                saved => return (bed, twice, saved),
            }
        }
    };
    tokio::time::timeout(PATIENCE, trying).await.expect("a commit in time")
}

#[tokio::test]
async fn a_hold_and_a_step_of_the_same_token_do_not_conflict_while_one_is_uncommitted() {
    if without("postgres") {
        return;
    }
    for the_step_waits in [true, false] {
        let waiting = |twice: &Twice| match the_step_waits {
            true => twice.step(&[&twice.owner]),
            false => twice.hold(&twice.owner, 1),
        };
        let (_bed, twice, saved) = during_a_write(waiting).await;
        saved.unwrap();
        twice.assert_the_owner_keeps_it().await;
    }
}

#[tokio::test]
async fn a_hold_or_a_step_of_another_token_conflicts_with_an_uncommitted_one() {
    if without("postgres") {
        return;
    }
    for the_step_waits in [true, false] {
        let waiting = |twice: &Twice| match the_step_waits {
            true => twice.step(&[&twice.second]),
            false => twice.hold(&twice.second, 1),
        };
        let (_bed, twice, saved) = during_a_write(waiting).await;
        assert!(is_conflict(&saved), "{saved:?}");
        twice.assert_the_owner_keeps_it().await;
    }
}
