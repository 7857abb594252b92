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
