-- A sale at schema 13: 500,000 users with 5 million ledger entries and 2 million reservations, of which 1.5 million are paid.
BEGIN;
CREATE TABLE onsale_schema (version integer NOT NULL PRIMARY KEY, migrated_at timestamptz NOT NULL DEFAULT clock_timestamp());
INSERT INTO onsale_schema SELECT generate_series(1, 13);
CREATE FUNCTION pg_temp.id(kind integer, i bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
    $$ SELECT (lpad(to_hex(kind), 8, '0') || '00007000' || '8' || lpad(to_hex(i), 15, '0'))::uuid $$;
INSERT INTO concerts (concert_id, title, venue, created_at) VALUES (pg_temp.id(1, 1), 't', 'v', 1);
INSERT INTO performances (performance_id, concert_id, starts_at, sections, capacity, sold, version, updated_at)
    SELECT pg_temp.id(2, i), pg_temp.id(1, 1), 1,
        '[{"from":1,"to":60000,"grade":"R","price":1000},{"from":60001,"to":100000,"grade":"S","price":700}]',
        100000, CASE WHEN i < 15 THEN 100000 ELSE 0 END, 200000, 1 FROM generate_series(0, 19) i;
INSERT INTO accounts SELECT 'user-' || lpad(i::text, 6, '0'), 0, 10, 1 FROM generate_series(0, 499999) i;
INSERT INTO ledger (user_id, version, entry_id, type, amount, balance_after, reference, created_at)
    SELECT 'user-' || lpad((i / 10)::text, 6, '0'), i % 10 + 1, pg_temp.id(3, i),
        CASE WHEN i % 10 < 7 THEN 'CHARGE' ELSE 'USE' END, CASE WHEN i % 10 < 7 THEN 10000 ELSE 1000 END, 1000,
        CASE WHEN i % 10 < 7 THEN NULL ELSE pg_temp.id(4, i / 10 * 3 + i % 10 - 7) END, 1
    FROM generate_series(0, 4999999) i;
INSERT INTO reservations (reservation_id, concert_id, performance_id, user_id, place, seats, amount, held_at, held_until, status,
        end_event_id, extended)
    SELECT pg_temp.id(5, i), pg_temp.id(1, 1), pg_temp.id(2, i / 100000), 'user-' || lpad((i / 3 % 500000)::text, 6, '0'), i,
        ARRAY[i % 100000 + 1], CASE WHEN i % 100000 < 60000 THEN 1000 ELSE 700 END, 1, 2,
        CASE WHEN i < 1500000 THEN 'PAID' ELSE 'EXPIRED' END, CASE WHEN i < 1500000 THEN NULL ELSE pg_temp.id(6, i) END, 0
    FROM generate_series(0, 1999999) i;
INSERT INTO seats (performance_id, seat, reservation_id, held_until, sold)
    SELECT performance_id, seats[1], reservation_id, 2, true FROM reservations WHERE status = 'PAID';
INSERT INTO payments (payment_id, reservation_id, performance_id, user_id, seats, amount, balance_after, paid_at)
    SELECT pg_temp.id(4, place), reservation_id, performance_id, user_id, seats, amount, 0, 1 FROM reservations WHERE status = 'PAID';
COMMIT;
VACUUM ANALYZE;
