-- Charges by staff under the id of another system, such as a payment provider. An id counts once for ever.
CREATE TABLE external_charges (
    external_id   TEXT    NOT NULL PRIMARY KEY CHECK (length(CAST(external_id AS BLOB)) BETWEEN 1 AND 255),
    user_id       TEXT    NOT NULL,
    version       INTEGER NOT NULL,
    amount        INTEGER NOT NULL CHECK (amount > 0),
    balance_after INTEGER NOT NULL CHECK (balance_after >= amount),
    charged_at    INTEGER NOT NULL,
    FOREIGN KEY (user_id, version) REFERENCES ledger
) STRICT, WITHOUT ROWID;

CREATE TRIGGER external_charges_are_never_rewritten BEFORE UPDATE ON external_charges
BEGIN SELECT raise(ABORT, 'an external id of a charge is never changed'); END;
CREATE TRIGGER external_charges_are_never_shortened BEFORE DELETE ON external_charges
BEGIN SELECT raise(ABORT, 'an external id of a charge is never deleted'); END;
