-- What buyers see: steps of several features, a section for each.

-- Opening on time ---------------------------------------------------------------------------------------------------

-- From this instant on users enter before the sale opens; null if they may not.
ALTER TABLE rooms ADD COLUMN early_from bigint CHECK (early_from < opens_at);
-- When a decision first found the sale open, if users may enter early. It stays if a clock is set back.
ALTER TABLE rooms ADD COLUMN opened_at bigint;

-- Draws -------------------------------------------------------------------------------------------------------------

-- When the list of early users closes and is drawn; null if places follow the order of arrival.
ALTER TABLE rooms ADD COLUMN draw_at bigint CHECK (draw_at > early_from AND draw_at <= opens_at);
-- The list from its closing on, 40 bytes: closing, entries, last entry number, users who left since, draw (0 before it).
ALTER TABLE rooms ADD COLUMN list bytea CHECK (octet_length(list) = 40);
-- A server of schema 15 would admit entry numbers in order of arrival. It writes a new version of a room and leaves this column as
-- it is, and the constraint refuses that in a room whose order is drawn.
ALTER TABLE rooms ADD COLUMN drawn_version bigint;
ALTER TABLE rooms ADD CONSTRAINT servers_of_schema_15_cannot_draw
    CHECK (draw_at IS NULL OR coalesce(drawn_version, -1) = version);

-- One row for each room whose order is or was a draw.
CREATE TABLE draws (
    concert_id   uuid NOT NULL PRIMARY KEY,
    -- Secret until the draw: the hash of it is published.
    seed         bytea NOT NULL CHECK (octet_length(seed) = 32),
    beacon_name  text,
    beacon_at    bigint,
    beacon       text,
    entries_hash bytea CHECK (octet_length(entries_hash) = 32),
    -- JSON: what an organiser changed of what visitors were promised.
    changes      text NOT NULL,
    -- The entry numbers in drawn order, 4 bytes each.
    drawn_order  bytea,
    CHECK ((beacon_name IS NULL) = (beacon_at IS NULL))
);
-- Not compressed, so that one entry is read without the others.
ALTER TABLE draws ALTER COLUMN drawn_order SET STORAGE EXTERNAL;

-- Revised performances ----------------------------------------------------------------------------------------------
--
-- Instances read the performances that were revised lately, once a second. Before, they read all that were ever revised. Stop all
-- servers before this step: one of an older schema does not write when it revised a performance.

-- When the start, the seats, their prices or blocks last changed, or when it was added over a day after its start; else null. Holds
-- and payments do not write it.
ALTER TABLE performances ADD COLUMN revised_at bigint;
UPDATE performances SET revised_at = updated_at WHERE revision > 0;

DROP INDEX performances_revised;
CREATE INDEX performances_revised ON performances (revised_at) WHERE revised_at IS NOT NULL;
