-- What buyers see: layouts of halls.

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
