//! Commands of staff: refused if the key of the caller was deleted, and written to the admin log with what they changed.

use std::sync::Arc;

use super::{Action, Actor, Fields, LogEntry, Subject};
use crate::ids::LogId;
use crate::rows::{Keys, Rows};
use crate::{Command, Context, Refusal};

/// A command that staff may give, with what the log shows of it.
pub trait Logged: Command {
    /// The action of its entry.
    const ACTION: Action;

    /// What it is about.
    fn subject(&self, done: &Self::Output) -> Subject;

    /// The fields that the command may change, as they are before it. Empty for a command that makes something new.
    fn before(&self, rows: &Rows) -> Fields;

    /// The same fields after it. Empty for a command that deletes something, or that did nothing.
    fn after(&self, done: &Self::Output) -> Fields;
}

/// A call of a member of the staff.
#[derive(Clone, Debug)]
pub struct Call {
    /// The member of the staff.
    pub actor: Actor,
    /// The `X-Request-Id` of the call.
    pub request: Arc<str>,
}

/// A command that a member of the staff gives. Decided as the command itself. One log entry is added if it changed
/// something.
#[derive(Clone, Debug)]
pub struct ByStaff<C> {
    /// Who gives it. Boxed, so that the jobs of a lane stay small.
    pub call: Box<Call>,
    /// What is to be done.
    pub command: C,
}

impl<C: Logged> Command for ByStaff<C> {
    type Output = C::Output;

    fn needs(&self, keys: &mut Keys) {
        keys.staff.extend(self.call.actor.key());
        self.command.needs(keys);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<C::Output, Refusal> {
        // The row of the key is locked until the commit. So either the deletion waits for this change, or this finds it.
        let is_live = |rows: &Rows, id| rows.staff_keys.get(&id).is_some_and(|key| key.deleted_at.is_none());
        if self.call.actor.key().is_some_and(|id| !is_live(rows, id)) {
            return Err(Refusal::StaffKeyEnded);
        }
        let before = self.command.before(rows);
        let done = self.command.decide(rows, cx)?;
        let (before, after) = changed(&before, &self.command.after(&done));
        if !before.is_empty() || !after.is_empty() {
            rows.admin_log.push(LogEntry {
                id: LogId::new(cx.ids.next(cx.at)),
                at: cx.at,
                actor: self.call.actor.clone(),
                action: C::ACTION,
                subject: self.command.subject(&done),
                before,
                after,
                request: self.call.request.clone(),
            });
        }
        Ok(done)
    }
}

/// Leaves out the fields that have the same value before and after.
fn changed(before: &Fields, after: &Fields) -> (Fields, Fields) {
    let differs = |field: &(&'static str, _), others: &Fields| !others.contains(field);
    let kept =
        |fields: &Fields, others: &Fields| fields.iter().filter(|field| differs(field, others)).cloned().collect();
    (kept(before, after), kept(after, before))
}
