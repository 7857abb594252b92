-- Sessions of users who signed in -----------------------------------------------------------------------------------
--
-- A session is a signed cookie without a row. Here are those that ended before their time, in the order in which they ended.
CREATE TABLE ended_sessions (
    number     INTEGER NOT NULL PRIMARY KEY CHECK (number > 0),
    session_id BLOB    NOT NULL UNIQUE CHECK (length(session_id) = 16),
    -- From then on no cookie of the session is valid. The row with the greatest number is never deleted.
    kept_until INTEGER NOT NULL
) STRICT;

CREATE INDEX ended_sessions_by_age ON ended_sessions (kept_until);

-- Clients that left -------------------------------------------------------------------------------------------------
--
-- Only Postgres has the table: one process serves a file, and keeps them in memory.

-- Waiting lists of performances ---------------------------------------------------------------------------------------

-- Users who wait for an offer, and seats in offers that are not settled. Both are in the row that each hold reads anyway, so a hold and
-- a payment of a performance without a list read and write no other row.
ALTER TABLE performances ADD COLUMN waitlisted INTEGER NOT NULL DEFAULT 0 CHECK (waitlisted BETWEEN 0 AND 100000);
ALTER TABLE performances ADD COLUMN offered INTEGER NOT NULL DEFAULT 0 CHECK (offered >= 0);
-- How long an offer lasts, in seconds.
ALTER TABLE performances ADD COLUMN offer_seconds INTEGER NOT NULL DEFAULT 600 CHECK (offer_seconds BETWEEN 1 AND 86400);

-- Performances with a list that may get offers, or that ended.
CREATE INDEX performances_waited_for ON performances (starts_at) WHERE waitlisted > 0;

-- Entries of waiting lists. What became of an offer follows from its reservation. A user who joins again gets a new entry in the same
-- row.
CREATE TABLE seat_waits (
    performance_id BLOB    NOT NULL REFERENCES performances,
    user_id        TEXT    NOT NULL,
    waitlist_id    BLOB    NOT NULL CHECK (length(waitlist_id) = 16),
    concert_id     BLOB    NOT NULL REFERENCES concerts,
    -- The wish: how many adjacent seats, of which section and grade. An empty text means any.
    seats          INTEGER NOT NULL CHECK (seats BETWEEN 1 AND 20),
    section        TEXT    NOT NULL,
    grade          TEXT    NOT NULL,
    -- The version of the performance with which the user joined. Entries are served in this order.
    number         INTEGER NOT NULL CHECK (number > 0),
    joined_at      INTEGER NOT NULL,
    state          TEXT    NOT NULL CHECK (state IN ('WAITING', 'OFFERED', 'LEFT', 'ENDED')),
    reservation_id BLOB,
    PRIMARY KEY (performance_id, user_id),
    CHECK ((reservation_id IS NOT NULL) = (state = 'OFFERED'))
) STRICT, WITHOUT ROWID;
CREATE INDEX seat_waits_by_wish ON seat_waits (performance_id, seats, section, grade, number) WHERE state = 'WAITING';
CREATE UNIQUE INDEX seat_waits_by_number ON seat_waits (performance_id, number) WHERE state = 'WAITING';
CREATE INDEX seat_waits_by_user ON seat_waits (user_id, concert_id);

-- How many users wait for seats of one kind.
CREATE TABLE seat_wishes (
    performance_id BLOB    NOT NULL REFERENCES performances,
    seats          INTEGER NOT NULL,
    section        TEXT    NOT NULL,
    grade          TEXT    NOT NULL,
    waiting        INTEGER NOT NULL CHECK (waiting >= 0),
    PRIMARY KEY (performance_id, seats, section, grade)
) STRICT, WITHOUT ROWID;
