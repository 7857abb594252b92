-- Dead letters whose event was forgotten before the data platform refused it: copies, as the log has the event no more.
CREATE TABLE dead_letters (
    event_id uuid   NOT NULL PRIMARY KEY,
    type     text   NOT NULL,
    subject  text   NOT NULL,
    at       bigint NOT NULL,
    data     text   NOT NULL,
    -- Why it was refused; without it the copy was put back, and is to be sent again.
    reason   text
);

CREATE INDEX dead_letters_put_back ON dead_letters (at, event_id) WHERE reason IS NULL;
