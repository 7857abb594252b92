-- Charges by staff under the id of another system, such as a payment provider. An id counts once for ever.
CREATE TABLE external_charges (
    external_id   text COLLATE "C" NOT NULL PRIMARY KEY CHECK (octet_length(external_id) BETWEEN 1 AND 255),
    user_id       text COLLATE "C" NOT NULL,
    version       bigint NOT NULL,
    amount        bigint NOT NULL CHECK (amount > 0),
    balance_after bigint NOT NULL CHECK (balance_after >= amount),
    charged_at    bigint NOT NULL
);

CREATE TRIGGER external_charges_are_kept BEFORE UPDATE OR DELETE ON external_charges
    FOR EACH ROW EXECUTE FUNCTION refuse('an external id of a charge is never changed or deleted');
CREATE TRIGGER external_charges_are_never_emptied BEFORE TRUNCATE ON external_charges
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('an external id of a charge is never deleted');
