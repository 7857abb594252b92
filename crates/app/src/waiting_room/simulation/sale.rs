//! One sale: users enter, poll after `pollAfterSeconds`, buy or stay away, until the seats are gone or the time is over.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use onsale_domain::concert;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Patch, Settings, Token};

use super::dice;
use super::room::{SimulatedRoom, standing};
use crate::waiting_room::{Purpose, Standing, Wait};

/// The driver visits every room this often, in milliseconds.
const DRIVEN_EVERY: i64 = 100;

/// When every sale begins.
pub(super) const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// What happens at a second of the sale.
pub(super) enum Event {
    Configure(Patch),
    /// An organiser changes the hours of the sale.
    Hours(concert::Sale),
    /// All instances stop; another starts from the database this many seconds later.
    Restart(i64),
    /// One more instance takes a share of the polls.
    Join,
    /// This share of those in line, in percent, leaves.
    Leave(u64),
}

pub(super) struct Scene {
    pub(super) people: u64,
    /// They enter evenly within this many milliseconds.
    pub(super) entering: u64,
    pub(super) settings: Settings,
    pub(super) seats: u64,
    /// Shortest and longest purchase, in milliseconds.
    pub(super) purchase: (u64, u64),
    /// The share of users who do not use their turn, in percent.
    pub(super) absent: u64,
    pub(super) polls_per_second: u32,
    /// Seconds after which the scene ends.
    pub(super) seconds: i64,
    /// What happens, by second.
    pub(super) events: Vec<(i64, Event)>,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            people: 20_000,
            entering: 1_500,
            settings: Settings { max_active: 200, admit_per_second: 100, ..Settings::default() },
            seats: 500,
            purchase: (500, 3_000),
            absent: 0,
            polls_per_second: 2_000,
            seconds: 60,
            events: Vec::new(),
        }
    }
}

/// What two answers to one client said of its wait, the second where it was outside of twofold.
#[derive(Debug)]
#[expect(dead_code, reason = "shown by a failed test")]
pub(super) struct Jump {
    position: u64,
    at: i64,
    before: u64,
    passed: f64,
    after: u64,
}

/// What one answer said of a wait, to compare with the admission.
struct Told {
    place: u64,
    at: Timestamp,
    wait: Wait,
    /// Whether ten users were admitted before.
    is_measured: bool,
}

#[derive(Debug, Default)]
pub(super) struct Report {
    /// When the last seat was sold, in milliseconds.
    pub(super) sold_out_at: Option<i64>,
    pub(super) sold: u64,
    /// From each admission to the first use, in milliseconds.
    pub(super) unused: Vec<i64>,
    pub(super) jumps: Vec<Jump>,
    /// Pairs of answers that were compared.
    pub(super) compared: u64,
    /// The most any estimate grew, and shrank beyond the time that passed.
    pub(super) growth: f64,
    pub(super) shrinkage: f64,
    /// Polls in each second, once all have entered.
    pub(super) polls: Vec<u32>,
    /// Turns that lapsed although their client followed `pollAfterSeconds`.
    pub(super) lost: u64,
    /// Answers whose wait ended between the bounds, of all answers to clients that were admitted.
    pub(super) inside: (u64, u64),
    /// Answers whose wait was within a quarter of the estimate, of those after ten admissions.
    pub(super) close: (u64, u64),
    /// Users most of whose answers after ten admissions were within a quarter, of all such users.
    pub(super) told_well: (u64, u64),
}

impl Report {
    /// The time within which this percentage of the turns was used, in milliseconds.
    pub(super) fn used_within(&mut self, percent: usize) -> i64 {
        self.unused.sort_unstable();
        let index = (self.unused.len() * percent / 100).min(self.unused.len().saturating_sub(1));
        self.unused.get(index).copied().unwrap_or(0)
    }
}

#[derive(Clone)]
struct Client {
    token: Option<Token>,
    is_absent: bool,
    told: Option<(Timestamp, Wait)>,
    was_active: bool,
    has_left: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    Enter,
    Poll,
    Pay,
}

pub(super) struct Sale {
    scene: Scene,
    room: SimulatedRoom,
    clients: Vec<Client>,
    deeds: BinaryHeap<Reverse<(i64, usize, Deed)>>,
    now: i64,
    down_until: i64,
    report: Report,
    told: Vec<Told>,
}

impl Sale {
    pub(super) fn run(scene: Scene) -> Report {
        let client = Client { token: None, is_absent: false, told: None, was_active: false, has_left: false };
        let clients: Vec<Client> = (0..scene.people)
            .map(|number| Client { is_absent: dice(number ^ 0xAB5E) % 100 < scene.absent, ..client.clone() })
            .collect();
        let deeds = (0..scene.people).zip(0_usize..);
        let deeds = deeds.map(|(number, index)| {
            let at = i64::try_from(number * scene.entering / scene.people).unwrap();
            Reverse((at, index, Deed::Enter))
        });
        let deeds = deeds.collect();
        let room = SimulatedRoom::new(scene.settings, scene.polls_per_second, START);
        let report = Report { growth: 1.0, shrinkage: 1.0, ..Report::default() };
        let mut sale = Self { scene, room, clients, deeds, now: 0, down_until: 0, report, told: Vec::new() };
        let mut driven = 0;
        while sale.now < sale.scene.seconds * 1_000 {
            sale.now += 10;
            sale.happen();
            let is_woken = sale.work();
            if sale.now >= sale.down_until && (is_woken || sale.now - driven >= DRIVEN_EVERY) {
                driven = sale.now;
                sale.room.drive(sale.at());
            }
        }
        // Entries are requests too, but no interval led to them.
        let entered = usize::try_from(sale.scene.entering / 1_000 + 2).unwrap();
        sale.report.polls.drain(..entered.min(sale.report.polls.len()));
        sale.compare_waits();
        sale.report
    }

    fn at(&self) -> Timestamp {
        START.plus_millis(self.now)
    }

    fn happen(&mut self) {
        let now = self.now;
        let due = |(second, _): &(i64, Event)| second * 1_000 <= now;
        while let Some(index) = self.scene.events.iter().position(due) {
            match self.scene.events.remove(index).1 {
                Event::Configure(patch) => self.room.configure(patch, self.at()),
                Event::Hours(sale) => self.room.sell(sale, self.at()),
                Event::Join => self.room.start(self.at()),
                Event::Restart(seconds) => {
                    self.down_until = now + seconds * 1_000;
                    self.room.instances.clear();
                }
                Event::Leave(percent) => self.leave(percent),
            }
        }
        if self.room.instances.is_empty() && now >= self.down_until {
            self.room.start(self.at());
        }
    }

    fn leave(&mut self, percent: u64) {
        let at = self.at();
        for (number, client) in (0..).zip(&mut self.clients) {
            let Some(token) = client.token.as_ref().filter(|_| !client.was_active && !client.has_left) else {
                continue;
            };
            if dice(number ^ 0x1EAF) % 100 < percent {
                client.has_left = true;
                self.room.leave(token, at);
            }
        }
    }

    /// Does what is due. `true` if turns may have ended.
    fn work(&mut self) -> bool {
        let mut is_woken = false;
        while let Some(Reverse((when, index, deed))) = self.deeds.peek().copied() {
            if when > self.now {
                break;
            }
            self.deeds.pop();
            if self.now < self.down_until {
                self.deeds.push(Reverse((self.now + 500, index, deed)));
                continue;
            }
            match deed {
                Deed::Enter => {
                    let at = self.at();
                    self.clients[index].token = Some(self.room.enter(&format!("u{index}"), at));
                    if !self.clients[index].is_absent {
                        self.poll(index);
                    }
                }
                Deed::Poll => self.poll(index),
                Deed::Pay => {
                    is_woken = true;
                    self.pay(index);
                }
            }
        }
        is_woken
    }

    fn pay(&mut self, index: usize) {
        self.report.sold += u64::from(self.report.sold < self.scene.seats);
        if self.report.sold == self.scene.seats && self.report.sold_out_at.is_none() {
            self.report.sold_out_at = Some(self.now);
        }
        let place = self.clients[index].token.as_ref().map_or(0, |token| token.place);
        self.room.pay(place, self.at());
    }

    fn poll(&mut self, index: usize) {
        let (at, now) = (self.at(), self.now);
        let second = usize::try_from(now / 1_000).unwrap();
        self.report.polls.resize(self.report.polls.len().max(second + 1), 0);
        self.report.polls[second] += 1;
        let client = &mut self.clients[index];
        if client.has_left {
            return;
        }
        let Some(token) = client.token.clone() else { return };
        let rolled = dice(u64::try_from(now).unwrap() ^ (u64::try_from(index).unwrap() << 32));
        let instances = u64::try_from(self.room.instances.len()).unwrap();
        let live = &self.room.instances[usize::try_from(rolled % instances).unwrap()];
        match standing(live, &token, Purpose::Poll, at) {
            Standing::Early { position: Some(position), wait, poll_after_seconds }
            | Standing::Waiting { position, wait, poll_after_seconds } => {
                if let (Some((told_at, before)), Some(wait)) = (client.told, wait) {
                    let passed = told_at.millis_until(at);
                    self.report.compare(position, now, (passed, before.seconds), wait.seconds);
                }
                client.told = wait.map(|wait| (at, wait)).or(client.told);
                if let Some(wait) = wait {
                    assert!(wait.low <= wait.seconds && wait.seconds <= wait.high, "{position}: {wait:?}");
                    let is_measured = self.room.called_at.len() >= 10;
                    self.told.push(Told { place: token.place, at, wait, is_measured });
                }
                // The answer's way, and the next request's.
                let late = i64::try_from(rolled >> 32).unwrap() % 60;
                let next = now + i64::try_from(poll_after_seconds * 1_000).unwrap() + late;
                self.deeds.push(Reverse((next, index, Deed::Poll)));
            }
            Standing::Active { .. } => {
                standing(live, &token, Purpose::Use, at);
                client.was_active = true;
                self.report.unused.push(self.room.called_at[&token.place].millis_until(at));
                let (least, most) = self.scene.purchase;
                let sold_out = self.report.sold == self.scene.seats;
                let takes = if sold_out { 200 } else { least + dice(rolled) % (most - least + 1) };
                self.deeds.push(Reverse((now + i64::try_from(takes).unwrap(), index, Deed::Pay)));
            }
            Standing::Early { .. } | Standing::Expired => self.report.lost += 1,
        }
    }
}

impl Sale {
    /// Compares what was told with the admissions. A client learns of its turn within a second.
    fn compare_waits(&mut self) {
        let mut users: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for Told { place, at, wait, is_measured } in &self.told {
            let Some(called_at) = self.room.called_at.get(place) else { continue };
            let waited = at.millis_until(*called_at);
            let millis = |seconds: u64| i64::try_from(seconds * 1_000).unwrap();
            let is_inside = (millis(wait.low)..=millis(wait.high)).contains(&waited);
            self.report.inside.0 += u64::from(is_inside);
            self.report.inside.1 += 1;
            if *is_measured {
                // Whole seconds, rounded up.
                let is_close = (millis(wait.seconds) - waited).abs() <= (waited / 4).max(1_000);
                self.report.close.0 += u64::from(is_close);
                self.report.close.1 += 1;
                let user = users.entry(*place).or_default();
                user.0 += u64::from(is_close);
                user.1 += 1;
            }
        }
        let well = users.values().filter(|(close, all)| 2 * close >= *all).count();
        self.report.told_well = (well as u64, users.len() as u64);
    }
}

impl Report {
    fn compare(&mut self, position: u64, at: i64, (passed, before): (i64, u64), after: u64) {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let (passed, was, is) = (passed as f64 / 1_000.0, before as f64, after as f64);
        // Whole seconds, rounded up: each may be off by one.
        let (grew, shrank) = ((is - 1.0) / was, (was - 1.0 - passed) / is);
        self.compared += 1;
        self.growth = self.growth.max(grew);
        self.shrinkage = self.shrinkage.max(shrank);
        if grew > 2.0 || shrank > 2.0 {
            self.jumps.push(Jump { position, at, before, passed, after });
        }
    }
}
