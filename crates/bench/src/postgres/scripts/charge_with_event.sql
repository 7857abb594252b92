\set user 100000000000 + random(0, 9999)
BEGIN;
UPDATE accounts SET balance = balance + 1, version = version + 1,
    updated_at = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    WHERE user_id = :user RETURNING balance, version, updated_at \gset
INSERT INTO ledger (user_id, version, entry_id, type, amount, balance_after, reference, created_at)
    VALUES (:user, :version, gen_random_uuid(), 'CHARGE', 1, :balance, NULL, :updated_at);
INSERT INTO events (topic, subject, version, event_id, position, type, at, data)
    VALUES ('onsale.points', :user, :version, gen_random_uuid(), (pg_current_xact_id()::text::bigint << 16) + 1,
        'onsale.points.charged.v1', :updated_at,
        '{"amount":1,"balance":' || :balance || ',"entryId":"018f6b1c-7d2e-7a3b-9c4d-000000000000"}');
COMMIT;
