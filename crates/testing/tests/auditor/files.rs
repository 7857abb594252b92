//! A log that is written to a file and read back is the same.

use onsale_testing::auditor::{Fault, Log, Lost, audit};

use crate::scribe::honest;

#[test]
fn a_log_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answers.ndjson");
    let mut log = honest();
    log.faults.push(Fault { lost: Lost::Memory, from: 1, until: 2 });
    log.write(&path).unwrap();
    let read = Log::read(&path).unwrap();
    assert_eq!(read, log);
    assert_eq!(audit(&read).to_string(), audit(&log).to_string());
}

#[test]
fn a_file_that_is_no_log_is_refused_with_the_wrong_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answers.ndjson");
    honest().write(&path).unwrap();
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("{\"instance\":0}\n");
    std::fs::write(&path, text).unwrap();
    let error = Log::read(&path).unwrap_err().to_string();
    assert!(error.starts_with("line 26:"), "{error}");
}
