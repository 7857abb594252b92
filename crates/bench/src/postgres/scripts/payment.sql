\set n :n + 1
\set number :run * 20000 + :n * :clients + :client_id + 1
\set user 100000000000 + :number
BEGIN;
SELECT amount, (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now FROM reservations
    WHERE reservation_id = ('00000000-0000-7000-8000-' || :user)::uuid AND status = 'HELD' FOR UPDATE \gset
SELECT balance - :amount::bigint AS balance, version + 1 AS version FROM accounts
    WHERE user_id = :user AND balance >= :amount FOR UPDATE \gset
UPDATE accounts SET balance = :balance, version = :version, updated_at = :now WHERE user_id = :user;
INSERT INTO ledger (user_id, version, entry_id, type, amount, balance_after, reference, created_at)
    VALUES (:user, :version, gen_random_uuid(), 'USE', :amount, :balance,
        ('00000000-0000-7000-9000-' || :user)::uuid, :now);
UPDATE reservations SET status = 'PAID' WHERE reservation_id = ('00000000-0000-7000-8000-' || :user)::uuid;
UPDATE seats SET sold = true WHERE performance_id = '00000000-0000-7000-8000-000000000002' AND seat = :number;
INSERT INTO payments (payment_id, reservation_id, performance_id, user_id, seats, amount, balance_after, paid_at,
        prices)
    VALUES (('00000000-0000-7000-9000-' || :user)::uuid, ('00000000-0000-7000-8000-' || :user)::uuid,
        '00000000-0000-7000-8000-000000000002', :user, ARRAY[:number::integer], :amount, :balance, :now, '{1000}');
INSERT INTO turn_ends (concert_id, place, ended_at) VALUES ('00000000-0000-7000-8000-000000000001', :number, :now);
-- The row that all transactions lock, as late as possible.
UPDATE performances SET sold = sold + 1, held = held - 1, holds = holds - 1, revenue = revenue + :amount,
    open_payments = open_payments + 1, version = version + 1, known_version = version + 1, noted_version = version + 1,
    updated_at = :now
    WHERE performance_id = '00000000-0000-7000-8000-000000000002' AND sold < capacity;
COMMIT;
