//! The log of a run: who asked what of which instance, when, and what was answered.

use std::collections::HashMap;
use std::num::NonZeroU32;

use super::instant;

/// How the room was set, and how far the clocks may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The most that may be active at once; where it was changed, the highest.
    pub max_active: u32,
    /// The most that may become active within one second; where it was changed, the highest.
    pub admit_per_second: u32,
    /// How long a turn lasts.
    pub active_seconds: u32,
    /// After how long a silence a turn that was never used ends.
    pub claim_seconds: u32,
    /// How old a position may be.
    pub as_of_millis_max: u32,
    /// How long it may take until an admission shows: its instant is that of the decision, which is then saved.
    pub shows_millis_max: u32,
    /// How far the clients' clock may be from the room's.
    pub clocks_differ_millis: u32,
}

/// What a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A place in line.
    Enter,
    /// How the place stands.
    Poll,
    /// To give the place up.
    Leave,
    /// Something that needs a turn and changes nothing: dates, seats.
    Use,
    /// Seats, which may keep a turn running beyond its time.
    Hold,
    /// To pay, which ends the turn.
    Pay,
}

/// How a place stands by an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In line.
    Waiting,
    /// Admitted.
    Active,
    /// Over.
    Expired,
}

/// One answer. Times of the client are microseconds since the log began; instants of the room milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which instance was asked.
    pub instance: u16,
    /// What was asked.
    pub asked: Asked,
    /// The status; 0 where no answer came at all.
    pub code: u16,
    /// Who asked, by number: see [`Log::user`].
    pub user: u32,
    /// The token that the answer names or, where it names none, the one that was shown; 0 without any.
    pub token: u128,
    /// When the request was sent.
    pub sent: u64,
    /// When the answer had come, or was no longer waited for.
    pub answered: u64,
    /// How the place stands.
    pub standing: Option<Standing>,
    /// Where in line.
    pub position: Option<NonZeroU32>,
    /// Of which instant the position is.
    pub as_of: Option<i64>,
    /// When the place was handed out.
    pub issued_at: Option<i64>,
    /// Until when the turn lasts.
    pub active_until: Option<i64>,
}

impl Record {
    /// Whether the place is in line or its turn runs.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.standing, Some(Standing::Waiting | Standing::Active))
    }

    /// Whether a request did what it asked for.
    pub(super) fn is_done(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Whether it may have done so: nobody knows, or the room said that it does not.
    pub(super) fn may_be_done(&self) -> bool {
        self.is_done() || self.code == 0 || self.code >= 500
    }
}

/// What was done to the room from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Nothing but time: the room's home did not answer. What is told may be older than it may otherwise be, and turns
    /// may be lost to a silence that was none.
    Time,
    /// Memory: places may count as given up until their bearers were heard, and come back ahead of others then; who
    /// enters before that may get a second place.
    Memory,
}

/// A fault that was made, from the first moment at which it could show to the last, in microseconds since the log began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What may be lost by it.
    pub lost: Lost,
    /// The beginning.
    pub from: u64,
    /// The end.
    pub until: u64,
}

/// All answers of a run about one room, in any order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How the room was set.
    pub room: Room,
    /// When the log began, in milliseconds since 1970 by the clients' clock.
    pub began_at: i64,
    /// What was done to the room.
    pub faults: Vec<Fault>,
    /// The answers.
    pub records: Vec<Record>,
    names: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
}

impl Log {
    /// An empty log.
    pub fn new(room: Room, began_at: i64) -> Self {
        let (faults, records) = (Vec::new(), Vec::new());
        Self { room, began_at, faults, records, names: Vec::new(), numbers: HashMap::new() }
    }

    /// The number of a user, who is new or known.
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

    /// The last instant of the room's clock at which it may have been this time for the clients.
    pub(super) fn latest(&self, micros: u64) -> i64 {
        self.millis(micros.saturating_add(999)) + i64::from(self.room.clocks_differ_millis)
    }

    /// The first such instant. Instants of the room are cut off to milliseconds, and so is this.
    pub(super) fn earliest(&self, micros: u64) -> i64 {
        self.millis(micros) - i64::from(self.room.clocks_differ_millis)
    }

    fn millis(&self, micros: u64) -> i64 {
        self.began_at + i64::try_from(micros / 1_000).unwrap_or(i64::MAX / 2)
    }

    /// The times of faults by which this may be lost, by the room's clock, in order. What memory loses, time loses too.
    pub(super) fn windows(&self, lost: Lost) -> Vec<(i64, i64)> {
        let counts = |fault: &&Fault| fault.lost == lost || lost == Lost::Time;
        let window = |fault: &Fault| (self.earliest(fault.from), self.latest(fault.until));
        let mut windows: Vec<_> = self.faults.iter().filter(counts).map(window).collect();
        windows.sort_unstable();
        windows
    }

    /// A record in words.
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
