//! What the admin log shows of blocked seats.

use std::sync::Arc;

use super::{Action, Fields, Logged, Subject, Value};
use crate::concert::{Block, Blocked, Unblock};
use crate::rows::Rows;

impl Logged for Block {
    const ACTION: Action = Action::SeatsBlocked;

    fn subject(&self, _: &Blocked) -> Subject {
        Subject::Performance(self.performance)
    }

    fn before(&self, _: &Rows) -> Fields {
        Fields::new()
    }

    fn after(&self, blocked: &Blocked) -> Fields {
        of_seats(blocked, &self.reason)
    }
}

impl Logged for Unblock {
    const ACTION: Action = Action::SeatsUnblocked;

    fn subject(&self, _: &Blocked) -> Subject {
        Subject::Performance(self.performance)
    }

    fn before(&self, _: &Rows) -> Fields {
        Fields::new()
    }

    fn after(&self, unblocked: &Blocked) -> Fields {
        of_seats(unblocked, &self.reason)
    }
}

/// The seats that changed; nothing if none did.
fn of_seats(changed: &Blocked, reason: &Arc<str>) -> Fields {
    if changed.seats.is_empty() {
        return Fields::new();
    }
    vec![("seats", Value::List(changed.seats.iter().map(|seat| (*seat).into()).collect())), ("reason", reason.into())]
}
