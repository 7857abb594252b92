-- The sale. Instants are milliseconds since 1970 in UTC, ids are 16 bytes of UUIDv7, amounts are whole points.
-- Parents (accounts, lectures, rooms, performances) carry a version; their histories and events carry it too.

CREATE TABLE secrets (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Points ------------------------------------------------------------------------------------------------------------

CREATE TABLE accounts (
    user_id    TEXT    NOT NULL PRIMARY KEY CHECK (length(user_id) BETWEEN 1 AND 64),
    balance    INTEGER NOT NULL CHECK (balance BETWEEN 0 AND 1000000000),
    version    INTEGER NOT NULL CHECK (version > 0),
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger (
    user_id       TEXT    NOT NULL,
    version       INTEGER NOT NULL CHECK (version > 0),
    entry_id      BLOB    NOT NULL CHECK (length(entry_id) = 16),
    type          TEXT    NOT NULL CHECK (type IN ('CHARGE', 'USE')),
    amount        INTEGER NOT NULL CHECK (amount >= 0),
    balance_after INTEGER NOT NULL CHECK (balance_after BETWEEN 0 AND 1000000000),
    reference     BLOB    CHECK (length(reference) = 16),
    created_at    INTEGER NOT NULL,
    PRIMARY KEY (user_id, version)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX ledger_by_payment ON ledger (reference) WHERE reference IS NOT NULL;

CREATE TRIGGER ledger_is_never_rewritten BEFORE UPDATE ON ledger
BEGIN SELECT raise(ABORT, 'a ledger entry is never rewritten'); END;
CREATE TRIGGER ledger_is_never_shortened BEFORE DELETE ON ledger
BEGIN SELECT raise(ABORT, 'a ledger entry is never deleted'); END;

-- Lectures ----------------------------------------------------------------------------------------------------------

CREATE TABLE lectures (
    lecture_id   BLOB    NOT NULL PRIMARY KEY CHECK (length(lecture_id) = 16),
    title        TEXT    NOT NULL,
    lecturer     TEXT,
    starts_at    INTEGER NOT NULL,
    capacity     INTEGER NOT NULL CHECK (capacity BETWEEN 1 AND 1000000),
    enrolled     INTEGER NOT NULL CHECK (enrolled BETWEEN 0 AND capacity),
    -- The highest seat number ever given. Lower ones that are free again stand in freed_seats.
    seats_opened INTEGER NOT NULL CHECK (seats_opened BETWEEN enrolled AND capacity),
    version      INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX lectures_by_start ON lectures (starts_at, lecture_id);

CREATE TABLE applications (
    lecture_id  BLOB    NOT NULL REFERENCES lectures,
    user_id     TEXT    NOT NULL,
    seat_number INTEGER NOT NULL CHECK (seat_number > 0),
    applied_at  INTEGER NOT NULL,
    PRIMARY KEY (lecture_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX applications_by_seat ON applications (lecture_id, seat_number);
CREATE INDEX applications_by_user ON applications (user_id, lecture_id);

CREATE TABLE freed_seats (
    lecture_id  BLOB    NOT NULL REFERENCES lectures,
    seat_number INTEGER NOT NULL CHECK (seat_number > 0),
    PRIMARY KEY (lecture_id, seat_number)
) STRICT, WITHOUT ROWID;

CREATE TABLE lecture_history (
    lecture_id  BLOB    NOT NULL REFERENCES lectures,
    version     INTEGER NOT NULL CHECK (version > 0),
    line_id     BLOB    NOT NULL CHECK (length(line_id) = 16),
    user_id     TEXT    NOT NULL,
    type        TEXT    NOT NULL CHECK (type IN ('APPLIED', 'CANCELLED')),
    seat_number INTEGER NOT NULL CHECK (seat_number > 0),
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (lecture_id, version)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER lecture_history_is_never_rewritten BEFORE UPDATE ON lecture_history
BEGIN SELECT raise(ABORT, 'a line of history is never rewritten'); END;
CREATE TRIGGER lecture_history_is_never_shortened BEFORE DELETE ON lecture_history
BEGIN SELECT raise(ABORT, 'a line of history is never deleted'); END;

-- Concerts and their waiting rooms ----------------------------------------------------------------------------------

CREATE TABLE concerts (
    concert_id BLOB    NOT NULL PRIMARY KEY CHECK (length(concert_id) = 16),
    title      TEXT    NOT NULL,
    venue      TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rooms (
    concert_id       BLOB    NOT NULL PRIMARY KEY REFERENCES concerts,
    max_active       INTEGER NOT NULL CHECK (max_active BETWEEN 1 AND 1000000),
    admit_per_second INTEGER NOT NULL CHECK (admit_per_second BETWEEN 1 AND 1000000),
    active_seconds   INTEGER NOT NULL CHECK (active_seconds BETWEEN 1 AND 86400),
    claim_seconds    INTEGER NOT NULL CHECK (claim_seconds BETWEEN 1 AND 3600),
    paused           INTEGER NOT NULL CHECK (paused IN (0, 1)),
    issued           INTEGER NOT NULL,
    served           INTEGER NOT NULL CHECK (served BETWEEN 0 AND issued),
    given_up         INTEGER NOT NULL CHECK (given_up BETWEEN 0 AND issued - served),
    active           INTEGER NOT NULL CHECK (active BETWEEN 0 AND served),
    -- Admissions of the last second: 12 bytes each, an instant (8, big-endian) and a count (4).
    admissions       BLOB    NOT NULL CHECK (length(admissions) % 12 = 0),
    version          INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE places (
    concert_id BLOB    NOT NULL REFERENCES rooms,
    place      INTEGER NOT NULL CHECK (place > 0),
    user_id    TEXT    NOT NULL,
    token_id   BLOB    NOT NULL CHECK (length(token_id) = 16),
    issued_at  INTEGER NOT NULL,
    standing   TEXT    NOT NULL CHECK (standing IN ('CURRENT', 'GIVEN_UP', 'REPLACED')),
    PRIMARY KEY (concert_id, place)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX places_current ON places (concert_id, user_id) WHERE standing = 'CURRENT';
CREATE INDEX places_given_up ON places (concert_id, place) WHERE standing = 'GIVEN_UP';

-- A turn is there from the call until it is settled: at most max_active rows a room.
CREATE TABLE turns (
    concert_id   BLOB    NOT NULL,
    place        INTEGER NOT NULL,
    admitted_at  INTEGER NOT NULL,
    active_until INTEGER NOT NULL,
    seen_at      INTEGER NOT NULL,
    claimed      INTEGER NOT NULL CHECK (claimed IN (0, 1)),
    PRIMARY KEY (concert_id, place)
) STRICT, WITHOUT ROWID;

-- Turns that have ended and wait for their room to settle them. Written under the account, removed under the room.
CREATE TABLE turn_ends (
    concert_id BLOB    NOT NULL,
    place      INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    PRIMARY KEY (concert_id, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE performances (
    performance_id BLOB    NOT NULL PRIMARY KEY CHECK (length(performance_id) = 16),
    concert_id     BLOB    NOT NULL REFERENCES concerts,
    starts_at      INTEGER NOT NULL,
    -- JSON: [{"from", "to", "grade", "price"}]
    sections       TEXT    NOT NULL,
    capacity       INTEGER NOT NULL CHECK (capacity BETWEEN 1 AND 100000),
    sold           INTEGER NOT NULL CHECK (sold BETWEEN 0 AND capacity),
    version        INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX performances_of_concert ON performances (concert_id);

CREATE TABLE reservations (
    reservation_id BLOB    NOT NULL PRIMARY KEY CHECK (length(reservation_id) = 16),
    concert_id     BLOB    NOT NULL,
    performance_id BLOB    NOT NULL REFERENCES performances,
    user_id        TEXT    NOT NULL,
    place          INTEGER NOT NULL,
    -- JSON: [7, 8]
    seats          TEXT    NOT NULL,
    amount         INTEGER NOT NULL CHECK (amount >= 0),
    held_at        INTEGER NOT NULL,
    held_until     INTEGER NOT NULL CHECK (held_until > held_at),
    status         TEXT    NOT NULL CHECK (status IN ('HELD', 'PAID', 'EXPIRED', 'RELEASED')),
    end_event_id   BLOB    CHECK (length(end_event_id) = 16),
    CHECK ((status IN ('EXPIRED', 'RELEASED')) = (end_event_id IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX reservations_by_user ON reservations (user_id, reservation_id);
CREATE INDEX reservations_open ON reservations (concert_id, user_id) WHERE status IN ('HELD', 'PAID');
CREATE INDEX reservations_held ON reservations (held_until) WHERE status = 'HELD';

CREATE TRIGGER reservations_end_once BEFORE UPDATE ON reservations WHEN OLD.status <> 'HELD'
BEGIN SELECT raise(ABORT, 'a reservation that has ended never changes'); END;
CREATE TRIGGER reservations_are_kept BEFORE DELETE ON reservations
BEGIN SELECT raise(ABORT, 'a reservation is never deleted'); END;

-- A seat that is free has no row.
CREATE TABLE seats (
    performance_id BLOB    NOT NULL REFERENCES performances,
    seat           INTEGER NOT NULL CHECK (seat > 0),
    reservation_id BLOB    NOT NULL REFERENCES reservations,
    held_until     INTEGER NOT NULL,
    sold           INTEGER NOT NULL CHECK (sold IN (0, 1)),
    PRIMARY KEY (performance_id, seat)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER seats_are_sold_once BEFORE UPDATE ON seats WHEN OLD.sold = 1
BEGIN SELECT raise(ABORT, 'a sold seat never changes'); END;
CREATE TRIGGER seats_stay_sold BEFORE DELETE ON seats WHEN OLD.sold = 1
BEGIN SELECT raise(ABORT, 'a sold seat never becomes free'); END;

CREATE TABLE payments (
    payment_id     BLOB    NOT NULL PRIMARY KEY CHECK (length(payment_id) = 16),
    reservation_id BLOB    NOT NULL UNIQUE REFERENCES reservations,
    performance_id BLOB    NOT NULL,
    user_id        TEXT    NOT NULL,
    seats          TEXT    NOT NULL,
    amount         INTEGER NOT NULL CHECK (amount >= 0),
    balance_after  INTEGER NOT NULL CHECK (balance_after >= 0),
    paid_at        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX payments_by_user ON payments (user_id, payment_id);

CREATE TRIGGER payments_are_never_rewritten BEFORE UPDATE ON payments
BEGIN SELECT raise(ABORT, 'a payment is never rewritten'); END;
CREATE TRIGGER payments_are_kept BEFORE DELETE ON payments
BEGIN SELECT raise(ABORT, 'a payment is never deleted'); END;

-- What is told, and what was answered -------------------------------------------------------------------------------

CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    event_id BLOB    NOT NULL UNIQUE CHECK (length(event_id) = 16),
    type     TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    version  INTEGER NOT NULL CHECK (version > 0),
    at       INTEGER NOT NULL,
    data     TEXT    NOT NULL,
    state    TEXT    NOT NULL DEFAULT 'PENDING' CHECK (state IN ('PENDING', 'SENT', 'DEAD')),
    reason   TEXT
) STRICT;

CREATE INDEX events_dead ON events (position) WHERE state = 'DEAD';

-- Rows lie in the order in which they were kept, so that the oldest are dropped without an index on time.
CREATE TABLE kept_answers (
    position    INTEGER PRIMARY KEY,
    -- The acting user; empty for an administrator.
    owner       TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL CHECK (length(fingerprint) = 32),
    answer      BLOB    NOT NULL,
    kept_at     INTEGER NOT NULL,
    UNIQUE (owner, key)
) STRICT;
