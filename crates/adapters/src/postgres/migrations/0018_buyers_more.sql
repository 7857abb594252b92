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
