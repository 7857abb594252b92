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
