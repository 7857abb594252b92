-- The sale's part. Each function takes payments in arrays of equal length and answers one word for each, in their order.
-- A performance's row is locked before its seats change. All instants are those of this database's clock, read after the locks.

CREATE TABLE performances (
    performance integer PRIMARY KEY,
    sold        bigint NOT NULL DEFAULT 0,
    revenue     bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE reservations (
    reservation bigint PRIMARY KEY,
    buyer       integer NOT NULL,
    performance integer NOT NULL,
    seats       integer[] NOT NULL,
    amount      bigint NOT NULL,
    held_until  timestamptz NOT NULL,
    state       text NOT NULL CHECK (state IN ('HELD', 'PAYING', 'PAID', 'LAPSED')),
    payment     bigint
) WITH (fillfactor = 80);

CREATE INDEX reservations_held ON reservations (held_until) WHERE state = 'HELD';

-- A seat that is free has no row.
CREATE TABLE seats (
    performance integer NOT NULL,
    seat        integer NOT NULL,
    reservation bigint NOT NULL,
    sold        boolean NOT NULL,
    PRIMARY KEY (performance, seat)
) WITH (fillfactor = 80);

CREATE TABLE payments (
    payment     bigint PRIMARY KEY,
    reservation bigint NOT NULL UNIQUE,
    buyer       integer NOT NULL,
    amount      bigint NOT NULL,
    paid_at     timestamptz NOT NULL
);

CREATE TABLE events (
    payment bigint PRIMARY KEY,
    data    text NOT NULL
);

-- Payments in flight, with the message that the wallet gets next: the saga's outbox. Only the saga uses it.
CREATE TABLE sagas (
    payment     bigint PRIMARY KEY,
    reservation bigint NOT NULL,
    buyer       integer NOT NULL,
    amount      bigint NOT NULL,
    step        text NOT NULL CHECK (step IN ('RESERVE', 'CAPTURE', 'RELEASE')),
    changed_at  timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE FUNCTION lock_performances(the_reservations bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- The performance of a reservation never changes, so it is read without a lock.
    PERFORM 1 FROM performances
        WHERE performance IN (SELECT performance FROM reservations WHERE reservation = ANY (the_reservations))
        ORDER BY performance FOR NO KEY UPDATE;
END $$;

-- Ends a hold that was not paid, and frees its seats.
CREATE FUNCTION lapse(the_reservation bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE ended reservations;
BEGIN
    UPDATE reservations SET state = 'LAPSED' WHERE reservation = the_reservation RETURNING * INTO ended;
    DELETE FROM seats WHERE performance = ended.performance AND seat = ANY (ended.seats) AND reservation = the_reservation;
END $$;

-- Ends a hold whose time is over. Not one that is being paid: its state is a lock that outlives transactions.
CREATE FUNCTION lapse_if_over(the_reservation bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM reservations WHERE reservation = the_reservation AND state = 'HELD' AND held_until <= clock_timestamp()
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN RETURN false; END IF;
    PERFORM lapse(the_reservation);
    RETURN true;
END $$;

-- Holds seats: HELD, or TAKEN if another live hold or a sale has one of them.
CREATE FUNCTION hold(the_reservation bigint, the_buyer integer, the_performance integer, the_seats integer[],
    the_amount bigint, millis integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE holder bigint;
BEGIN
    INSERT INTO performances VALUES (the_performance) ON CONFLICT DO NOTHING;
    PERFORM 1 FROM performances WHERE performance = the_performance FOR NO KEY UPDATE;
    FOR holder IN SELECT DISTINCT reservation FROM seats
        WHERE performance = the_performance AND seat = ANY (the_seats) ORDER BY reservation
    LOOP
        IF NOT lapse_if_over(holder) THEN RETURN 'TAKEN'; END IF;
    END LOOP;
    INSERT INTO reservations VALUES (the_reservation, the_buyer, the_performance, the_seats, the_amount,
        clock_timestamp() + millis * interval '1 ms', 'HELD', NULL);
    INSERT INTO seats SELECT the_performance, seat, the_reservation, false FROM unnest(the_seats) AS seat;
    RETURN 'HELD';
END $$;

-- The background task: ends the oldest holds whose time is over. Returns how many.
CREATE FUNCTION sweep() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    candidate bigint;
    ended integer := 0;
BEGIN
    SELECT reservation INTO candidate FROM reservations WHERE state = 'HELD' AND held_until <= clock_timestamp()
        ORDER BY held_until LIMIT 1;
    IF NOT FOUND THEN RETURN 0; END IF;
    PERFORM lock_performances(ARRAY[candidate]);
    IF lapse_if_over(candidate) THEN ended := 1; END IF;
    RETURN ended;
END $$;

-- Sells what a reservation holds. SOLD; PAID if this payment sold it before; NOT HELD; LATE if its time is over.
-- The caller has locked the performance.
CREATE FUNCTION sell(the_payment bigint, the_reservation bigint, the_buyer integer, from_state text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    found_one reservations;
    judged_at timestamptz;
BEGIN
    SELECT * INTO found_one FROM reservations WHERE reservation = the_reservation FOR NO KEY UPDATE;
    -- Once, after the lock: a second reading could be after the end that the first one was before.
    judged_at := clock_timestamp();
    IF found_one.state = 'PAID' AND found_one.payment = the_payment THEN RETURN 'PAID'; END IF;
    IF found_one.state IS DISTINCT FROM from_state OR found_one.buyer <> the_buyer
        OR from_state = 'PAYING' AND found_one.payment <> the_payment
    THEN
        RETURN 'NOT HELD';
    END IF;
    IF found_one.held_until <= judged_at THEN
        PERFORM lapse(the_reservation);
        RETURN 'LATE';
    END IF;
    UPDATE reservations SET state = 'PAID', payment = the_payment WHERE reservation = the_reservation;
    UPDATE seats SET sold = true
        WHERE performance = found_one.performance AND seat = ANY (found_one.seats) AND reservation = the_reservation;
    UPDATE performances SET sold = sold + cardinality(found_one.seats), revenue = revenue + found_one.amount
        WHERE performance = found_one.performance;
    INSERT INTO payments VALUES (the_payment, the_reservation, the_buyer, found_one.amount, judged_at);
    INSERT INTO events VALUES (the_payment, json_build_object('type', 'PAYMENT_COMPLETED', 'payment', the_payment,
        'performance', found_one.performance, 'seats', found_one.seats, 'amount', found_one.amount));
    RETURN 'SOLD';
END $$;

-- The sale's half of a payment whose points are taken in another transaction.
CREATE FUNCTION sell_all(payments bigint[], the_reservations bigint[], buyers integer[]) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE answers text[] := '{}';
BEGIN
    PERFORM lock_performances(the_reservations);
    FOR n IN 1 .. cardinality(payments) LOOP
        answers := array_append(answers, sell(payments[n], the_reservations[n], buyers[n], 'HELD'));
    END LOOP;
    RETURN answers;
END $$;

-- Saga, step 1: marks the reservation as being paid and writes the first message. PAYING, or NOT HELD. The same payment
-- again: PAYING or PAID.
CREATE FUNCTION begin_all(payments bigint[], the_reservations bigint[], buyers integer[]) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
    answers   text[] := '{}';
    found_one reservations;
BEGIN
    FOR n IN 1 .. cardinality(payments) LOOP
        UPDATE reservations SET state = 'PAYING', payment = payments[n]
            WHERE reservation = the_reservations[n] AND buyer = buyers[n] AND state = 'HELD'
                AND held_until > clock_timestamp()
            RETURNING * INTO found_one;
        IF FOUND THEN
            INSERT INTO sagas VALUES (payments[n], found_one.reservation, buyers[n], found_one.amount, 'RESERVE',
                clock_timestamp());
        ELSE
            SELECT * INTO found_one FROM reservations WHERE reservation = the_reservations[n] AND payment = payments[n];
        END IF;
        answers := array_append(answers,
            CASE WHEN found_one.state IN ('PAYING', 'PAID') THEN found_one.state ELSE 'NOT HELD' END);
    END LOOP;
    RETURN answers;
END $$;

CREATE FUNCTION lock_performances_of(payments bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lock_performances(ARRAY(SELECT reservation FROM sagas WHERE payment = ANY (payments)));
END $$;

-- Saga, step 3, the pivot: PAID, LATE, or GIVEN UP.
CREATE FUNCTION pivot_all(the_payments bigint[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    answers text[] := '{}';
    answer  text;
    saga    sagas;
BEGIN
    PERFORM lock_performances_of(the_payments);
    FOR n IN 1 .. cardinality(the_payments) LOOP
        SELECT * INTO saga FROM sagas WHERE payment = the_payments[n] FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            PERFORM 1 FROM payments WHERE payment = the_payments[n];
            answer := CASE WHEN FOUND THEN 'PAID' ELSE 'GIVEN UP' END;
        ELSIF saga.step <> 'RESERVE' THEN
            answer := CASE saga.step WHEN 'CAPTURE' THEN 'PAID' ELSE 'GIVEN UP' END;
        ELSE
            answer := sell(saga.payment, saga.reservation, saga.buyer, 'PAYING');
            answer := CASE answer WHEN 'SOLD' THEN 'PAID' ELSE answer END;
            UPDATE sagas SET step = CASE answer WHEN 'PAID' THEN 'CAPTURE' ELSE 'RELEASE' END, changed_at = clock_timestamp()
                WHERE payment = saga.payment;
        END IF;
        answers := array_append(answers, answer);
    END LOOP;
    RETURN answers;
END $$;

-- Ends sagas before their pivot. If the wallet refused, it has nothing to release, and the hold goes on until its time is
-- over. Returns how many were ended.
CREATE FUNCTION give_up_all(payments bigint[], is_refused boolean) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    saga  sagas;
    ended integer := 0;
BEGIN
    PERFORM lock_performances_of(payments);
    FOR saga IN SELECT * FROM sagas WHERE payment = ANY (payments) AND step = 'RESERVE' ORDER BY payment FOR NO KEY UPDATE
    LOOP
        UPDATE reservations SET state = 'HELD', payment = NULL
            WHERE reservation = saga.reservation AND held_until > clock_timestamp();
        IF NOT FOUND THEN PERFORM lapse(saga.reservation); END IF;
        IF is_refused THEN
            DELETE FROM sagas WHERE payment = saga.payment;
        ELSE
            UPDATE sagas SET step = 'RELEASE', changed_at = clock_timestamp() WHERE payment = saga.payment;
        END IF;
        ended := ended + 1;
    END LOOP;
    RETURN ended;
END $$;

-- Ends sagas that are before their pivot although the time of their hold is over, such as while the wallet is away.
CREATE FUNCTION give_up_overdue() RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    RETURN give_up_all(ARRAY(SELECT payment FROM sagas JOIN reservations USING (reservation, payment)
        WHERE step = 'RESERVE' AND held_until <= clock_timestamp() ORDER BY payment LIMIT 100), false);
END $$;

-- Forgets sagas whose last message was answered. Needs no sync: if a crash undoes it, the message is sent again.
CREATE FUNCTION finish_all(payments bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    DELETE FROM sagas WHERE payment = ANY (payments) AND step <> 'RESERVE';
END $$;
