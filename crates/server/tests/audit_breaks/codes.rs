//! Uses of presale codes that the audit must find. Ada has paid and Cyd holds, each without a code.

use super::{Break, CODES, FAMILIES, broken};

#[rustfmt::skip]
pub(crate) const BREAKS: &[Break] = &[
    broken("INSERT INTO codes SELECT concert_id, 'FAN', randomblob(16), 5, 5, NULL, NULL, 1, 1 FROM concerts WHERE concert_id = $concert", CODES, "$concert, code FAN: 0 of 5 used, by one user 0 of 5, 0 stored and 1 counted"),
    broken("INSERT INTO codes SELECT concert_id, 'FAN', x'0d000000000000000000000000000000', 1, 5, NULL, NULL, 2, 1 FROM concerts WHERE concert_id = $concert; INSERT INTO code_uses VALUES ($paid, x'0d000000000000000000000000000000'), ($held, x'0d000000000000000000000000000000')", CODES, "$concert, code FAN: 2 of 1 used"),
    broken("INSERT INTO codes SELECT concert_id, 'FAN', x'0d000000000000000000000000000000', 5, 1, NULL, NULL, 2, 1 FROM concerts WHERE concert_id = $concert; INSERT INTO code_uses VALUES ($paid, x'0d000000000000000000000000000000'), ($held, x'0d000000000000000000000000000000'); UPDATE reservations SET user_id = 'ada' WHERE reservation_id = $held", CODES, "by one user 2 of 1"),
    broken("INSERT INTO codes SELECT concert_id, 'FAN', x'0d000000000000000000000000000000', 5, 1, NULL, NULL, 1, 1 FROM concerts WHERE concert_id = $line; INSERT INTO code_uses VALUES ($paid, x'0d000000000000000000000000000000')", CODES, "$line, code FAN: 1 of 5 used, by one user 1 of 1, 1 stored and 1 counted, 1 of other concerts"),
    broken("INSERT INTO codes VALUES (x'0e000000000000000000000000000000', 'FAN', x'0d000000000000000000000000000000', 5, 1, NULL, NULL, 0, 1)", FAMILIES, "codes without their concerts"),
    broken("INSERT INTO code_uses VALUES (x'0e000000000000000000000000000000', x'0d000000000000000000000000000000')", FAMILIES, "code_uses without their reservations"),
];
