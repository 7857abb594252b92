-- What an operator needs while a sale runs: to extend holds, to close a sale or a performance, and to tell buyers why.
--
-- Servers of schema 10 may run next to this schema. They know neither extensions nor closes, so they must not decide anything
-- about a performance or a room that has one. They write a new version and leave known_version as it is, and the constraints
-- refuse that: their hold, payment, release, entry or admission fails, and no other statement is needed for that.

-- Holds that are not settled, lapsed ones included. Valid while known_version is the version.
ALTER TABLE performances ADD COLUMN holds integer CHECK (holds >= 0);
-- Extensions of its holds so far.
ALTER TABLE performances ADD COLUMN extensions bigint NOT NULL DEFAULT 0;
ALTER TABLE performances ADD COLUMN closed boolean NOT NULL DEFAULT false;
-- Whether the sale of the concert is closed: kept here too, so that a hold reads no other row.
ALTER TABLE performances ADD COLUMN sale_closed boolean NOT NULL DEFAULT false;
-- The version that the last server of schema 11 or later wrote.
ALTER TABLE performances ADD COLUMN known_version bigint NOT NULL DEFAULT 0;

UPDATE performances SET known_version = version, holds = 0;
UPDATE performances SET holds = held.holds
    FROM (SELECT performance_id, count(*) holds FROM reservations WHERE status = 'HELD' AND held_until > 0
          GROUP BY performance_id) held
    WHERE performances.performance_id = held.performance_id;

ALTER TABLE performances ADD CONSTRAINT servers_of_schema_10_must_stop
    CHECK (known_version = version OR NOT (closed OR sale_closed OR extensions > 0));

-- The number of the last extension that held_until contains. A row of a hold is brought up to date in steps.
ALTER TABLE reservations ADD COLUMN extended bigint NOT NULL DEFAULT 0;
ALTER TABLE seats ADD COLUMN extended bigint NOT NULL DEFAULT 0;

CREATE TABLE hold_extensions (
    performance_id uuid    NOT NULL,
    -- From 1, for each performance.
    number         bigint  NOT NULL CHECK (number > 0),
    concert_id     uuid    NOT NULL,
    -- The version of the performance with the extension.
    version        bigint  NOT NULL,
    event_id       uuid    NOT NULL,
    -- Each hold that was live at this instant lasts this much longer.
    at             bigint  NOT NULL,
    seconds        integer NOT NULL CHECK (seconds BETWEEN 1 AND 86400),
    holds          bigint  NOT NULL CHECK (holds > 0),
    reason         text    NOT NULL,
    -- Whether the rows of all holds contain it.
    written        boolean NOT NULL DEFAULT false,
    PRIMARY KEY (performance_id, number)
);

CREATE INDEX hold_extensions_unwritten ON hold_extensions (performance_id) WHERE NOT written;

CREATE TRIGGER hold_extensions_are_kept BEFORE DELETE ON hold_extensions
    FOR EACH ROW EXECUTE FUNCTION refuse('an extension of holds is never deleted');

ALTER TABLE concerts ADD COLUMN notice_ko text;
ALTER TABLE concerts ADD COLUMN notice_en text;
ALTER TABLE concerts ADD COLUMN closed boolean NOT NULL DEFAULT false;
ALTER TABLE concerts ADD COLUMN version bigint NOT NULL DEFAULT 0;

ALTER TABLE rooms ADD COLUMN closed boolean NOT NULL DEFAULT false;
-- Decisions so far that extended holds of the concert.
ALTER TABLE rooms ADD COLUMN extensions bigint NOT NULL DEFAULT 0;
-- As that of performances.
ALTER TABLE rooms ADD COLUMN known_version bigint NOT NULL DEFAULT 0;

UPDATE rooms SET known_version = version;

ALTER TABLE rooms ADD CONSTRAINT servers_of_schema_10_must_stop
    CHECK (known_version = version OR NOT (closed OR extensions > 0));
