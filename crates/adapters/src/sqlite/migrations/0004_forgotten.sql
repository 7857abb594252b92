-- Events that happened before this instant may have been forgotten: they were sent, and old. One row.
CREATE TABLE events_forgotten (
    only_row INTEGER NOT NULL PRIMARY KEY DEFAULT 1 CHECK (only_row = 1),
    before   INTEGER NOT NULL
) STRICT;

INSERT INTO events_forgotten (before) VALUES (0);
