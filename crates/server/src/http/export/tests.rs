//! Exports from a source that a test controls row by row.

use async_trait::async_trait;
use futures_util::StreamExt;
use onsale_app::store::{Applicant, ExportRow, ExportRows};
use onsale_domain::ids::{LectureId, UserId};
use onsale_domain::time::Timestamp;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::*;

/// One export: the rows that it sends, and its end.
struct Controlled(Mutex<Option<(ExportRows, oneshot::Sender<bool>)>>);

impl Controlled {
    /// Waits until an export has begun.
    async fn begun(&self) -> (ExportRows, oneshot::Sender<bool>) {
        loop {
            if let Some(begun) = self.0.lock().take() {
                return begun;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
impl Exports for Controlled {
    async fn export(&self, _: Export, rows: ExportRows) -> Result<(), StoreError> {
        let (end, ended) = oneshot::channel();
        *self.0.lock() = Some((rows, end));
        match ended.await {
            Ok(true) => Ok(()),
            _ => Err(StoreError::Unavailable("the test ended it".to_owned())),
        }
    }
}

fn row() -> ExportRow {
    let user = UserId::parse("ada").unwrap();
    ExportRow::Applicant(Applicant { seat_number: 1, user, applied_at: Timestamp::from_millis(0) })
}

const LINE: &str = "1,ada,1970-01-01T00:00:00.000Z\r\n";

fn wanted(version: Version) -> Wanted {
    Wanted { file_name: "list.csv".to_owned(), version }
}

async fn ready(exports: &CsvExports) -> Result<Ready, Problem> {
    exports.ready(Export::Applicants(LectureId::new(uuid::Uuid::nil())), false).await
}

fn exports() -> (Arc<Controlled>, CsvExports) {
    let source = Arc::new(Controlled(Mutex::default()));
    let exports = CsvExports { whole_within: Duration::from_millis(20), ..CsvExports::new(source.clone()) };
    (source, exports)
}

/// The bytes of a body, and whether it ended well.
async fn read(response: Response) -> (String, bool) {
    let mut body = response.into_body().into_data_stream();
    let mut text = String::new();
    while let Some(chunk) = body.next().await {
        match chunk {
            Ok(bytes) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
            Err(_) => return (text, false),
        }
    }
    (text, true)
}

#[tokio::test]
async fn an_answer_begins_before_the_list_is_read_and_is_cut_if_the_reading_fails() {
    for is_well in [true, false] {
        let (source, exports) = exports();
        let answering = exports.answer(ready(&exports).await.unwrap(), wanted(Version::HTTP_11));
        let (response, (rows, end)) = tokio::join!(answering, async {
            let (rows, end) = source.begun().await;
            rows.send(vec![row(); 3]).await.unwrap();
            (rows, end)
        });
        let response = response.unwrap();
        assert!(!response.headers().contains_key(CONTENT_LENGTH), "its end is not known");
        rows.send(vec![row(); 2]).await.unwrap();
        drop(rows);
        end.send(is_well).unwrap();
        let (text, ended) = read(response).await;
        assert_eq!(ended, is_well, "{text}");
        assert_eq!(text, format!("seatNumber,userId,appliedAt\r\n{}", LINE.repeat(5)));
    }
}

#[tokio::test]
async fn a_reading_that_fails_at_once_is_a_refusal() {
    let (source, exports) = exports();
    let answering = exports.answer(ready(&exports).await.unwrap(), wanted(Version::HTTP_11));
    let (response, ()) = tokio::join!(answering, async { drop(source.begun().await) });
    assert_eq!(response.unwrap_err().code, Code::Unavailable);
}

#[tokio::test]
async fn a_client_of_an_older_http_gets_the_whole_list_with_its_length() {
    let source = Arc::new(Controlled(Mutex::default()));
    // Any other answer begins before the list is read.
    let exports = CsvExports { whole_within: Duration::ZERO, ..CsvExports::new(source.clone()) };
    let answering = exports.answer(ready(&exports).await.unwrap(), wanted(Version::HTTP_10));
    let (response, ()) = tokio::join!(answering, async {
        let (rows, end) = source.begun().await;
        rows.send(vec![row()]).await.unwrap();
        rows.send(vec![row()]).await.unwrap();
        drop(rows);
        end.send(true).unwrap();
    });
    let response = response.unwrap();
    let length = response.headers()[CONTENT_LENGTH].to_str().unwrap().parse().unwrap();
    let (text, ended) = read(response).await;
    assert_eq!((ended, text.len()), (true, length));
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_reading_and_gives_its_permit_back() {
    let (source, exports) = exports();
    let (first, _second) = (ready(&exports).await.unwrap(), ready(&exports).await.unwrap());
    assert_eq!(ready(&exports).await.map(drop).unwrap_err().code, Code::Overloaded);
    let answering = exports.answer(first, wanted(Version::HTTP_11));
    let (response, (rows, end)) = tokio::join!(answering, async {
        let (rows, end) = source.begun().await;
        rows.send(vec![row()]).await.unwrap();
        (rows, end)
    });
    drop(response.unwrap());
    // The file takes no more rows once its reader is gone.
    while rows.send(vec![row()]).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(exports.permit().is_err(), "the reading has not ended");
    drop((rows, end));
    while exports.permit().is_err() {
        tokio::task::yield_now().await;
    }
}
