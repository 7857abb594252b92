-- Refunds: points back for seats that were paid, which are free again. And corrections of wallets.
--
-- Stop all servers before this step. The fill-in locks reservations and payments for as long as it takes, and a server of an
-- older schema fails to hold and to pay: it does not write the prices, which have no default.

-- The rules by which buyers get points back, as `hours percent`, comma-separated, by descending hours.
ALTER TABLE performances ADD COLUMN refund_policy text NOT NULL DEFAULT '';
-- The version that the last server which knows policies wrote. A server of schema 13 would close a performance and publish that
-- it has no policy; the constraint refuses that.
ALTER TABLE performances ADD COLUMN policy_version bigint NOT NULL DEFAULT 0;
ALTER TABLE performances ADD CONSTRAINT servers_of_schema_13_must_stop
    CHECK (policy_version = version OR refund_policy = '');

-- The price of each seat and the policy, as they were when the hold was taken.
ALTER TABLE reservations ADD COLUMN prices bigint[];
ALTER TABLE reservations ADD COLUMN refund_policy text NOT NULL DEFAULT '';
-- Seats that were refunded, in that order.
ALTER TABLE reservations ADD COLUMN refunded integer[] NOT NULL DEFAULT '{}';
ALTER TABLE payments ADD COLUMN prices bigint[];

DROP TRIGGER reservations_end_once ON reservations;
DROP TRIGGER payments_are_kept ON payments;

-- No price of a seat has ever changed, so those of today are those of the holds.
CREATE TEMPORARY TABLE section_prices ON COMMIT DROP AS
    SELECT performance_id, (section ->> 'from')::integer AS first, (section ->> 'to')::integer AS last,
        (section ->> 'price')::bigint AS price
    FROM performances CROSS JOIN LATERAL json_array_elements(sections::json) section;
CREATE INDEX section_prices_by_seat ON section_prices (performance_id, first);
ANALYZE section_prices;

UPDATE reservations SET prices = (
    SELECT array_agg(section.price ORDER BY seat.place)
    FROM unnest(reservations.seats) WITH ORDINALITY seat (number, place)
    JOIN section_prices section ON section.performance_id = reservations.performance_id
        AND seat.number BETWEEN section.first AND section.last);
UPDATE payments SET prices = reservations.prices FROM reservations
    WHERE reservations.reservation_id = payments.reservation_id;

-- A seat without a section, or prices that do not give the amount, are damage that refunds would act on. The step ends then, and
-- the database is as before.
DO $$
DECLARE
    wrong uuid;
BEGIN
    SELECT reservation_id INTO wrong FROM reservations
        WHERE amount IS DISTINCT FROM (SELECT sum(price) FROM unnest(prices) price) LIMIT 1;
    IF wrong IS NULL THEN
        SELECT reservation_id INTO wrong FROM payments
            WHERE amount IS DISTINCT FROM (SELECT sum(price) FROM unnest(prices) price) LIMIT 1;
    END IF;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'the prices of the seats of reservation % do not give its amount', wrong;
    END IF;
END $$;

ALTER TABLE reservations ALTER COLUMN prices SET NOT NULL;
ALTER TABLE payments ALTER COLUMN prices SET NOT NULL;
ALTER TABLE reservations DROP CONSTRAINT reservations_status_check;
ALTER TABLE reservations
    ADD CONSTRAINT reservations_status_check CHECK (status IN ('HELD', 'PAID', 'EXPIRED', 'RELEASED', 'REFUNDED')),
    ADD CONSTRAINT each_seat_has_a_price CHECK (cardinality(prices) = cardinality(seats)),
    ADD CONSTRAINT only_paid_seats_are_refunded CHECK (refunded = '{}' OR status IN ('PAID', 'REFUNDED')),
    ADD CONSTRAINT refunded_with_the_last_seat CHECK ((status = 'REFUNDED') = (cardinality(refunded) = cardinality(seats)));
ALTER TABLE payments ADD CONSTRAINT each_seat_has_a_price CHECK (cardinality(prices) = cardinality(seats));

CREATE TABLE refunds (
    refund_id      uuid      NOT NULL PRIMARY KEY,
    payment_id     uuid      NOT NULL,
    reservation_id uuid      NOT NULL,
    performance_id uuid      NOT NULL,
    user_id        text COLLATE "C" NOT NULL,
    seats          integer[] NOT NULL CHECK (cardinality(seats) > 0),
    amount         bigint    NOT NULL CHECK (amount >= 0),
    fee            bigint    NOT NULL CHECK (fee >= 0),
    made_by        text      NOT NULL CHECK (made_by IN ('buyer', 'staff')),
    -- Why, as the member of the staff wrote it.
    reason         text,
    balance_after  bigint    NOT NULL CHECK (balance_after >= amount),
    -- The version of the wallet with its ledger entry.
    entry_version  bigint    NOT NULL,
    refunded_at    bigint    NOT NULL,
    CHECK ((made_by = 'buyer') = (reason IS NULL))
);

CREATE INDEX refunds_of_payment ON refunds (payment_id, refund_id);
CREATE INDEX refunds_of_performance ON refunds (performance_id, refund_id);
CREATE UNIQUE INDEX refunds_by_entry ON refunds (user_id, entry_version);

-- A seat of a reservation is refunded once.
CREATE TABLE refunded_seats (
    reservation_id uuid    NOT NULL,
    seat           integer NOT NULL,
    refund_id      uuid    NOT NULL,
    PRIMARY KEY (reservation_id, seat)
);

CREATE TRIGGER refunds_are_kept BEFORE UPDATE OR DELETE ON refunds
    FOR EACH ROW EXECUTE FUNCTION refuse('a refund is never rewritten or deleted');
CREATE TRIGGER refunded_seats_are_kept BEFORE UPDATE OR DELETE ON refunded_seats
    FOR EACH ROW EXECUTE FUNCTION refuse('a refunded seat is never rewritten or deleted');
CREATE TRIGGER payments_are_kept BEFORE UPDATE OR DELETE ON payments
    FOR EACH ROW EXECUTE FUNCTION refuse('a payment is never rewritten or deleted');

-- What has ended never changes, except that seats which were paid are refunded.
CREATE TRIGGER reservations_end_once BEFORE UPDATE ON reservations
    FOR EACH ROW WHEN (OLD.status <> 'HELD' AND NOT (
        OLD.status = 'PAID' AND NEW.status IN ('PAID', 'REFUNDED')
        AND NEW.refunded @> OLD.refunded AND cardinality(NEW.refunded) > cardinality(OLD.refunded)
        AND NEW.seats @> NEW.refunded
        AND (NEW.reservation_id, NEW.concert_id, NEW.performance_id, NEW.user_id, NEW.place, NEW.seats, NEW.amount, NEW.held_at,
             NEW.held_until, NEW.end_event_id, NEW.extended, NEW.prices, NEW.refund_policy)
            IS NOT DISTINCT FROM
            (OLD.reservation_id, OLD.concert_id, OLD.performance_id, OLD.user_id, OLD.place, OLD.seats, OLD.amount, OLD.held_at,
             OLD.held_until, OLD.end_event_id, OLD.extended, OLD.prices, OLD.refund_policy)))
    EXECUTE FUNCTION refuse('a reservation that has ended never changes');

CREATE FUNCTION refuse_without_refund() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM refunded_seats WHERE reservation_id = NEW.reservation_id AND seat = ANY (NEW.refunded))
        <> cardinality(NEW.refunded) THEN
        RAISE EXCEPTION 'a seat is refunded only by a refund' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER reservations_name_refunds BEFORE UPDATE ON reservations
    FOR EACH ROW WHEN (NEW.refunded <> OLD.refunded) EXECUTE FUNCTION refuse_without_refund();

-- A sold seat stays as it is, unless it was refunded: then it is free, or another reservation has it.
CREATE FUNCTION keep_sold_seat() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM refunded_seats WHERE reservation_id = OLD.reservation_id AND seat = OLD.seat) THEN
        RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    IF NEW.reservation_id = OLD.reservation_id THEN
        RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

DROP TRIGGER seats_are_sold_once ON seats;
DROP TRIGGER seats_stay_sold ON seats;
CREATE TRIGGER seats_are_sold_once BEFORE UPDATE ON seats
    FOR EACH ROW WHEN (OLD.sold) EXECUTE FUNCTION keep_sold_seat('a sold seat never changes without a refund');
CREATE TRIGGER seats_stay_sold BEFORE DELETE ON seats
    FOR EACH ROW WHEN (OLD.sold) EXECUTE FUNCTION keep_sold_seat('a sold seat never becomes free without a refund');

-- Points. A payment has one entry of use, and one of refund for each of its refunds.
ALTER TABLE ledger DROP CONSTRAINT ledger_type_check, DROP CONSTRAINT ledger_amount_check;
ALTER TABLE ledger
    ADD CONSTRAINT ledger_type_check CHECK (type IN ('CHARGE', 'USE', 'REFUND', 'ADJUSTMENT')),
    ADD CONSTRAINT ledger_amount_check CHECK (amount >= 0 OR type = 'ADJUSTMENT'),
    ADD CONSTRAINT a_refund_names_its_payment CHECK (type <> 'REFUND' OR reference IS NOT NULL);

DROP INDEX ledger_by_payment;
CREATE UNIQUE INDEX ledger_by_payment ON ledger (user_id, reference) WHERE reference IS NOT NULL AND type = 'USE';
