//! What a careful server does that runs a transaction for each request: lock the parent, check, write, and keep a line
//! of history. Nothing is told to anyone (no events), and no answer is kept: that is the program's alone.
//!
//! Ids count up, which is the kindest that can happen to an index. Twelve digits are a user, and the end of a UUID.

/// Rows and a script.
pub(super) struct Script {
    /// What must be there before.
    pub(super) rows: &'static str,
    pub(super) script: &'static str,
}

/// The database's time, as the tables keep it.
macro_rules! now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}

macro_rules! charge {
    ($user:literal, $events:expr) => {
        concat!(
            "\\set user 100000000000 + ",
            $user,
            "\nBEGIN;\n",
            "UPDATE accounts SET balance = balance + 1, version = version + 1, updated_at = ",
            now!(),
            " WHERE user_id = :user RETURNING balance, version, updated_at \\gset\n",
            "INSERT INTO ledger (user_id, version, entry_id, type, amount, balance_after, reference, created_at) ",
            "VALUES (:user, :version, gen_random_uuid(), 'CHARGE', 1, :balance, NULL, :updated_at);\n",
            $events,
            "COMMIT;\n"
        )
    };
}

const WALLETS: &str = "INSERT INTO accounts (user_id, balance, version, updated_at)
    SELECT (100000000000 + n)::text, 1, 1, 1 FROM generate_series(0, 9999) n";

/// The two statements of a charge, on random rows.
pub(super) const CHARGE_MANY: Script = Script { rows: WALLETS, script: charge!("random(0, 9999)", "") };

/// The same on one row.
pub(super) const CHARGE_HOT: Script = Script { rows: WALLETS, script: charge!("7", "") };

/// All rows that a charge of the program leaves, its event included.
pub(super) const CHARGE_AND_TELL: Script = Script {
    rows: WALLETS,
    script: charge!(
        "random(0, 9999)",
        "INSERT INTO events (topic, subject, version, event_id, position, type, at, data) VALUES ('onsale.points', \
         'wallet/' || :user, :version, gen_random_uuid(), (pg_current_xact_id()::text::bigint << 16) + 1, \
         'onsale.points.charged.v1', :updated_at, \
         '{\"amount\":1,\"balance\":' || :balance || ',\"entryId\":\"018f6b1c-7d2e-7a3b-9c4d-000000000000\"}');\n"
    ),
};
