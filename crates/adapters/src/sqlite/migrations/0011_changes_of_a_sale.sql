-- What an operator needs while a sale runs: to extend holds, to close a sale or a performance, and to tell buyers why.

-- Holds that are not settled, lapsed ones included.
ALTER TABLE performances ADD COLUMN holds INTEGER NOT NULL DEFAULT 0 CHECK (holds >= 0);
-- Extensions of its holds so far.
ALTER TABLE performances ADD COLUMN extensions INTEGER NOT NULL DEFAULT 0;
ALTER TABLE performances ADD COLUMN closed INTEGER NOT NULL DEFAULT 0 CHECK (closed IN (0, 1));
-- Whether the sale of the concert is closed: kept here too, so that a hold reads no other row.
ALTER TABLE performances ADD COLUMN sale_closed INTEGER NOT NULL DEFAULT 0 CHECK (sale_closed IN (0, 1));

UPDATE performances SET holds = held.holds
    FROM (SELECT performance_id, count(*) holds FROM reservations WHERE status = 'HELD' AND held_until > 0
          GROUP BY performance_id) held
    WHERE performances.performance_id = held.performance_id;

-- The number of the last extension that held_until contains. A row of a hold is brought up to date in steps.
ALTER TABLE reservations ADD COLUMN extended INTEGER NOT NULL DEFAULT 0;
ALTER TABLE seats ADD COLUMN extended INTEGER NOT NULL DEFAULT 0;

CREATE TABLE hold_extensions (
    performance_id BLOB    NOT NULL REFERENCES performances,
    -- From 1, for each performance.
    number         INTEGER NOT NULL CHECK (number > 0),
    concert_id     BLOB    NOT NULL REFERENCES concerts,
    -- The version of the performance with the extension.
    version        INTEGER NOT NULL,
    event_id       BLOB    NOT NULL CHECK (length(event_id) = 16),
    -- Each hold that was live at this instant lasts this much longer.
    at             INTEGER NOT NULL,
    seconds        INTEGER NOT NULL CHECK (seconds BETWEEN 1 AND 86400),
    holds          INTEGER NOT NULL CHECK (holds > 0),
    reason         TEXT    NOT NULL,
    -- Whether the rows of all holds contain it.
    written        INTEGER NOT NULL DEFAULT 0 CHECK (written IN (0, 1)),
    PRIMARY KEY (performance_id, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX hold_extensions_unwritten ON hold_extensions (performance_id) WHERE written = 0;

CREATE TRIGGER hold_extensions_are_kept BEFORE DELETE ON hold_extensions
BEGIN SELECT raise(ABORT, 'an extension of holds is never deleted'); END;

ALTER TABLE concerts ADD COLUMN notice_ko TEXT;
ALTER TABLE concerts ADD COLUMN notice_en TEXT;
ALTER TABLE concerts ADD COLUMN closed INTEGER NOT NULL DEFAULT 0 CHECK (closed IN (0, 1));
ALTER TABLE concerts ADD COLUMN version INTEGER NOT NULL DEFAULT 0;

ALTER TABLE rooms ADD COLUMN closed INTEGER NOT NULL DEFAULT 0 CHECK (closed IN (0, 1));
-- Decisions so far that extended holds of the concert.
ALTER TABLE rooms ADD COLUMN extensions INTEGER NOT NULL DEFAULT 0;

-- Changes are rare among the events, and the audit looks each up by what it changed. (`OR`, because SQLite finds the index for
-- one of the types then.)
CREATE INDEX events_of_changes ON events (subject, version)
    WHERE type = 'onsale.concert.changed.v1' OR type = 'onsale.performance.changed.v1';
