//! What the admin log shows of check-ins. The check-ins themselves are not in it: each has a row with the key that made it.

use super::{Action, Fields, Logged, Subject, Value};
use crate::rows::Rows;
use crate::ticket::{Undo, Undone};

impl Logged for Undo {
    const ACTION: Action = Action::CheckInUndone;

    fn subject(&self, _: &Undone) -> Subject {
        Subject::Performance(self.performance)
    }

    fn before(&self, _: &Rows) -> Fields {
        Fields::new()
    }

    /// Empty if the check-in did not count any more: then nothing was changed.
    fn after(&self, undone: &Undone) -> Fields {
        let Undone { check_in, is_new: true } = undone else { return Fields::new() };
        vec![
            ("checkInId", Value::Text(check_in.id.to_string().into())),
            ("ticketId", check_in.ticket.map_or(Value::Null, |ticket| Value::Text(ticket.to_string().into()))),
            ("seat", check_in.seat.into()),
            ("device", (&check_in.device).into()),
            ("checkedInAt", check_in.at.into()),
        ]
    }
}
