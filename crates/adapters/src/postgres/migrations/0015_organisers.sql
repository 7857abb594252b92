-- What organisers change while a sale runs, without a programmer.
--
-- Stop all servers before this step. A server of an older schema does not know what is closed, blocked or cancelled here. It
-- writes a new version of a performance and leaves written_version as it is, and the constraint refuses that: its hold, payment,
-- release or refund fails.

ALTER TABLE performances DROP CONSTRAINT servers_of_schema_13_must_stop;
UPDATE performances SET policy_version = version WHERE policy_version <> version;
ALTER TABLE performances RENAME COLUMN policy_version TO written_version;
ALTER TABLE performances ADD CONSTRAINT servers_of_older_schemas_must_stop CHECK (written_version = version);

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
