\set user 100000000000 + 7
BEGIN;
UPDATE accounts SET balance = balance + 1, version = version + 1,
    updated_at = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    WHERE user_id = :user RETURNING balance, version, updated_at \gset
INSERT INTO ledger (user_id, version, entry_id, type, amount, balance_after, reference, created_at)
    VALUES (:user, :version, gen_random_uuid(), 'CHARGE', 1, :balance, NULL, :updated_at);
COMMIT;
