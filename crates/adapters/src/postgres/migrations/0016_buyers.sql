-- What buyers see: layouts of halls.

-- Layouts of halls --------------------------------------------------------------------------------------------------

-- Sections, rows and segments of a performance, in the order in which they rank. A performance without a row has no layout.
-- A table of its own: a hold of named seats and a payment neither read nor write it.
CREATE TABLE layouts (
    performance_id uuid NOT NULL PRIMARY KEY,
    -- JSON: [{"name": "A", "grade": "R", "accessible": false, "rows": [["1", [1, 10, 11, 20]]]}]
    layout         text NOT NULL CHECK (json_array_length(layout::json) > 0)
);
CREATE TRIGGER layouts_are_kept BEFORE DELETE ON layouts
    FOR EACH ROW EXECUTE FUNCTION refuse('a layout is never deleted');
