-- What buyers see.

-- Presale codes -----------------------------------------------------------------------------------------------------

-- Before this instant a user needs a code to enter and to hold. As the hours of a sale, it is also kept with the room and with
-- each performance, so that an entry and a hold read no other row.
ALTER TABLE concerts ADD COLUMN codes_until INTEGER CHECK (codes_until > opens_at);
ALTER TABLE rooms ADD COLUMN codes_until INTEGER;
ALTER TABLE performances ADD COLUMN codes_until INTEGER;

CREATE TABLE codes (
    concert_id    BLOB    NOT NULL REFERENCES concerts,
    code          TEXT    NOT NULL,
    code_id       BLOB    NOT NULL UNIQUE,
    uses          INTEGER NOT NULL CHECK (uses BETWEEN 1 AND 100000),
    uses_per_user INTEGER NOT NULL CHECK (uses_per_user BETWEEN 1 AND 100000),
    -- Without a value there is no bound.
    valid_from    INTEGER,
    valid_until   INTEGER CHECK (valid_until > valid_from),
    -- The rows in code_uses. Some of them may be of a hold that has ended.
    taken         INTEGER NOT NULL CHECK (taken >= 0),
    created_at    INTEGER NOT NULL,
    PRIMARY KEY (concert_id, code)
) STRICT, WITHOUT ROWID;

-- Holds that were taken with a code. A row whose hold has ended is deleted by a later hold with the code, and that of a deleted code
-- stays.
CREATE TABLE code_uses (
    reservation_id BLOB NOT NULL PRIMARY KEY REFERENCES reservations,
    code_id        BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX code_uses_by_code ON code_uses (code_id);

-- Layouts of halls --------------------------------------------------------------------------------------------------

-- Sections, rows and segments of a performance, in the order in which they rank. A performance without a row has no layout.
-- A table of its own: a hold of named seats and a payment neither read nor write it.
CREATE TABLE layouts (
    performance_id BLOB NOT NULL PRIMARY KEY REFERENCES performances,
    -- JSON: [{"name": "A", "grade": "R", "accessible": false, "rows": [["1", [1, 10, 11, 20]]]}]
    layout         TEXT NOT NULL CHECK (json_array_length(layout) > 0)
) STRICT;
CREATE TRIGGER layouts_are_kept BEFORE DELETE ON layouts
BEGIN SELECT raise(ABORT, 'a layout is never deleted'); END;

-- Waiting lists of lectures -----------------------------------------------------------------------------------------

-- Number of users who wait for a place.
ALTER TABLE lectures ADD COLUMN waitlisted INTEGER NOT NULL DEFAULT 0 CHECK (waitlisted BETWEEN 0 AND 100000);

-- Lectures with a waiting list that may still give places.
CREATE INDEX lectures_waited_for ON lectures (starts_at) WHERE waitlisted > 0;

-- A user who waits has a waiting number in place of a seat number. SQLite cannot drop NOT NULL, so the table is made again.
CREATE TABLE new_applications (
    lecture_id     BLOB    NOT NULL REFERENCES lectures,
    user_id        TEXT    NOT NULL,
    seat_number    INTEGER CHECK (seat_number > 0),
    applied_at     INTEGER NOT NULL,
    -- The version of the lecture with which the user joined the waiting list. A position is the number of entries with this number
    -- or a smaller one: those of the blocks before, and those of its own block.
    waiting_number INTEGER CHECK (waiting_number > 0),
    PRIMARY KEY (lecture_id, user_id),
    CHECK ((seat_number IS NULL) = (waiting_number IS NOT NULL))
) STRICT, WITHOUT ROWID;

INSERT INTO new_applications
    SELECT lecture_id, user_id, seat_number, applied_at, NULL FROM applications ORDER BY lecture_id, user_id;
DROP TABLE applications;
ALTER TABLE new_applications RENAME TO applications;

CREATE UNIQUE INDEX applications_by_seat ON applications (lecture_id, seat_number) WHERE seat_number IS NOT NULL;
CREATE UNIQUE INDEX applications_by_waiting ON applications (lecture_id, waiting_number) WHERE waiting_number IS NOT NULL;
CREATE INDEX applications_by_user ON applications (user_id, lecture_id);

-- Number of entries of each block of waiting numbers. A block is a number divided by 1,024.
CREATE TABLE waiting_blocks (
    lecture_id BLOB    NOT NULL REFERENCES lectures,
    block      INTEGER NOT NULL CHECK (block >= 0),
    entries    INTEGER NOT NULL CHECK (entries BETWEEN 0 AND 1024),
    PRIMARY KEY (lecture_id, block)
) STRICT, WITHOUT ROWID;

-- A line of a user who joins or leaves a waiting list has no seat number. One of a user who joins has the position.
CREATE TABLE new_lecture_history (
    lecture_id  BLOB    NOT NULL REFERENCES lectures,
    version     INTEGER NOT NULL CHECK (version > 0),
    line_id     BLOB    NOT NULL CHECK (length(line_id) = 16),
    user_id     TEXT    NOT NULL,
    type        TEXT    NOT NULL CHECK (type IN ('APPLIED', 'CANCELLED', 'WAITLISTED', 'PROMOTED', 'LEFT')),
    seat_number INTEGER CHECK (seat_number > 0),
    created_at  INTEGER NOT NULL,
    position    INTEGER CHECK (position > 0),
    PRIMARY KEY (lecture_id, version),
    CHECK ((seat_number IS NULL) = (type IN ('WAITLISTED', 'LEFT'))),
    CHECK ((position IS NOT NULL) = (type = 'WAITLISTED'))
) STRICT, WITHOUT ROWID;

INSERT INTO new_lecture_history
    SELECT lecture_id, version, line_id, user_id, type, seat_number, created_at, NULL FROM lecture_history
    ORDER BY lecture_id, version;
DROP TABLE lecture_history;
ALTER TABLE new_lecture_history RENAME TO lecture_history;

CREATE TRIGGER lecture_history_is_never_rewritten BEFORE UPDATE ON lecture_history
BEGIN SELECT raise(ABORT, 'a line of history is never rewritten'); END;
CREATE TRIGGER lecture_history_is_never_shortened BEFORE DELETE ON lecture_history
BEGIN SELECT raise(ABORT, 'a line of history is never deleted'); END;

-- Tickets and check-ins ---------------------------------------------------------------------------------------------
--
-- A paid seat is a ticket without a row: its id follows from the payment, the seat and the number of its reissues.

-- Tickets that are void. Those of refunds before this step are filled in by the program.
CREATE TABLE void_tickets (
    ticket_id      BLOB    NOT NULL PRIMARY KEY CHECK (length(ticket_id) = 16),
    -- Id of its event.
    event_id       BLOB    NOT NULL CHECK (length(event_id) = 16),
    payment_id     BLOB    NOT NULL REFERENCES payments DEFERRABLE INITIALLY DEFERRED,
    performance_id BLOB    NOT NULL REFERENCES performances,
    seat           INTEGER NOT NULL,
    why            TEXT    NOT NULL CHECK (why IN ('refunded', 'cancelled', 'reissued')),
    -- The version of the performance with this change.
    version        INTEGER NOT NULL,
    voided_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX void_tickets_of_payment ON void_tickets (payment_id, seat);
CREATE INDEX void_tickets_of_performance ON void_tickets (performance_id, version);
CREATE TRIGGER void_tickets_are_never_rewritten BEFORE UPDATE ON void_tickets
BEGIN SELECT raise(ABORT, 'a void ticket is never rewritten'); END;
CREATE TRIGGER void_tickets_are_kept BEFORE DELETE ON void_tickets
BEGIN SELECT raise(ABORT, 'a void ticket stays void'); END;

-- Scans at the door, refused ones too: the same scan_id gets the same answer for good.
CREATE TABLE check_ins (
    check_in_id    BLOB    NOT NULL PRIMARY KEY CHECK (length(check_in_id) = 16),
    performance_id BLOB    NOT NULL REFERENCES performances,
    ticket_id      BLOB    CHECK (length(ticket_id) = 16),
    seat           INTEGER,
    -- The payment of the seat, if the ticket was its valid one.
    payment_id     BLOB    REFERENCES payments DEFERRABLE INITIALLY DEFERRED,
    scan_id        TEXT    NOT NULL,
    device         TEXT    NOT NULL,
    -- The time that counts, and the time of the decision.
    at             INTEGER NOT NULL,
    received_at    INTEGER NOT NULL,
    clock_doubtful INTEGER NOT NULL CHECK (clock_doubtful IN (0, 1)),
    answer         TEXT    NOT NULL,
    -- With ALREADY_CHECKED_IN: the scan before.
    first_at       INTEGER,
    first_device   TEXT,
    standing       TEXT    NOT NULL,
    -- The version of the performance with its last change; 0 if it was refused.
    version        INTEGER NOT NULL,
    undone_at      INTEGER,
    made_by        TEXT    NOT NULL,
    CHECK ((answer = 'ADMITTED') = (standing <> 'REFUSED')),
    CHECK (standing = 'REFUSED' OR (ticket_id IS NOT NULL AND seat IS NOT NULL AND payment_id IS NOT NULL)),
    CHECK ((answer = 'ALREADY_CHECKED_IN') = (first_at IS NOT NULL)),
    CHECK ((first_at IS NULL) = (first_device IS NULL)),
    CHECK ((standing = 'UNDONE') = (undone_at IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX check_ins_by_scan ON check_ins (scan_id);
-- At most one check-in of a paid seat counts.
CREATE UNIQUE INDEX check_ins_that_count ON check_ins (payment_id, seat) WHERE standing = 'COUNTS';
CREATE INDEX check_ins_of_performance ON check_ins (performance_id, check_in_id);
CREATE INDEX check_ins_by_version ON check_ins (performance_id, version) WHERE version > 0;
CREATE INDEX check_ins_of_seat ON check_ins (performance_id, seat);
CREATE INDEX check_ins_in_conflict ON check_ins (performance_id, ticket_id)
    WHERE seat IS NOT NULL AND (standing = 'SUPERSEDED' OR answer = 'VOID' OR answer = 'ALREADY_CHECKED_IN');
CREATE TRIGGER check_ins_are_kept BEFORE DELETE ON check_ins
BEGIN SELECT raise(ABORT, 'a scan is never deleted'); END;
CREATE TRIGGER answers_to_scans_are_final BEFORE UPDATE ON check_ins
WHEN (NEW.check_in_id, NEW.performance_id, NEW.ticket_id, NEW.seat, NEW.payment_id, NEW.scan_id, NEW.device, NEW.at,
      NEW.received_at, NEW.clock_doubtful, NEW.answer, NEW.first_at, NEW.first_device, NEW.made_by)
    IS NOT (OLD.check_in_id, OLD.performance_id, OLD.ticket_id, OLD.seat, OLD.payment_id, OLD.scan_id, OLD.device, OLD.at,
      OLD.received_at, OLD.clock_doubtful, OLD.answer, OLD.first_at, OLD.first_device, OLD.made_by)
    OR (OLD.standing <> 'COUNTS' AND NEW.standing <> OLD.standing)
BEGIN SELECT raise(ABORT, 'the answer to a scan is final'); END;

-- Keys of tickets by their public halves. A row says what a key does since then; the last one that signs is the one that signs
-- now. Private halves are in the settings, or among the secrets.
CREATE TABLE ticket_keys (
    since      INTEGER NOT NULL,
    public_key BLOB    NOT NULL CHECK (length(public_key) = 32),
    signs      INTEGER NOT NULL CHECK (signs IN (0, 1)),
    PRIMARY KEY (since, public_key, signs)
) STRICT, WITHOUT ROWID;

-- Opening on time ---------------------------------------------------------------------------------------------------

-- From this instant on users enter before the sale opens; null if they may not.
ALTER TABLE rooms ADD COLUMN early_from INTEGER CHECK (early_from < opens_at);
-- When a decision first found the sale open, if users may enter early. It stays if a clock is set back.
ALTER TABLE rooms ADD COLUMN opened_at INTEGER;

-- Draws -------------------------------------------------------------------------------------------------------------

-- When the list of early users closes and is drawn; null if places follow the order of arrival.
ALTER TABLE rooms ADD COLUMN draw_at INTEGER CHECK (draw_at > early_from AND draw_at <= opens_at);
-- The list from its closing on, 40 bytes: closing, entries, last entry number, users who left since, draw (0 before it).
ALTER TABLE rooms ADD COLUMN list BLOB CHECK (length(list) = 40);

-- One row for each room whose order is or was a draw.
CREATE TABLE draws (
    concert_id   BLOB NOT NULL PRIMARY KEY REFERENCES rooms,
    -- Secret until the draw: the hash of it is published.
    seed         BLOB NOT NULL CHECK (length(seed) = 32),
    beacon_name  TEXT,
    beacon_at    INTEGER,
    beacon       TEXT,
    entries_hash BLOB CHECK (length(entries_hash) = 32),
    -- JSON: what an organiser changed of what visitors were promised.
    changes      TEXT NOT NULL,
    -- The entry numbers in drawn order, 4 bytes each.
    drawn_order  BLOB,
    CHECK ((beacon_name IS NULL) = (beacon_at IS NULL))
);
