//! Whole lists as CSV, for staff. The rows are read in one transaction into a temporary file, and the client gets them from
//! there: a slow client holds no snapshot of the database open.

mod csv;
mod spool;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, Version};
use axum::response::{IntoResponse, Response};
use onsale_app::store::{Exports, StoreError};
use onsale_domain::staff::Export;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use self::spool::{Spool, Spooled, Writer};
use crate::http::openapi::Content;
use crate::http::reply::problem::{Code, Problem};

/// The media type of CSV, as `Accept` names it.
pub(crate) const CSV: &str = "text/csv";

/// Exports of one instance at a time. A further one is refused with `overloaded`. Each has a connection to the database and a
/// temporary file until its client has all of it.
const EXPORTS_MAX: usize = 2;

/// When a refused export may be tried again, in seconds.
const RETRY_SECONDS: u32 = 10;

/// An export that is read within this time is answered with its length. Beyond it the answer begins, and its end is not known.
const WHOLE_WITHIN: Duration = Duration::from_secs(2);

/// The longest time until the answer begins. Beyond it the answer is `unavailable`.
const BEGUN_WITHIN: Duration = Duration::from_secs(9);

/// Groups of rows that are read ahead of the file.
const AHEAD_MAX: usize = 4;

/// Makes exports, a bounded number at a time.
pub(crate) struct CsvExports {
    source: Arc<dyn Exports>,
    permits: Arc<Semaphore>,
    whole_within: Duration,
}

/// One of the exports that may be made at a time.
struct Permit {
    _permit: OwnedSemaphorePermit,
}

/// An export that may begin: it is one of those that may be made at a time, and its temporary file is there.
pub(crate) struct Ready {
    permit: Arc<Permit>,
    list: Export,
    writer: Writer,
    spool: Spool,
}

/// How a client wants the answer of an export.
pub(crate) struct Wanted {
    /// The name of the file in which a browser saves it.
    pub(crate) file_name: String,
    /// The version of HTTP of the request: before 1.1 an answer without a length cannot show that it was cut.
    pub(crate) version: Version,
}

impl CsvExports {
    pub(crate) fn new(source: Arc<dyn Exports>) -> Self {
        Self { source, permits: Arc::new(Semaphore::new(EXPORTS_MAX)), whole_within: WHOLE_WITHIN }
    }

    /// Makes the temporary file of an export. With `bom` it begins with a byte order mark, as Excel needs it to read UTF-8.
    ///
    /// # Errors
    /// `overloaded` if this instance makes as many exports as it may; `unavailable` if the temporary file cannot be made.
    pub(crate) async fn ready(&self, list: Export, bom: bool) -> Result<Ready, Problem> {
        let permit = Arc::new(self.permit()?);
        let (writer, spool) = Writer::create(list, bom).await.map_err(|error| not_spooled(&error))?;
        Ok(Ready { permit, list, writer, spool })
    }

    /// # Errors
    /// `overloaded` if this instance makes as many exports as it may.
    fn permit(&self) -> Result<Permit, Problem> {
        let permit = self.permits.clone().try_acquire_owned();
        let refused = |_| {
            let detail = "this instance makes as many exports as it may; nothing was done";
            Problem::new(Code::Overloaded).detail(detail).retry_after(RETRY_SECONDS)
        };
        permit.map(|permit| Permit { _permit: permit }).map_err(refused)
    }

    /// Begins to read a list, and answers with it. The permit is returned when the list is read and the answer has ended.
    ///
    /// # Errors
    /// `unavailable` if the list cannot be read or the temporary file cannot be written. Once the answer has begun, its
    /// connection is closed instead.
    pub(crate) async fn answer(&self, ready: Ready, wanted: Wanted) -> Result<Response, Problem> {
        let Ready { permit, list, writer, mut spool } = ready;
        tokio::spawn(fill(self.source.clone(), list, writer, permit.clone()));
        let must_be_whole = wanted.version < Version::HTTP_11;
        let length = match tokio::time::timeout(BEGUN_WITHIN, spool.begun(self.whole_within, must_be_whole)).await {
            Ok(Ok(Spooled { length, is_whole })) => is_whole.then_some(length),
            Ok(Err(())) | Err(_) => return Err(Problem::new(Code::Unavailable)),
        };
        let mut response = Body::from_stream(spool.into_stream(permit)).into_response();
        describe(&mut response, &wanted.file_name);
        if let Some(length) = length {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        Ok(response)
    }
}

/// The answer to HEAD: the headers of the answer to GET without its length, because no row is read.
pub(crate) fn head(file_name: &str) -> Response {
    let mut response = Response::default();
    describe(&mut response, file_name);
    response
}

/// Adds the media type and the name of the file to an answer.
fn describe(response: &mut Response, file_name: &str) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    if let Ok(disposition) = HeaderValue::try_from(format!("attachment; filename=\"{file_name}\"")) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
}

/// Reads a list and writes it to the file, until both have ended.
async fn fill(source: Arc<dyn Exports>, list: Export, writer: Writer, permit: Arc<Permit>) {
    let (sender, rows) = mpsc::channel(AHEAD_MAX);
    let (read, written) = tokio::join!(source.export(list, sender), writer.write(rows));
    match (read, written) {
        (Ok(()), Ok(whole)) => whole.end(),
        // The file first: if it cannot be written, the reading fails because of that.
        (_, Err(Some(error))) => drop(not_spooled(&error)),
        (_, Err(None)) => tracing::debug!("an export ended early: its client has gone away"),
        (Err(error), Ok(_)) => log_unread(&error),
    }
    drop(permit);
}

fn log_unread(error: &StoreError) {
    tracing::error!(%error, "failed to read a list for an export; its answer is cut");
}

/// Logs that the temporary file failed.
fn not_spooled(error: &io::Error) -> Problem {
    let folder = std::env::temp_dir();
    let folder = folder.display();
    tracing::error!(%error, %folder, "failed to write the temporary file of an export; free space there, or set TMPDIR");
    Problem::new(Code::Unavailable)
}

/// The description of a list as CSV.
pub(crate) fn content(example: &str) -> Content {
    Content::new::<String>(CSV, json!(example))
}
