-- The wallet's part. Each function takes payments in arrays of equal length and answers one word for each, in their order.
-- A wallet's row is locked before anything of it is read, and each later statement reads what was committed before it began.

CREATE TABLE wallets (
    buyer    integer PRIMARY KEY,
    balance  bigint NOT NULL CHECK (balance >= 0),
    reserved bigint NOT NULL DEFAULT 0 CHECK (reserved BETWEEN 0 AND balance),
    version  bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE ledger (
    buyer         integer NOT NULL,
    version       bigint NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('CHARGE', 'USE', 'REFUND')),
    payment       bigint,
    amount        bigint NOT NULL,
    balance_after bigint NOT NULL,
    PRIMARY KEY (buyer, version)
);

CREATE UNIQUE INDEX ledger_by_payment ON ledger (payment, kind) WHERE payment IS NOT NULL;

-- Only the saga uses it. A row is never deleted, so each message about a payment may come again or out of order.
CREATE TABLE reserves (
    payment bigint PRIMARY KEY,
    buyer   integer NOT NULL,
    amount  bigint NOT NULL,
    state   text NOT NULL CHECK (state IN ('RESERVED', 'CAPTURED', 'RELEASED', 'REFUSED'))
) WITH (fillfactor = 50);

CREATE FUNCTION lock_wallets(buyers integer[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- One order for all transactions, so that two of them cannot wait for each other.
    PERFORM 1 FROM wallets WHERE buyer = ANY (buyers) ORDER BY buyer FOR NO KEY UPDATE;
END $$;

CREATE FUNCTION write_entry(the_buyer integer, the_kind text, the_payment bigint, change bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    WITH changed AS (
        UPDATE wallets SET balance = balance + change, version = version + 1 WHERE buyer = the_buyer
        RETURNING version, balance)
    INSERT INTO ledger SELECT the_buyer, version, the_kind, the_payment, change, balance FROM changed;
END $$;

CREATE FUNCTION charge(the_buyer integer, the_amount bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO wallets VALUES (the_buyer, 0, 0, 0) ON CONFLICT DO NOTHING;
    PERFORM write_entry(the_buyer, 'CHARGE', NULL, the_amount);
END $$;

CREATE FUNCTION can_pay(the_buyer integer, the_amount bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM wallets WHERE buyer = the_buyer AND balance - reserved >= the_amount);
END $$;

-- Takes points at once. DEBITED, or POOR if the balance is too low.
CREATE FUNCTION debit_all(payments bigint[], buyers integer[], amounts bigint[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE answers text[] := '{}';
BEGIN
    PERFORM lock_wallets(buyers);
    FOR n IN 1 .. cardinality(payments) LOOP
        IF can_pay(buyers[n], amounts[n]) THEN
            PERFORM write_entry(buyers[n], 'USE', payments[n], -amounts[n]);
            answers := array_append(answers, 'DEBITED');
        ELSE
            answers := array_append(answers, 'POOR');
        END IF;
    END LOOP;
    RETURN answers;
END $$;

-- Gives back what was taken at once. The user sees both entries.
CREATE FUNCTION refund_all(payments bigint[], buyers integer[], amounts bigint[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE answers text[] := '{}';
BEGIN
    PERFORM lock_wallets(buyers);
    FOR n IN 1 .. cardinality(payments) LOOP
        PERFORM write_entry(buyers[n], 'REFUND', payments[n], amounts[n]);
        answers := array_append(answers, 'REFUNDED');
    END LOOP;
    RETURN answers;
END $$;

-- Sets points aside: RESERVED, or REFUSED if too few are free. Again for the same payment: its state, unchanged.
CREATE FUNCTION reserve_all(payments bigint[], buyers integer[], amounts bigint[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    answers text[] := '{}';
    known   text;
BEGIN
    PERFORM lock_wallets(buyers);
    FOR n IN 1 .. cardinality(payments) LOOP
        SELECT state INTO known FROM reserves WHERE payment = payments[n];
        IF NOT FOUND THEN
            known := CASE WHEN can_pay(buyers[n], amounts[n]) THEN 'RESERVED' ELSE 'REFUSED' END;
            IF known = 'RESERVED' THEN
                UPDATE wallets SET reserved = reserved + amounts[n] WHERE buyer = buyers[n];
            END IF;
            INSERT INTO reserves VALUES (payments[n], buyers[n], amounts[n], known);
        END IF;
        answers := array_append(answers, known);
    END LOOP;
    RETURN answers;
END $$;

-- Takes points that were set aside: CAPTURED. Any other answer means that the saga is wrong.
CREATE FUNCTION capture_all(payments bigint[], buyers integer[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    answers text[] := '{}';
    known   reserves;
BEGIN
    PERFORM lock_wallets(buyers);
    FOR n IN 1 .. cardinality(payments) LOOP
        SELECT * INTO known FROM reserves WHERE payment = payments[n];
        IF known.state = 'RESERVED' THEN
            UPDATE reserves SET state = 'CAPTURED' WHERE payment = payments[n];
            UPDATE wallets SET reserved = reserved - known.amount, balance = balance - known.amount, version = version + 1
                WHERE buyer = known.buyer;
            INSERT INTO ledger SELECT buyer, version, 'USE', known.payment, -known.amount, balance
                FROM wallets WHERE buyer = known.buyer;
            known.state := 'CAPTURED';
        END IF;
        answers := array_append(answers, coalesce(known.state, 'UNKNOWN'));
    END LOOP;
    RETURN answers;
END $$;

-- Frees points that were set aside. A release that comes before its reserve leaves a row that refuses the reserve.
CREATE FUNCTION release_all(payments bigint[], buyers integer[], amounts bigint[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    answers text[] := '{}';
    known   text;
BEGIN
    PERFORM lock_wallets(buyers);
    FOR n IN 1 .. cardinality(payments) LOOP
        SELECT state INTO known FROM reserves WHERE payment = payments[n];
        IF NOT FOUND THEN
            INSERT INTO reserves VALUES (payments[n], buyers[n], amounts[n], 'RELEASED');
            known := 'RELEASED';
        ELSIF known = 'RESERVED' THEN
            UPDATE reserves SET state = 'RELEASED' WHERE payment = payments[n];
            UPDATE wallets SET reserved = reserved - amounts[n] WHERE buyer = buyers[n];
            known := 'RELEASED';
        END IF;
        answers := array_append(answers, known);
    END LOOP;
    RETURN answers;
END $$;
