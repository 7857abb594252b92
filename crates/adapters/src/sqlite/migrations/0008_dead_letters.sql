-- Dead letters whose event was forgotten before the data platform refused it: copies, as the log has the event no more.
CREATE TABLE dead_letters (
    event_id BLOB    NOT NULL PRIMARY KEY CHECK (length(event_id) = 16),
    type     TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    data     TEXT    NOT NULL,
    -- Why it was refused; without it the copy was put back, and is to be sent again.
    reason   TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX dead_letters_put_back ON dead_letters (at, event_id) WHERE reason IS NULL;
