//! Declared faults excuse what they may cause, and nothing else.

use onsale_testing::auditor::{Asked, Fault, Log, Lost, Rule, audit};

use crate::scribe::{Told, add, honest};

const POLL: (u16, Asked, u16) = (0, Asked::Poll, 200);

fn with_fault(lost: Lost, (from, until): (u64, u64)) -> Log {
    let mut log = honest();
    log.faults.push(Fault { lost, from: from * 1_000, until: until * 1_000 });
    log
}

#[test]
fn while_the_home_is_away_answers_grow_old_and_nothing_else() {
    for (window, sound) in [((300, 500), true), ((500, 600), false)] {
        let mut log = with_fault(Lost::Time, window);
        add(&mut log, POLL, ("cyd", 3), (490, 495), Told::Waits(2, 106));
        assert_eq!(audit(&log).is_sound(), sound, "{}", audit(&log));
        add(&mut log, POLL, ("eve", 5), (498, 499), Told::Waits(5, 490));
        assert!(audit(&log).breaks(Rule::Exact));
    }
}

#[test]
fn places_that_memory_lost_may_come_back_ahead() {
    for (window, sound) in [((3_000, 5_000), true), ((6_000, 7_000), false)] {
        let mut log = with_fault(Lost::Memory, window);
        // Eve's answer counts a user who came back.
        add(&mut log, POLL, ("eve", 5), (4_000, 4_010), Told::Waits(2, 3_990));
        add(&mut log, POLL, ("eve", 5), (2_500, 2_510), Told::Waits(1, 2_490));
        assert_eq!(!audit(&log).breaks(Rule::Growth), sound, "{}", audit(&log));
    }
}

#[test]
fn a_second_place_after_a_loss_is_no_second_turn() {
    for (told, sound) in [(Told::Waits(2, 3_015), true), (Told::Active(3_015), false)] {
        let mut log = with_fault(Lost::Memory, (3_000, 4_000));
        add(&mut log, (1, Asked::Enter, 201), ("cyd", 33), (3_010, 3_020), told);
        assert_eq!(!audit(&log).breaks(Rule::Unique), sound, "{}", audit(&log));
    }
}

#[test]
fn an_entry_without_an_answer_may_have_a_place() {
    let mut log = honest();
    add(&mut log, (0, Asked::Enter, 503), ("fay", 0), (91, 95), Told::Nothing);
    add(&mut log, (0, Asked::Enter, 201), ("gil", 7), (96, 99), Told::Waits(5, 98));
    assert!(audit(&log).is_sound(), "{}", audit(&log));
    let mut stands = |position: u32| {
        log.records.last_mut().unwrap().position = position.try_into().ok();
        audit(&log).is_sound()
    };
    // Bob, Cyd and Eve are ahead; Dan may have left already, and Fay may be there.
    assert_eq!([3, 4, 6, 7].map(&mut stands), [false, true, true, false]);
}
