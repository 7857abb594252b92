//! Waiting lists of lectures that the audit must find to be wrong. `yan` and `zed` wait, with the numbers 4 and 5.

use super::{Break, CAPACITY, LECTURE_EVENTS, WAITING, broken};

#[rustfmt::skip]
pub(crate) const BREAKS: &[Break] = &[
    broken("UPDATE lectures SET waitlisted = 3 WHERE lecture_id = $waited", WAITING, "$waited: 2 users wait, 3 counted"),
    broken("DELETE FROM applications WHERE user_id = 'zed'", WAITING, "$waited: 1 users wait, 2 counted"),
    broken("DELETE FROM applications WHERE user_id = 'zed'; UPDATE lectures SET waitlisted = 1 WHERE lecture_id = $waited", WAITING, "$waited"),
    broken("INSERT INTO applications VALUES ($waited, 'zoe', NULL, 0, 9); UPDATE lectures SET waitlisted = 3 WHERE lecture_id = $waited", WAITING, "$waited"),
    broken("UPDATE applications SET waiting_number = 9 - waiting_number WHERE user_id IN ('yan', 'zed')", WAITING, "$waited"),
    broken("UPDATE waiting_blocks SET entries = entries + 1 WHERE lecture_id = $waited", WAITING, "$waited"),
    broken("DELETE FROM waiting_blocks WHERE lecture_id = $waited", WAITING, "$waited"),
    broken("UPDATE applications SET seat_number = NULL, waiting_number = 2 WHERE user_id = 'wes'", CAPACITY, "$waited"),
    broken("UPDATE lecture_history SET user_id = 'yan' WHERE lecture_id = $waited AND version = 8", WAITING, "$waited"),
    broken("UPDATE lecture_history SET type = 'APPLIED' WHERE lecture_id = $waited AND version = 8", WAITING, "$waited"),
    broken("UPDATE lecture_history SET position = 7 WHERE lecture_id = $waited AND version = 3", WAITING, "$waited"),
    broken("DELETE FROM lecture_history WHERE lecture_id = $waited AND version = 6", WAITING, "$waited"),
    broken("UPDATE events SET data = json_set(data, '$.position', 9) WHERE subject = '$waited' AND version = 3", LECTURE_EVENTS, "$waited, line 3"),
    broken("UPDATE events SET type = 'onsale.lecture.applied.v1' WHERE subject = '$waited' AND version = 8", LECTURE_EVENTS, "$waited, line 8"),
    broken("DELETE FROM events WHERE subject = '$waited' AND version = 6", LECTURE_EVENTS, "$waited, line 6"),
];
