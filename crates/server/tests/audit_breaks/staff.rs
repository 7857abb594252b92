//! Changes by staff without their log entry that the audit must find.

use super::{Break, EXTERNAL, STAFF, broken};

#[rustfmt::skip]
pub(crate) const BREAKS: &[Break] = &[
    broken("INSERT INTO hold_extensions SELECT performance_id, 1, concert_id, version, x'000000000000000000000000000000ff', 9000000000000, 60, 1, 'late', 1 FROM performances WHERE performance_id = $performance", STAFF, "$performance: holds"),
    broken("UPDATE lectures SET cancelled_at = 1, cancel_reason = 'ill', cancelled_applications = 3 WHERE lecture_id = $lecture", STAFF, "$lecture: cancelled"),
    broken("INSERT INTO staff_sessions VALUES (zeroblob(32), x'000000000000000000000000000000ff', NULL, 1, 2)", STAFF, "session 00000000-0000-0000-0000-0000000000ff"),
    broken("INSERT INTO external_charges SELECT 'pay_1', user_id, version, amount, balance_after, created_at FROM ledger WHERE user_id = 'ada' AND version = 1", EXTERNAL, "pay_1"),
    broken("INSERT INTO external_charges SELECT 'pay_1', user_id, version, amount - 1, balance_after, created_at FROM ledger WHERE user_id = 'ada' AND version = 1;
            INSERT INTO admin_log VALUES (randomblob(16), 1, NULL, 'root', 'points.charged', 'user:ada', NULL, '{\"externalId\": \"pay_1\"}', 0, 'r')", EXTERNAL, "pay_1"),
];
