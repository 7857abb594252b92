\set n :n + 1
\set number :run * 1000000 + :n * :clients + :client_id + 1
\set user 100000000000 + :number
BEGIN;
SELECT version + 1 AS version FROM performances
    WHERE performance_id = '00000000-0000-7000-8000-000000000002' FOR UPDATE \gset
SELECT count(*) AS open, (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now FROM reservations
    WHERE concert_id = '00000000-0000-7000-8000-000000000001' AND user_id = :user AND status IN ('HELD', 'PAID') \gset
SELECT count(*) AS taken FROM seats
    WHERE performance_id = '00000000-0000-7000-8000-000000000002' AND seat = :number \gset
INSERT INTO reservations (reservation_id, concert_id, performance_id, user_id, place, seats, amount, held_at, held_until,
        status, prices)
    VALUES (('00000000-0000-7000-8000-' || :user)::uuid, '00000000-0000-7000-8000-000000000001',
        '00000000-0000-7000-8000-000000000002', :user, :number, ARRAY[:number::integer], 1000, :now,
        :now::bigint + 3600000, 'HELD', '{1000}');
INSERT INTO seats (performance_id, seat, reservation_id, held_until, sold)
    VALUES ('00000000-0000-7000-8000-000000000002', :number, ('00000000-0000-7000-8000-' || :user)::uuid,
        :now::bigint + 3600000, false);
UPDATE performances SET held = held + 1, holds = holds + 1, version = :version, known_version = :version,
    noted_version = :version, updated_at = :now
    WHERE performance_id = '00000000-0000-7000-8000-000000000002';
COMMIT;
