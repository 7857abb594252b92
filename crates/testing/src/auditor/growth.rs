//! Growth: the position of a token never grows.
//!
//! For one instance this holds by the instants that its answers name and by the order of its requests. Two
//! instances may answer from snapshots of different age; beyond that age the rule holds over all instances.

use std::collections::HashMap;

use super::lives::Lives;
use super::{Log, Lost, Record, Report, Rule};

/// An answer with a position, and the instant of the position.
#[derive(Clone, Copy)]
struct Place {
    position: u32,
    as_of: i64,
    by: Record,
}

pub(super) fn check(log: &Log, lives: &Lives<'_>, report: &mut Report) {
    let windows = log.windows(Lost::Memory);
    // The number of losses that were over by then. `None` during a loss: then places may come back ahead.
    let part = |as_of: i64| {
        let within = windows.iter().any(|(from, until)| (*from..=*until).contains(&as_of));
        (!within).then(|| windows.iter().filter(|(_, until)| *until < as_of).count())
    };
    for life in &lives.all {
        let mut parts: HashMap<usize, Vec<Place>> = HashMap::new();
        for record in lives.records(life) {
            let (Some(position), Some(as_of)) = (record.position, record.as_of) else { continue };
            if let Some(part) = part(as_of) {
                let place = Place { position: position.get(), as_of, by: *record };
                parts.entry(part).or_default().push(place);
            }
        }
        for mut places in parts.into_values() {
            by_instance(log, &mut places, report);
            over_all(log, &places, report);
        }
    }
}

fn grew(log: &Log, before: &Place, after: &Place, report: &mut Report) {
    let why = || format!("the position grows from {} to {}", before.position, after.position);
    report.broken(Rule::Growth, log, why, &[before.by, after.by]);
}

/// Sorts the positions by the instants that they name.
fn by_instance(log: &Log, places: &mut [Place], report: &mut Report) {
    let orders: [fn(&Place, &Place) -> bool; 2] =
        [|before, after| before.by.answered < after.by.sent, |before, after| before.as_of < after.as_of];
    for (order, is_before) in orders.into_iter().enumerate() {
        places.sort_by_key(
            |place| if order == 0 { i64::try_from(place.by.sent).unwrap_or(i64::MAX) } else { place.as_of },
        );
        let mut last: HashMap<u16, Place> = HashMap::new();
        for place in &*places {
            let lowest = last.entry(place.by.instance).or_insert(*place);
            if is_before(lowest, place) {
                report.checked(Rule::Growth, 1);
                if place.position > lowest.position {
                    grew(log, lowest, place, report);
                }
            }
            if place.position <= lowest.position {
                *lowest = *place;
            }
        }
    }
}

fn over_all(log: &Log, places: &[Place], report: &mut Report) {
    let apart = i64::from(log.room.as_of_millis_max);
    let mut earlier = places.iter().peekable();
    let mut lowest: Option<Place> = None;
    for place in places {
        while let Some(before) = earlier.next_if(|before| before.as_of + apart < place.as_of) {
            if lowest.is_none_or(|lowest| before.position <= lowest.position) {
                lowest = Some(*before);
            }
        }
        let Some(lowest) = lowest else { continue };
        report.checked(Rule::Growth, 1);
        if place.position > lowest.position {
            grew(log, &lowest, place, report);
        }
    }
}
