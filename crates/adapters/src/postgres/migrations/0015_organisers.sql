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
