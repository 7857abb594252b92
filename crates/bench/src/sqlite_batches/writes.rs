//! The kinds of writes: their rows, and the statements that read and write these.

/// When a row of a stream is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    /// Once with each write.
    EachWrite,
    /// Only with the last write of a batch: rows that every command of a batch changes are saved once.
    EachBatch,
}

/// Rows of one table. The row with a number belongs to the write with that number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    /// Reads them from the program's file, at most `?1` of them.
    pub(super) select: &'static str,
    /// Writes one row.
    pub(super) write: &'static str,
    pub(super) when: When,
}

/// A kind of write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    ChargeHot,
    ChargeMany,
    ChargeHotKeyed,
    ChargeManyKeyed,
    Application,
    Place,
    Reservation,
    Payment,
}

const fn each(select: &'static str, write: &'static str) -> Stream {
    Stream { select, write, when: When::EachWrite }
}

const fn each_batch(select: &'static str, write: &'static str) -> Stream {
    Stream { select, write, when: When::EachBatch }
}

const WRITE_ACCOUNT: &str = "INSERT INTO accounts (user_id, balance, version, updated_at) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO UPDATE SET balance = ?2, version = ?3, updated_at = ?4";

const CHARGED: &str = "SELECT user_id, balance_after, version, created_at FROM program.ledger
    WHERE type = 'CHARGE' ORDER BY entry_id LIMIT ?1";

const LEDGER: Stream = each(
    "SELECT * FROM program.ledger WHERE type = 'CHARGE' ORDER BY entry_id LIMIT ?1",
    "INSERT INTO ledger VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
);

const WRITE_EVENT: &str =
    "INSERT INTO events (event_id, type, subject, version, at, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

macro_rules! events {
    ($kind:literal) => {
        each(
            concat!(
                "SELECT event_id, type, subject, version, at, data FROM program.events WHERE type = 'onsale.",
                $kind,
                ".v1' ORDER BY position LIMIT ?1"
            ),
            WRITE_EVENT,
        )
    };
}

const KEPT: Stream = each(
    "SELECT owner, key, fingerprint, answer, kept_at FROM program.kept_answers ORDER BY position LIMIT ?1",
    "INSERT INTO kept_answers (owner, key, fingerprint, answer, kept_at) VALUES (?1, ?2, ?3, ?4, ?5)",
);

const CHARGED_EVENTS: Stream = events!("points.charged");
const CHARGE_HOT: &[Stream] = &[each_batch(CHARGED, WRITE_ACCOUNT), LEDGER, CHARGED_EVENTS];
const CHARGE_HOT_KEYED: &[Stream] = &[each_batch(CHARGED, WRITE_ACCOUNT), LEDGER, CHARGED_EVENTS, KEPT];
const CHARGE_MANY: &[Stream] = &[each(CHARGED, WRITE_ACCOUNT), LEDGER, CHARGED_EVENTS];
const CHARGE_MANY_KEYED: &[Stream] = &[each(CHARGED, WRITE_ACCOUNT), LEDGER, CHARGED_EVENTS, KEPT];

const APPLICATION: &[Stream] = &[
    each_batch(
        "SELECT lecture_id, seat_number, seat_number, version, created_at FROM program.lecture_history
         ORDER BY version LIMIT ?1",
        "UPDATE lectures SET enrolled = ?2, seats_given = ?3, version = ?4, updated_at = ?5 WHERE lecture_id = ?1",
    ),
    each(
        "SELECT * FROM program.applications ORDER BY seat_number LIMIT ?1",
        "INSERT INTO applications VALUES (?1, ?2, ?3, ?4, ?5)",
    ),
    each(
        "SELECT * FROM program.lecture_history ORDER BY version LIMIT ?1",
        "INSERT INTO lecture_history VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    ),
    events!("lecture.applied"),
];

const PLACE: &[Stream] = &[
    each_batch(
        "SELECT concert_id, place, issued_at FROM program.places ORDER BY place LIMIT ?1",
        "UPDATE rooms SET issued = ?2, version = ?2, updated_at = ?3 WHERE concert_id = ?1",
    ),
    each("SELECT * FROM program.places ORDER BY place LIMIT ?1", "INSERT INTO places VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
];

const RESERVATION: &[Stream] = &[
    each_batch(
        "SELECT performance_id, held_at FROM program.reservations ORDER BY reservation_id LIMIT ?1",
        "UPDATE performances SET version = version + 256, updated_at = ?2 WHERE performance_id = ?1",
    ),
    each(
        "SELECT * FROM program.reservations ORDER BY reservation_id LIMIT ?1",
        "INSERT INTO reservations VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    ),
    each(
        "SELECT performance_id, seat, reservation_id, held_until, sold, extended FROM program.seats
         ORDER BY reservation_id LIMIT ?1",
        "INSERT INTO seats VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL)",
    ),
    events!("seats.held"),
];

const PAYMENT: &[Stream] = &[
    each(
        "SELECT user_id, balance_after, version, created_at FROM program.ledger WHERE type = 'USE'
         ORDER BY reference LIMIT ?1",
        WRITE_ACCOUNT,
    ),
    each(
        "SELECT * FROM program.ledger WHERE type = 'USE' ORDER BY reference LIMIT ?1",
        "INSERT INTO ledger VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    ),
    each_batch(
        "SELECT performance_id, paid_at FROM program.payments ORDER BY payment_id LIMIT ?1",
        "UPDATE performances SET sold = min(capacity, sold + 1), version = version + 256, updated_at = ?2
         WHERE performance_id = ?1",
    ),
    each(
        "SELECT reservation_id FROM program.payments ORDER BY payment_id LIMIT ?1",
        "UPDATE reservations SET status = 'PAID' WHERE reservation_id = ?1",
    ),
    each(
        "SELECT s.performance_id, s.seat, s.reservation_id, s.held_until FROM program.payments
         JOIN program.seats s USING (reservation_id) ORDER BY payment_id LIMIT ?1",
        "INSERT INTO seats VALUES (?1, ?2, ?3, ?4, 1, 0, NULL)
         ON CONFLICT DO UPDATE SET reservation_id = ?3, held_until = ?4, sold = 1",
    ),
    each(
        "SELECT * FROM program.payments ORDER BY payment_id LIMIT ?1",
        "INSERT INTO payments VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    ),
    each(
        "SELECT concert_id, place, paid_at FROM program.payments JOIN program.reservations USING (reservation_id)
         ORDER BY payment_id LIMIT ?1",
        "INSERT INTO turn_ends VALUES (?1, ?2, ?3)",
    ),
    events!("points.used"),
    events!("payment.completed"),
];

impl Write {
    /// The rows of one write.
    pub(super) fn streams(self) -> &'static [Stream] {
        match self {
            Self::ChargeHot => CHARGE_HOT,
            Self::ChargeMany => CHARGE_MANY,
            Self::ChargeHotKeyed => CHARGE_HOT_KEYED,
            Self::ChargeManyKeyed => CHARGE_MANY_KEYED,
            Self::Application => APPLICATION,
            Self::Place => PLACE,
            Self::Reservation => RESERVATION,
            Self::Payment => PAYMENT,
        }
    }

    /// Rows that exist before the writes.
    pub(super) fn parents(self) -> &'static [&'static str] {
        const CONCERTS: &str = "INSERT INTO concerts SELECT * FROM program.concerts;
            INSERT INTO rooms SELECT * FROM program.rooms;
            INSERT INTO performances SELECT * FROM program.performances;";
        match self {
            Self::ChargeHot | Self::ChargeMany | Self::ChargeHotKeyed | Self::ChargeManyKeyed => &[],
            Self::Application => &["INSERT INTO lectures SELECT * FROM program.lectures;"],
            Self::Place | Self::Reservation => &[CONCERTS],
            Self::Payment => &[
                CONCERTS,
                "INSERT INTO reservations SELECT reservation_id, concert_id, performance_id, user_id, place, seats,
                    amount, held_at, held_until, 'HELD', NULL, 0, prices, '', '[]' FROM program.reservations;
                 INSERT INTO seats SELECT performance_id, seat, reservation_id, held_until, 0, 0, NULL FROM program.seats;
                 INSERT INTO accounts SELECT user_id, balance_after, version, created_at FROM program.ledger
                    WHERE type = 'CHARGE';
                 UPDATE performances SET sold = 0;",
            ],
        }
    }
}
