//! Logs written by hand, in milliseconds since their beginning.

use onsale_testing::auditor::{Asked, Log, Record, Room, Standing};

/// When hand-made logs begin.
pub(crate) const BEGAN: i64 = 1_800_000_000_000;

/// A room of two turns, one a second.
pub(crate) const ROOM: Room = Room {
    max_active: 2,
    admit_per_second: 1,
    active_seconds: 60,
    claim_seconds: 10,
    as_of_millis_max: 250,
    shows_millis_max: 0,
    clocks_differ_millis: 0,
};

/// The state of a place in an answer.
#[derive(Clone, Copy)]
pub(crate) enum Told {
    /// At this position, as of this millisecond.
    Waits(u32, u64),
    /// The same before the opening. The position may be unknown.
    Early(Option<u32>, u64),
    /// With a turn since this millisecond.
    Active(u64),
    Over,
    Nothing,
}

/// Adds an answer: of an instance, about a user's token, sent and answered then.
pub(crate) fn add(
    log: &mut Log,
    (instance, asked, code): (u16, Asked, u16),
    (user, token): (&str, u128),
    (sent, answered): (u64, u64),
    told: Told,
) {
    let at = |millis: u64| Some(BEGAN + i64::try_from(millis).unwrap());
    let mut record = Record {
        instance,
        asked,
        code,
        user: log.user(user),
        token,
        sent: sent * 1_000,
        answered: answered * 1_000,
        standing: None,
        position: None,
        as_of: at(answered - 1),
        issued_at: Some(BEGAN + i64::try_from(token).unwrap()),
        active_until: None,
    };
    match told {
        Told::Waits(position, as_of) => {
            record.standing = Some(Standing::Waiting);
            record.position = position.try_into().ok();
            record.as_of = at(as_of);
        }
        Told::Early(position, as_of) => {
            record.standing = Some(Standing::Early);
            record.position = position.and_then(|position| position.try_into().ok());
            record.as_of = at(as_of);
        }
        Told::Active(since) => {
            record.standing = Some(Standing::Active);
            record.active_until = at(since + u64::from(log.room.active_seconds) * 1_000);
        }
        Told::Over => record.standing = Some(Standing::Expired),
        Told::Nothing => (record.as_of, record.issued_at) = (None, None),
    }
    log.records.push(record);
}

/// Ann and Bob are let in, Cyd waits for Ann to pay, Dan leaves, Eve is let in after Bob fell silent.
pub(crate) fn honest() -> Log {
    let mut log = Log::new(ROOM, BEGAN);
    let enter = |instance| (instance, Asked::Enter, 201);
    let poll = |instance| (instance, Asked::Poll, 200);
    let log = &mut log;
    add(log, enter(0), ("ann", 1), (0, 10), Told::Active(5));
    add(log, enter(1), ("bob", 2), (20, 30), Told::Waits(1, 25));
    add(log, enter(2), ("cyd", 3), (40, 50), Told::Waits(2, 45));
    add(log, enter(0), ("dan", 4), (60, 70), Told::Waits(3, 65));
    add(log, enter(1), ("eve", 5), (80, 90), Told::Waits(4, 85));
    add(log, (1, Asked::Enter, 200), ("cyd", 3), (100, 110), Told::Waits(2, 105));
    add(log, (0, Asked::Use, 200), ("ann", 1), (110, 120), Told::Nothing);
    add(log, (2, Asked::Leave, 204), ("dan", 4), (200, 210), Told::Nothing);
    add(log, poll(2), ("dan", 4), (220, 230), Told::Over);
    add(log, poll(0), ("eve", 5), (500, 510), Told::Waits(3, 400));
    add(log, poll(1), ("bob", 2), (1_100, 1_110), Told::Active(1_006));
    add(log, poll(0), ("cyd", 3), (1_200, 1_210), Told::Waits(1, 1_150));
    add(log, poll(1), ("eve", 5), (1_220, 1_230), Told::Waits(2, 1_200));
    add(log, poll(0), ("ann", 1), (2_000, 2_010), Told::Active(5));
    add(log, (0, Asked::Use, 200), ("ann", 1), (2_050, 2_060), Told::Nothing);
    add(log, poll(0), ("ann", 1), (2_100, 2_110), Told::Active(5));
    add(log, (0, Asked::Pay, 201), ("ann", 1), (2_200, 2_230), Told::Nothing);
    add(log, poll(2), ("cyd", 3), (2_300, 2_310), Told::Active(2_220));
    add(log, poll(0), ("ann", 1), (2_400, 2_410), Told::Over);
    add(log, poll(2), ("cyd", 3), (8_000, 8_010), Told::Active(2_220));
    add(log, poll(1), ("eve", 5), (10_000, 10_010), Told::Waits(1, 9_950));
    add(log, poll(2), ("cyd", 3), (12_500, 12_510), Told::Active(2_220));
    add(log, poll(1), ("eve", 5), (13_000, 13_010), Told::Active(12_000));
    add(log, poll(2), ("bob", 2), (14_000, 14_010), Told::Over);
    log.clone()
}
