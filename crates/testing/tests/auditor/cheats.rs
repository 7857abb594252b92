//! Each way of cheating, in a log that is honest otherwise.

use onsale_testing::auditor::{Asked, Log, Record, Rule, audit};

use crate::scribe::{Told, add, honest};

const POLL: (u16, Asked, u16) = (0, Asked::Poll, 200);

#[test]
fn an_honest_log_passes_and_allows_every_rule_to_be_checked() {
    let report = audit(&honest());
    assert!(report.is_sound(), "{report}");
    for rule in Rule::ALL {
        assert!(report.checks(rule) > 0, "{rule:?} is not checked:\n{report}");
    }
}

/// The log with this done to it breaks the rule, in words that name who is concerned.
#[track_caller]
fn caught(rule: Rule, named: &[&str], cheat: impl FnOnce(&mut Log)) {
    let mut log = honest();
    cheat(&mut log);
    let report = audit(&log);
    let finding = report.findings.iter().find(|finding| finding.rule == rule);
    let finding = finding.unwrap_or_else(|| panic!("not caught:\n{report}"));
    for name in named {
        assert!(finding.what.contains(name), "{name} is not named: {}", finding.what);
    }
}

/// The record that was sent then.
fn sent(log: &mut Log, millis: u64) -> &mut Record {
    log.records.iter_mut().find(|record| record.sent == millis * 1_000).unwrap()
}

#[test]
fn one_token_for_two_users() {
    caught(Rule::Unique, &["bob", "cyd"], |log| sent(log, 40).token = 2);
}

#[test]
fn a_second_token_while_the_first_lives() {
    caught(Rule::Unique, &["cyd"], |log| sent(log, 100).token = 33);
}

#[test]
fn a_second_turn_while_the_first_runs() {
    caught(Rule::Unique, &["ann"], |log| add(log, POLL, ("ann", 11), (2_060, 2_070), Told::Active(2_062)));
}

#[test]
fn a_place_that_is_new_twice() {
    caught(Rule::Unique, &["cyd"], |log| sent(log, 100).code = 201);
}

#[test]
fn a_place_that_is_issued_at_another_instant() {
    caught(Rule::Unique, &["cyd"], |log| sent(log, 100).issued_at = Some(0));
}

#[test]
fn a_later_user_is_admitted_earlier() {
    caught(Rule::Order, &["bob", "cyd"], |log| {
        for millis in [2_300, 8_000, 12_500] {
            let active_until = sent(log, millis).active_until.unwrap() - 2_000;
            sent(log, millis).active_until = Some(active_until);
        }
    });
}

#[test]
fn a_later_user_is_admitted_while_an_earlier_one_still_waits() {
    caught(Rule::Order, &["bob", "cyd"], |log| {
        log.records.retain(|record| record.user != 1 || record.sent < 1_000_000);
        add(log, POLL, ("bob", 2), (2_500, 2_510), Told::Waits(1, 2_490));
    });
}

#[test]
fn more_turns_than_may_run() {
    caught(Rule::Cap, &[], |log| {
        // Ann's and Bob's run on beyond the moment at which Cyd's begins.
        log.records.retain(|record| record.asked != Asked::Pay);
        add(log, POLL, ("ann", 1), (2_350, 2_360), Told::Active(5));
        add(log, POLL, ("bob", 2), (2_350, 2_360), Told::Active(1_006));
    });
}

#[test]
fn a_turn_that_ends_may_be_shown_as_of_before_its_end_for_a_moment() {
    // Cyd's ends 62.220 seconds after the beginning, and Gil's begins. Eve's runs on.
    for (sent, sound) in [(62_400, true), (62_500, false)] {
        let mut log = honest();
        add(&mut log, (0, Asked::Enter, 201), ("gil", 7), (62_225, 62_240), Told::Active(62_230));
        add(&mut log, POLL, ("cyd", 3), (sent, sent + 10), Told::Active(2_220));
        add(&mut log, POLL, ("eve", 5), (62_600, 62_610), Told::Active(12_000));
        add(&mut log, POLL, ("gil", 7), (62_600, 62_610), Told::Active(62_230));
        let report = audit(&log);
        assert!(!report.breaks(Rule::Cap), "{report}");
        assert_eq!(report.is_sound(), sound, "{report}");
    }
}

#[test]
fn more_admissions_than_a_second_may_have() {
    caught(Rule::Rate, &["ann", "bob"], |log| {
        let active_until = sent(log, 1_100).active_until.unwrap() - 2;
        sent(log, 1_100).active_until = Some(active_until);
    });
}

#[test]
fn a_position_that_grows_at_one_instance() {
    caught(Rule::Growth, &["eve"], |log| add(log, POLL, ("eve", 5), (520, 530), Told::Waits(4, 401)));
}

#[test]
fn a_position_that_grows_at_one_instance_while_its_clock_stands_still() {
    caught(Rule::Growth, &["eve"], |log| add(log, POLL, ("eve", 5), (520, 530), Told::Waits(4, 400)));
}

#[test]
fn a_position_that_grows_from_one_instance_to_another() {
    let other = (2, Asked::Poll, 200);
    caught(Rule::Growth, &["eve"], |log| add(log, other, ("eve", 5), (660, 670), Told::Waits(4, 655)));
}

#[test]
fn instances_may_differ_by_the_age_of_a_snapshot() {
    let mut log = honest();
    // Dan left at 210 ms at the latest, and this is as of before.
    add(&mut log, (2, Asked::Poll, 200), ("eve", 5), (430, 440), Told::Waits(4, 205));
    let report = audit(&log);
    assert!(report.is_sound(), "{report}");
}

#[test]
fn a_position_that_leaves_a_user_out() {
    caught(Rule::Exact, &["cyd"], |log| sent(log, 40).position = 1_u32.try_into().ok());
}

#[test]
fn a_position_that_counts_a_user_who_has_left() {
    caught(Rule::Exact, &["eve"], |log| {
        let later = sent(log, 500);
        (later.position, later.as_of) = (4_u32.try_into().ok(), later.as_of.map(|at| at + 50));
    });
}

#[test]
fn a_position_that_counts_a_place_without_a_user() {
    caught(Rule::Exact, &["bob"], |log| sent(log, 20).position = 2_u32.try_into().ok());
}

#[test]
fn an_answer_that_is_too_old() {
    caught(Rule::Age, &["cyd"], |log| sent(log, 1_200).as_of = sent(log, 1_200).as_of.map(|at| at - 201));
}

#[test]
fn an_answer_that_is_ahead_of_its_time() {
    caught(Rule::Age, &["cyd"], |log| sent(log, 1_200).as_of = sent(log, 1_200).as_of.map(|at| at + 61));
}

#[test]
fn an_admitted_user_waits_again() {
    caught(Rule::Turns, &["bob"], |log| add(log, POLL, ("bob", 2), (1_300, 1_310), Told::Waits(1, 1_290)));
}

#[test]
fn a_user_who_is_admitted_twice() {
    caught(Rule::Turns, &["cyd"], |log| {
        let active_until = sent(log, 8_000).active_until.map(|until| until + 1);
        sent(log, 8_000).active_until = active_until;
    });
}

#[test]
fn a_token_that_lives_after_its_end() {
    caught(Rule::Turns, &["ann"], |log| add(log, POLL, ("ann", 1), (3_000, 3_010), Told::Active(5)));
}

#[test]
fn a_turn_that_ends_before_its_bearer_was_silent_for_long() {
    caught(Rule::Turns, &["bob"], |log| add(log, POLL, ("bob", 2), (11_000, 11_010), Told::Over));
}

#[test]
fn a_turn_that_was_used_and_ends_before_its_time() {
    caught(Rule::Turns, &["ann"], |log| {
        log.records.retain(|record| record.asked != Asked::Pay && record.sent != 2_400_000);
        add(log, POLL, ("ann", 1), (59_000, 59_010), Told::Over);
    });
}

#[test]
fn a_user_without_a_turn_gets_the_answer_that_it_is_over() {
    caught(Rule::Turns, &["eve"], |log| {
        log.records.retain(|record| record.sent < 10_000_000);
        add(log, POLL, ("eve", 5), (9_000, 9_010), Told::Over);
    });
}

#[test]
fn a_waiting_user_is_let_in() {
    caught(Rule::Turns, &["cyd"], |log| {
        add(log, (0, Asked::Use, 200), ("cyd", 3), (1_100, 1_110), Told::Nothing);
    });
}

#[test]
fn a_user_whose_turn_runs_is_refused() {
    caught(Rule::Turns, &["ann"], |log| sent(log, 2_050).code = 403);
}
