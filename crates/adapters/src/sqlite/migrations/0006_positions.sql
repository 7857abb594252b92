-- The mark as the last relay made it that compared it with the log, and the event that lay there; no id if the mark is
-- taken on trust. A mark above this one was made by something else, and does not count.
ALTER TABLE relay_parts ADD COLUMN checked_to INTEGER;
ALTER TABLE relay_parts ADD COLUMN checked_id BLOB CHECK (length(checked_id) = 16);

UPDATE relay_parts SET checked_to = 0 WHERE sent_to = 0;
