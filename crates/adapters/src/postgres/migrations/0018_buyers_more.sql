-- Sessions of users who signed in -----------------------------------------------------------------------------------
--
-- A session is a signed cookie without a row. Here are those that ended before their time, in the order in which they ended.
CREATE TABLE ended_sessions (
    number     bigint NOT NULL PRIMARY KEY CHECK (number > 0),
    session_id uuid   NOT NULL UNIQUE,
    -- From then on no cookie of the session is valid. The row with the greatest number is never deleted.
    kept_until bigint NOT NULL
);

CREATE INDEX ended_sessions_by_age ON ended_sessions (kept_until);

-- Clients that left -------------------------------------------------------------------------------------------------
--
-- A client that leaves with a grace: its place or turn is given up at an instant, unless a call with its token comes before, at any
-- instance. A row is deleted when the client comes back, or when its place is given up. An instance of an older schema does not
-- read this table, and would not notice that a client came back: stop all servers before this step.
CREATE TABLE leavings (
    token_id   uuid   PRIMARY KEY,
    concert_id uuid   NOT NULL,
    user_id    text   COLLATE "C" NOT NULL,
    place      bigint NOT NULL,
    issued_at  bigint NOT NULL,
    asked_at   bigint NOT NULL,
    leaves_at  bigint NOT NULL CHECK (leaves_at >= asked_at)
);
CREATE INDEX leavings_due ON leavings (leaves_at);

-- Waiting lists of performances ---------------------------------------------------------------------------------------

-- Users who wait for an offer, and seats in offers that are not settled. Both are in the row that each hold reads anyway, so a hold and
-- a payment of a performance without a list read and write no other row.
ALTER TABLE performances ADD COLUMN waitlisted integer NOT NULL DEFAULT 0 CHECK (waitlisted BETWEEN 0 AND 100000);
ALTER TABLE performances ADD COLUMN offered integer NOT NULL DEFAULT 0 CHECK (offered >= 0);
-- How long an offer lasts, in seconds.
ALTER TABLE performances ADD COLUMN offer_seconds integer NOT NULL DEFAULT 600 CHECK (offer_seconds BETWEEN 1 AND 86400);

-- Stop all servers before this step. A server of an older schema would give a seat that came back to any user. It writes
-- `stated_version` when it changes a performance, and does not find that column any more: its hold fails.
ALTER TABLE performances RENAME COLUMN stated_version TO noted_version;

-- Performances with a list that may get offers, or that ended.
CREATE INDEX performances_waited_for ON performances (starts_at) WHERE waitlisted > 0;

-- Entries of waiting lists. What became of an offer follows from its reservation. A user who joins again gets a new entry in the same
-- row.
CREATE TABLE seat_waits (
    performance_id uuid    NOT NULL,
    user_id        text    COLLATE "C" NOT NULL,
    waitlist_id    uuid    NOT NULL,
    concert_id     uuid    NOT NULL,
    -- The wish: how many adjacent seats, of which section and grade. An empty text means any.
    seats          integer NOT NULL CHECK (seats BETWEEN 1 AND 20),
    section        text    NOT NULL,
    grade          text    NOT NULL,
    -- The version of the performance with which the user joined. Entries are served in this order.
    number         bigint  NOT NULL CHECK (number > 0),
    joined_at      bigint  NOT NULL,
    state          text    NOT NULL CHECK (state IN ('WAITING', 'OFFERED', 'LEFT', 'ENDED')),
    reservation_id uuid,
    PRIMARY KEY (performance_id, user_id),
    CHECK ((reservation_id IS NOT NULL) = (state = 'OFFERED'))
);
CREATE INDEX seat_waits_by_wish ON seat_waits (performance_id, seats, section, grade, number) WHERE state = 'WAITING';
CREATE UNIQUE INDEX seat_waits_by_number ON seat_waits (performance_id, number) WHERE state = 'WAITING';
CREATE INDEX seat_waits_by_user ON seat_waits (user_id, concert_id);

-- How many users wait for seats of one kind.
CREATE TABLE seat_wishes (
    performance_id uuid    NOT NULL,
    seats          integer NOT NULL,
    section        text    NOT NULL,
    grade          text    NOT NULL,
    waiting        bigint  NOT NULL CHECK (waiting >= 0),
    PRIMARY KEY (performance_id, seats, section, grade)
) WITH (fillfactor = 50);
