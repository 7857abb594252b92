//! Changes by staff without their log entry, and wrong counts of keys, that the audit must find.

use super::{Break, DIRECTORY, EXTERNAL, STAFF, broken};

#[rustfmt::skip]
pub(crate) const BREAKS: &[Break] = &[
    broken("UPDATE rooms SET paused = 0 WHERE concert_id = $line", STAFF, "$line: paused"),
    broken("UPDATE rooms SET max_active = 7 WHERE concert_id = $concert", STAFF, "$concert: maxActive"),
    broken("DELETE FROM admin_log WHERE action = 'queue.changed'", STAFF, "$line: paused"),
    broken("UPDATE performances SET closed = 1 WHERE performance_id = $performance", STAFF, "$performance"),
    broken("UPDATE concerts SET notice_en = 'unsaid' WHERE concert_id = $concert", STAFF, "$concert: notice"),
    broken("UPDATE lectures SET title = 'another' WHERE lecture_id = $lecture", STAFF, "$lecture: title"),
    broken("UPDATE lectures SET starts_at = starts_at + 1 WHERE lecture_id = $lecture", STAFF, "$lecture: startsAt"),
    broken("DELETE FROM admin_log WHERE action = 'lecture.created'", STAFF, "$lecture: created"),
    broken("INSERT INTO admin_log SELECT randomblob(16), at, key_id, actor, action, subject, before, after, truncated, request_id FROM admin_log WHERE action = 'lecture.created'", STAFF, "$lecture: created"),
    broken("INSERT INTO lectures (lecture_id, title, lecturer, starts_at, capacity, enrolled, seats_given, version, updated_at, highest_capacity) SELECT x'0fffffffffff7000800000000000000f', title, lecturer, starts_at, capacity, 0, 0, 0, updated_at, highest_capacity FROM lectures LIMIT 1", STAFF, "0fffffff-ffff-7000-8000-00000000000f: created"),
    broken("DELETE FROM admin_log WHERE action = 'concert.created'", STAFF, "$concert: created"),
    broken("UPDATE concerts SET title = 'another' WHERE concert_id = $concert", STAFF, "$concert: title"),
    broken("UPDATE concerts SET venue = 'elsewhere' WHERE concert_id = $concert", STAFF, "$concert: venue"),
    broken("DELETE FROM admin_log WHERE action = 'performance.created'", STAFF, "$performance: created"),
    broken("UPDATE performances SET starts_at = starts_at + 1 WHERE performance_id = $performance", STAFF, "$performance: startsAt"),
    broken("UPDATE performances SET sections = replace(sections, '50000', '49999') WHERE performance_id = $performance", STAFF, "$performance: seats"),
    broken("INSERT INTO staff_keys VALUES (x'000000000000000000000000000000ff', 'eve', 'owner', zeroblob(32), 1, NULL)", STAFF, "key 00000000-0000-0000-0000-0000000000ff"),
    broken("INSERT INTO staff_keys VALUES (x'000000000000000000000000000000ff', 'eve', 'owner', zeroblob(32), 1, NULL)", DIRECTORY, "1 keys are not deleted, 0 are counted"),
    broken("UPDATE staff_directory SET live = 1", DIRECTORY, "0 keys are not deleted, 1 are counted"),
    broken("INSERT INTO hold_extensions SELECT performance_id, 1, concert_id, version, x'000000000000000000000000000000ff', 9000000000000, 60, 1, 'late', 1 FROM performances WHERE performance_id = $performance", STAFF, "$performance: holds"),
    broken("UPDATE lectures SET cancelled_at = 1, cancel_reason = 'ill', cancelled_applications = 3 WHERE lecture_id = $lecture", STAFF, "$lecture: cancelled"),
    broken("INSERT INTO staff_sessions VALUES (zeroblob(32), x'000000000000000000000000000000ff', NULL, 1, 2)", STAFF, "session 00000000-0000-0000-0000-0000000000ff"),
    broken("INSERT INTO external_charges SELECT 'pay_1', user_id, version, amount, balance_after, created_at FROM ledger WHERE user_id = 'ada' AND version = 1", EXTERNAL, "pay_1"),
    broken("INSERT INTO external_charges SELECT 'pay_1', user_id, version, amount - 1, balance_after, created_at FROM ledger WHERE user_id = 'ada' AND version = 1;
            INSERT INTO admin_log VALUES (randomblob(16), 1, NULL, 'root', 'points.charged', 'user:ada', NULL, '{\"externalId\": \"pay_1\"}', 0, 'r')", EXTERNAL, "pay_1"),
];
