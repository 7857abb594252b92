-- What buyers see.

-- Revised performances ----------------------------------------------------------------------------------------------
--
-- Only Postgres notes when they were revised: one process serves a file, and knows its own changes.

-- Presale codes -----------------------------------------------------------------------------------------------------

-- Before this instant a user needs a code to enter and to hold. As the hours of a sale, it is also kept with the room and with
-- each performance, so that an entry and a hold read no other row.
ALTER TABLE concerts ADD COLUMN codes_until INTEGER CHECK (codes_until > opens_at);
ALTER TABLE rooms ADD COLUMN codes_until INTEGER;
ALTER TABLE performances ADD COLUMN codes_until INTEGER;

CREATE TABLE codes (
    concert_id    BLOB    NOT NULL REFERENCES concerts,
    code          TEXT    NOT NULL,
    code_id       BLOB    NOT NULL UNIQUE,
    uses          INTEGER NOT NULL CHECK (uses BETWEEN 1 AND 100000),
    uses_per_user INTEGER NOT NULL CHECK (uses_per_user BETWEEN 1 AND 100000),
    -- Without a value there is no bound.
    valid_from    INTEGER,
    valid_until   INTEGER CHECK (valid_until > valid_from),
    -- The rows in code_uses. Some of them may be of a hold that has ended.
    taken         INTEGER NOT NULL CHECK (taken >= 0),
    created_at    INTEGER NOT NULL,
    PRIMARY KEY (concert_id, code)
) STRICT, WITHOUT ROWID;

-- Holds that were taken with a code. A row whose hold has ended is deleted by a later hold with the code, and that of a deleted code
-- stays.
CREATE TABLE code_uses (
    reservation_id BLOB NOT NULL PRIMARY KEY REFERENCES reservations,
    code_id        BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX code_uses_by_code ON code_uses (code_id);

-- Layouts of halls --------------------------------------------------------------------------------------------------

-- Sections, rows and segments of a performance, in the order in which they rank. A performance without a row has no layout.
-- A table of its own: a hold of named seats and a payment neither read nor write it.
CREATE TABLE layouts (
    performance_id BLOB NOT NULL PRIMARY KEY REFERENCES performances,
    -- JSON: [{"name": "A", "grade": "R", "accessible": false, "rows": [["1", [1, 10, 11, 20]]]}]
    layout         TEXT NOT NULL CHECK (json_array_length(layout) > 0)
) STRICT;
CREATE TRIGGER layouts_are_kept BEFORE DELETE ON layouts
BEGIN SELECT raise(ABORT, 'a layout is never deleted'); END;
