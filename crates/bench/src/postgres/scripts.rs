//! What a careful server does that runs one transaction per request: lock the parent, check, write, and add a history
//! row. It writes no events and keeps no answers: only the program does that.
//!
//! Ids ascend, which is the best case for an index. Twelve digits are a user id and the end of a UUID.

/// Setup statements and a script.
pub(super) struct Script {
    /// Statements for the required rows.
    pub(super) rows: &'static str,
    pub(super) script: &'static str,
}

const WALLETS: &str = "INSERT INTO accounts (user_id, balance, version, updated_at)
    SELECT (100000000000 + n)::text, 1, 1, 1 FROM generate_series(0, 9999) n";

/// The two statements of a charge, on random rows.
pub(super) const CHARGE_MANY: Script = Script { rows: WALLETS, script: include_str!("scripts/charge_many.sql") };

/// The same on one row.
pub(super) const CHARGE_HOT: Script = Script { rows: WALLETS, script: include_str!("scripts/charge_hot.sql") };

/// All rows that a charge of the program writes, including its event.
pub(super) const CHARGE_WITH_EVENT: Script =
    Script { rows: WALLETS, script: include_str!("scripts/charge_with_event.sql") };

/// One lecture, and users who each apply once.
pub(super) const APPLICATION: Script = Script {
    rows: "INSERT INTO lectures (lecture_id, title, starts_at, capacity, enrolled, seats_given, version, updated_at,
            highest_capacity)
        VALUES ('00000000-0000-7000-8000-000000000001', 'A lecture', 4102444800000, 1000000, 0, 0, 0, 1, 1000000)",
    script: include_str!("scripts/application.sql"),
};

macro_rules! performance {
    ($more:literal) => {
        concat!(
            "INSERT INTO concerts VALUES ('00000000-0000-7000-8000-000000000001', 'A concert', 'A hall', 1);
            INSERT INTO performances
                (performance_id, concert_id, starts_at, sections, capacity, sold, holds, version, updated_at)
            VALUES ('00000000-0000-7000-8000-000000000002', '00000000-0000-7000-8000-000000000001', 4102444800000, '[]',
                100000, 0, 0, 0, 1);",
            $more
        )
    };
}

/// One performance, and users who each take a seat of their own.
pub(super) const RESERVATION: Script =
    Script { rows: performance!(""), script: include_str!("scripts/reservation.sql") };

/// Users who each pay the seat that they hold: 20,000 for each of eight runs.
pub(super) const PAYMENT: Script = Script {
    rows: performance!(
        "INSERT INTO accounts (user_id, balance, version, updated_at)
            SELECT (100000000000 + n)::text, 1000, 1, 1 FROM generate_series(1, 160000) n;
        INSERT INTO reservations (reservation_id, concert_id, performance_id, user_id, place, seats, amount, held_at,
                held_until, status, prices)
            SELECT ('00000000-0000-7000-8000-' || 100000000000 + n)::uuid, '00000000-0000-7000-8000-000000000001',
                '00000000-0000-7000-8000-000000000002', (100000000000 + n)::text, n, ARRAY[n], 1000, 1, 4102444800000,
                'HELD', '{1000}' FROM generate_series(1, 160000) n;
        INSERT INTO seats (performance_id, seat, reservation_id, held_until, sold)
            SELECT '00000000-0000-7000-8000-000000000002', n, ('00000000-0000-7000-8000-' || 100000000000 + n)::uuid,
                4102444800000, false FROM generate_series(1, 160000) n;
        UPDATE performances SET held = 160000, holds = 160000"
    ),
    script: include_str!("scripts/payment.sql"),
};
