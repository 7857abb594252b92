-- What buyers see.

-- Presale codes -----------------------------------------------------------------------------------------------------

-- Before this instant a user needs a code to enter and to hold. As the hours of a sale, it is also kept with the room and with
-- each performance, so that an entry and a hold read no other row.
ALTER TABLE concerts ADD COLUMN codes_until bigint CHECK (codes_until > opens_at);
ALTER TABLE rooms ADD COLUMN codes_until bigint;
ALTER TABLE performances ADD COLUMN codes_until bigint;

-- Stop all servers before this step. A server of an older schema does not know that a code is needed. It writes `written_version`
-- when it changes a room or a performance, and does not find that column any more: its entry or its hold fails. Nor does it know
-- early entry and draws: it would admit in order of entry numbers.
ALTER TABLE performances RENAME COLUMN written_version TO stated_version;
ALTER TABLE rooms RENAME COLUMN written_version TO stated_version;

CREATE TABLE codes (
    concert_id    uuid    NOT NULL,
    code          text    COLLATE "C" NOT NULL,
    code_id       uuid    NOT NULL UNIQUE,
    uses          integer NOT NULL CHECK (uses BETWEEN 1 AND 100000),
    uses_per_user integer NOT NULL CHECK (uses_per_user BETWEEN 1 AND 100000),
    -- Without a value there is no bound.
    valid_from    bigint,
    valid_until   bigint  CHECK (valid_until > valid_from),
    -- The rows in code_uses. Some of them may be of a hold that has ended.
    taken         integer NOT NULL CHECK (taken >= 0),
    created_at    bigint  NOT NULL,
    PRIMARY KEY (concert_id, code)
) WITH (fillfactor = 50);

-- Holds that were taken with a code. A row whose hold has ended is deleted by a later hold with the code, and that of a deleted code
-- stays.
CREATE TABLE code_uses (
    reservation_id uuid NOT NULL PRIMARY KEY,
    code_id        uuid NOT NULL
);
CREATE INDEX code_uses_by_code ON code_uses (code_id);

-- Layouts of halls --------------------------------------------------------------------------------------------------

-- Sections, rows and segments of a performance, in the order in which they rank. A performance without a row has no layout.
-- A table of its own: a hold of named seats and a payment neither read nor write it.
CREATE TABLE layouts (
    performance_id uuid NOT NULL PRIMARY KEY,
    -- JSON: [{"name": "A", "grade": "R", "accessible": false, "rows": [["1", [1, 10, 11, 20]]]}]
    layout         text NOT NULL CHECK (json_array_length(layout::json) > 0)
);
CREATE TRIGGER layouts_are_kept BEFORE DELETE ON layouts
    FOR EACH ROW EXECUTE FUNCTION refuse('a layout is never deleted');

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

-- Tickets and check-ins ---------------------------------------------------------------------------------------------
--
-- A paid seat is a ticket without a row: its id follows from the payment, the seat and the number of its reissues.

-- Tickets that are void. Those of refunds before this step are filled in by the program.
CREATE TABLE void_tickets (
    ticket_id      uuid    NOT NULL PRIMARY KEY,
    -- Id of its event.
    event_id       uuid    NOT NULL,
    payment_id     uuid    NOT NULL,
    performance_id uuid    NOT NULL,
    seat           integer NOT NULL,
    why            text    NOT NULL CHECK (why IN ('refunded', 'cancelled', 'reissued')),
    -- The version of the performance with this change.
    version        bigint  NOT NULL,
    voided_at      bigint  NOT NULL
);

CREATE INDEX void_tickets_of_payment ON void_tickets (payment_id, seat);
CREATE INDEX void_tickets_of_performance ON void_tickets (performance_id, version);
CREATE TRIGGER void_tickets_are_kept BEFORE UPDATE OR DELETE ON void_tickets
    FOR EACH ROW EXECUTE FUNCTION refuse('a void ticket is never rewritten or deleted');

-- Scans at the door, refused ones too: the same scan_id gets the same answer for good.
CREATE TABLE check_ins (
    check_in_id    uuid    NOT NULL PRIMARY KEY,
    performance_id uuid    NOT NULL,
    ticket_id      uuid,
    seat           integer,
    -- The payment of the seat, if the ticket was its valid one.
    payment_id     uuid,
    scan_id        text    NOT NULL,
    device         text    NOT NULL,
    -- The time that counts, and the time of the decision.
    at             bigint  NOT NULL,
    received_at    bigint  NOT NULL,
    clock_doubtful boolean NOT NULL,
    answer         text    NOT NULL,
    -- With ALREADY_CHECKED_IN: the scan before.
    first_at       bigint,
    first_device   text,
    standing       text    NOT NULL,
    -- The version of the performance with its last change; 0 if it was refused.
    version        bigint  NOT NULL,
    undone_at      bigint,
    made_by        text    NOT NULL,
    CHECK ((answer = 'ADMITTED') = (standing <> 'REFUSED')),
    CHECK (standing = 'REFUSED' OR (ticket_id IS NOT NULL AND seat IS NOT NULL AND payment_id IS NOT NULL)),
    CHECK ((answer = 'ALREADY_CHECKED_IN') = (first_at IS NOT NULL)),
    CHECK ((first_at IS NULL) = (first_device IS NULL)),
    CHECK ((standing = 'UNDONE') = (undone_at IS NOT NULL))
);

CREATE UNIQUE INDEX check_ins_by_scan ON check_ins (scan_id);
-- At most one check-in of a paid seat counts.
CREATE UNIQUE INDEX check_ins_that_count ON check_ins (payment_id, seat) WHERE standing = 'COUNTS';
CREATE INDEX check_ins_of_performance ON check_ins (performance_id, check_in_id);
CREATE INDEX check_ins_by_version ON check_ins (performance_id, version) WHERE version > 0;
CREATE INDEX check_ins_of_seat ON check_ins (performance_id, seat);
CREATE INDEX check_ins_in_conflict ON check_ins (performance_id, ticket_id)
    WHERE seat IS NOT NULL AND (standing = 'SUPERSEDED' OR answer = 'VOID' OR answer = 'ALREADY_CHECKED_IN');
CREATE TRIGGER check_ins_are_kept BEFORE DELETE ON check_ins
    FOR EACH ROW EXECUTE FUNCTION refuse('a scan is never deleted');
CREATE TRIGGER answers_to_scans_are_final BEFORE UPDATE ON check_ins FOR EACH ROW
    WHEN ((NEW.check_in_id, NEW.performance_id, NEW.ticket_id, NEW.seat, NEW.payment_id, NEW.scan_id, NEW.device, NEW.at,
           NEW.received_at, NEW.clock_doubtful, NEW.answer, NEW.first_at, NEW.first_device, NEW.made_by)
        IS DISTINCT FROM (OLD.check_in_id, OLD.performance_id, OLD.ticket_id, OLD.seat, OLD.payment_id, OLD.scan_id,
           OLD.device, OLD.at, OLD.received_at, OLD.clock_doubtful, OLD.answer, OLD.first_at, OLD.first_device, OLD.made_by)
        OR (OLD.standing <> 'COUNTS' AND NEW.standing <> OLD.standing))
    EXECUTE FUNCTION refuse('the answer to a scan is final');

-- Keys of tickets by their public halves. A row says what a key does since then; the last one that signs is the one that signs
-- now. Private halves are in the settings, or among the secrets.
CREATE TABLE ticket_keys (
    since      bigint  NOT NULL,
    public_key bytea   NOT NULL CHECK (length(public_key) = 32),
    signs      boolean NOT NULL,
    PRIMARY KEY (since, public_key, signs)
);

-- Opening on time ---------------------------------------------------------------------------------------------------

-- From this instant on users enter before the sale opens; null if they may not.
ALTER TABLE rooms ADD COLUMN early_from bigint CHECK (early_from < opens_at);
-- When a decision first found the sale open, if users may enter early. It stays if a clock is set back.
ALTER TABLE rooms ADD COLUMN opened_at bigint;

-- Draws -------------------------------------------------------------------------------------------------------------

-- When the list of early users closes and is drawn; null if places follow the order of arrival.
ALTER TABLE rooms ADD COLUMN draw_at bigint CHECK (draw_at > early_from AND draw_at <= opens_at);
-- The list from its closing on, 40 bytes: closing, entries, last entry number, users who left since, draw (0 before it).
ALTER TABLE rooms ADD COLUMN list bytea CHECK (octet_length(list) = 40);

-- One row for each room whose order is or was a draw.
CREATE TABLE draws (
    concert_id   uuid NOT NULL PRIMARY KEY,
    -- Secret until the draw: the hash of it is published.
    seed         bytea NOT NULL CHECK (octet_length(seed) = 32),
    beacon_name  text,
    beacon_at    bigint,
    beacon       text,
    entries_hash bytea CHECK (octet_length(entries_hash) = 32),
    -- JSON: what an organiser changed of what visitors were promised.
    changes      text NOT NULL,
    -- The entry numbers in drawn order, 4 bytes each.
    drawn_order  bytea,
    CHECK ((beacon_name IS NULL) = (beacon_at IS NULL))
);
-- Not compressed, so that one entry is read without the others.
ALTER TABLE draws ALTER COLUMN drawn_order SET STORAGE EXTERNAL;
