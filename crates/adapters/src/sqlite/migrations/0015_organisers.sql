-- What organisers change while a sale runs, without a programmer.

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
