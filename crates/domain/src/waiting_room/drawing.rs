//! The record of a draw: its seed, its beacon, what changed, and the commands that complete it.

use std::sync::Arc;

use super::room::change;
use super::{Digest, PlaceStanding, Room, Seed, Settings, Token};
use crate::concert::Sale;
use crate::ids::ConcertId;
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Command, Context, Refusal};

/// A public value that is known only after the list has closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beacon {
    /// Which value it is: 1 to 200 visible characters.
    pub name: Arc<str>,
    /// When it will be known.
    pub at: Timestamp,
}

impl Beacon {
    /// The least time between the closing of the list and the beacon, in milliseconds.
    pub const AFTER_MILLIS: i64 = 10_000;
}

/// The record of a draw. It has the seed, so it is never shown or logged as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Made when the order was set to a draw.
    pub seed: Seed,
    /// The value that becomes part of the key, if one was named.
    pub beacon: Option<Beacon>,
    /// The value of the beacon, as it was given.
    pub value: Option<Arc<str>>,
    /// The hash of the closed list.
    pub entries_hash: Option<Digest>,
    /// What an organiser changed, oldest first.
    pub changes: Vec<DrawChange>,
}

impl Draw {
    /// A draw of which nothing but the seed is fixed.
    pub fn new(seed: Seed) -> Self {
        Self { seed, beacon: None, value: None, entries_hash: None, changes: Vec::new() }
    }

    /// Whether the value of a named beacon is missing.
    pub fn awaits_beacon(&self) -> bool {
        self.beacon.is_some() && self.value.is_none()
    }
}

/// A change of what visitors were promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawChange {
    /// When it was decided.
    pub at: Timestamp,
    /// The name of the field in requests, or `commitment`.
    pub field: Arc<str>,
    /// The value before; `None` for none.
    pub before: Option<Mark>,
    /// The value afterwards; `None` for none.
    pub after: Option<Mark>,
}

/// A value of a field that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The instant to which it was set.
    At(Timestamp),
    /// The text to which it was set.
    Text(Arc<str>),
}

/// The fields of a room and its draw that visitors see, in the order in which changes of them are recorded.
pub(super) fn marks(settings: &Settings, draw: Option<&Draw>) -> Vec<(&'static str, Option<Mark>)> {
    let beacon = draw.and_then(|draw| draw.beacon.as_ref());
    let order = if settings.draw_at.is_some() { "draw" } else { "arrival" };
    let commitment = draw.filter(|_| settings.draw_at.is_some());
    vec![
        ("order", Some(Mark::Text(order.into()))),
        ("commitment", commitment.map(|draw| Mark::Text(draw.seed.commitment().to_string().into()))),
        ("earlyFrom", settings.early_from.map(Mark::At)),
        ("drawAt", settings.draw_at.map(Mark::At)),
        ("opensAt", settings.sale.opens_at.map(Mark::At)),
        ("beaconName", beacon.map(|beacon| Mark::Text(beacon.name.clone()))),
        ("beaconAt", beacon.map(|beacon| Mark::At(beacon.at))),
    ]
}

/// Records in the draw which of these fields differ now.
pub(super) fn record(draw: &mut Draw, before: Vec<(&'static str, Option<Mark>)>, settings: &Settings, at: Timestamp) {
    let changed =
        before.into_iter().zip(marks(settings, Some(draw))).filter(|((_, before), (_, after))| before != after);
    let changes = changed.map(|((field, before), (_, after))| DrawChange { at, field: field.into(), before, after });
    let changes: Vec<DrawChange> = changes.collect();
    draw.changes.extend(changes);
}

/// Records a change of the hours of a sale whose order is drawn.
pub(super) fn record_sale(rows: &mut Rows, concert: ConcertId, before: &Settings, at: Timestamp) {
    let Some(settings) = rows.rooms.get(&concert).map(|room| room.settings) else { return };
    if settings.draw_at.is_none() || settings.sale.opens_at == before.sale.opens_at {
        return;
    }
    if let Some(draw) = rows.draws.change(&concert) {
        let known = marks(before, Some(draw));
        record(draw, known, &settings, at);
    }
}

/// A change of a draw.
#[derive(Clone, Debug, Default)]
pub struct DrawPatch {
    /// The name of the beacon; `Some(None)` removes it.
    pub beacon_name: Option<Option<Arc<str>>>,
    /// When the beacon will be known; `Some(None)` removes it.
    pub beacon_at: Option<Option<Timestamp>>,
    /// A fresh seed from the system's random source, for the case that the order becomes a draw.
    pub seed: Option<Seed>,
}

/// The record of a draw after a change of its room; `None` if there is none.
///
/// # Errors
/// [`Refusal::EarlyHours`] if the beacon contradicts the settings, [`Refusal::RoomInUse`] if it would change once a place was handed
/// out.
pub(super) fn changed(
    room: &Room,
    known: Option<&Draw>,
    settings: &Settings,
    patch: &DrawPatch,
    at: Timestamp,
) -> Result<Option<Draw>, Refusal> {
    let wrong = |field| Err(Refusal::EarlyHours { field });
    let before = known.and_then(|draw| draw.beacon.clone()).filter(|_| settings.draw_at.is_some());
    let name = patch.beacon_name.clone().unwrap_or_else(|| before.as_ref().map(|beacon| beacon.name.clone()));
    let known_at = patch.beacon_at.unwrap_or_else(|| before.as_ref().map(|beacon| beacon.at));
    let beacon = match (name, known_at) {
        (Some(name), Some(at)) => Some(Beacon { name, at }),
        (None, None) => None,
        (Some(_), None) => return wrong("beaconAt"),
        (None, Some(_)) => return wrong("beaconName"),
    };
    if let Some(beacon) = &beacon
        && !is_beacon_sound(settings, beacon)
    {
        let is_moved = before.as_ref() == Some(beacon);
        return wrong(if settings.draw_at.is_none() {
            "beaconName"
        } else if is_moved {
            "drawAt"
        } else {
            "beaconAt"
        });
    }
    if before != beacon && room.is_promised() {
        return Err(Refusal::RoomInUse);
    }
    let becomes_draw = settings.draw_at.is_some() && room.settings.draw_at.is_none();
    let mut draw = match (known, &patch.seed) {
        (None, _) if settings.draw_at.is_none() => return Ok(None),
        (known, Some(seed)) if becomes_draw => {
            Draw { changes: known.map(|draw| draw.changes.clone()).unwrap_or_default(), ..Draw::new(seed.clone()) }
        }
        (Some(known), _) => known.clone(),
        (None, _) => unreachable!("a change to a draw comes with a seed"),
    };
    draw.beacon = beacon;
    let marked = marks(&room.settings, known);
    record(&mut draw, marked, settings, at);
    Ok(Some(draw))
}

/// Whether the instants of a beacon fit to the draw and the opening.
fn is_beacon_sound(settings: &Settings, beacon: &Beacon) -> bool {
    let after = settings.draw_at.is_some_and(|at| at.plus_millis(Beacon::AFTER_MILLIS) <= beacon.at);
    after && settings.sale.opens_at.is_some_and(|opens_at| beacon.at <= opens_at)
}

/// Whether the beacon of a draw, if there is one, still fits if the hours of the sale change.
///
/// # Errors
/// [`Refusal::EarlyHours`] if it does not.
pub(crate) fn judge_beacon(rows: &Rows, concert: ConcertId, sale: &Sale) -> Result<(), Refusal> {
    let Some(settings) = rows.rooms.get(&concert).map(|room| Settings { sale: *sale, ..room.settings }) else {
        return Ok(());
    };
    let beacon = rows.draws.get(&concert).and_then(|draw| draw.beacon.as_ref());
    let fits = settings.draw_at.is_none() || beacon.is_none_or(|beacon| is_beacon_sound(&settings, beacon));
    if fits { Ok(()) } else { Err(Refusal::EarlyHours { field: "opensAt" }) }
}

/// Stores the hash of a closed list, which is published before the beacon is known.
#[derive(Clone, Debug)]
pub struct NoteList {
    /// The concert of the room.
    pub concert: ConcertId,
    /// Number of entries that were hashed.
    pub entries: u64,
    /// The hash of these entries.
    pub hash: Digest,
}

impl Command for NoteList {
    type Output = ();

    fn needs(&self, keys: &mut Keys) {
        needs(self.concert, keys);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<(), Refusal> {
        let closed = rows.rooms.get(&self.concert).and_then(|room| room.list);
        if closed.is_some_and(|list| list.entries == self.entries)
            && rows.draws.get(&self.concert).is_some_and(|draw| draw.entries_hash.is_none())
        {
            rows.draws.change(&self.concert).into_iter().for_each(|draw| draw.entries_hash = Some(self.hash));
            // Other instances learn of it by the version.
            change(rows, self.concert, cx.at, |_| {});
        }
        Ok(())
    }
}

/// Gives the value of the beacon. The same value again changes nothing.
#[derive(Clone, Debug)]
pub struct PutBeacon {
    /// The concert of the room.
    pub concert: ConcertId,
    /// 1 to 512 visible ASCII characters.
    pub value: Arc<str>,
}

impl Command for PutBeacon {
    type Output = (Room, Draw);

    fn needs(&self, keys: &mut Keys) {
        needs(self.concert, keys);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<(Room, Draw), Refusal> {
        let room = rows.rooms.get(&self.concert).ok_or(Refusal::ConcertNotFound)?;
        if room.list.is_none() && !room.closes_now(cx.at) {
            return Err(Refusal::DrawNotClosed);
        }
        let draw = rows.draws.get(&self.concert).ok_or(Refusal::DrawNotClosed)?;
        match (&draw.beacon, &draw.value) {
            (None, _) => return Err(Refusal::BeaconUnnamed),
            (Some(_), Some(value)) if *value != self.value => return Err(Refusal::BeaconSet),
            (Some(_), Some(_)) => {}
            (Some(_), None) => {
                super::reach(rows, self.concert, cx.at);
                rows.draws.change(&self.concert).into_iter().for_each(|draw| draw.value = Some(self.value.clone()));
                change(rows, self.concert, cx.at, |_| {});
            }
        }
        let room = rows.rooms.get(&self.concert).ok_or(Refusal::ConcertNotFound)?.clone();
        let draw = rows.draws.get(&self.concert).ok_or(Refusal::DrawNotClosed)?.clone();
        Ok((room, draw))
    }
}

/// Stores a drawn order. Changes nothing if it does not fit to what is stored: another instance was first, or the list or the
/// beacon that it was computed from is not the one that counts.
#[derive(Clone, Debug)]
pub struct StoreDraw {
    /// The concert of the room.
    pub concert: ConcertId,
    /// The hash of the list that was drawn.
    pub entries_hash: Digest,
    /// The value of the beacon that was used.
    pub value: Option<Arc<str>>,
    /// The entry numbers in drawn order.
    pub order: Arc<[u32]>,
    /// Entries whose users left since the closing: each with what it was drawn as, from 1.
    pub left: Vec<(u32, Token)>,
}

impl Command for StoreDraw {
    /// Whether this command stored it.
    type Output = bool;

    fn needs(&self, keys: &mut Keys) {
        needs(self.concert, keys);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<bool, Refusal> {
        let room = rows.rooms.get(&self.concert).ok_or(Refusal::ConcertNotFound)?;
        let (Some(list), Some(draw)) = (room.list, rows.draws.get(&self.concert)) else { return Ok(false) };
        let is_of_list = list.entries == self.order.len() as u64
            && list.left == self.left.len() as u64
            && draw.entries_hash.is_none_or(|hash| hash == self.entries_hash);
        if list.drawn_at.is_some() || !is_of_list || draw.awaits_beacon() || draw.value != self.value {
            return Ok(false);
        }
        rows.draws.change(&self.concert).into_iter().for_each(|draw| draw.entries_hash = Some(self.entries_hash));
        rows.orders.push((self.concert, self.order.clone()));
        for (drawn, token) in &self.left {
            let place = list.place_of(*drawn);
            rows.places.put((self.concert, place), token.as_place(PlaceStanding::GivenUp));
            if let Some(given_up) = rows.given_up.get_mut(&self.concert) {
                given_up.ahead.insert(place);
            }
        }
        let left = list.left;
        change(rows, self.concert, cx.at, |room| {
            room.list.iter_mut().for_each(|list| list.drawn_at = Some(cx.at));
            room.given_up += left;
        });
        super::room::admit(rows, self.concert, cx.at);
        Ok(true)
    }
}

fn needs(concert: ConcertId, keys: &mut Keys) {
    keys.rooms.insert(concert);
    keys.draws.insert(concert);
}
