//! What is wrong with a request: a bounded list, however much is wrong.

use crate::http::reply::problem::FieldError;

/// The most errors that an answer lists. If there are more, the answer has their number.
pub(crate) const ERRORS_MAX: usize = 20;

/// The most bytes of a client's own text in an error. Longer text is cut and ends with an ellipsis.
const ECHOED_MAX: usize = 100;

/// Errors in the order in which they were found: the first [`ERRORS_MAX`], and how many there are in all.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    listed: Vec<FieldError>,
    count: usize,
}

impl Errors {
    /// Adds an error. Beyond [`ERRORS_MAX`] it is only counted.
    pub(crate) fn push(&mut self, field: &str, message: impl Into<String>) {
        self.count += 1;
        if self.listed.len() < ERRORS_MAX {
            self.listed.push(FieldError { field: echoed(field), message: message.into() });
        }
    }

    /// Adds the errors of a part of the request.
    pub(crate) fn append(&mut self, part: Self) {
        self.count += part.count;
        let room = ERRORS_MAX - self.listed.len();
        self.listed.extend(part.listed.into_iter().take(room));
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first error in words, with the bound if more were found than are listed.
    pub(crate) fn summary(&self) -> Option<String> {
        let FieldError { field, message } = self.listed.first()?;
        let listed = self.listed.len();
        Some(if self.count > listed {
            format!("{field}: {message} ({listed} of {} errors are listed)", self.count)
        } else {
            format!("{field}: {message}")
        })
    }

    /// The listed errors, at most [`ERRORS_MAX`].
    pub(crate) fn into_listed(self) -> Vec<FieldError> {
        self.listed
    }
}

/// A client's text as an answer repeats it: at most [`ECHOED_MAX`] bytes, and never empty.
fn echoed(text: &str) -> String {
    if text.is_empty() {
        return "\"\"".to_owned();
    }
    if text.len() <= ECHOED_MAX {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(ECHOED_MAX)])
}
