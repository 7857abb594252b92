//! A row: a kind of work that is prepared, measured and compared with a target.

use onsale_load_generator::Outcome;

use crate::machine::Machine;
use crate::results::{Results, Target};

/// The measured part of a row. It adds its lines to the results, and stops what the setup started.
pub(crate) type Work<'m> = Box<dyn FnOnce(&mut Results) -> Outcome<()> + 'm>;

/// The first part of a row: starts servers and prepares their data, which is not measured.
pub(crate) type Setup = for<'m> fn(&'m Machine, Target) -> Outcome<Work<'m>>;

/// A row of a table.
pub(crate) struct Row {
    /// What the command line selects it by.
    pub(crate) name: &'static str,
    /// A line for `list`.
    pub(crate) about: &'static str,
    /// What its main line must reach.
    pub(crate) target: Target,
    /// Prepares it, and returns the measured part.
    pub(crate) setup: Setup,
}

/// A row of a table.
pub(crate) const fn row(name: &'static str, about: &'static str, target: Target, setup: Setup) -> Row {
    Row { name, about, target, setup }
}

impl Row {
    /// Runs the row.
    ///
    /// # Errors
    /// If a server cannot be started, an answer is not an expected one, or the audit of the data finds a contradiction.
    pub(crate) fn run(&self, machine: &Machine, results: &mut Results) -> Outcome<()> {
        (self.setup)(machine, self.target)?(results)
    }
}
