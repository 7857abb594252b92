//! Exports of whole lists by staff. They change nothing, but they leave a log entry: such a file has the names of all buyers.

use super::{Action, Fields, Logged, Subject};
use crate::ids::{LectureId, PerformanceId};
use crate::rows::{Keys, Rows};
use crate::{Command, Context, Refusal};

/// A list that can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Export {
    /// The attendees of a performance.
    Attendees(PerformanceId),
    /// The applicants of a lecture.
    Applicants(LectureId),
}

/// Writes that a list is exported to the admin log. Decided before the first row is read.
#[derive(Clone, Copy, Debug)]
pub struct NoteExport(pub Export);

impl Command for NoteExport {
    type Output = ();

    /// No row but that of the key: an export must not wait for the locks of a sale.
    fn needs(&self, _: &mut Keys) {}

    fn decide(&self, _: &mut Rows, _: &mut Context<'_>) -> Result<(), Refusal> {
        Ok(())
    }
}

impl Logged for NoteExport {
    const ACTION: Action = Action::ListExported;

    fn subject(&self, (): &()) -> Subject {
        match self.0 {
            Export::Attendees(performance) => Subject::Performance(performance),
            Export::Applicants(lecture) => Subject::Lecture(lecture),
        }
    }

    fn before(&self, _: &Rows) -> Fields {
        Fields::new()
    }

    fn after(&self, (): &()) -> Fields {
        let list = match self.0 {
            Export::Attendees(_) => "attendees",
            Export::Applicants(_) => "applicants",
        };
        vec![("list", list.into())]
    }
}
