-- Rows for every table of a sale, skewed as in a real one. $ROWS ledger entries; the other tables in proportion.
-- Users and concerts are drawn by Zipf's law: floor(N ^ random()) is r with a probability of about 1 / (r ln N).
-- Statuses: 97 % paid, 2 % over, 1 % held. Rows lie in no order of a key, as after a year of sales.
SET session_replication_role = replica;
SET work_mem = '256MB';
SELECT setseed(0.5);

CREATE FUNCTION pg_temp.id(kind integer, number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
    RETURN ('01900000-0000-7000-a' || lpad(kind::text, 3, '0') || '-' || lpad(to_hex(number), 12, '0'))::uuid;
CREATE FUNCTION pg_temp.zipf(many bigint) RETURNS bigint LANGUAGE sql VOLATILE
    RETURN floor(power(many::float, random()))::bigint;

-- Users are u1 (the most active) to u(rows / 5). Entries of a user by rank, at least one.
CREATE TEMP TABLE users AS SELECT n AS rank, 'u' || n AS user_id,
        greatest(1, round($ROWS * 0.8 / (n * ln($ROWS / 5.0))))::bigint AS entries
    FROM generate_series(1, $ROWS / 5) n;
INSERT INTO accounts SELECT user_id, rank % 1000 * 500, entries, 1700000000000 + rank FROM users ORDER BY random();
INSERT INTO ledger
    SELECT user_id, version, gen_random_uuid(), 'CHARGE', 500, version % 1000 * 500, NULL, 1700000000000 + version * 1000
    FROM users CROSS JOIN LATERAL generate_series(1, entries) version ORDER BY random();

-- One concert has 300 performances, the others one. One in ten is still to come.
CREATE TEMP TABLE shows AS SELECT pg_temp.id(2, n) AS performance_id, n,
        pg_temp.id(1, CASE WHEN n <= 300 THEN 1 ELSE n - 299 END) AS concert_id,
        (extract(epoch FROM now()) * 1000)::bigint + CASE WHEN n % 10 = 0 THEN n ELSE -n END * 8640000::bigint AS starts_at
    FROM generate_series(1, 300 + $ROWS / 500) n;
INSERT INTO concerts SELECT DISTINCT concert_id, 'A concert', 'A hall', 1700000000000 FROM shows;
ALTER TABLE performances ALTER noted_version SET DEFAULT 9;
INSERT INTO performances SELECT performance_id, concert_id, starts_at,
        '[{"from":1,"to":50,"grade":"R","price":500}]', 50, 20, 9, 1700000000000 FROM shows ORDER BY random();
ALTER TABLE rooms ALTER stated_version SET DEFAULT 1000000;
INSERT INTO rooms SELECT concert_id, 200, 50, 600, 60, false, 1000000, 500000, 500, 100, '', 1000000, 1700000000000
    FROM concerts;

-- Reservations: a show and a user by Zipf's law.
CREATE TEMP TABLE bought AS SELECT pg_temp.id(4, place) AS reservation_id, place AS n, concert_id, performance_id, user_id, place,
        CASE WHEN place % 100 = 0 THEN 'HELD' WHEN place % 100 <= 2 THEN 'EXPIRED' ELSE 'PAID' END AS status
    FROM (SELECT pg_temp.zipf((SELECT count(*) FROM shows)) AS show, pg_temp.zipf($ROWS / 5) AS buyer, n AS place
        FROM generate_series(1, $ROWS / 5) n OFFSET 0) drawn
        JOIN shows ON shows.n = show JOIN users ON users.rank = buyer;
INSERT INTO reservations SELECT reservation_id, concert_id, performance_id, user_id, place, ARRAY[1 + n % 50], 500,
        1700000000000 + n, 1700000300000 + n, status, CASE status WHEN 'EXPIRED' THEN gen_random_uuid() END, 0, '{500}'
    FROM bought ORDER BY random();
INSERT INTO payments SELECT pg_temp.id(5, n), reservation_id, performance_id, user_id, ARRAY[1 + n % 50], 500, 0,
        1700000000000 + n, '{500}' FROM bought WHERE status = 'PAID' ORDER BY random();
INSERT INTO refunds SELECT pg_temp.id(6, n), pg_temp.id(5, n), reservation_id, performance_id, user_id, ARRAY[1 + n % 50], 500, 0,
        'buyer', NULL, 500, n, 1700000000000 + n FROM bought WHERE status = 'PAID' AND n % 20 = 0 ORDER BY random();
INSERT INTO ledger SELECT 'buyer-of-' || n, 1, gen_random_uuid(), 'USE', 500, 0, pg_temp.id(5, n), 1700000000000
    FROM bought WHERE status = 'PAID' AND n % 4 = 0;
INSERT INTO seats SELECT performance_id, seat, pg_temp.id(4, seat + n * 50), 1700000000000, seat <= 49
    FROM shows CROSS JOIN generate_series(1, 50) seat ORDER BY random();

-- Extensions of holds, all written but for a few.
INSERT INTO hold_extensions SELECT performance_id, 1, concert_id, 2, gen_random_uuid(), 1700000000000, 60, 3, 'late', n % 1000 <> 0
    FROM shows;

-- Cancellations, all done but for a few.
INSERT INTO cancellations SELECT performance_id, concert_id, 2, gen_random_uuid(), 1700000000000, 'ill', 0, 0, 50, true, 0,
        n % 1000 <> 0
    FROM shows;

-- Waiting rooms: a million places were handed out in each, of which some rows are left. 1 % gave up.
INSERT INTO places SELECT concert_id, 499000 + place, 'w' || place, gen_random_uuid(), 1700000000000 + place,
        CASE WHEN place % 100 = 0 THEN 'GIVEN_UP' WHEN place % 100 <= 2 THEN 'REPLACED' ELSE 'CURRENT' END,
        CASE WHEN place % 100 = 0 THEN place END
    FROM bought ORDER BY random();
INSERT INTO turns SELECT concert_id, 499000 + place, 1700000000000, 1700000600000, 1700000000000, true, 900000 + place,
        CASE WHEN place % 10 = 0 THEN NULL ELSE 1700000000000 + place * 1000 END
    FROM bought WHERE place % 4 = 0 ORDER BY random();
INSERT INTO turn_ends SELECT concert_id, 499000 + place, 1700000000000 FROM bought WHERE place % 5000 = 0;

-- One lecture in 100 was moved, one in 500 was cancelled and still has applications.
INSERT INTO lectures (lecture_id, title, lecturer, starts_at, capacity, enrolled, seats_given, version, written_version, updated_at,
        moved_at, cancelled_at, cancel_reason, cancelled_applications)
    SELECT pg_temp.id(9, n), 'A lecture', 'Ada', 1700000000000 + n::bigint * 60000, 100, 30, 40, 100, 100, 1700000000000,
        CASE WHEN n % 100 = 0 THEN 1700000000000 + n END, CASE WHEN n % 500 = 0 THEN 1700000000000 END,
        CASE WHEN n % 500 = 0 THEN 'ill' END, CASE WHEN n % 500 = 0 THEN 30 END
    FROM generate_series(1, $ROWS / 100) n ORDER BY random();
INSERT INTO applications (lecture_id, user_id, seat_number, applied_at)
    SELECT pg_temp.id(9, lecture), user_id, row_number() OVER (PARTITION BY lecture), 1700000000000
    FROM (SELECT DISTINCT lecture, user_id FROM (SELECT pg_temp.zipf($ROWS / 100) AS lecture, pg_temp.zipf($ROWS / 5) AS buyer
        FROM generate_series(1, $ROWS / 10) OFFSET 0) drawn JOIN users ON users.rank = buyer) once;
-- One lecture in 50 has a waiting list of 200 users.
INSERT INTO applications (lecture_id, user_id, waiting_number, applied_at)
    SELECT pg_temp.id(9, n * 50), 'waits-' || entry, entry, 1700000000000
    FROM generate_series(1, greatest($ROWS / 5000, 1)) n, generate_series(1, 200) entry;
INSERT INTO waiting_blocks SELECT lecture_id, 0, 200 FROM applications WHERE waiting_number = 1;
UPDATE lectures SET waitlisted = 200 WHERE lecture_id IN (SELECT lecture_id FROM applications WHERE waiting_number = 1);
INSERT INTO freed_seats SELECT pg_temp.id(9, n), 1 FROM generate_series(1, $ROWS / 100) n;
INSERT INTO lecture_history SELECT lecture_id, seat_number, gen_random_uuid(), user_id, 'APPLIED', seat_number, applied_at
    FROM applications WHERE seat_number > 0 ORDER BY random();

-- The event log in its order, a tenth of it not sent yet, 20 dead letters.
INSERT INTO events (topic, subject, version, event_id, position, type, at, data, state, reason)
    SELECT 'onsale.points', user_id, version, entry_id, row_number() OVER () << 16, 'onsale.points.charged.v1',
        1700000000000 + row_number() OVER () * 100, '{"userId":"' || user_id || '","amount":500,"balanceAfter":500}',
        CASE WHEN row_number() OVER () % ($ROWS / 20) = 0 THEN 'DEAD' ELSE 'PENDING' END, NULL
    FROM ledger;
UPDATE relay_parts SET sent_to = ($ROWS * 9 / 10)::bigint << 16, checked_to = ($ROWS * 9 / 10)::bigint << 16;
INSERT INTO deliveries SELECT event_id, at FROM events WHERE version % 2 = 0;
INSERT INTO dead_letters SELECT gen_random_uuid(), 't', 's', n, '{}', CASE WHEN n % 100 = 0 THEN NULL ELSE 'why' END
    FROM generate_series(1, $ROWS / 100) n;
INSERT INTO kept_answers SELECT user_id, 'key', decode(repeat('00', 32), 'hex'), '\x7b7d', 1700000000000 + rank
    FROM users ORDER BY random();

INSERT INTO staff_keys SELECT pg_temp.id(13, n), 'actor ' || n, 'cashier', decode(lpad(to_hex(n), 64, '0'), 'hex'),
        1700000000000 + n, NULL
    FROM generate_series(1, 300) n;
-- Sessions of the back office, all over.
INSERT INTO staff_sessions SELECT sha256(n::text::bytea), pg_temp.id(14, n), NULL, 1700000000000 + n, 1700028800000 + n
    FROM generate_series(1, 3000) n;
-- Sessions of users that ended, all of which may be forgotten.
INSERT INTO ended_sessions SELECT n, pg_temp.id(16, n), 1700028800000 + n FROM generate_series(1, 3000) n;
-- The log of a year: 300 members of the staff, 200 kinds of actions, each subject about five times.
INSERT INTO admin_log SELECT pg_temp.id(12, n), 1700000000000 + n, NULL, 'actor ' || n % 300, 'action ' || n % 200,
        'lecture:' || n / 5, NULL, '{"capacity":30}', false, 'a-request'
    FROM generate_series(1, $ROWS / 10) n ORDER BY random();
-- A presale code of each concert, with more uses than it may have. One reservation in four was held with a code.
INSERT INTO codes SELECT pg_temp.id(1, n), 'FAN', pg_temp.id(15, n), 100, 1, NULL, NULL, 100, 1700000000000
    FROM generate_series(1, 1 + $ROWS / 500) n;
INSERT INTO code_uses SELECT reservation_id, pg_temp.id(15, 1 + n % (1 + $ROWS / 500)) FROM bought WHERE n % 4 = 0
    ORDER BY random();
RESET session_replication_role;
-- A void ticket of each refund, and check-ins of half of the payments: one in 20 of them was superseded.
INSERT INTO void_tickets SELECT gen_random_uuid(), gen_random_uuid(), pg_temp.id(5, n), performance_id, 1 + n % 50,
        CASE WHEN n % 40 = 0 THEN 'reissued' ELSE 'refunded' END, n % 1000, 1700000000000 + n
    FROM bought WHERE status = 'PAID' AND n % 20 = 0 ORDER BY random();
INSERT INTO check_ins SELECT pg_temp.id(16, n), performance_id, gen_random_uuid(), 1 + n % 50, pg_temp.id(5, n), 'scan-' || n, 'gate',
        1700000000000 + n, 1700000000000 + n, false, 'ADMITTED', NULL, NULL, CASE WHEN n % 40 = 0 THEN 'SUPERSEDED' ELSE 'COUNTS' END,
        n % 1000, NULL, 'root' FROM bought WHERE status = 'PAID' AND n % 2 = 0 ORDER BY random();
