-- Rooms whose places are handed out beside the database, and turns of places that have no row yet.

-- Empty: the database hands out places. Else, numbers of 8 bytes, big-endian: the epoch, the last place that was ever
-- reserved, the memory for which the epoch was opened (20 bytes), and ranges of places in doubt, each by its first and
-- last place and the instant from which on they were.
ALTER TABLE rooms ADD COLUMN blocks bytea NOT NULL DEFAULT ''
    CHECK (length(blocks) = 0 OR (length(blocks) - 36) % 24 = 0);

-- Whether the turn's place has a row.
ALTER TABLE turns ADD COLUMN named boolean NOT NULL DEFAULT true;
