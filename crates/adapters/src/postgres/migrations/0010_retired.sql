-- What is over costs nothing.

-- The version at which the room was retired: no user waits, no turn runs and no hold lives in it, and its last performance
-- started long ago. Processes do not keep such a room in memory. Any change is another version, which ends that. Not in
-- an index: an update of a room would no longer stay on its page.
ALTER TABLE rooms ADD COLUMN retired_version bigint NOT NULL DEFAULT -1;

-- Places up to this one were called, were over and old, and are dropped.
ALTER TABLE rooms ADD COLUMN places_dropped_to bigint NOT NULL DEFAULT 0;

-- The remaining seats of performances are queried each second: only of those that have not started.
CREATE INDEX performances_by_start ON performances (starts_at);
