//! A whole sale at random: the same acts in batches and one by one, judged by an oracle and audited all along.

use crate::support::mixed::{AnyCommand, Done};
use onsale_domain::waiting_room::Entered;
use proptest::prelude::*;

use super::cases;
use super::effect::Effect;
use super::op::{Op, People, ROOM, opened};
use super::oracle::Oracle;
use super::random_op::{op, op_or_change};
use crate::support::{Answer, World};

/// Milliseconds that pass, and what is then decided in one batch.
type Script = Vec<(i64, Vec<Op>)>;

fn script(op: impl Strategy<Value = Op>) -> impl Strategy<Value = Script> {
    let pause = prop_oneof![4 => Just(0_i64), 4 => 1..30_i64, 4 => 100..1_100_i64, 1 => 1_400..5_000_i64];
    prop::collection::vec((pause, prop::collection::vec(op, 1..7)), 1..30)
}

/// Plays a script twice: as it is, and with each command in a unit of work of its own.
fn play(script: &Script, check: impl Fn(&World)) {
    let (mut together, mut alone) = (opened(), opened());
    let mut people = People::before(&together.tables);
    for (millis, ops) in script {
        together.pass(*millis);
        alone.pass(*millis);
        let commands: Vec<AnyCommand> = ops.iter().filter_map(|op| people.command(op, &together.tables)).collect();
        let answers = together.run(&commands);
        for (command, answer) in commands.iter().zip(&answers) {
            let by_itself = judged(&mut alone, command);
            // Which rows lack an extension depends on what else a unit of work has written.
            let are_counts = matches!((&by_itself, answer), (Ok(Done::Rewrite(_)), Ok(Done::Rewrite(_))));
            assert!(are_counts || &by_itself == answer, "alone {by_itself:?}, in a batch {answer:?}: {command:?}");
            if let Ok(Done::Enter(Entered { token, .. })) = answer {
                people.tokens.retain(|known| known != token);
                people.tokens.push(token.clone());
            }
        }
        let different = together.tables.rewritten().differences(&alone.tables.rewritten());
        assert!(different.is_empty(), "other rows after a batch than after its commands alone: {different:?}");
        check(&alone);
    }
}

/// Runs a command alone, and holds the answer and what it did against the contract.
fn judged(world: &mut World, command: &AnyCommand) -> Answer {
    let before = world.tables.rewritten();
    let expected = Oracle { tables: &before, at: world.now }.judge(command);
    let answer = world.one(command.clone());
    assert_eq!(answer.clone().map(|_| ()), expected, "{command:?}");
    if let Ok(done) = &answer {
        Effect { before: &before, after: world }.check(command, done);
    }
    answer
}

/// Bounds that hold in every room whose settings never changed.
fn assert_bounds(world: &World) {
    for (concert, room) in &world.tables.rooms {
        assert!(room.active <= ROOM.max_active, "more turns than counters: {room:?}");
        let calls = world.admissions.iter().filter(|admission| admission.concert == *concert);
        let calls: Vec<_> = calls.collect();
        assert!(calls.is_sorted_by(|one, next| one.place < next.place), "called in order of arrival, each once");
        let per_second = ROOM.admit_per_second as usize;
        let mut seconds = calls.windows(per_second + 1);
        assert!(seconds.all(|calls| calls[0].at.millis_until(calls[per_second].at) >= 1_000), "the rate: {calls:?}");
    }
}

proptest! {
    #![proptest_config(cases(250))]

    #[test]
    fn a_sale_keeps_its_promises_however_it_is_batched(script in script(op())) {
        play(&script, assert_bounds);
    }

    #[test]
    fn a_sale_keeps_its_promises_while_settings_change(script in script(op_or_change())) {
        play(&script, |_| {});
    }
}
