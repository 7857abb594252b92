//! Waiting lists that are not what their histories lead to.

/// A user waits for the lecture `two`, with the line of history and its event.
macro_rules! waits {
    ($more:literal) => {
        concat!(
            "UPDATE lectures SET waitlisted = 1, version = 1, written_version = 1 WHERE lecture_id = id(11);
             INSERT INTO applications VALUES (id(11), 'ben', NULL, 1, 1);
             INSERT INTO waiting_blocks VALUES (id(11), 0, 1);
             INSERT INTO lecture_history VALUES (id(11), 1, id(96), 'ben', 'WAITLISTED', NULL, 1, 1);
             INSERT INTO events VALUES ('onsale.lectures', id(11)::text, 1, id(96), 96, 'onsale.lecture.waitlisted.v1', 1,
                 json_build_object('lectureId', id(11), 'userId', 'ben', 'position', 1));",
            $more
        )
    };
}

/// Statements, each with parts of the texts of the invariants that they break.
pub(crate) const WRONGS: &[(&str, &[&str])] = &[
    (waits!(""), &[]),
    (waits!("UPDATE lectures SET waitlisted = 2 WHERE lecture_id = id(11)"), &["every waiting list"]),
    (waits!("UPDATE applications SET waiting_number = 2 WHERE seat_number IS NULL"), &["every waiting list"]),
    (waits!("UPDATE waiting_blocks SET entries = 2"), &["every waiting list"]),
    (waits!("DELETE FROM applications WHERE seat_number IS NULL"), &["every waiting list"]),
    (
        waits!("UPDATE lecture_history SET position = 2 WHERE line_id = id(96)"),
        &["history has its event", "every waiting list"],
    ),
    (waits!("UPDATE events SET type = 'onsale.lecture.left.v1' WHERE event_id = id(96)"), &["history has its event"]),
];
