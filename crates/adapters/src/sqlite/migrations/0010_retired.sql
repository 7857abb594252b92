-- What is over costs nothing.

-- The version at which the room was retired: no user waits, no turn runs and no hold lives in it, and its last performance
-- started long ago. Processes do not keep such a room in memory. Any change is another version, which ends that.
ALTER TABLE rooms ADD COLUMN retired_version INTEGER NOT NULL DEFAULT -1;

-- Places up to this one were called, were over and old, and are dropped.
ALTER TABLE rooms ADD COLUMN places_dropped_to INTEGER NOT NULL DEFAULT 0;
