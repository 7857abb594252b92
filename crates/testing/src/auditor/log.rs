//! The log of a run: each request, its instance, its times and its answer.

use std::collections::HashMap;
use std::num::NonZeroU32;

use super::{Opening, instant};

/// The room's settings, and the largest difference between the clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Maximum number of active turns; the highest value if it was changed.
    pub max_active: u32,
    /// Maximum number of admissions in one second; the highest value if it was changed.
    pub admit_per_second: u32,
    /// Length of a turn.
    pub active_seconds: u32,
    /// Silence after which an unused turn ends.
    pub claim_seconds: u32,
    /// Maximum age of a position.
    pub as_of_millis_max: u32,
    /// Maximum time until an admission is visible: its instant is that of the decision, which is saved afterwards.
    pub shows_millis_max: u32,
    /// Largest difference between the clients' clock and the room's.
    pub clocks_differ_millis: u32,
}

/// The kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Enters the line, or gets the same place again.
    Enter,
    /// Polls the state of a token.
    Poll,
    /// Leaves the line, or ends the turn.
    Leave,
    /// A call that needs a turn and changes nothing: dates, seats.
    Use,
    /// Holds seats, which may keep a turn running beyond its time.
    Hold,
    /// Pays, which ends the turn.
    Pay,
}

/// State of a place in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In line before the room opens. The position may be unknown.
    Early,
    /// In line.
    Waiting,
    /// Admitted: the turn runs.
    Active,
    /// The turn or the place has ended, for any reason.
    Expired,
}

/// One answer. Client times are microseconds since the log began; instants of the room are milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The instance that was called.
    pub instance: u16,
    /// The kind of the request.
    pub asked: Asked,
    /// Status code; 0 if there was no answer.
    pub code: u16,
    /// Number of the user: see [`Log::user`].
    pub user: u32,
    /// The token in the answer or, if it has none, in the request; 0 if there is none.
    pub token: u128,
    /// When the request was sent.
    pub sent: u64,
    /// When the answer arrived, or the client stopped waiting.
    pub answered: u64,
    /// State of the place.
    pub standing: Option<Standing>,
    /// Position in line.
    pub position: Option<NonZeroU32>,
    /// The instant of the position.
    pub as_of: Option<i64>,
    /// When the place was handed out.
    pub issued_at: Option<i64>,
    /// End of the turn.
    pub active_until: Option<i64>,
}

impl Record {
    /// Whether the place is in line or its turn runs.
    pub(super) fn is_live(&self) -> bool {
        self.waits() || self.standing == Some(Standing::Active)
    }

    /// Whether the place is in line, before the opening or after it.
    pub(super) fn waits(&self) -> bool {
        matches!(self.standing, Some(Standing::Early | Standing::Waiting))
    }

    /// Whether the request succeeded.
    pub(super) fn is_done(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Whether it may have succeeded: the outcome is unknown, or the room said that it failed.
    pub(super) fn may_be_done(&self) -> bool {
        self.is_done() || self.code == 0 || self.code >= 500
    }
}

/// A fault that the test caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Time: the room's home did not answer. Positions may be older than allowed otherwise, and turns
    /// may end because signs of life were lost.
    Time,
    /// Memory: places may count as given up until their users show them, and then come back ahead of other users. A user who
    /// enters before that may get a second place.
    Memory,
}

/// A fault, from the first to the last moment at which it can have an effect, in microseconds since the log began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What the fault can lose.
    pub lost: Lost,
    /// First moment, in microseconds since the log began.
    pub from: u64,
    /// Last moment, in microseconds since the log began.
    pub until: u64,
}

/// All answers of a run about one room, in any order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The settings of the room that all answers are about.
    pub room: Room,
    /// When the log began, in milliseconds since 1970 by the clients' clock.
    pub began_at: i64,
    /// The faults during the run.
    pub faults: Vec<Fault>,
    /// The answers, in any order.
    pub records: Vec<Record>,
    /// When the room opened, and its draw; `None` if users could not enter early.
    pub opening: Option<Opening>,
    names: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
}

impl Log {
    /// An empty log.
    pub fn new(room: Room, began_at: i64) -> Self {
        let (faults, records) = (Vec::new(), Vec::new());
        Self { room, began_at, faults, records, opening: None, names: Vec::new(), numbers: HashMap::new() }
    }

    /// The number of a user. Adds the user if it is new.
    pub fn user(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.into());
        self.numbers.insert(name.into(), number);
        number
    }

    /// The name of a user.
    pub fn name(&self, user: u32) -> &str {
        self.names.get(user as usize).map_or("?", |name| name)
    }

    /// Whether a token was on the list of a draw, so that its place does not follow from its entry.
    pub(super) fn is_drawn(&self, token: u128) -> bool {
        self.opening.as_ref().is_some_and(|opening| opening.is_drawn(token))
    }

    /// The latest instant of the room's clock that this client time can be.
    pub(super) fn latest(&self, micros: u64) -> i64 {
        self.millis(micros.saturating_add(999)) + i64::from(self.room.clocks_differ_millis)
    }

    /// The earliest such instant. Instants of the room are truncated to milliseconds, and so is this.
    pub(super) fn earliest(&self, micros: u64) -> i64 {
        self.millis(micros) - i64::from(self.room.clocks_differ_millis)
    }

    fn millis(&self, micros: u64) -> i64 {
        self.began_at + i64::try_from(micros / 1_000).unwrap_or(i64::MAX / 2)
    }

    /// The times of faults that can lose this, by the room's clock, in order. A loss of memory is also a loss of time.
    pub(super) fn windows(&self, lost: Lost) -> Vec<(i64, i64)> {
        let counts = |fault: &&Fault| fault.lost == lost || lost == Lost::Time;
        let window = |fault: &Fault| (self.earliest(fault.from), self.latest(fault.until));
        let mut windows: Vec<_> = self.faults.iter().filter(counts).map(window).collect();
        windows.sort_unstable();
        windows
    }

    /// One line of text: the user, the request, the answer and both times.
    pub fn tell(&self, record: &Record) -> String {
        let seconds = |micros: u64| micros as f64 / 1e6;
        let mut text = format!(
            "{} asked instance {} to {}, sent at {:.6} s, answered at {:.6} s with {}",
            self.name(record.user),
            record.instance,
            super::file::word(record.asked),
            seconds(record.sent),
            seconds(record.answered),
            record.code
        );
        if record.token != 0 {
            text.push_str(&format!(", token {}", super::file::uuid(record.token)));
        }
        if let Some(standing) = record.standing {
            text.push_str(&format!(", {}", super::file::status(standing)));
        }
        if let Some(position) = record.position {
            text.push_str(&format!(", position {position}"));
        }
        let instants = [("as of", record.as_of), ("issued", record.issued_at), ("active until", record.active_until)];
        for (name, at) in instants {
            if let Some(at) = at {
                text.push_str(&format!(", {name} {}", instant(at)));
            }
        }
        text
    }
}
