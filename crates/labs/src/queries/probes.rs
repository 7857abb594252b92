//! For each index the statement of the code that needs it, with values.

/// A statement of the code and the values with which it is run.
pub(crate) struct Probe {
    pub(crate) index: &'static str,
    /// The statement that the index is for; empty if it only keeps rows unique.
    pub(crate) statement: &'static str,
    /// The values, as SQL.
    pub(crate) values: &'static str,
}

const fn probe(index: &'static str, statement: &'static str, values: &'static str) -> Probe {
    Probe { index, statement, values }
}

/// Every index but the primary keys, in the order of the schema.
pub(crate) const PROBES: &[Probe] = &[
    // Only keeps rows unique: no statement reads by it.
    probe("ledger_by_payment", "", ""),
    probe(
        "lectures_by_start",
        "lecture_reads::LIST",
        "(1700060000000, 1700120000000, 0, '00000000-0000-0000-0000-000000000000', NULL, 20)",
    ),
    probe("lectures_moved", "lecture_reads::CHANGED", "(1700060000000, 1700000000950)"),
    probe("lectures_cancelled", "lecture_reads::TO_EMPTY", "(0)"),
    probe("applications_by_seat", "lecture_reads::APPLICANTS", "('01900000-0000-7000-a009-000000000001', 10, 20)"),
    probe("lectures_waited_for", "waiting_list::TO_PROMOTE", "(1700060000000)"),
    probe("applications_by_waiting", "waiting_list::WAITING", "('01900000-0000-7000-a009-000000000050', 10, 20)"),
    probe("applications_by_user", "lecture_reads::APPLIED", "('u7', NULL)"),
    probe(
        "places_current",
        "waiting_room::CURRENT",
        "(ARRAY['01900000-0000-7000-a001-000000000001']::uuid[], ARRAY['w5'])",
    ),
    probe(
        "places_given_up",
        "room_statements::GIVEN_UP",
        "(ARRAY['01900000-0000-7000-a001-000000000001']::uuid[], 1024, NULL)",
    ),
    probe(
        "places_given_up_since",
        "news::GIVEN_UP",
        "(ARRAY['01900000-0000-7000-a001-000000000001']::uuid[], ARRAY[999000], false)",
    ),
    probe(
        "turns_since",
        "news::TURNS",
        "(ARRAY['01900000-0000-7000-a001-000000000001']::uuid[], ARRAY[999000], false)",
    ),
    probe("turns_settled", "idempotency::HAS_OLD", "(0, 0)"),
    probe(
        "performances_of_concert",
        "concert_reads::PERFORMANCE_REVISIONS",
        "('01900000-0000-7000-a001-000000000005')",
    ),
    probe("performances_by_start", "news::AVAILABILITY", ""),
    probe("performances_revised", "news::AVAILABILITY", ""),
    probe("hold_extensions_unwritten", "extension::UNWRITTEN", ""),
    probe(
        "reservations_by_user",
        "concert_reads::RESERVATIONS_OF",
        "('u7', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 20)",
    ),
    probe(
        "reservations_open",
        "concert::OPEN_RESERVATIONS",
        "(ARRAY['01900000-0000-7000-a001-000000000005']::uuid[], ARRAY['u1'], ARRAY[]::uuid[], ARRAY[]::bigint[])",
    ),
    probe("reservations_held", "concert_reads::LAPSED", "(1700000300100, 500)"),
    probe("payments_reservation_id_key", "", ""),
    probe("payments_by_user", "payment::OF_USER", "('u7', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 20)"),
    probe("refunds_of_payment", "refund::OF_PAYMENTS", "(ARRAY['01900000-0000-7000-a005-000000000020']::uuid[])"),
    probe(
        "refunds_of_performance",
        "refund::OF_PERFORMANCE",
        "('01900000-0000-7000-a002-000000000001', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 20)",
    ),
    probe("refunds_by_entry", "refund::OF_USER", "('u7', 20)"),
    probe("void_tickets_of_payment", "ticket::REISSUES", "(ARRAY['01900000-0000-7000-a005-000000000020']::uuid[])"),
    probe("void_tickets_of_performance", "ticket_reads::VOID_SINCE", "('01900000-0000-7000-a002-000000000001', 10)"),
    probe("check_ins_by_scan", "ticket::BY_SCAN", "(ARRAY['scan-7'])"),
    probe(
        "check_ins_that_count",
        "ticket_reads::CHECKED_IN",
        "(ARRAY['01900000-0000-7000-a005-000000000020']::uuid[])",
    ),
    probe(
        "check_ins_of_performance",
        "ticket_reads::LIST",
        "('01900000-0000-7000-a002-000000000001', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 20)",
    ),
    probe("check_ins_by_version", "ticket_reads::SCANNED_SINCE", "('01900000-0000-7000-a002-000000000001', 10)"),
    probe("check_ins_of_seat", "ticket_reads::OF_SEATS", "('01900000-0000-7000-a002-000000000001', ARRAY[7])"),
    probe(
        "check_ins_in_conflict",
        "ticket_reads::IN_CONFLICT",
        "('01900000-0000-7000-a002-000000000001', '00000000-0000-0000-0000-000000000000', 20)",
    ),
    probe("cancellations_under_way", "cancellation::UNDER_WAY", ""),
    probe("events_in_order", "event::LOG", "($SENT, 500)"),
    probe("events_dead", "event::DEAD", "(0, 1000)"),
    probe("events_by_time", "event::FIRST_SINCE", "($RECENTLY)"),
    probe("kept_answers_by_age", "idempotency::FORGET", "(1700000000100, 500)"),
    probe(
        "deliveries_by_age",
        "outbox::NOTE_DELIVERED",
        "(ARRAY[]::uuid[], 0, 1700000000200, ARRAY[]::text[], ARRAY[]::bigint[])",
    ),
    probe("dead_letters_put_back", "dead_letters::PUT_BACK", "(500)"),
    probe("staff_keys_name_key", "", ""),
    probe("staff_keys_hash_key", "", ""),
    probe("staff_sessions_by_end", "staff_session::DELETE_OVER", "(1700028800100, 100)"),
    probe(
        "admin_log_by_actor",
        "staff::LOG_BY_ACTOR",
        "('ffffffff-ffff-ffff-ffff-ffffffffffff', 20, 'actor 7', NULL, NULL, NULL, false)",
    ),
    probe(
        "admin_log_by_action",
        "staff::LOG_BY_ACTION",
        "('ffffffff-ffff-ffff-ffff-ffffffffffff', 20, NULL, NULL, 'action 7', NULL, false)",
    ),
    probe(
        "admin_log_by_subject",
        "staff::LOG_BY_SUBJECT",
        "('ffffffff-ffff-ffff-ffff-ffffffffffff', 20, NULL, NULL, NULL, 'lecture:7', false)",
    ),
    probe("codes_code_id_key", "", ""),
    probe(
        "code_uses_by_code",
        "code::USES",
        "(ARRAY['01900000-0000-7000-a001-000000000001']::uuid[], ARRAY['FAN'], ARRAY[1], ARRAY[]::uuid[], ARRAY[]::text[], \
         ARRAY[]::text[], 1000)",
    ),
];

/// Reads whose answers a sale keeps in memory, and reads that always go to the database.
pub(crate) struct Read {
    /// The call that it answers.
    pub(crate) call: &'static str,
    /// The statement on Postgres, with its values.
    pub(crate) statement: &'static str,
    pub(crate) values: &'static str,
    /// The statement on SQLite, with its values as SQL.
    pub(crate) on_sqlite: &'static str,
    pub(crate) sqlite_values: &'static [&'static str],
    /// Whether the program answers from memory.
    pub(crate) is_kept: bool,
}

const FIRST_CONCERT: &str = "x'0190000000007000a001000000000001'";
const FIRST_SHOW: &str = "x'0190000000007000a002000000000001'";
const LAST_ID: &str = "x'ffffffffffffffffffffffffffffffff'";

/// The reads behind the calls of users.
pub(crate) const READS: &[Read] = &[
    Read {
        call: "`GET /concerts`",
        statement: "concert_reads::CONCERTS",
        values: "",
        on_sqlite: "concert_row::concerts::SELECT",
        sqlite_values: &[],
        is_kept: true,
    },
    Read {
        call: "`…/dates`: performances of a concert",
        statement: "concert_reads::LISTED_PERFORMANCES",
        values: "(ARRAY['01900000-0000-7000-a001-000000000001']::uuid[], ARRAY[]::uuid[])",
        on_sqlite: "concert::performances_of::SELECT",
        sqlite_values: &[FIRST_CONCERT],
        is_kept: true,
    },
    Read {
        call: "`…/seats`",
        statement: "concert_reads::SEATS",
        values: "('01900000-0000-7000-a002-000000000001')",
        on_sqlite: "seat::SEATS",
        sqlite_values: &[FIRST_SHOW],
        is_kept: true,
    },
    Read {
        call: "`GET /lectures` of a day",
        statement: "lecture_reads::LIST",
        values: "(1700060000000, 1700146400000, 0, '00000000-0000-0000-0000-000000000000', NULL, 20)",
        on_sqlite: "lecture::lectures::SELECT",
        sqlite_values: &["1700060000000", "1700146400000", "0", "x'00'", "NULL", "20"],
        is_kept: true,
    },
    Read {
        call: "`GET /point/{id}`",
        statement: "wallet::ACCOUNT",
        values: "('u7')",
        on_sqlite: "wallet::account::SELECT",
        sqlite_values: &["'u7'"],
        is_kept: false,
    },
    Read {
        call: "`…/histories` of the most active user",
        statement: "wallet::LEDGER",
        values: "('u1', 9223372036854775807, 20)",
        on_sqlite: "wallet::ledger::SELECT",
        sqlite_values: &["'u1'", "9223372036854775807", "20"],
        is_kept: false,
    },
    Read {
        call: "`GET /reservations/{id}`",
        statement: "concert_reads::RESERVATION",
        values: "('01900000-0000-7000-a004-000000000007')",
        on_sqlite: "reservation::reservation::SELECT",
        sqlite_values: &["x'0190000000007000a004000000000007'"],
        is_kept: false,
    },
    Read {
        call: "`/users/{id}/reservations`",
        statement: "concert_reads::RESERVATIONS_OF",
        values: "('u7', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 20)",
        on_sqlite: "reservation::reservations_of::SELECT",
        sqlite_values: &["'u7'", LAST_ID, "20"],
        is_kept: false,
    },
    Read {
        call: "`GET /payments/{id}`",
        statement: "payment::ONE",
        values: "('01900000-0000-7000-a005-000000000007')",
        on_sqlite: "payment::payment::SELECT",
        sqlite_values: &["x'0190000000007000a005000000000007'"],
        is_kept: false,
    },
    Read {
        call: "`/users/{id}/payments`",
        statement: "payment::OF_USER",
        values: "('u7', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 20)",
        on_sqlite: "payment::payments_of::SELECT",
        sqlite_values: &["'u7'", LAST_ID, "20"],
        is_kept: false,
    },
    Read {
        call: "`/lectures/application/{id}`",
        statement: "lecture_reads::APPLIED",
        values: "('u7', NULL)",
        on_sqlite: "lecture::APPLIED",
        sqlite_values: &["'u7'", "NULL"],
        is_kept: false,
    },
    Read {
        call: "`/admin/lectures/{id}/history`",
        statement: "lecture_reads::HISTORY",
        values: "('01900000-0000-7000-a009-000000000001', 0, 20)",
        on_sqlite: "lecture::history::SELECT",
        sqlite_values: &["x'0190000000007000a009000000000001'", "0", "20"],
        is_kept: false,
    },
];
