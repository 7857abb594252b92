-- Events that happened before this instant may have been forgotten: they were sent, and old. One row.
CREATE TABLE events_forgotten (
    only_row boolean NOT NULL PRIMARY KEY DEFAULT true CHECK (only_row),
    before   bigint  NOT NULL
);

INSERT INTO events_forgotten (before) VALUES (0);
