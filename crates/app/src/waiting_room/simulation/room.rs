//! A waiting room with its database in memory: the rules decide, and the code that answers polls applies their changes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use onsale_domain::concert;
use onsale_domain::ids::{ConcertId, Entropy, Mint, UserId};
use onsale_domain::leaving::Leave;
use onsale_domain::rows::Rows;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{
    Configure, DrawPatch, Enter, GivenUp, Patch, Place, PlaceStanding, Room, Settings, Token, Turn,
};
use onsale_domain::{Command, Context};
use uuid::Uuid;

use super::dice;
use crate::store::{Announced, RoomRecord};
use crate::waiting_room::change::Change;
use crate::waiting_room::standing::Instants;
use crate::waiting_room::{EstimateMetrics, LiveRoom, Purpose, Rooms, Standing};

/// The standing of a token, as the one instance that knows the room reads it.
pub(super) fn standing(room: &LiveRoom, token: &Token, purpose: Purpose, at: Timestamp) -> Standing {
    let instants = Instants { now: at, as_of: at, may_be_outdated: false };
    room.placement(token, purpose, instants).expect("no other instance").standing
}

const CONCERT: ConcertId = ConcertId::new(Uuid::nil());

struct Seeded(u64);

impl Entropy for Seeded {
    fn next_u64(&mut self) -> u64 {
        self.0 += 1;
        dice(self.0)
    }
}

pub(super) struct SimulatedRoom {
    room: Room,
    turns: BTreeMap<u64, Turn>,
    ends: HashSet<u64>,
    places: HashMap<u64, Place>,
    given_up: BTreeSet<u64>,
    ids: Mint<Seeded>,
    polls_per_second: u32,
    /// The instances, each as it knows the room.
    pub(super) instances: Vec<LiveRoom>,
    /// When each place was called.
    pub(super) called_at: HashMap<u64, Timestamp>,
}

impl SimulatedRoom {
    pub(super) fn new(settings: Settings, polls_per_second: u32, at: Timestamp) -> Self {
        let mut room = Self {
            room: Room::new(settings, at),
            turns: BTreeMap::new(),
            ends: HashSet::new(),
            places: HashMap::new(),
            given_up: BTreeSet::new(),
            ids: Mint::new(Seeded(1)),
            polls_per_second,
            instances: Vec::new(),
            called_at: HashMap::new(),
        };
        room.start(at);
        room
    }

    /// One more instance, which knows what the database knows.
    pub(super) fn start(&mut self, at: Timestamp) {
        let record = RoomRecord {
            concert: CONCERT,
            room: self.room.clone(),
            given_up: self.given_up.range(self.room.served + 1..).copied().collect(),
            turns: self.turns.iter().map(|(place, turn)| (*place, turn.clone(), self.ends.contains(place))).collect(),
            holds: Vec::new(),
            announced: Announced::default(),
        };
        let live = LiveRoom::new(record, self.polls_per_second, EstimateMetrics::default(), at).in_virtual_time();
        live.forgive_silence(at);
        self.instances.push(live);
    }

    pub(super) fn enter(&mut self, user: &str, at: Timestamp) -> Token {
        let user = UserId::parse(user).expect("a user id");
        let mut rows = self.rows();
        rows.current_places.load((CONCERT, user.clone()), None);
        self.decide(rows, &Enter { concert: CONCERT, user, pass: None, ended: None }, at).token
    }

    pub(super) fn leave(&mut self, token: &Token, at: Timestamp) {
        let mut rows = self.rows();
        self.load_place(&mut rows, token.place);
        rows.open_reservations.insert((CONCERT, token.user.clone()), Vec::new());
        self.decide(rows, &Leave(token.clone()), at);
    }

    pub(super) fn configure(&mut self, patch: Patch, at: Timestamp) {
        self.decide(self.rows(), &Configure { concert: CONCERT, patch, draw: DrawPatch::default() }, at);
    }

    /// An organiser changes the hours of the sale.
    pub(super) fn sell(&mut self, sale: concert::Sale, at: Timestamp) {
        self.room.settings.sale = sale;
        (self.room.version, self.room.updated_at) = (self.room.version + 1, at);
        for live in &self.instances {
            live.commit(Change { room: Some(self.room.clone()), ..Change::default() }, at);
        }
    }

    /// A payment ends the turn; the room settles it with its next step.
    pub(super) fn pay(&mut self, place: u64, at: Timestamp) {
        self.ends.insert(place);
        for live in &self.instances {
            live.commit(Change { ended: vec![place], ..Change::default() }, at);
        }
    }

    /// What the driver does: steps until nothing is due.
    pub(super) fn drive(&mut self, at: Timestamp) {
        self.instances.iter().for_each(|live| live.update_outlook(at));
        for instance in 0..self.instances.len() {
            for _ in 0..50 {
                let Some(step) = self.instances[instance].next_step(at) else { break };
                let before = self.room.version;
                let mut rows = self.rows();
                let named: BTreeSet<u64> = step
                    .seen
                    .iter()
                    .map(|(place, _)| *place)
                    .chain(step.claimed.clone())
                    .chain(step.due.clone())
                    .collect();
                for place in named {
                    self.load_place(&mut rows, place);
                    let user = self.places[&place].user.clone();
                    rows.open_reservations.insert((CONCERT, user), Vec::new());
                }
                self.decide(rows, &step, at);
                if self.room.version == before {
                    break;
                }
            }
        }
    }

    fn rows(&self) -> Rows {
        let mut rows = Rows::default();
        rows.rooms.load(CONCERT, Some(self.room.clone()));
        let next = self.given_up.range(self.room.served + 1..).take(GivenUp::LOADED_MAX).copied().collect();
        rows.given_up.insert(CONCERT, GivenUp::loaded(next));
        rows.draws.load(CONCERT, None);
        rows
    }

    fn load_place(&self, rows: &mut Rows, place: u64) {
        let key = (CONCERT, place);
        rows.places.load(key, self.places.get(&place).cloned());
        rows.turns.load(key, self.turns.get(&place).cloned());
        rows.ends.load(key, self.ends.get(&place).map(|_| self.room.updated_at));
    }

    fn decide<C: Command>(&mut self, mut rows: Rows, command: &C, at: Timestamp) -> C::Output {
        let mut context = Context { at, ids: &mut self.ids, hold_seconds: 300 };
        let done = command.decide(&mut rows, &mut context).expect("a room does not refuse this");
        for (_, room) in rows.rooms.changed() {
            self.room = room.cloned().expect("a room stays");
        }
        for ((_, number), place) in rows.places.changed() {
            let place = place.cloned().expect("places stay");
            if place.standing == PlaceStanding::GivenUp {
                self.given_up.insert(*number);
            }
            self.places.insert(*number, place);
        }
        for ((_, place), turn) in rows.turns.changed() {
            match turn {
                Some(turn) => {
                    self.called_at.entry(*place).or_insert(turn.admitted_at);
                    self.turns.insert(*place, turn.clone());
                }
                None => {
                    self.turns.remove(place);
                    self.ends.remove(place);
                }
            }
        }
        for live in &self.instances {
            for (_, change) in Rooms::changes(&rows) {
                live.commit(change, at);
            }
        }
        done
    }
}
