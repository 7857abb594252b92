//! Changes of blocked seats, prices and starts that the audit must find.

use super::{BLOCKED, Break, CHANGES, LAYOUTS, RESERVATIONS, SOLD, STAFF, TOLD, broken};

#[rustfmt::skip]
pub(crate) const BREAKS: &[Break] = &[
    broken("UPDATE performances SET sold = sold + 1 WHERE performance_id = $matinee", SOLD, "$matinee"),
    broken("UPDATE performances SET blocked = blocked + 1 WHERE performance_id = $matinee", BLOCKED, "$matinee"),
    broken("DELETE FROM seats WHERE block_reason IS NOT NULL", BLOCKED, "$matinee"),
    broken("UPDATE seats SET block_reason = 'why' WHERE seat = 7", BLOCKED, "$performance: 1 seats blocked, 0 counted, 1 of two kinds"),
    broken("UPDATE seats SET block_reason = 'why' WHERE seat = 10; UPDATE performances SET blocked = 1 WHERE performance_id = $performance", BLOCKED, "$performance: 1 seats blocked, 1 counted, 1 of two kinds"),
    broken("UPDATE seats SET block_reason = 'another' WHERE block_reason IS NOT NULL", STAFF, "$matinee: blockReason"),
    broken("UPDATE seats SET sold = 1 WHERE block_reason IS NOT NULL", BLOCKED, "$matinee: 1 seats blocked, 1 counted, 1 of two kinds"),
    broken("UPDATE performances SET blocked = 0 WHERE performance_id = $matinee", STAFF, "$matinee: blocked"),
    broken("DELETE FROM events WHERE type = 'onsale.seats.blocked.v1'", TOLD, "and 0 of onsale.seats.blocked.v1"),
    broken("DELETE FROM events WHERE type = 'onsale.performance.changed.v1' AND subject = '$matinee'", TOLD, "$matinee: "),
    broken("DELETE FROM admin_log WHERE action = 'seats.unblocked'", STAFF, "$matinee: blocked"),
    broken("UPDATE seats SET reservation_id = NULL, block_reason = 'why' WHERE reservation_id = $held AND seat = 10", RESERVATIONS, "$held"),
    broken("UPDATE performances SET sections = replace(sections, '60000', '60001') WHERE performance_id = $matinee", CHANGES, "$matinee"),
    broken(r#"INSERT INTO layouts VALUES ($matinee, '[{"name":"A","grade":"none","accessible":false,"rows":[["1",[1,4]]]}]')"#, LAYOUTS, "$matinee"),
    broken("UPDATE performances SET starts_at = starts_at + 1 WHERE performance_id = $matinee", CHANGES, "$matinee"),
];
