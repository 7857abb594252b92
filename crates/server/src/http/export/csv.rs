//! Rows as CSV: RFC 4180, UTF-8, CRLF, a header row with the names of the JSON.

use std::borrow::Cow;
use std::io;

use onsale_app::calendar::rfc3339;
use onsale_app::store::{Applicant, Attendee, ExportRow};
use onsale_domain::staff::Export;

/// By this mark Excel reads a file as UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Bytes that are written at once.
const BUFFER: usize = 64 * 1024;

/// A program for spreadsheets runs a cell as a formula if it begins with one of these, or with one of them after a character that
/// it skips.
const FORMULA: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\0'];

/// The header row of a list.
pub(super) fn header(list: Export) -> &'static [&'static str] {
    match list {
        Export::Attendees(_) => &["seat", "grade", "userId", "paymentId", "paidAt", "checkedInAt"],
        Export::Applicants(_) => &["seatNumber", "userId", "appliedAt"],
    }
}

/// Writes rows to `W`.
pub(super) struct CsvWriter<W: io::Write>(csv::Writer<W>);

impl<W: io::Write> CsvWriter<W> {
    /// Writes the mark, if it is wanted, and the header row.
    pub(super) fn begin(mut to: W, list: Export, bom: bool) -> io::Result<Self> {
        if bom {
            to.write_all(BOM)?;
        }
        let mut builder = csv::WriterBuilder::new();
        let mut writer = builder.terminator(csv::Terminator::CRLF).buffer_capacity(BUFFER).from_writer(to);
        writer.write_record(header(list)).map_err(io::Error::from)?;
        Ok(Self(writer))
    }

    pub(super) fn row(&mut self, row: &ExportRow) -> io::Result<()> {
        match row {
            ExportRow::Attendee(Attendee { seat, grade, user, payment, paid_at, checked_in_at }) => self.record(&[
                &seat.to_string(),
                grade,
                user.as_str(),
                &payment.to_string(),
                &rfc3339(*paid_at),
                &checked_in_at.map_or_else(String::new, rfc3339),
            ]),
            ExportRow::Applicant(Applicant { seat_number, user, applied_at }) => {
                self.record(&[&seat_number.to_string(), user.as_str(), &rfc3339(*applied_at)])
            }
        }
    }

    fn record(&mut self, cells: &[&str]) -> io::Result<()> {
        for cell in cells {
            self.0.write_field(&*guarded(cell)).map_err(io::Error::from)?;
        }
        // Ends the record.
        self.0.write_record(None::<&[u8]>).map_err(io::Error::from)
    }

    /// Passes on what is not written yet.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    pub(super) fn get_ref(&self) -> &W {
        self.0.get_ref()
    }
}

/// The cell with a leading `'` if it would be run as a formula.
fn guarded(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(FORMULA) { format!("'{cell}").into() } else { cell.into() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use onsale_domain::ids::{PaymentId, PerformanceId, UserId};
    use onsale_domain::time::Timestamp;
    use proptest::prelude::*;

    use super::*;

    const LIST: Export = Export::Attendees(PerformanceId::new(uuid::Uuid::nil()));

    fn attendee(grade: &str, user: &str) -> ExportRow {
        ExportRow::Attendee(Attendee {
            seat: 7,
            grade: Arc::from(grade),
            user: UserId::parse(user).unwrap(),
            payment: PaymentId::new(uuid::Uuid::from_u128(1)),
            paid_at: Timestamp::from_millis(1_795_345_933_456),
            checked_in_at: None,
        })
    }

    fn written(rows: &[ExportRow], bom: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = CsvWriter::begin(&mut bytes, LIST, bom).unwrap();
        for row in rows {
            writer.row(row).unwrap();
        }
        writer.flush().unwrap();
        drop(writer);
        bytes
    }

    #[test]
    fn rows_are_in_the_form_of_rfc_4180() {
        let rest = format!("{},2026-11-22T11:12:13.456Z,\r\n", uuid::Uuid::from_u128(1));
        let head = "seat,grade,userId,paymentId,paidAt,checkedInAt\r\n";
        for (grade, user, cells) in [
            ("R", "42", "7,R,42,"),
            ("VIP, front", "a_b", "7,\"VIP, front\",a_b,"),
            ("so-called \"R\"", "x", "7,\"so-called \"\"R\"\"\",x,"),
            ("two\nlines", "x", "7,\"two\nlines\",x,"),
            ("특별석", "x", "7,특별석,x,"),
            ("=1+1", "-1", "7,'=1+1,'-1,"),
            ("=a,b", "x", "7,\"'=a,b\",x,"),
        ] {
            let text = String::from_utf8(written(&[attendee(grade, user)], false)).unwrap();
            assert_eq!(text, format!("{head}{cells}{rest}"));
        }
        assert_eq!(written(&[], false), head.as_bytes());
        assert_eq!(written(&[], true), [BOM, head.as_bytes()].concat());
    }

    #[test]
    fn a_cell_that_would_be_a_formula_begins_with_an_apostrophe() {
        for first in FORMULA {
            assert_eq!(guarded(&format!("{first}cmd")), format!("'{first}cmd"), "{first:?}");
        }
        for plain in ["", "R", "a=b", "1-2", "'x", " =1", "\n=1"] {
            assert_eq!(guarded(plain), plain, "{plain:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(grades in prop::collection::vec(any::<String>(), 0..20)) {
            let rows: Vec<_> = grades.iter().map(|grade| attendee(grade, "ada")).collect();
            let bytes = written(&rows, false);
            let mut reader = csv::ReaderBuilder::new().from_reader(&*bytes);
            prop_assert_eq!(reader.headers().unwrap(), header(LIST));
            let read: Vec<_> = reader.records().map(|record| record.unwrap()).collect();
            prop_assert_eq!(read.len(), grades.len());
            for (grade, record) in grades.iter().zip(&read) {
                let cell = &record[1];
                prop_assert!(!cell.starts_with(FORMULA));
                let value = if grade.starts_with(FORMULA) { cell.strip_prefix('\'') } else { Some(cell) };
                prop_assert_eq!(value, Some(&**grade));
                prop_assert_eq!((&record[0], &record[2], &record[5]), ("7", "ada", ""));
            }
        }
    }
}
