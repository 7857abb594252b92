-- A sale at schema 13: 500,000 users with 5 million ledger entries and 2 million reservations, of which 1.5 million are paid.
PRAGMA foreign_keys = off;
PRAGMA synchronous = off;
BEGIN;
INSERT INTO concerts (concert_id, title, venue, created_at) VALUES (CAST(printf('%016d', 1) AS BLOB), 't', 'v', 1);
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 19)
INSERT INTO performances (performance_id, concert_id, starts_at, sections, capacity, sold, version, updated_at)
    SELECT CAST(printf('%016d', i) AS BLOB), CAST(printf('%016d', 1) AS BLOB), 1,
        '[{"from":1,"to":60000,"grade":"R","price":1000},{"from":60001,"to":100000,"grade":"S","price":700}]',
        100000, iif(i < 15, 100000, 0), 200000, 1 FROM n;
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 499999)
INSERT INTO accounts SELECT printf('user-%06d', i), 0, 10, 1 FROM n;
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 4999999),
    e AS (SELECT i / 10 u, i % 10 + 1 v, i FROM n)
INSERT INTO ledger SELECT printf('user-%06d', u), v, CAST(printf('e%015d', i) AS BLOB), iif(v < 8, 'CHARGE', 'USE'),
    iif(v < 8, 10000, 1000), 1000, iif(v < 8, NULL, CAST(printf('p%015d', u * 3 + v - 8) AS BLOB)), 1 FROM e;
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1999999)
INSERT INTO reservations (reservation_id, concert_id, performance_id, user_id, place, seats, amount, held_at, held_until, status,
        end_event_id, extended)
    SELECT CAST(printf('r%015d', i) AS BLOB), CAST(printf('%016d', 1) AS BLOB), CAST(printf('%016d', i / 100000) AS BLOB),
        printf('user-%06d', i / 3 % 500000), i, '[' || (i % 100000 + 1) || ']', iif(i % 100000 < 60000, 1000, 700), 1, 2,
        iif(i < 1500000, 'PAID', 'EXPIRED'), iif(i < 1500000, NULL, CAST(printf('x%015d', i) AS BLOB)), 0 FROM n;
INSERT INTO seats (performance_id, seat, reservation_id, held_until, sold)
    SELECT performance_id, json_extract(seats, '$[0]'), reservation_id, 2, 1 FROM reservations WHERE status = 'PAID';
INSERT INTO payments
    SELECT CAST(replace(CAST(reservation_id AS TEXT), 'r', 'p') AS BLOB), reservation_id, performance_id, user_id, seats, amount, 0, 1
    FROM reservations WHERE status = 'PAID';
COMMIT;
