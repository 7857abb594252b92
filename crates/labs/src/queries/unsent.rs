//! Statements that a rush does not send, each with the reason.

const FALLBACK: &str = "a row that is changed was locked before, so its address is known";
const HELD: &str = "another session holds a row or a table for longer than 300 ms";
const RESTORED: &str = "the log is ahead of the server's transactions, as after a restore";
const REFUSED: &str = "the data platform refuses an event for good";
const BY_STAFF: &str = "only staff charge with an external id (`ONSALE_CHARGE=staff`)";
const COPY: &str = "`onsale copy` needs a sale that is stopped";
const REDIS: &str = "places are handed out by Redis";

/// Names in the code, each with the reason. A name that the code no longer has fails the inventory. Some of them are sent on a
/// slow machine, such as those that search held locks.
pub(crate) const UNSENT: &[(&str, &str)] = &[
    ("concert::LOCK_ONE[0]", "`concert::LOCK` also locks performances by their keys"),
    ("concert::UPDATE[0]", FALLBACK),
    ("lecture::UPDATE[0]", FALLBACK),
    ("room_statements::UPDATE[0]", FALLBACK),
    ("wallet::UPDATE[0]", FALLBACK),
    (
        "concert_reads::PERFORMANCE_REVISIONS",
        "another instance added or moved a performance just before a hold by date",
    ),
    ("held::TABLES", HELD),
    ("cancellation::FAILED", "a wallet is full when a cancellation refunds its payment"),
    ("charge::FIND", BY_STAFF),
    ("charge::KEEP", BY_STAFF),
    ("held::STAFF_KEYS", HELD),
    ("held::STAFF_KEY_ENDS", HELD),
    ("held::STAFF_KEY_QUEUES", HELD),
    ("held::STAFF_DIRECTORY", HELD),
    ("held::STAFF_SESSIONS", HELD),
    ("held::ACCOUNTS", HELD),
    ("held::CODES", HELD),
    ("held::LECTURES", HELD),
    ("held::ROOMS", HELD),
    ("held::PERFORMANCES", HELD),
    ("held::RESERVATIONS", HELD),
    ("held::ANSWERS", HELD),
    ("held::SEATS", HELD),
    ("held::PLACES", HELD),
    ("held::TURNS", HELD),
    ("writer::PATIENTLY", HELD),
    ("writer::OUTCOME", "the connection breaks after a commit was sent"),
    ("idempotency::REPLACE", "a key is used again in the second between its end and its deletion"),
    ("identity::TRANSACTIONS_STARTED", "the server forbids to read its control file"),
    ("positions::raise::BEGIN", RESTORED),
    ("positions::raise::COMMIT", RESTORED),
    ("positions::raise::ROLLBACK", RESTORED),
    ("positions::LOCK", RESTORED),
    ("positions::MOVE", RESTORED),
    ("positions::RAISE", RESTORED),
    ("schema::step::note", "a migration: before the counters begin"),
    ("schema::step::SELECT", "a migration: before the counters begin"),
    ("ticket_reads::note_keys::verifies", "only with a second key in `ONSALE_TICKET_KEY`"),
    ("ticket_reads::fill::refunded", "a migration: before the counters begin"),
    ("ticket_reads::fill::void", "a migration: before the counters begin"),
    ("draw::NUMBER_AT", "a user enters again once a step has written the row of the drawn place"),
    ("dead_letters::SET_ASIDE", "Kafka refuses an event for good"),
    ("dead_letters::KEEP", "Kafka refuses an event for good"),
    ("dead_letters::DIED", REFUSED),
    ("outbox::DEAD", REFUSED),
    ("copy::SETTINGS", COPY),
    ("copy::OTHERS", COPY),
    ("copy::PLACE_EVENTS", COPY),
    ("copy::check_empty::SELECT", COPY),
    ("copy::open::LOCK", COPY),
    ("copy::open::DELETE", COPY),
    ("copy::commit::SET", COPY),
    ("copy::catalog::COLUMNS", COPY),
    ("copy::catalog::REFERENCES", COPY),
    ("room_statements::NAME", REDIS),
    ("room_statements::DISPUTE", REDIS),
    ("stored::missing_parents::SELECT", "the audit finds a row without its parent"),
];
