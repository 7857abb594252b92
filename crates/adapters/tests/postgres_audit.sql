-- A small sale in order: what each row should say is said by its events. Ids end in the numbers that tests name.

CREATE FUNCTION id(n integer) RETURNS uuid IMMUTABLE LANGUAGE sql AS $$
    SELECT ('01900000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid
$$;

-- An id of the year 10889: whatever the clock shows, it was made after there was a log.
CREATE FUNCTION new_id() RETURNS uuid IMMUTABLE LANGUAGE sql AS $$
    SELECT 'ffffffff-ffff-7000-8000-000000000001'::uuid
$$;

-- Rita pays for two seats, and one of them is refunded. Anna pays for a seat with what she charged; Ben was named and
-- never used; Carl holds a seat, Dora let hers lapse.
INSERT INTO accounts VALUES ('anna', 600, 2, 1), ('ben', 0, 0, NULL), ('rita', 250, 3, 1), ('zoe', 5, 1, 1);
INSERT INTO ledger VALUES
    ('anna', 1, id(1), 'CHARGE', 1000, 1000, NULL, 1),
    ('anna', 2, id(2), 'USE', 400, 600, id(40), 1),
    ('rita', 1, id(4), 'CHARGE', 500, 500, NULL, 1),
    ('rita', 2, id(5), 'USE', 400, 100, id(41), 1),
    ('rita', 3, id(6), 'REFUND', 150, 250, id(41), 1),
    ('zoe', 1, id(3), 'CHARGE', 5, 5, NULL, 1);
INSERT INTO events
SELECT 'onsale.points', user_id, version, entry_id, version, CASE type WHEN 'USE' THEN 'onsale.points.used.v1'
        WHEN 'REFUND' THEN 'onsale.points.refunded.v1' ELSE 'onsale.points.charged.v1' END, 1,
    json_build_object('userId', user_id, 'amount', amount, 'balanceAfter', balance_after, 'reference', reference)
FROM ledger;

INSERT INTO lectures
    (lecture_id, title, starts_at, capacity, enrolled, seats_given, version, written_version, updated_at, highest_capacity) VALUES
    (id(10), 'one', 1, 10, 1, 2, 3, 3, 1, 10), (id(11), 'two', 1, 10, 0, 0, 0, 0, 1, 10);
INSERT INTO applications VALUES (id(10), 'ben', 2, 1);
INSERT INTO freed_seats VALUES (id(10), 1);
INSERT INTO lecture_history VALUES
    (id(10), 1, id(12), 'anna', 'APPLIED', 1, 1),
    (id(10), 2, id(13), 'ben', 'APPLIED', 2, 1),
    (id(10), 3, id(14), 'anna', 'CANCELLED', 1, 1);
INSERT INTO events
SELECT 'onsale.lectures', lecture_id, version, line_id, version, 'onsale.lecture.' || lower(type) || '.v1', 1,
    json_build_object('lectureId', lecture_id, 'userId', user_id, 'seatNumber', seat_number)
FROM lecture_history;

INSERT INTO concerts VALUES (id(20), 'concert', 'hall', 1);
INSERT INTO performances
    (performance_id, concert_id, starts_at, sections, capacity, sold, version, known_version, noted_version, updated_at, holds,
     held, revenue, refunded, open_payments) VALUES
    (id(21), id(20), 1, '[{"from": 1, "to": 10, "grade": "R", "price": 200}]', 10, 3, 7, 7, 7, 1, 0, 0, 650, 150, 2),
    (id(22), id(20), 2, '[{"from": 1, "to": 10, "grade": "R", "price": 200}]', 10, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0),
    (id(23), id(20), 3, '[{"from": 1, "to": 10, "grade": "R", "price": 200}]', 10, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0);
INSERT INTO reservations VALUES
    (id(30), id(20), id(21), 'anna', 1, '{3,4}', 400, 1, 100, 'PAID', NULL, 0, '{200,200}', '', '{}'),
    (id(31), id(20), id(22), 'carl', 2, '{5}', 200, 1, 100, 'HELD', NULL, 0, '{200}', '', '{}'),
    (id(32), id(20), id(21), 'dora', 3, '{6}', 200, 1, 100, 'EXPIRED', id(35), 0, '{200}', '', '{}'),
    (id(33), id(20), id(21), 'rita', 4, '{7,8}', 400, 1, 100, 'PAID', NULL, 0, '{200,200}', '72 20', '{8}');
INSERT INTO seats
SELECT performance_id, seat, reservation_id, held_until, status = 'PAID' FROM reservations, unnest(seats) seat
WHERE status <> 'EXPIRED' AND seat <> ALL (refunded);
INSERT INTO payments VALUES
    (id(40), id(30), id(21), 'anna', '{3,4}', 400, 600, 50, '{200,200}'),
    (id(41), id(33), id(21), 'rita', '{7,8}', 400, 100, 50, '{200,200}');
INSERT INTO refunds VALUES (id(42), id(41), id(33), id(21), 'rita', '{8}', 150, 50, 'buyer', NULL, 250, 3, 60);
INSERT INTO refunded_seats VALUES (id(33), 8, id(42));
-- Anna held with a code, and Dora whose hold lapsed.
INSERT INTO codes VALUES (id(20), 'FAN', id(80), 2, 1, NULL, NULL, 2, 1);
INSERT INTO code_uses VALUES (id(30), id(80)), (id(32), id(80));
-- The ticket that follows from the payment and the seat.
INSERT INTO void_tickets VALUES ('01900000-0000-7000-9173-d9dd57880923', id(42), id(41), id(21), 8, 'refunded', 0, 60);
INSERT INTO events
SELECT 'onsale.concerts', performance_id, row_number() OVER (PARTITION BY performance_id ORDER BY event_id), event_id,
    1, type, 1, json_build_object('reservationId', reservation_id, 'performanceId', performance_id, 'userId', user_id,
        'seats', seats, 'amount', amount, 'heldUntil', '1970-01-01T00:00:00.100Z', 'reason', 'expired',
        'paymentId', event_id, 'paidAt', '1970-01-01T00:00:00.050Z')
FROM reservations JOIN (VALUES
    (id(30), id(30), 'onsale.seats.held.v1'), (id(31), id(31), 'onsale.seats.held.v1'),
    (id(32), id(32), 'onsale.seats.held.v1'), (id(32), id(35), 'onsale.seats.released.v1'),
    (id(30), id(40), 'onsale.payment.completed.v1'), (id(33), id(33), 'onsale.seats.held.v1'),
    (id(33), id(41), 'onsale.payment.completed.v1')) reported (reservation_id, event_id, type) USING (reservation_id);
INSERT INTO events
SELECT 'onsale.concerts', performance_id, 7, refund_id, 7, 'onsale.payment.refunded.v1', 1, json_build_object(
        'refundId', refund_id, 'paymentId', payment_id, 'reservationId', reservation_id, 'performanceId', performance_id,
        'userId', user_id, 'seats', seats, 'amount', amount, 'fee', fee, 'by', 'buyer', 'refundedAt', '1970-01-01T00:00:00.060Z')
FROM refunds;
INSERT INTO events
SELECT 'onsale.concerts', performance_id, 1, id(36), 8, 'onsale.performance.changed.v1', 1, json_build_object(
        'performanceId', performance_id, 'concertId', concert_id, 'startsAt', '1970-01-01T00:00:00.003Z', 'closed', false,
        'seats', sections::json, 'refundPolicy', json_build_array())
FROM performances WHERE performance_id = id(23);

-- The second place has its turn; that of the first is settled, and its row still there.
INSERT INTO rooms
    (concert_id, max_active, admit_per_second, active_seconds, claim_seconds, paused, issued, served, given_up, active, admissions,
     version, updated_at, stated_version)
    VALUES (id(20), 5, 5, 60, 60, false, 4, 2, 1, 1, '', 1, 1, 1);
INSERT INTO places
SELECT id(20), place, 'user' || place, id(50 + place), 1, CASE place WHEN 3 THEN 'GIVEN_UP' ELSE 'CURRENT' END,
    CASE place WHEN 3 THEN 1 END
FROM generate_series(1, 4) place;
INSERT INTO turns VALUES (id(20), 1, 1, 1, 1, true, 1, 5), (id(20), 2, 1, 1, 1, true, 1, NULL);

-- Ann has a key. She has made a lecture after there was a log, and opened the concert and a performance again.
INSERT INTO staff_keys VALUES (id(60), 'ann', 'owner', decode(repeat('07', 32), 'hex'), 1, NULL);
UPDATE staff_directory SET version = 1, live = 1;
INSERT INTO lectures
    (lecture_id, title, lecturer, starts_at, capacity, enrolled, seats_given, version, updated_at, highest_capacity)
SELECT new_id(), 'new', 'Ada', 1, 10, 0, 0, 0, since + 60000, 10 FROM staff_directory;
INSERT INTO admin_log VALUES
    (id(61), 1, NULL, 'root', 'key.created', 'key:' || id(60), NULL, '{"name": "ann", "role": "owner"}', false, 'r'),
    (id(62), 1, id(60), 'ann', 'concert.changed', 'concert:' || id(20), '{"closed": true}', '{"closed": false}', false,
        'r'),
    (id(63), 1, id(60), 'ann', 'performance.changed', 'performance:' || id(23), '{"closed": true}', '{"closed": false}',
        false, 'r'),
    (id(64), 1, id(60), 'ann', 'lecture.created', 'lecture:' || new_id(), NULL,
        '{"title": "new", "lecturer": "Ada", "startsAt": "1970-01-01T00:00:00.001Z", "capacity": 10, "opensAt": null,
          "closed": false}', false, 'r');
