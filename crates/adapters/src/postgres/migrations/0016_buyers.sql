-- What buyers see: waiting lists.
--
-- Stop all servers before this step. A server of an older schema does not know what waits here.

-- Waiting lists of lectures -----------------------------------------------------------------------------------------

-- Number of users who wait for a place.
ALTER TABLE lectures ADD COLUMN waitlisted integer NOT NULL DEFAULT 0 CHECK (waitlisted BETWEEN 0 AND 100000);

-- A server of an older schema gives a free place to any user, also if others wait for it. It writes a new version of the lecture
-- and leaves written_version as it is, and the constraint refuses that: its application, cancellation or change fails.
ALTER TABLE lectures ADD COLUMN written_version bigint NOT NULL DEFAULT 0;
UPDATE lectures SET written_version = version WHERE version <> 0;
ALTER TABLE lectures ADD CONSTRAINT servers_of_older_schemas_must_stop CHECK (written_version = version);

-- Lectures with a waiting list that may still give places. An application without a list changes no column of the index.
CREATE INDEX lectures_waited_for ON lectures (starts_at) WHERE waitlisted > 0;

-- A user who waits has a waiting number in place of a seat number: the version of the lecture with which the user joined the list.
-- A position is the number of entries with this number or a smaller one: those of the blocks before, and those of its own block.
ALTER TABLE applications ALTER COLUMN seat_number DROP NOT NULL;
ALTER TABLE applications ADD COLUMN waiting_number bigint CHECK (waiting_number > 0);
ALTER TABLE applications ADD CONSTRAINT a_user_has_a_place_or_waits
    CHECK ((seat_number IS NULL) = (waiting_number IS NOT NULL));
CREATE UNIQUE INDEX applications_by_waiting ON applications (lecture_id, waiting_number) WHERE waiting_number IS NOT NULL;

-- Number of entries of each block of waiting numbers. A block is a number divided by 1,024.
CREATE TABLE waiting_blocks (
    lecture_id uuid    NOT NULL,
    block      bigint  NOT NULL CHECK (block >= 0),
    entries    integer NOT NULL CHECK (entries BETWEEN 0 AND 1024),
    PRIMARY KEY (lecture_id, block)
) WITH (fillfactor = 50);

-- A line of a user who joins or leaves a waiting list has no seat number. One of a user who joins has the position.
ALTER TABLE lecture_history ALTER COLUMN seat_number DROP NOT NULL;
ALTER TABLE lecture_history ADD COLUMN position integer CHECK (position > 0);
ALTER TABLE lecture_history DROP CONSTRAINT lecture_history_type_check;
ALTER TABLE lecture_history
    ADD CONSTRAINT lecture_history_type_check
        CHECK (type IN ('APPLIED', 'CANCELLED', 'WAITLISTED', 'PROMOTED', 'LEFT')),
    ADD CONSTRAINT a_place_has_a_number CHECK ((seat_number IS NULL) = (type IN ('WAITLISTED', 'LEFT'))),
    ADD CONSTRAINT an_entry_has_a_position CHECK ((position IS NOT NULL) = (type = 'WAITLISTED'));
