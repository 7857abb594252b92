//! Changes of tickets and check-ins that the audit must find.

use super::{Break, CHECK_INS, FAMILIES, SOURCES, TICKETS, broken};

#[rustfmt::skip]
pub(crate) const BREAKS: &[Break] = &[
    broken("DELETE FROM void_tickets WHERE payment_id = $purchase", TICKETS, "$purchase: a refunded seat has no void ticket"),
    broken("UPDATE void_tickets SET why = 'reissued' WHERE payment_id = $purchase", TICKETS, "$purchase"),
    broken("UPDATE void_tickets SET ticket_id = randomblob(16) WHERE payment_id = $purchase", TICKETS, "$purchase: the void ticket of a refunded seat"),
    broken("UPDATE void_tickets SET seat = seat + 1000 WHERE payment_id = $purchase", TICKETS, "$purchase: a refunded seat has no void ticket"),
    broken("UPDATE void_tickets SET payment_id = x'000000000000000000000000000000ff' WHERE payment_id = $purchase", FAMILIES, "void_tickets without their payments"),
    broken("DELETE FROM void_tickets WHERE payment_id = $purchase", SOURCES, "onsale.ticket.voided.v1"),
    broken("INSERT INTO check_ins SELECT randomblob(16), performance_id, randomblob(16), 1, payment_id, 's', 'd', 1, 1, 0, 'ADMITTED', NULL, NULL, 'COUNTS', 0, NULL, 'root' FROM payments WHERE payment_id = $purchase", CHECK_INS, "$purchase: a scan is of no ticket"),
    broken("INSERT INTO check_ins SELECT randomblob(16), x'000000000000000000000000000000ff', NULL, NULL, NULL, 's', 'd', 1, 1, 0, 'INVALID', NULL, NULL, 'REFUSED', 0, NULL, 'root' FROM payments WHERE payment_id = $purchase", FAMILIES, "check_ins without their performances"),
];
