//! A log in a file: one JSON object a line. The first describes the room, each other one an answer.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Error, ErrorKind, Result, Write};
use std::num::NonZeroU32;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Asked, Fault, Log, Lost, Opening, Record, Room, Standing, instant, millis_of};

const ASKED: [(Asked, &str); 6] = [
    (Asked::Enter, "enter"),
    (Asked::Poll, "poll"),
    (Asked::Leave, "leave"),
    (Asked::Use, "use"),
    (Asked::Hold, "hold"),
    (Asked::Pay, "pay"),
];

const STANDINGS: [(Standing, &str); 4] = [
    (Standing::Early, "EARLY"),
    (Standing::Waiting, "WAITING"),
    (Standing::Active, "ACTIVE"),
    (Standing::Expired, "EXPIRED"),
];

const LOST: [(Lost, &str); 2] = [(Lost::Time, "time"), (Lost::Memory, "memory")];

pub(super) fn word(asked: Asked) -> &'static str {
    ASKED.iter().find(|(known, _)| *known == asked).map_or("?", |(_, word)| word)
}

pub(super) fn status(standing: Standing) -> &'static str {
    STANDINGS.iter().find(|(known, _)| *known == standing).map_or("?", |(_, word)| word)
}

/// A token id in the format of the contract.
pub(super) fn uuid(token: u128) -> String {
    let digits = format!("{token:032x}");
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

/// The number of a token id; 0 if the text is not a token id.
pub(super) fn token_of(text: &str) -> u128 {
    let mut token = 0_u128;
    let mut digits = 0;
    for byte in text.bytes().filter(|byte| *byte != b'-') {
        let Some(digit) = char::from(byte).to_digit(16) else { return 0 };
        token = token << 4 | u128::from(digit);
        digits += 1;
    }
    if digits == 32 { token } else { 0 }
}

pub(super) fn standing_of(text: &str) -> Option<Standing> {
    STANDINGS.iter().find(|(_, word)| *word == text).map(|(standing, _)| *standing)
}

impl Log {
    /// Writes the log to a file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        let Room { max_active, admit_per_second, active_seconds, claim_seconds, .. } = self.room;
        let faults: Vec<Value> = self.faults.iter().map(fault).collect();
        let head = json!({
            "maxActive": max_active, "admitPerSecond": admit_per_second, "activeSeconds": active_seconds,
            "claimSeconds": claim_seconds, "asOfMillisMax": self.room.as_of_millis_max,
            "showsMillisMax": self.room.shows_millis_max, "clocksDifferMillis": self.room.clocks_differ_millis, "beganAt": instant(self.began_at), "faults": faults,
            "opening": self.opening.as_ref().map(Opening::to_json),
        });
        writeln!(file, "{head}")?;
        for record in &self.records {
            writeln!(file, "{}", self.line(record))?;
        }
        file.flush()
    }

    fn line(&self, record: &Record) -> Value {
        let mut line = json!({
            "instance": record.instance, "asked": word(record.asked), "user": self.name(record.user),
            "sent": record.sent, "answered": record.answered, "code": record.code,
        });
        if record.token != 0 {
            line["tokenId"] = json!(uuid(record.token));
        }
        if let Some(standing) = record.standing {
            line["status"] = json!(status(standing));
        }
        if let Some(position) = record.position {
            line["position"] = json!(position);
        }
        let instants = [("asOf", record.as_of), ("issuedAt", record.issued_at), ("activeUntil", record.active_until)];
        for (name, at) in instants {
            if let Some(at) = at {
                line[name] = json!(instant(at));
            }
        }
        line
    }

    /// Reads a log from a file.
    ///
    /// # Errors
    /// If the file cannot be read, or if a line was not written by [`Log::write`].
    pub fn read(path: &Path) -> Result<Self> {
        let mut log: Option<Self> = None;
        for (number, line) in BufReader::new(File::open(path)?).lines().enumerate() {
            let line: Value = serde_json::from_str(&line?)?;
            let odd = || Error::new(ErrorKind::InvalidData, format!("line {}: {line}", number + 1));
            let line = line.as_object().ok_or_else(odd)?;
            match &mut log {
                None => log = Some(head(line).ok_or_else(odd)?),
                Some(log) => log.read_record(line).ok_or_else(odd)?,
            }
        }
        log.ok_or_else(|| Error::new(ErrorKind::InvalidData, "the file is empty"))
    }

    fn read_record(&mut self, line: &Map<String, Value>) -> Option<()> {
        let text = |name: &str| line.get(name).and_then(Value::as_str);
        let at = |name: &str| text(name).and_then(millis_of);
        let asked = ASKED.iter().find(|(_, word)| Some(*word) == text("asked"))?.0;
        let position = line.get("position").and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
        let record = Record {
            instance: number(line, "instance")?,
            asked,
            code: number(line, "code")?,
            user: self.user(text("user")?),
            token: text("tokenId").map_or(0, token_of),
            sent: number(line, "sent")?,
            answered: number(line, "answered")?,
            standing: text("status").and_then(standing_of),
            position: position.and_then(NonZeroU32::new),
            as_of: at("asOf"),
            issued_at: at("issuedAt"),
            active_until: at("activeUntil"),
        };
        self.records.push(record);
        Some(())
    }
}

fn fault(fault: &Fault) -> Value {
    let lost = LOST.iter().find(|(known, _)| *known == fault.lost).map_or("?", |(_, word)| word);
    json!({"lost": lost, "from": fault.from, "until": fault.until})
}

fn number<T: TryFrom<u64>>(line: &Map<String, Value>, name: &str) -> Option<T> {
    line.get(name)?.as_u64()?.try_into().ok()
}

fn head(line: &Map<String, Value>) -> Option<Log> {
    let room = Room {
        max_active: number(line, "maxActive")?,
        admit_per_second: number(line, "admitPerSecond")?,
        active_seconds: number(line, "activeSeconds")?,
        claim_seconds: number(line, "claimSeconds")?,
        as_of_millis_max: number(line, "asOfMillisMax")?,
        shows_millis_max: number(line, "showsMillisMax")?,
        clocks_differ_millis: number(line, "clocksDifferMillis")?,
    };
    let mut log = Log::new(room, millis_of(line.get("beganAt")?.as_str()?)?);
    for fault in line.get("faults")?.as_array()? {
        let fault = fault.as_object()?;
        let lost = LOST.iter().find(|(_, word)| Some(*word) == fault.get("lost").and_then(Value::as_str))?.0;
        log.faults.push(Fault { lost, from: number(fault, "from")?, until: number(fault, "until")? });
    }
    // Older logs have no such member.
    if let Some(opening) = line.get("opening").and_then(Value::as_object) {
        log.opening = Some(Opening::from_json(opening)?);
    }
    Some(log)
}
