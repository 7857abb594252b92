//! Lectures whose places, history or events do not agree, that the audit must find.

use super::{Break, CAPACITY, HIGHEST, HISTORY, HOLES, LECTURE_CHANGES, LECTURE_EVENTS, LECTURE_SEATS, broken};

#[rustfmt::skip]
pub(crate) const BREAKS: &[Break] = &[
    broken("UPDATE lectures SET capacity = 2 WHERE lecture_id = $lecture", CAPACITY, "$lecture"),
    broken("UPDATE lectures SET enrolled = enrolled + 1 WHERE lecture_id = $lecture", CAPACITY, "$lecture"),
    broken("UPDATE applications SET seat_number = 1 WHERE user_id = 'cyd'", LECTURE_SEATS, "$lecture"),
    broken("UPDATE applications SET seat_number = 6 WHERE user_id = 'cyd'", LECTURE_SEATS, "$lecture"),
    broken("UPDATE lectures SET highest_capacity = 3 WHERE lecture_id = $lecture", HIGHEST, "$lecture"),
    broken("UPDATE lectures SET changes = 1, version = version + 1 WHERE lecture_id = $lecture", LECTURE_CHANGES, "$lecture"),
    broken("DELETE FROM freed_seats", HOLES, "$lecture"),
    broken("UPDATE lectures SET seats_given = 5 WHERE lecture_id = $lecture", HOLES, "$lecture"),
    broken("INSERT INTO freed_seats VALUES ($lecture, 1)", HOLES, "$lecture"),
    broken("DELETE FROM lecture_history WHERE version = 2", HISTORY, "$lecture"),
    broken("DELETE FROM lecture_history WHERE version = 5", HISTORY, "$lecture"),
    broken("UPDATE lecture_history SET user_id = 'zoe' WHERE version = 1", HISTORY, "$lecture"),
    broken("DELETE FROM applications WHERE user_id = 'ada'", HISTORY, "$lecture"),
    broken("INSERT INTO applications VALUES ($lecture, 'zoe', 5, 0, NULL)", HISTORY, "$lecture"),
    broken("DELETE FROM events WHERE subject = '$lecture' AND version = 3", LECTURE_EVENTS, "$lecture, line 3"),
    broken("UPDATE events SET data = json_set(data, '$.seatNumber', 4) WHERE subject = '$lecture' AND version = 1", LECTURE_EVENTS, "$lecture, line 1"),
];
