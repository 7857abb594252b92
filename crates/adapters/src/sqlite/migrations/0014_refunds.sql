-- Refunds: points back for seats that were paid, which are free again. And corrections of wallets.
--
-- Three tables get other constraints, so they are made again and copied, in one transaction: after a crash the file is as before.
-- Foreign keys are off meanwhile (see `schema.rs`).
--
-- These constraints are evaluated with each hold and each payment. `x IN` with three or more values makes a temporary table for
-- each statement, and a trigger that may refuse a row makes SQLite keep the pages before the change. So values are compared one
-- by one here, and a constraint of a table does what a trigger could do.

-- The rules by which buyers get points back, as `hours percent`, comma-separated, by descending hours.
ALTER TABLE performances ADD COLUMN refund_policy TEXT NOT NULL DEFAULT '';

-- Reservations ------------------------------------------------------------------------------------------------------

CREATE TABLE new_reservations (
    reservation_id BLOB    NOT NULL PRIMARY KEY CHECK (length(reservation_id) = 16),
    concert_id     BLOB    NOT NULL,
    performance_id BLOB    NOT NULL REFERENCES performances,
    user_id        TEXT    NOT NULL,
    place          INTEGER NOT NULL,
    -- JSON: [7, 8]
    seats          TEXT    NOT NULL,
    amount         INTEGER NOT NULL CHECK (amount >= 0),
    held_at        INTEGER NOT NULL,
    held_until     INTEGER NOT NULL CHECK (held_until > held_at),
    status         TEXT    NOT NULL
        CHECK (status = 'HELD' OR status = 'PAID' OR status = 'EXPIRED' OR status = 'RELEASED' OR status = 'REFUNDED'),
    end_event_id   BLOB    CHECK (length(end_event_id) = 16),
    -- The number of the last extension that held_until contains. A row of a hold is brought up to date in steps.
    extended       INTEGER NOT NULL DEFAULT 0,
    -- JSON: the price of each seat when the hold was taken, and the refund policy then.
    prices         TEXT    NOT NULL,
    refund_policy  TEXT    NOT NULL DEFAULT '',
    -- JSON: seats that were refunded, in that order.
    refunded       TEXT    NOT NULL DEFAULT '[]',
    CHECK ((status IN ('EXPIRED', 'RELEASED')) = (end_event_id IS NOT NULL)),
    CHECK (json_array_length(prices) = json_array_length(seats)),
    CHECK (refunded = '[]' OR status IN ('PAID', 'REFUNDED')),
    -- The first comparison saves reading JSON for the many rows without a refund.
    CHECK ((status = 'REFUNDED') = (refunded <> '[]' AND json_array_length(refunded) = json_array_length(seats)))
) STRICT, WITHOUT ROWID;

-- No price of a seat has ever changed, so those of today are those of the holds.
CREATE TEMPORARY TABLE section_prices (
    performance_id BLOB    NOT NULL,
    first          INTEGER NOT NULL,
    last           INTEGER NOT NULL,
    price          INTEGER NOT NULL,
    PRIMARY KEY (performance_id, first)
) WITHOUT ROWID;
INSERT INTO section_prices
    SELECT performance_id, section.value ->> '$.from', section.value ->> '$.to', section.value ->> '$.price'
    FROM performances, json_each(performances.sections) section;

-- A seat without a section, or prices that do not give the amount, are damage that refunds would act on. The step ends then, and
-- the file is as before.
CREATE TEMPORARY TRIGGER prices_give_the_amount AFTER INSERT ON new_reservations
WHEN (NEW.amount, json_array_length(NEW.seats)) IS NOT (SELECT sum(value), count(value) FROM json_each(NEW.prices))
BEGIN SELECT raise(ABORT, 'the prices of the seats of a reservation do not give its amount'); END;

INSERT INTO new_reservations
    SELECT reservation_id, concert_id, performance_id, user_id, place, seats, amount, held_at, held_until, status,
        end_event_id, extended,
        (SELECT json_group_array(price) FROM (
            SELECT (SELECT price FROM section_prices own
                    WHERE own.performance_id = reservations.performance_id AND own.first <= seat.value AND seat.value <= own.last
                    ORDER BY own.first DESC LIMIT 1) price
            FROM json_each(reservations.seats) seat ORDER BY seat.key)),
        '', '[]'
    FROM reservations ORDER BY reservation_id;

DROP TRIGGER temp.prices_give_the_amount;
DROP TABLE temp.section_prices;
DROP TABLE reservations;
ALTER TABLE new_reservations RENAME TO reservations;

CREATE INDEX reservations_by_user ON reservations (user_id, reservation_id);
CREATE INDEX reservations_open ON reservations (concert_id, user_id) WHERE status IN ('HELD', 'PAID');
CREATE INDEX reservations_held ON reservations (held_until) WHERE status = 'HELD';

CREATE TRIGGER reservations_are_kept BEFORE DELETE ON reservations
BEGIN SELECT raise(ABORT, 'a reservation is never deleted'); END;

-- Payments ----------------------------------------------------------------------------------------------------------

CREATE TABLE new_payments (
    payment_id     BLOB    NOT NULL PRIMARY KEY CHECK (length(payment_id) = 16),
    reservation_id BLOB    NOT NULL UNIQUE REFERENCES reservations,
    performance_id BLOB    NOT NULL,
    user_id        TEXT    NOT NULL,
    seats          TEXT    NOT NULL,
    amount         INTEGER NOT NULL CHECK (amount >= 0),
    balance_after  INTEGER NOT NULL CHECK (balance_after >= 0),
    paid_at        INTEGER NOT NULL,
    -- JSON: the price of each seat.
    prices         TEXT    NOT NULL,
    CONSTRAINT each_seat_of_a_payment_has_a_price CHECK (json_array_length(prices) = json_array_length(seats))
) STRICT, WITHOUT ROWID;

INSERT INTO new_payments
    SELECT payment_id, reservation_id, performance_id, user_id, seats, amount, balance_after, paid_at,
        (SELECT prices FROM reservations WHERE reservations.reservation_id = payments.reservation_id)
    FROM payments ORDER BY payment_id;
DROP TABLE payments;
ALTER TABLE new_payments RENAME TO payments;

CREATE INDEX payments_by_user ON payments (user_id, payment_id);

CREATE TRIGGER payments_are_never_rewritten BEFORE UPDATE ON payments
BEGIN SELECT raise(ABORT, 'a payment is never rewritten'); END;
CREATE TRIGGER payments_are_kept BEFORE DELETE ON payments
BEGIN SELECT raise(ABORT, 'a payment is never deleted'); END;

-- Points ------------------------------------------------------------------------------------------------------------

CREATE TABLE new_ledger (
    user_id       TEXT    NOT NULL,
    version       INTEGER NOT NULL CHECK (version > 0),
    entry_id      BLOB    NOT NULL CHECK (length(entry_id) = 16),
    type          TEXT    NOT NULL
        CHECK (type = 'CHARGE' OR type = 'USE' OR type = 'REFUND' OR type = 'ADJUSTMENT'),
    amount        INTEGER NOT NULL CHECK (amount >= 0 OR type = 'ADJUSTMENT'),
    balance_after INTEGER NOT NULL CHECK (balance_after BETWEEN 0 AND 1000000000),
    reference     BLOB    CHECK (length(reference) = 16),
    created_at    INTEGER NOT NULL,
    PRIMARY KEY (user_id, version),
    CHECK (type <> 'REFUND' OR reference IS NOT NULL)
) STRICT, WITHOUT ROWID;

INSERT INTO new_ledger
    SELECT user_id, version, entry_id, type, amount, balance_after, reference, created_at FROM ledger
    ORDER BY user_id, version;
DROP TABLE ledger;
ALTER TABLE new_ledger RENAME TO ledger;

-- A payment has one entry of use, and one of refund for each of its refunds. One index both refuses a second entry of use and
-- finds all entries of a payment.
CREATE UNIQUE INDEX ledger_by_payment ON ledger (reference, iif(type = 'USE', 0, version)) WHERE reference IS NOT NULL;

CREATE TRIGGER ledger_is_never_rewritten BEFORE UPDATE ON ledger
BEGIN SELECT raise(ABORT, 'a ledger entry is never rewritten'); END;
CREATE TRIGGER ledger_is_never_shortened BEFORE DELETE ON ledger
BEGIN SELECT raise(ABORT, 'a ledger entry is never deleted'); END;

-- Refunds -----------------------------------------------------------------------------------------------------------

-- Deferred if a unit of work writes the refund before the row that it names.
CREATE TABLE refunds (
    refund_id      BLOB    NOT NULL PRIMARY KEY CHECK (length(refund_id) = 16),
    payment_id     BLOB    NOT NULL REFERENCES payments DEFERRABLE INITIALLY DEFERRED,
    reservation_id BLOB    NOT NULL REFERENCES reservations DEFERRABLE INITIALLY DEFERRED,
    performance_id BLOB    NOT NULL REFERENCES performances DEFERRABLE INITIALLY DEFERRED,
    user_id        TEXT    NOT NULL,
    -- JSON: [7, 8]
    seats          TEXT    NOT NULL CHECK (json_array_length(seats) > 0),
    amount         INTEGER NOT NULL CHECK (amount >= 0),
    fee            INTEGER NOT NULL CHECK (fee >= 0),
    made_by        TEXT    NOT NULL CHECK (made_by IN ('buyer', 'staff')),
    -- Why, as the member of the staff wrote it.
    reason         TEXT,
    balance_after  INTEGER NOT NULL CHECK (balance_after >= amount),
    -- The version of the wallet with its ledger entry.
    entry_version  INTEGER NOT NULL,
    refunded_at    INTEGER NOT NULL,
    CHECK ((made_by = 'buyer') = (reason IS NULL)),
    FOREIGN KEY (user_id, entry_version) REFERENCES ledger
) STRICT, WITHOUT ROWID;

CREATE INDEX refunds_of_payment ON refunds (payment_id, refund_id);
CREATE INDEX refunds_of_performance ON refunds (performance_id, refund_id);
CREATE UNIQUE INDEX refunds_by_entry ON refunds (user_id, entry_version);

-- A seat of a reservation is refunded once.
CREATE TABLE refunded_seats (
    reservation_id BLOB    NOT NULL,
    seat           INTEGER NOT NULL,
    refund_id      BLOB    NOT NULL REFERENCES refunds,
    PRIMARY KEY (reservation_id, seat)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER refunds_are_never_rewritten BEFORE UPDATE ON refunds
BEGIN SELECT raise(ABORT, 'a refund is never rewritten'); END;
CREATE TRIGGER refunds_are_kept BEFORE DELETE ON refunds
BEGIN SELECT raise(ABORT, 'a refund is never deleted'); END;
CREATE TRIGGER refunded_seats_are_never_rewritten BEFORE UPDATE ON refunded_seats
BEGIN SELECT raise(ABORT, 'a refunded seat is never rewritten'); END;
CREATE TRIGGER refunded_seats_are_kept BEFORE DELETE ON refunded_seats
BEGIN SELECT raise(ABORT, 'a refunded seat is never deleted'); END;

-- What has ended never changes, except that seats which were paid are refunded.
CREATE TRIGGER reservations_end_once BEFORE UPDATE ON reservations WHEN OLD.status <> 'HELD' AND NOT (
    OLD.status = 'PAID' AND NEW.status IN ('PAID', 'REFUNDED')
    AND json_array_length(NEW.refunded) > json_array_length(OLD.refunded)
    AND NOT EXISTS (SELECT 1 FROM json_each(NEW.refunded) one WHERE NOT EXISTS (
        SELECT 1 FROM refunded_seats own WHERE own.reservation_id = NEW.reservation_id AND own.seat = one.value))
    AND (NEW.reservation_id, NEW.concert_id, NEW.performance_id, NEW.user_id, NEW.place, NEW.seats, NEW.amount, NEW.held_at,
         NEW.held_until, NEW.end_event_id, NEW.extended, NEW.prices, NEW.refund_policy)
        IS (OLD.reservation_id, OLD.concert_id, OLD.performance_id, OLD.user_id, OLD.place, OLD.seats, OLD.amount, OLD.held_at,
            OLD.held_until, OLD.end_event_id, OLD.extended, OLD.prices, OLD.refund_policy))
BEGIN SELECT raise(ABORT, 'a reservation that has ended never changes'); END;

-- A sold seat stays as it is, unless it was refunded: then it is free, or another reservation has it.
DROP TRIGGER seats_are_sold_once;
DROP TRIGGER seats_stay_sold;
CREATE TRIGGER seats_are_sold_once BEFORE UPDATE ON seats WHEN OLD.sold = 1 AND (
    NEW.reservation_id = OLD.reservation_id OR NOT EXISTS (
        SELECT 1 FROM refunded_seats own WHERE own.reservation_id = OLD.reservation_id AND own.seat = OLD.seat))
BEGIN SELECT raise(ABORT, 'a sold seat never changes without a refund'); END;
CREATE TRIGGER seats_stay_sold BEFORE DELETE ON seats WHEN OLD.sold = 1 AND NOT EXISTS (
    SELECT 1 FROM refunded_seats own WHERE own.reservation_id = OLD.reservation_id AND own.seat = OLD.seat)
BEGIN SELECT raise(ABORT, 'a sold seat never becomes free without a refund'); END;

-- Events and places -------------------------------------------------------------------------------------------------

-- The same constraints on the values, without a temporary table for each row. The rows stay as they are: these are the largest
-- tables, and making them again would take long. SQLite describes this way under "Making Other Kinds Of Table Schema Changes".
PRAGMA writable_schema = on;
UPDATE sqlite_schema SET sql = replace(sql, 'state IN (''PENDING'', ''SENT'', ''DEAD'')',
        'state = ''PENDING'' OR state = ''SENT'' OR state = ''DEAD''')
    WHERE type = 'table' AND name = 'events';
UPDATE sqlite_schema SET sql = replace(sql, 'standing IN (''CURRENT'', ''GIVEN_UP'', ''REPLACED'')',
        'standing = ''CURRENT'' OR standing = ''GIVEN_UP'' OR standing = ''REPLACED''')
    WHERE type = 'table' AND name = 'places';
-- Has the schema read again.
PRAGMA writable_schema = reset;
