-- What is added to the id of a transaction for the position of its events. A cluster that a dump was restored into
-- counts transactions anew: the sum goes on where the log ended. One row.
CREATE TABLE event_positions (
    only_row boolean NOT NULL PRIMARY KEY DEFAULT true CHECK (only_row),
    added    bigint  NOT NULL
);

INSERT INTO event_positions (added) VALUES (0);

-- The mark as the last relay made it that compared it with the log, and the event that lay there; no id if the mark is
-- taken on trust. A mark above this one was made by something else, and does not count.
ALTER TABLE relay_parts ADD COLUMN checked_to bigint;
ALTER TABLE relay_parts ADD COLUMN checked_id uuid;

UPDATE relay_parts SET checked_to = 0 WHERE sent_to = 0;
