//! A room that keeps the contract, played in virtual time: people enter, poll, use their turns, pay, leave, stay away,
//! over instances whose snapshots are of different ages.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;

use onsale_testing::Dice;
use onsale_testing::auditor::{Asked, Log, Record, Room, Standing};

use crate::scribe::BEGAN;

const INSTANCES: usize = 3;

/// How a place stands in truth.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Waits,
    Runs { since: i64, seen: i64, used: bool },
    Over,
}

/// What an instance knows of the line, as of then: how many places there were, and which of them were not in line.
#[derive(Clone)]
struct Snapshot {
    as_of: i64,
    in_line: Vec<bool>,
}

/// A user and the next request.
#[derive(Clone, Copy)]
struct Person {
    place: Option<usize>,
    asked: Asked,
    sent: u64,
    instance: u16,
    /// Stays away once in line.
    is_absent: bool,
}

enum Event {
    /// A request has reached the instance.
    Decide(usize),
    /// An instance reads the room.
    Refresh(usize),
    /// The room settles what is over and admits.
    Step,
}

pub(crate) struct Model {
    log: Log,
    dice: Dice,
    now: u64,
    number: u64,
    /// By the moment at which they happen, and in the order in which that became known.
    events: BTreeMap<(u64, u64), Event>,
    places: Vec<(usize, Place, i64)>,
    people: Vec<Person>,
    snapshots: Vec<Snapshot>,
    admitted: VecDeque<i64>,
}

/// How the model's room is set.
const ROOM: Room = Room {
    max_active: 12,
    admit_per_second: 9,
    active_seconds: 20,
    claim_seconds: 3,
    as_of_millis_max: 250,
    shows_millis_max: 0,
    clocks_differ_millis: 0,
};

impl Model {
    /// The answers of a run with this many users.
    pub(crate) fn run(people: usize, seed: u64) -> Log {
        let snapshot = Snapshot { as_of: BEGAN, in_line: Vec::new() };
        let mut model = Self {
            log: Log::new(ROOM, BEGAN),
            dice: Dice::new(seed),
            now: 0,
            number: 0,
            events: BTreeMap::new(),
            places: Vec::new(),
            people: Vec::new(),
            snapshots: vec![snapshot; INSTANCES],
            admitted: VecDeque::new(),
        };
        for number in 0..people {
            let is_absent = model.dice.percent(10);
            let person = Person { place: None, asked: Asked::Enter, sent: 0, instance: 0, is_absent };
            model.people.push(person);
            model.send(number, Asked::Enter, 20_000_000);
        }
        (0..INSTANCES).for_each(|instance| model.after(1_000, Event::Refresh(instance)));
        model.after(500, Event::Step);
        while model.now < 90_000_000 {
            let Some(((at, _), event)) = model.events.pop_first() else { break };
            model.now = at;
            match event {
                Event::Decide(person) => model.decide(person),
                Event::Refresh(instance) => model.refresh(instance),
                Event::Step => model.step(),
            }
        }
        model.log
    }

    fn after(&mut self, micros: u64, event: Event) {
        self.number += 1;
        self.events.insert((self.now + micros, self.number), event);
    }

    fn millis(&self) -> i64 {
        BEGAN + i64::try_from(self.now / 1_000).unwrap()
    }

    /// Schedules a user's request within this many microseconds; it travels for a while.
    fn send(&mut self, number: usize, asked: Asked, within: u64) {
        let wait = self.dice.below(within) + 1;
        let travels = self.dice.below(30_000) + 1;
        let person = &mut self.people[number];
        (person.asked, person.sent) = (asked, self.now + wait);
        person.instance = u16::try_from(self.dice.below(INSTANCES as u64)).unwrap();
        self.after(wait + travels, Event::Decide(number));
    }

    fn refresh(&mut self, instance: usize) {
        let in_line = self.places.iter().map(|(_, place, _)| *place == Place::Waits).collect();
        self.snapshots[instance] = Snapshot { as_of: self.millis(), in_line };
        let next = self.dice.below(240_000) + 1;
        self.after(next, Event::Refresh(instance));
    }

    fn step(&mut self) {
        let now = self.millis();
        let lasts = i64::from(ROOM.active_seconds) * 1_000;
        let silent = i64::from(ROOM.claim_seconds) * 1_000;
        for (_, place, _) in &mut self.places {
            if let Place::Runs { since, seen, used } = *place
                && (since + lasts <= now || (!used && seen + silent <= now))
            {
                *place = Place::Over;
            }
        }
        self.admitted.retain(|at| at + 1_000 > now);
        let running = self.places.iter().filter(|(_, place, _)| matches!(place, Place::Runs { .. })).count();
        let free = (ROOM.max_active as usize).saturating_sub(running);
        let many = free.min((ROOM.admit_per_second as usize).saturating_sub(self.admitted.len()));
        for (_, place, _) in self.places.iter_mut().filter(|(_, place, _)| *place == Place::Waits).take(many) {
            *place = Place::Runs { since: now, seen: now, used: false };
            self.admitted.push_back(now);
        }
        self.after(7_000, Event::Step);
    }

    fn decide(&mut self, number: usize) {
        let person = self.people[number];
        let mut code = 200;
        match person.asked {
            Asked::Enter => code = self.enter(number),
            Asked::Leave | Asked::Pay => {
                code = 204;
                self.end(number);
            }
            Asked::Use => code = self.used(number),
            Asked::Poll | Asked::Hold => {}
        }
        let answered = self.now + self.dice.below(30_000) + 1;
        let mut record = Record {
            instance: person.instance,
            asked: person.asked,
            code,
            user: self.log.user(&format!("user-{number}")),
            token: self.people[number].place.map_or(0, |place| place as u128 + 1),
            sent: person.sent,
            answered,
            standing: None,
            position: None,
            as_of: None,
            issued_at: None,
            active_until: None,
        };
        if matches!(person.asked, Asked::Enter | Asked::Poll) {
            self.tell(number, &mut record);
        }
        self.log.records.push(record);
        self.goes_on(number, answered - self.now, &record);
    }

    fn enter(&mut self, number: usize) -> u16 {
        let over = |place: &usize| self.places[*place].1 == Place::Over;
        if self.people[number].place.is_some_and(|place| !over(&place)) {
            return 200;
        }
        self.people[number].place = Some(self.places.len());
        self.places.push((number, Place::Waits, self.millis()));
        201
    }

    fn end(&mut self, number: usize) {
        if let Some(place) = self.people[number].place {
            self.places[place].1 = Place::Over;
        }
    }

    fn used(&mut self, number: usize) -> u16 {
        let place = self.people[number].place.map(|place| &mut self.places[place].1);
        match place {
            Some(Place::Runs { used, .. }) => {
                *used = true;
                200
            }
            _ => 403,
        }
    }

    /// Fills in what the instance's snapshot shows of the place.
    fn tell(&mut self, number: usize, record: &mut Record) {
        let (Some(place), now) = (self.people[number].place, self.millis()) else { return };
        let instance = usize::from(record.instance);
        if place >= self.snapshots[instance].in_line.len() {
            let in_line = self.places.iter().map(|(_, place, _)| *place == Place::Waits).collect();
            self.snapshots[instance] = Snapshot { as_of: now, in_line };
        }
        let snapshot = &self.snapshots[instance];
        record.issued_at = Some(self.places[place].2);
        record.as_of = Some(now);
        if snapshot.in_line[place] {
            let position = snapshot.in_line[..=place].iter().filter(|waits| **waits).count();
            record.position = u32::try_from(position).ok().and_then(NonZeroU32::new);
            (record.standing, record.as_of) = (Some(Standing::Waiting), Some(snapshot.as_of));
            return;
        }
        let lasts = i64::from(ROOM.active_seconds) * 1_000;
        match &mut self.places[place].1 {
            Place::Runs { since, seen, .. } if now < *since + lasts => {
                *seen = now;
                (record.standing, record.active_until) = (Some(Standing::Active), Some(*since + lasts));
            }
            _ => record.standing = Some(Standing::Expired),
        }
    }

    fn goes_on(&mut self, number: usize, travels: u64, record: &Record) {
        let person = self.people[number];
        let next = match (record.standing, self.dice.below(20)) {
            (Some(Standing::Waiting), _) if person.is_absent => return,
            (Some(Standing::Waiting), 0) => Asked::Leave,
            (Some(Standing::Waiting), 1) => Asked::Enter,
            (Some(Standing::Active), 0..4) => Asked::Pay,
            (Some(Standing::Active), 4..8) => Asked::Use,
            (Some(Standing::Expired), 0..3) => Asked::Enter,
            (Some(Standing::Expired), _) => return,
            _ => Asked::Poll,
        };
        self.now += travels;
        self.send(number, next, 900_000);
        self.now -= travels;
    }
}
