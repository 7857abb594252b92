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
