-- What organisers change while a sale runs, without a programmer.
--
-- Stop all servers before this step. A server of an older schema does not know what is closed, blocked or cancelled here. It
-- writes a new version of a performance and leaves written_version as it is, and the constraint refuses that: its hold, payment,
-- release or refund fails.

ALTER TABLE performances DROP CONSTRAINT servers_of_schema_13_must_stop;
UPDATE performances SET policy_version = version WHERE policy_version <> version;
ALTER TABLE performances RENAME COLUMN policy_version TO written_version;
ALTER TABLE performances ADD CONSTRAINT servers_of_older_schemas_must_stop CHECK (written_version = version);

-- Lectures --------------------------------------------------------------------------------------------------------------
--
-- A lower capacity takes no seat number away, so the highest number ever given may be above it. A server of an older schema
-- writes this number with each application and cancellation, and does not find its column: both fail.
--
-- `highest_capacity` is the highest that it ever had. `changes` says how many of its versions are changes by staff: these are
-- events without a line of history. `moved_at` is when its start was changed last.
ALTER TABLE lectures RENAME COLUMN seats_opened TO seats_given;
ALTER TABLE lectures DROP CONSTRAINT lectures_check1;
ALTER TABLE lectures
    ADD COLUMN opens_at bigint,
    ADD COLUMN closed boolean NOT NULL DEFAULT false,
    ADD COLUMN cancelled_at bigint,
    ADD COLUMN cancel_reason text,
    ADD COLUMN cancelled_applications integer,
    ADD COLUMN highest_capacity integer NOT NULL DEFAULT 1000000,
    ADD COLUMN changes bigint NOT NULL DEFAULT 0 CHECK (changes >= 0),
    ADD COLUMN moved_at bigint;
UPDATE lectures SET highest_capacity = capacity;
ALTER TABLE lectures
    ADD CONSTRAINT lectures_highest_capacity_check CHECK (highest_capacity BETWEEN capacity AND 1000000),
    ADD CONSTRAINT lectures_seats_given_check CHECK (seats_given BETWEEN enrolled AND highest_capacity),
    ADD CONSTRAINT a_cancelled_lecture_has_a_reason CHECK (
        (cancelled_at IS NULL) = (cancel_reason IS NULL) AND (cancelled_at IS NULL) = (cancelled_applications IS NULL)),
    ADD CONSTRAINT a_cancelled_lecture_gets_no_application CHECK (enrolled <= cancelled_applications);

CREATE INDEX lectures_moved ON lectures (moved_at) WHERE moved_at IS NOT NULL;
-- Without `enrolled`, which each application writes.
CREATE INDEX lectures_cancelled ON lectures (cancelled_at) WHERE cancelled_at IS NOT NULL;
