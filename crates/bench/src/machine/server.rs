//! The program, started for one row.

use std::path::Path;

use onsale_load_generator::{Admin, Outcome, Program};

/// A running server and its administrator.
pub(crate) struct Server {
    pub(crate) program: Program,
    pub(crate) admin: Admin,
}

impl Server {
    /// Starts the program in a new folder.
    pub(crate) fn start(program: &Path, flags: &[&str], environment: &[(&str, &str)]) -> Outcome<Self> {
        Self::start_under(&[], program, flags, environment)
    }

    /// [`Server::start`] by a command line that begins with these words.
    pub(crate) fn start_under(
        prefix: &[String],
        program: &Path,
        flags: &[&str],
        environment: &[(&str, &str)],
    ) -> Outcome<Self> {
        let arguments: Vec<&str> = ["serve", "--log", "warn"].iter().chain(flags).copied().collect();
        let program = Program::start_under(prefix, program, &arguments, environment)?;
        let admin = Admin::of(program.address());
        Ok(Self { program, admin })
    }

    /// Stops it, then audits its database.
    ///
    /// # Errors
    /// If it does not end with success, or the audit finds a contradiction.
    pub(crate) fn finish(&mut self) -> Outcome<()> {
        let status = self.program.stop()?;
        if !status.success() {
            return Err(format!("the server ended with {status}").into());
        }
        let audit = self.program.run(&["audit"])?;
        if !audit.status.success() {
            let lines = String::from_utf8_lossy(&audit.stdout).into_owned();
            return Err(format!("the audit ended with {}:\n{lines}", audit.status).into());
        }
        Ok(())
    }
}
