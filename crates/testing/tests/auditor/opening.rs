//! Early entry and draws: an honest log passes, and each way of cheating is caught.

use std::collections::BTreeMap;

use onsale_testing::auditor::{Asked, Drawn, Log, Opening, Record, Rule, audit};
use serde_json::json;

use crate::scribe::{BEGAN, ROOM, Told, add};

const POLL: (u16, Asked, u16) = (0, Asked::Poll, 200);
const ENTER: (u16, Asked, u16) = (1, Asked::Enter, 201);

/// The list closes after 2 s and the room opens after 5 s. Cyd is drawn first, then Ann, then Bob. Dan comes late.
fn honest() -> Log {
    let mut log = Log::new(ROOM, BEGAN);
    let places = BTreeMap::from([(3, 1), (1, 2), (2, 3)]);
    log.opening = Some(Opening { opens_at: BEGAN + 5_000, drawn: Some(Drawn { closed_at: BEGAN + 2_000, places }) });
    let all = &mut log;
    for (user, token, sent) in [("ann", 1, 0), ("bob", 2, 20), ("cyd", 3, 40), ("dan", 4, 2_500)] {
        add(all, ENTER, (user, token), (sent, sent + 10), Told::Early(None, sent + 5));
    }
    for (user, token, position) in [("cyd", 3, 1), ("ann", 1, 2), ("bob", 2, 3), ("dan", 4, 4)] {
        let sent = 3_000 + 10 * u64::from(position);
        add(all, POLL, (user, token), (sent, sent + 5), Told::Early(Some(position), sent));
    }
    add(all, POLL, ("cyd", 3), (5_100, 5_110), Told::Active(5_005));
    add(all, POLL, ("ann", 1), (5_200, 5_205), Told::Waits(1, 5_150));
    add(all, POLL, ("bob", 2), (5_210, 5_215), Told::Waits(2, 5_150));
    add(all, POLL, ("dan", 4), (5_220, 5_225), Told::Waits(3, 5_150));
    add(all, POLL, ("ann", 1), (6_100, 6_110), Told::Active(6_006));
    add(all, (0, Asked::Use, 200), ("cyd", 3), (6_200, 6_210), Told::Nothing);
    add(all, (0, Asked::Pay, 201), ("cyd", 3), (7_500, 7_510), Told::Nothing);
    add(all, POLL, ("bob", 2), (7_600, 7_610), Told::Active(7_520));
    add(all, POLL, ("dan", 4), (7_700, 7_705), Told::Waits(1, 7_650));
    log
}

/// The log with this done to it breaks the rule, and a finding has these words.
#[track_caller]
fn caught(rule: Rule, words: &str, cheat: impl FnOnce(&mut Log)) {
    let mut log = honest();
    cheat(&mut log);
    let report = audit(&log);
    let mut found = report.findings.iter().filter(|finding| finding.rule == rule);
    assert!(found.any(|finding| finding.what.contains(words)), "{words} is not found:\n{report}");
}

/// The record that was sent then.
fn sent(log: &mut Log, millis: u64) -> &mut Record {
    log.records.iter_mut().find(|record| record.sent == millis * 1_000).unwrap()
}

fn places(log: &mut Log) -> &mut BTreeMap<u128, u32> {
    &mut log.opening.as_mut().unwrap().drawn.as_mut().unwrap().places
}

#[test]
fn an_honest_log_of_a_draw_passes() {
    let report = audit(&honest());
    assert!(report.is_sound(), "{report}");
    for rule in Rule::OF_DRAWS {
        assert!(report.checks(rule) > 0, "{rule:?} is not checked:\n{report}");
    }
}

#[test]
fn an_admission_before_the_opening() {
    caught(Rule::Opening, "before the opening", |log| {
        let cyd = sent(log, 5_100);
        cyd.active_until = cyd.active_until.map(|until| until - 6);
    });
    let enters = (0, Asked::Use, 200);
    caught(Rule::Opening, "let in", |log| add(log, enters, ("cyd", 3), (4_000, 4_010), Told::Nothing));
}

#[test]
fn a_list_without_a_user_who_entered_in_time() {
    caught(Rule::Draw, "ann", |log| *places(log) = BTreeMap::from([(3, 1), (2, 2)]));
    // A user who left before the closing is not on it.
    let mut log = honest();
    *places(&mut log) = BTreeMap::from([(3, 1), (1, 2)]);
    log.records.retain(|record| record.token != 2);
    add(&mut log, ENTER, ("bob", 2), (20, 30), Told::Early(None, 25));
    add(&mut log, (2, Asked::Leave, 204), ("bob", 2), (1_000, 1_010), Told::Nothing);
    assert!(!audit(&log).breaks(Rule::Draw), "{}", audit(&log));
}

#[test]
fn a_list_with_a_user_who_came_late() {
    caught(Rule::Draw, "dan", |log| {
        places(log).insert(4, 4);
    });
}

#[test]
fn two_entries_of_one_user_and_two_of_one_place() {
    caught(Rule::Draw, "one user is on the list twice", |log| {
        let cyd = log.user("cyd");
        log.records.iter_mut().filter(|record| record.token == 2).for_each(|record| record.user = cyd);
    });
    caught(Rule::Draw, "drawn places", |log| {
        places(log).insert(2, 2);
    });
    caught(Rule::Unique, "two tokens at once", |log| {
        add(log, ENTER, ("ann", 11), (100, 110), Told::Early(None, 105));
        add(log, POLL, ("ann", 11), (300, 310), Told::Early(None, 305));
    });
}

#[test]
fn an_admission_out_of_the_drawn_order() {
    caught(Rule::Draw, "bob was drawn before ann", |log| *places(log) = BTreeMap::from([(3, 1), (2, 2), (1, 3)]));
    caught(Rule::Draw, "bob was drawn before dan", |log| {
        add(log, POLL, ("dan", 4), (7_720, 7_730), Told::Active(7_000));
    });
}

#[test]
fn a_position_behind_the_drawn_place() {
    caught(Rule::Draw, "the drawn place 2", |log| sent(log, 5_200).position = 3_u32.try_into().ok());
}

#[test]
fn an_early_place_that_ends_by_silence() {
    caught(Rule::Turns, "silence", |log| {
        log.records.retain(|record| record.token != 2 || record.sent < 1_000_000);
        add(log, POLL, ("bob", 2), (14_000, 14_010), Told::Over);
    });
}

#[test]
fn a_published_draw_is_read_and_a_log_keeps_it() {
    let draw = json!({"closedAt": "2026-11-22T11:12:13.456Z", "entries": 2});
    let token = "00000000-0000-0000-0000-0000000000";
    let csv = format!("tokenId,place\r\n{token}0a,2\r\n{token}0b,1\r\n");
    let drawn = Drawn::read(&draw, &csv).unwrap();
    assert_eq!((drawn.closed_at, &drawn.places), (1_795_345_933_456, &BTreeMap::from([(10, 2), (11, 1)])));
    assert_eq!(Drawn::read(&draw, "tokenId,place\r\n"), None, "another number of entries");
    assert_eq!(Drawn::read(&draw, &csv.replace(",2", ",")), None, "not drawn yet");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answers.ndjson");
    for drawn in [Some(drawn), None] {
        let mut log = honest();
        log.opening = Some(Opening { opens_at: BEGAN, drawn });
        log.write(&path).unwrap();
        assert_eq!(Log::read(&path).unwrap(), log);
    }
}
