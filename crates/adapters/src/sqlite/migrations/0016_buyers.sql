-- What buyers see: steps of several features, a section for each.

-- Opening on time ---------------------------------------------------------------------------------------------------

-- From this instant on users enter before the sale opens; null if they may not.
ALTER TABLE rooms ADD COLUMN early_from INTEGER CHECK (early_from < opens_at);
-- When a decision first found the sale open, if users may enter early. It stays if a clock is set back.
ALTER TABLE rooms ADD COLUMN opened_at INTEGER;

-- Draws -------------------------------------------------------------------------------------------------------------

-- When the list of early users closes and is drawn; null if places follow the order of arrival.
ALTER TABLE rooms ADD COLUMN draw_at INTEGER CHECK (draw_at > early_from AND draw_at <= opens_at);
-- The list from its closing on, 40 bytes: closing, entries, last entry number, users who left since, draw (0 before it).
ALTER TABLE rooms ADD COLUMN list BLOB CHECK (length(list) = 40);

-- One row for each room whose order is or was a draw.
CREATE TABLE draws (
    concert_id   BLOB NOT NULL PRIMARY KEY REFERENCES rooms,
    -- Secret until the draw: the hash of it is published.
    seed         BLOB NOT NULL CHECK (length(seed) = 32),
    beacon_name  TEXT,
    beacon_at    INTEGER,
    beacon       TEXT,
    entries_hash BLOB CHECK (length(entries_hash) = 32),
    -- JSON: what an organiser changed of what visitors were promised.
    changes      TEXT NOT NULL,
    -- The entry numbers in drawn order, 4 bytes each.
    drawn_order  BLOB,
    CHECK ((beacon_name IS NULL) = (beacon_at IS NULL))
);

-- Revised performances ----------------------------------------------------------------------------------------------
--
-- Only Postgres notes when they were revised: one process serves a file, and knows its own changes.
