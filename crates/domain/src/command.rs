//! What every command has: the rows that it needs, its decision, and its result.

use crate::Refusal;
use crate::ids::Ids;
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;

/// A request to change something. Each command is a type of its own and names what it returns.
pub trait Command: Send + 'static {
    /// What the caller gets if the command is not refused.
    type Output: Send;

    /// Adds the rows that [`Command::decide`] reads or changes to `keys`.
    fn needs(&self, keys: &mut Keys);

    /// Applies the command to `rows`, or refuses it and changes nothing.
    ///
    /// # Errors
    /// The first refusal that applies, in the order of the contract.
    ///
    /// # Panics
    /// If a row that [`Command::needs`] did not name is read.
    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Self::Output, Refusal>;
}

/// What a decision gets as arguments, because it reads no clock, random source or network.
pub struct Context<'a> {
    /// The database's time, read after the rows were locked.
    pub at: Timestamp,
    /// The source of new ids.
    pub ids: &'a mut dyn Ids,
    /// How long a hold lasts, in seconds.
    pub hold_seconds: u32,
}

impl Context<'_> {
    /// This context with a time no earlier than the last change of a row (see [`Timestamp::not_before`]).
    pub(crate) fn not_before(&mut self, last_change: Option<Timestamp>) -> Context<'_> {
        let at = last_change.map_or(self.at, |last| self.at.not_before(last));
        Context { at, ids: self.ids, hold_seconds: self.hold_seconds }
    }
}
