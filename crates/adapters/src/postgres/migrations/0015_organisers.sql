-- What organisers change while a sale runs, without a programmer.
--
-- Stop all servers before this step. A server of an older schema does not know what is closed, blocked or cancelled here. It
-- writes a new version of a performance and leaves written_version as it is, and the constraint refuses that: its hold, payment,
-- release or refund fails.

ALTER TABLE performances DROP CONSTRAINT servers_of_schema_13_must_stop;
UPDATE performances SET policy_version = version WHERE policy_version <> version;
ALTER TABLE performances RENAME COLUMN policy_version TO written_version;
ALTER TABLE performances ADD CONSTRAINT servers_of_older_schemas_must_stop CHECK (written_version = version);

-- Figures and hours of a sale ---------------------------------------------------------------------------------------

-- Seats in holds that are not settled, lapsed ones included.
ALTER TABLE performances ADD COLUMN held integer NOT NULL DEFAULT 0 CHECK (held >= 0);
-- Points paid for seats, less those that refunds gave back.
ALTER TABLE performances ADD COLUMN revenue bigint NOT NULL DEFAULT 0 CHECK (revenue >= 0);
-- Points that refunds gave back, without the fees.
ALTER TABLE performances ADD COLUMN refunded bigint NOT NULL DEFAULT 0 CHECK (refunded >= 0);
-- The hours and the limit of the concert: kept here too, so that a hold reads no other row.
ALTER TABLE performances ADD COLUMN opens_at bigint;
ALTER TABLE performances ADD COLUMN closes_at bigint;
ALTER TABLE performances ADD COLUMN max_seats integer NOT NULL DEFAULT 4 CHECK (max_seats BETWEEN 1 AND 20);

UPDATE performances SET held = taken.seats
    FROM (SELECT performance_id, count(*) seats FROM seats WHERE NOT sold GROUP BY performance_id) taken
    WHERE performances.performance_id = taken.performance_id;
UPDATE performances SET revenue = paid.points
    FROM (SELECT performance_id, sum(amount) points FROM payments GROUP BY performance_id) paid
    WHERE performances.performance_id = paid.performance_id;
UPDATE performances SET revenue = revenue - given.points, refunded = given.points
    FROM (SELECT performance_id, sum(amount) points FROM refunds GROUP BY performance_id) given
    WHERE performances.performance_id = given.performance_id;

-- Before opens_at the sale is not open, from closes_at on it is closed. Without a value there is no bound.
ALTER TABLE concerts ADD COLUMN opens_at bigint;
ALTER TABLE concerts ADD COLUMN closes_at bigint CHECK (closes_at > opens_at);
-- Seats of one performance that one user may hold and have bought together.
ALTER TABLE concerts ADD COLUMN max_seats integer NOT NULL DEFAULT 4 CHECK (max_seats BETWEEN 1 AND 20);

-- As those of the concert, so that an entry and an admission read no other row.
ALTER TABLE rooms ADD COLUMN opens_at bigint;
ALTER TABLE rooms ADD COLUMN closes_at bigint;
-- Users admitted since this step.
ALTER TABLE rooms ADD COLUMN admitted bigint NOT NULL DEFAULT 0 CHECK (admitted >= 0);

-- A server of an older schema does not know the hours, so it hands out no place and admits no user next to this schema.
ALTER TABLE rooms DROP CONSTRAINT servers_of_schema_10_must_stop;
UPDATE rooms SET known_version = version WHERE known_version <> version;
ALTER TABLE rooms RENAME COLUMN known_version TO written_version;
ALTER TABLE rooms ADD CONSTRAINT servers_of_older_schemas_must_stop CHECK (written_version = version);
-- Cancellations -----------------------------------------------------------------------------------------------------

-- When the performance was cancelled; null if it was not.
ALTER TABLE performances ADD COLUMN cancelled_at bigint;
-- Payments of which seats are left: a cancellation shows how many without counting rows.
ALTER TABLE performances ADD COLUMN open_payments integer NOT NULL DEFAULT 0 CHECK (open_payments >= 0);

UPDATE performances SET open_payments = paid.payments
    FROM (SELECT performance_id, count(DISTINCT reservation_id) payments FROM seats WHERE sold GROUP BY performance_id) paid
    WHERE paid.performance_id = performances.performance_id;

-- A refund may be by the cancellation of its performance, which has its own reason.
ALTER TABLE refunds DROP CONSTRAINT refunds_made_by_check, DROP CONSTRAINT refunds_check1;
ALTER TABLE refunds
    ADD CONSTRAINT refunds_made_by_check CHECK (made_by IN ('buyer', 'staff', 'cancellation')),
    ADD CONSTRAINT staff_name_a_reason CHECK ((made_by = 'staff') = (reason IS NOT NULL)),
    ADD CONSTRAINT a_cancellation_keeps_no_fee CHECK (made_by <> 'cancellation' OR fee = 0);

CREATE TABLE cancellations (
    performance_id  uuid    NOT NULL PRIMARY KEY,
    concert_id      uuid    NOT NULL,
    -- The version of the performance with the cancellation, and the id of its event.
    version         bigint  NOT NULL CHECK (version > 0),
    event_id        uuid    NOT NULL,
    cancelled_at    bigint  NOT NULL,
    reason          text    NOT NULL,
    -- Payments of which seats were left, and points that had been given back before.
    payments        integer NOT NULL CHECK (payments >= 0),
    refunded_before bigint  NOT NULL CHECK (refunded_before >= 0),
    -- How far its steps have come: the last seat that is settled, and whether none follows.
    settled_to      integer NOT NULL DEFAULT 0,
    is_through      boolean NOT NULL DEFAULT false,
    failed          integer NOT NULL DEFAULT 0 CHECK (failed BETWEEN 0 AND payments),
    is_done         boolean NOT NULL DEFAULT false,
    retry_at        bigint  NOT NULL DEFAULT 0,
    -- The process that took the last step, and until when only it takes the next.
    holder          bigint  NOT NULL DEFAULT 0,
    leased_until    bigint  NOT NULL DEFAULT 0,
    CHECK (is_done <= is_through)
);

CREATE INDEX cancellations_under_way ON cancellations (performance_id) WHERE NOT is_done;

CREATE TRIGGER cancellations_are_kept BEFORE DELETE ON cancellations
    FOR EACH ROW EXECUTE FUNCTION refuse('a cancellation is never deleted');
CREATE TRIGGER cancellations_are_final BEFORE UPDATE ON cancellations
    FOR EACH ROW WHEN ((NEW.performance_id, NEW.concert_id, NEW.version, NEW.event_id, NEW.cancelled_at, NEW.reason, NEW.payments,
            NEW.refunded_before)
        IS DISTINCT FROM (OLD.performance_id, OLD.concert_id, OLD.version, OLD.event_id, OLD.cancelled_at, OLD.reason,
            OLD.payments, OLD.refunded_before)
        OR NEW.is_through < OLD.is_through OR NEW.is_done < OLD.is_done OR NEW.settled_to < OLD.settled_to)
    EXECUTE FUNCTION refuse('a cancellation is never undone');

-- Payments whose refund by a cancellation failed at first. A row stays when a later refund succeeds.
CREATE TABLE failed_refunds (
    performance_id uuid   NOT NULL,
    payment_id     uuid   NOT NULL,
    reservation_id uuid   NOT NULL,
    failed_at      bigint NOT NULL,
    PRIMARY KEY (performance_id, payment_id)
);

CREATE TRIGGER failed_refunds_are_kept BEFORE UPDATE OR DELETE ON failed_refunds
    FOR EACH ROW EXECUTE FUNCTION refuse('a failed refund is never rewritten or deleted');
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

-- Live figures ------------------------------------------------------------------------------------------------------

-- What each instance sold, admitted and answered in the last minute, for the other instances. Rows are deleted after two minutes.
CREATE TABLE instance_figures (
    instance_id uuid   NOT NULL PRIMARY KEY,
    seen_at     bigint NOT NULL,
    -- When live figures were last viewed at this instance.
    viewed_at   bigint NOT NULL,
    figures     text   NOT NULL
) WITH (fillfactor = 50);

-- Blocked seats -----------------------------------------------------------------------------------------------------

-- Number of seats that an organiser has blocked.
ALTER TABLE performances ADD COLUMN blocked integer NOT NULL DEFAULT 0 CHECK (blocked >= 0);
-- The version of the last change of the start, the seats or their prices; 0 if there was none. Other instances read a performance
-- again if they know an older one.
ALTER TABLE performances ADD COLUMN revision bigint NOT NULL DEFAULT 0;
CREATE INDEX performances_revised ON performances (revision) WHERE revision > 0;

-- A blocked seat has a row without a reservation. A hold cannot take it: it leaves the reason as it is.
ALTER TABLE seats ALTER COLUMN reservation_id DROP NOT NULL;
-- Why an organiser blocked the seat; null if it is held or sold.
ALTER TABLE seats ADD COLUMN block_reason text;
ALTER TABLE seats
    ADD CONSTRAINT a_blocked_seat_has_no_reservation CHECK ((reservation_id IS NULL) = (block_reason IS NOT NULL)),
    ADD CONSTRAINT a_blocked_seat_is_not_sold CHECK (block_reason IS NULL OR NOT sold);
