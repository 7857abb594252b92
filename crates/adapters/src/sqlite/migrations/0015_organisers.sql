-- What organisers change while a sale runs, without a programmer.

-- Lectures --------------------------------------------------------------------------------------------------------------
--
-- A lower capacity takes no seat number away, so the highest number ever given may be above it. The column is made again with
-- another check; its default lasts for the one statement that fills it in, because each new row names a value.
--
-- `highest_capacity` is the highest that it ever had. `changes` says how many of its versions are changes by staff: these are
-- events without a line of history. `moved_at` is when its start was changed last.
ALTER TABLE lectures ADD COLUMN highest_capacity INTEGER NOT NULL DEFAULT 1000000
    CHECK (highest_capacity BETWEEN capacity AND 1000000);
ALTER TABLE lectures ADD COLUMN seats_given INTEGER NOT NULL DEFAULT 1000000
    CHECK (seats_given BETWEEN enrolled AND highest_capacity);
UPDATE lectures SET highest_capacity = capacity, seats_given = seats_opened;
ALTER TABLE lectures DROP COLUMN seats_opened;
ALTER TABLE lectures ADD COLUMN opens_at INTEGER;
ALTER TABLE lectures ADD COLUMN closed INTEGER NOT NULL DEFAULT 0 CHECK (closed IN (0, 1));
ALTER TABLE lectures ADD COLUMN cancelled_at INTEGER;
ALTER TABLE lectures ADD COLUMN cancel_reason TEXT CHECK ((cancelled_at IS NULL) = (cancel_reason IS NULL));
-- How many applications it had when it was cancelled. Since then there were no others.
ALTER TABLE lectures ADD COLUMN cancelled_applications INTEGER
    CHECK ((cancelled_at IS NULL) = (cancelled_applications IS NULL) AND enrolled <= coalesce(cancelled_applications, enrolled));
ALTER TABLE lectures ADD COLUMN changes INTEGER NOT NULL DEFAULT 0 CHECK (changes >= 0);
ALTER TABLE lectures ADD COLUMN moved_at INTEGER;

CREATE INDEX lectures_moved ON lectures (moved_at) WHERE moved_at IS NOT NULL;
-- Without `enrolled`, which each application writes.
CREATE INDEX lectures_cancelled ON lectures (cancelled_at) WHERE cancelled_at IS NOT NULL;

-- For the audit. As `events_of_changes`, which names its types.
CREATE INDEX events_of_lecture_changes ON events (subject, version) WHERE type = 'onsale.lecture.changed.v1';
