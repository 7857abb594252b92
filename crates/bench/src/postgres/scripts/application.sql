\set n :n + 1
\set user 100000000000 + :run * 10000000 + :n * :clients + :client_id
BEGIN;
SELECT seats_given + 1 AS seat, version + 1 AS version FROM lectures
    WHERE lecture_id = '00000000-0000-7000-8000-000000000001' AND enrolled < capacity FOR UPDATE \gset
SELECT count(*) AS applied, (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now FROM applications
    WHERE lecture_id = '00000000-0000-7000-8000-000000000001' AND user_id = :user \gset
INSERT INTO applications (lecture_id, user_id, seat_number, applied_at)
    VALUES ('00000000-0000-7000-8000-000000000001', :user, :seat, :now);
UPDATE lectures SET enrolled = enrolled + 1, seats_given = :seat, version = :version, written_version = :version,
        updated_at = :now
    WHERE lecture_id = '00000000-0000-7000-8000-000000000001';
INSERT INTO lecture_history (lecture_id, version, line_id, user_id, type, seat_number, created_at)
    VALUES ('00000000-0000-7000-8000-000000000001', :version, gen_random_uuid(), :user, 'APPLIED', :seat, :now);
COMMIT;
