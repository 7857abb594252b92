-- What organisers change while a sale runs, without a programmer.

-- Figures and hours of a sale ---------------------------------------------------------------------------------------

-- Seats in holds that are not settled, lapsed ones included.
ALTER TABLE performances ADD COLUMN held INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0);
-- Points paid for seats, less those that refunds gave back.
ALTER TABLE performances ADD COLUMN revenue INTEGER NOT NULL DEFAULT 0 CHECK (revenue >= 0);
-- Points that refunds gave back, without the fees.
ALTER TABLE performances ADD COLUMN refunded INTEGER NOT NULL DEFAULT 0 CHECK (refunded >= 0);
-- The hours and the limit of the concert: kept here too, so that a hold reads no other row.
ALTER TABLE performances ADD COLUMN opens_at INTEGER;
ALTER TABLE performances ADD COLUMN closes_at INTEGER;
ALTER TABLE performances ADD COLUMN max_seats INTEGER NOT NULL DEFAULT 4 CHECK (max_seats BETWEEN 1 AND 20);

UPDATE performances SET held = taken.seats
    FROM (SELECT performance_id, count(*) seats FROM seats WHERE sold = 0 GROUP BY performance_id) taken
    WHERE performances.performance_id = taken.performance_id;
UPDATE performances SET revenue = paid.points
    FROM (SELECT performance_id, sum(amount) points FROM payments GROUP BY performance_id) paid
    WHERE performances.performance_id = paid.performance_id;
UPDATE performances SET revenue = revenue - given.points, refunded = given.points
    FROM (SELECT performance_id, sum(amount) points FROM refunds GROUP BY performance_id) given
    WHERE performances.performance_id = given.performance_id;

-- Before opens_at the sale is not open, from closes_at on it is closed. Without a value there is no bound.
ALTER TABLE concerts ADD COLUMN opens_at INTEGER;
ALTER TABLE concerts ADD COLUMN closes_at INTEGER CHECK (closes_at > opens_at);
-- Seats of one performance that one user may hold and have bought together.
ALTER TABLE concerts ADD COLUMN max_seats INTEGER NOT NULL DEFAULT 4 CHECK (max_seats BETWEEN 1 AND 20);

-- As those of the concert, so that an entry and an admission read no other row.
ALTER TABLE rooms ADD COLUMN opens_at INTEGER;
ALTER TABLE rooms ADD COLUMN closes_at INTEGER;
-- Users admitted since this step.
ALTER TABLE rooms ADD COLUMN admitted INTEGER NOT NULL DEFAULT 0 CHECK (admitted >= 0);
-- Cancellations -----------------------------------------------------------------------------------------------------

-- When the performance was cancelled; null if it was not.
ALTER TABLE performances ADD COLUMN cancelled_at INTEGER;
-- Payments of which seats are left: a cancellation shows how many without counting rows.
ALTER TABLE performances ADD COLUMN open_payments INTEGER NOT NULL DEFAULT 0 CHECK (open_payments >= 0);

CREATE TEMPORARY TABLE paid_seats AS
    SELECT performance_id, count(DISTINCT reservation_id) payments FROM seats WHERE sold = 1 GROUP BY performance_id;
UPDATE performances SET open_payments = (SELECT payments FROM paid_seats own WHERE own.performance_id = performances.performance_id)
    WHERE performance_id IN (SELECT performance_id FROM paid_seats);
DROP TABLE temp.paid_seats;

-- A refund may be by the cancellation of its performance. The table is made again, because its constraints do not allow that.
CREATE TABLE new_refunds (
    refund_id      BLOB    NOT NULL PRIMARY KEY CHECK (length(refund_id) = 16),
    payment_id     BLOB    NOT NULL REFERENCES payments DEFERRABLE INITIALLY DEFERRED,
    reservation_id BLOB    NOT NULL REFERENCES reservations DEFERRABLE INITIALLY DEFERRED,
    performance_id BLOB    NOT NULL REFERENCES performances DEFERRABLE INITIALLY DEFERRED,
    user_id        TEXT    NOT NULL,
    -- JSON: [7, 8]
    seats          TEXT    NOT NULL CHECK (json_array_length(seats) > 0),
    amount         INTEGER NOT NULL CHECK (amount >= 0),
    fee            INTEGER NOT NULL CHECK (fee >= 0),
    made_by        TEXT    NOT NULL CHECK (made_by IN ('buyer', 'staff', 'cancellation')),
    -- Why, as the member of the staff wrote it. The cancellation of a performance has its own reason.
    reason         TEXT,
    balance_after  INTEGER NOT NULL CHECK (balance_after >= amount),
    -- The version of the wallet with its ledger entry.
    entry_version  INTEGER NOT NULL,
    refunded_at    INTEGER NOT NULL,
    CHECK ((made_by = 'staff') = (reason IS NOT NULL)),
    CHECK (made_by <> 'cancellation' OR fee = 0),
    FOREIGN KEY (user_id, entry_version) REFERENCES ledger
) STRICT, WITHOUT ROWID;

INSERT INTO new_refunds
    SELECT refund_id, payment_id, reservation_id, performance_id, user_id, seats, amount, fee, made_by, reason, balance_after,
        entry_version, refunded_at
    FROM refunds ORDER BY refund_id;
DROP TABLE refunds;
ALTER TABLE new_refunds RENAME TO refunds;

CREATE INDEX refunds_of_payment ON refunds (payment_id, refund_id);
CREATE INDEX refunds_of_performance ON refunds (performance_id, refund_id);
CREATE UNIQUE INDEX refunds_by_entry ON refunds (user_id, entry_version);
CREATE TRIGGER refunds_are_never_rewritten BEFORE UPDATE ON refunds
BEGIN SELECT raise(ABORT, 'a refund is never rewritten'); END;
CREATE TRIGGER refunds_are_kept BEFORE DELETE ON refunds
BEGIN SELECT raise(ABORT, 'a refund is never deleted'); END;

CREATE TABLE cancellations (
    performance_id  BLOB    NOT NULL PRIMARY KEY REFERENCES performances,
    concert_id      BLOB    NOT NULL,
    -- The version of the performance with the cancellation, and the id of its event.
    version         INTEGER NOT NULL CHECK (version > 0),
    event_id        BLOB    NOT NULL CHECK (length(event_id) = 16),
    cancelled_at    INTEGER NOT NULL,
    reason          TEXT    NOT NULL,
    -- Payments of which seats were left, and points that had been given back before.
    payments        INTEGER NOT NULL CHECK (payments >= 0),
    refunded_before INTEGER NOT NULL CHECK (refunded_before >= 0),
    -- How far its steps have come: the last seat that is settled, and whether none follows.
    settled_to      INTEGER NOT NULL DEFAULT 0,
    is_through      INTEGER NOT NULL DEFAULT 0 CHECK (is_through IN (0, 1)),
    failed          INTEGER NOT NULL DEFAULT 0 CHECK (failed BETWEEN 0 AND payments),
    is_done         INTEGER NOT NULL DEFAULT 0 CHECK (is_done IN (0, 1)),
    retry_at        INTEGER NOT NULL DEFAULT 0,
    -- The process that took the last step, and until when only it takes the next.
    holder          INTEGER NOT NULL DEFAULT 0,
    leased_until    INTEGER NOT NULL DEFAULT 0,
    CHECK (is_done <= is_through)
) STRICT, WITHOUT ROWID;

CREATE INDEX cancellations_under_way ON cancellations (performance_id) WHERE is_done = 0;

CREATE TRIGGER cancellations_are_kept BEFORE DELETE ON cancellations
BEGIN SELECT raise(ABORT, 'a cancellation is never deleted'); END;
CREATE TRIGGER cancellations_are_final BEFORE UPDATE ON cancellations
WHEN (NEW.performance_id, NEW.concert_id, NEW.version, NEW.event_id, NEW.cancelled_at, NEW.reason, NEW.payments,
      NEW.refunded_before)
    IS NOT (OLD.performance_id, OLD.concert_id, OLD.version, OLD.event_id, OLD.cancelled_at, OLD.reason, OLD.payments,
      OLD.refunded_before)
    OR NEW.is_through < OLD.is_through OR NEW.is_done < OLD.is_done OR NEW.settled_to < OLD.settled_to
BEGIN SELECT raise(ABORT, 'a cancellation is never undone'); END;

-- Payments whose refund by a cancellation failed at first. A row stays when a later refund succeeds.
CREATE TABLE failed_refunds (
    performance_id BLOB    NOT NULL REFERENCES cancellations,
    payment_id     BLOB    NOT NULL REFERENCES payments,
    reservation_id BLOB    NOT NULL REFERENCES reservations,
    failed_at      INTEGER NOT NULL,
    PRIMARY KEY (performance_id, payment_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER failed_refunds_are_never_rewritten BEFORE UPDATE ON failed_refunds
BEGIN SELECT raise(ABORT, 'a failed refund is never rewritten'); END;
CREATE TRIGGER failed_refunds_are_kept BEFORE DELETE ON failed_refunds
BEGIN SELECT raise(ABORT, 'a failed refund is never deleted'); END;
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

-- Live figures ------------------------------------------------------------------------------------------------------

-- Live figures read the performances that are not over, and no others.
CREATE INDEX performances_by_start ON performances (starts_at);

-- Blocked seats -----------------------------------------------------------------------------------------------------

-- Number of seats that an organiser has blocked.
ALTER TABLE performances ADD COLUMN blocked INTEGER NOT NULL DEFAULT 0 CHECK (blocked >= 0);
-- The version of the last change of the start, the seats or their prices; 0 if there was none.
ALTER TABLE performances ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;

-- A blocked seat has a row without a reservation, and SQLite cannot drop NOT NULL from a column.
CREATE TABLE new_seats (
    performance_id BLOB    NOT NULL REFERENCES performances,
    seat           INTEGER NOT NULL CHECK (seat > 0),
    -- Null if the seat is blocked.
    reservation_id BLOB    REFERENCES reservations,
    held_until     INTEGER NOT NULL,
    sold           INTEGER NOT NULL CHECK (sold IN (0, 1)),
    extended       INTEGER NOT NULL DEFAULT 0,
    -- Why an organiser blocked the seat; null if it is held or sold.
    block_reason   TEXT,
    PRIMARY KEY (performance_id, seat),
    CHECK ((reservation_id IS NULL) = (block_reason IS NOT NULL)),
    CHECK (block_reason IS NULL OR sold = 0)
) STRICT, WITHOUT ROWID;

INSERT INTO new_seats
    SELECT performance_id, seat, reservation_id, held_until, sold, extended, NULL FROM seats ORDER BY performance_id, seat;
DROP TABLE seats;
ALTER TABLE new_seats RENAME TO seats;

-- A sold seat stays as it is, unless it was refunded: then it is free, or another reservation has it.
CREATE TRIGGER seats_are_sold_once BEFORE UPDATE ON seats WHEN OLD.sold = 1 AND (
    NEW.reservation_id IS OLD.reservation_id OR NOT EXISTS (
        SELECT 1 FROM refunded_seats own WHERE own.reservation_id = OLD.reservation_id AND own.seat = OLD.seat))
BEGIN SELECT raise(ABORT, 'a sold seat never changes without a refund'); END;
CREATE TRIGGER seats_stay_sold BEFORE DELETE ON seats WHEN OLD.sold = 1 AND NOT EXISTS (
    SELECT 1 FROM refunded_seats own WHERE own.reservation_id = OLD.reservation_id AND own.seat = OLD.seat)
BEGIN SELECT raise(ABORT, 'a sold seat never becomes free without a refund'); END;
