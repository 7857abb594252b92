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
