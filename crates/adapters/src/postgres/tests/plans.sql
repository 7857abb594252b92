-- Rows for every table of a sale, without the constraints between them.
SET session_replication_role = replica;
INSERT INTO accounts SELECT 'user-' || n, 1, 1, 1 FROM generate_series(1, 20000) n;
INSERT INTO ledger SELECT user_id, 1, gen_random_uuid(), 'CHARGE', 1, 1, NULL, 1 FROM accounts;
-- One lecture in 100 has a waiting list.
INSERT INTO lectures (lecture_id, title, starts_at, capacity, enrolled, seats_given, version, written_version, updated_at, waitlisted)
    SELECT gen_random_uuid(), 't', n, 30, 0, 0, 1, 1, 1, CASE WHEN n % 100 = 0 THEN 1 ELSE 0 END FROM generate_series(1, 20000) n;
INSERT INTO applications SELECT lecture_id, 'user-' || starts_at, 1, 1 FROM lectures;
INSERT INTO waiting_blocks SELECT lecture_id, 0, 1 FROM lectures;
INSERT INTO freed_seats SELECT lecture_id, 1 FROM lectures;
INSERT INTO lecture_history
    SELECT lecture_id, 1, gen_random_uuid(), 'user-' || starts_at, 'APPLIED', 1, 1 FROM lectures;
INSERT INTO concerts SELECT gen_random_uuid(), 't', 'v', n FROM generate_series(1, 100) n;
-- With the version that the server of this schema wrote.
ALTER TABLE rooms ALTER stated_version SET DEFAULT 1;
ALTER TABLE performances ALTER noted_version SET DEFAULT 1;
INSERT INTO rooms SELECT concert_id, 1, 1, 1, 1, false, 1000, 1, 0, 0, '', 1, 1 FROM concerts;
INSERT INTO places
    SELECT concert_id, n, 'user-' || n, gen_random_uuid(), 1, 'CURRENT', NULL FROM concerts, generate_series(1, 200) n;
INSERT INTO turns SELECT concert_id, place, 1, 1, 1, true, 1, NULL FROM places;
INSERT INTO turn_ends SELECT concert_id, place, 1 FROM places;
INSERT INTO performances
    SELECT gen_random_uuid(), concert_id, 1, '[]', 50, 0, 1, 1 FROM concerts, generate_series(1, 20);
INSERT INTO reservations
    SELECT gen_random_uuid(), concert_id, gen_random_uuid(), user_id, place, '{1}', 1, 1, 2, 'HELD', NULL, 0, '{1}' FROM places;
INSERT INTO seats SELECT performance_id, n, gen_random_uuid(), 1, false FROM performances, generate_series(1, 10) n;
INSERT INTO payments
    SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), user_id, '{1}', 1, 1, 1, '{1}' FROM places;
INSERT INTO refunds SELECT gen_random_uuid(), payment_id, reservation_id, performance_id, user_id, seats, 1, 0, 'buyer', NULL,
    1, row_number() OVER (), 1 FROM payments;
INSERT INTO refunded_seats SELECT reservation_id, 1, refund_id FROM refunds;
INSERT INTO cancellations SELECT performance_id, concert_id, 1, gen_random_uuid(), 1, 'r', 0, 0, 0, true, 0, true FROM performances;
INSERT INTO failed_refunds SELECT performance_id, payment_id, reservation_id, 1 FROM payments;
INSERT INTO codes SELECT concert_id, n::text, gen_random_uuid(), 10, 10, NULL, NULL, 1, 1 FROM concerts, generate_series(1, 200) n;
INSERT INTO code_uses SELECT reservation_id, code_id
    FROM (SELECT reservation_id, row_number() OVER () n FROM reservations) r JOIN (SELECT code_id, row_number() OVER () n FROM codes) c
        ON c.n = 1 + r.n % 1000;
INSERT INTO layouts SELECT performance_id, '[{}]' FROM performances;
INSERT INTO void_tickets
    SELECT gen_random_uuid(), gen_random_uuid(), payment_id, performance_id, 1, 'refunded', 1, 1 FROM payments;
INSERT INTO check_ins
    SELECT gen_random_uuid(), performance_id, gen_random_uuid(), 1, payment_id, payment_id::text, 'd', 1, 1, false, 'ADMITTED',
        NULL, NULL, 'COUNTS', 1, NULL, 'root' FROM payments;
INSERT INTO events SELECT 'onsale.points', user_id, 1, gen_random_uuid(), row_number() OVER (), 't', 1, '{}' FROM ledger;
INSERT INTO events_put_back SELECT n FROM generate_series(1, 1000) n;
INSERT INTO deliveries SELECT event_id, 1 FROM events;
INSERT INTO kept_answers SELECT user_id, 'k', decode(repeat('00', 32), 'hex'), '', 1 FROM accounts;
INSERT INTO ended_sessions SELECT n, gen_random_uuid(), n FROM generate_series(1, 20000) n;
INSERT INTO admin_log SELECT gen_random_uuid(), n, NULL, 'root', 'key.created', 'key:' || n, NULL, '{}', false, 'r'
    FROM generate_series(1, 20000) n;
