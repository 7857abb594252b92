-- Both parts in one database: points and seats change in one transaction. SOLD or PAID, POOR, NOT HELD, LATE.
CREATE FUNCTION pay_all(payments bigint[], the_reservations bigint[], buyers integer[], amounts bigint[]) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
    answers text[] := '{}';
    answer  text;
BEGIN
    PERFORM lock_wallets(buyers);
    PERFORM lock_performances(the_reservations);
    FOR n IN 1 .. cardinality(payments) LOOP
        answer := 'POOR';
        IF can_pay(buyers[n], amounts[n]) THEN
            answer := sell(payments[n], the_reservations[n], buyers[n], 'HELD');
        END IF;
        IF answer = 'SOLD' THEN
            PERFORM write_entry(buyers[n], 'USE', payments[n], -amounts[n]);
        END IF;
        answers := array_append(answers, answer);
    END LOOP;
    RETURN answers;
END $$;
