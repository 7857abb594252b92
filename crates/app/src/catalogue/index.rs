//! What the catalogue knows: concerts, and their performances by start.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use onsale_domain::concert::{Concert, Layout, Performance};
use onsale_domain::ids::{ConcertId, PerformanceId};

use super::{Programme, Showing};
use crate::calendar::Calendar;

/// The concerts and performances as of one edition.
#[derive(Clone, Default)]
pub(super) struct Index {
    /// Changes with each addition.
    pub(super) edition: u64,
    /// How often the catalogue was replaced.
    pub(super) era: u64,
    pub(super) programmes: BTreeMap<ConcertId, Arc<Programme>>,
    pub(super) showings: HashMap<PerformanceId, Arc<Showing>>,
    /// The layouts of performances that have one.
    pub(super) layouts: HashMap<PerformanceId, Arc<Layout>>,
}

impl Index {
    /// Whether a concert is unknown, or known in an older version than this.
    pub(super) fn lacks(&self, id: ConcertId, version: u64) -> bool {
        self.programmes.get(&id).is_none_or(|programme| programme.concert.version < version)
    }

    /// The revision in which a performance is known.
    pub(super) fn revision(&self, id: PerformanceId) -> Option<u64> {
        self.showings.get(&id).map(|showing| showing.revision)
    }

    /// Adds layouts, before the performances that have them. Of two versions of a layout the one with more segments is newer,
    /// because only added seats change it.
    pub(super) fn lay_out(&mut self, layouts: impl IntoIterator<Item = (PerformanceId, Arc<Layout>)>) {
        for (id, layout) in layouts {
            if self.layouts.get(&id).is_none_or(|known| known.segments() <= layout.segments()) {
                self.layouts.insert(id, layout);
            }
        }
    }

    /// Adds concerts, and then performances, each of which belongs to a known concert. `replaces` compares the revision that is
    /// known with the other one.
    pub(super) fn add<'a>(
        &mut self,
        concerts: &[Concert],
        performances: impl IntoIterator<Item = &'a Performance>,
        calendar: &Calendar,
        replaces: fn(u64, u64) -> bool,
    ) {
        for concert in concerts {
            self.add_concert(concert.clone());
        }
        for performance in performances {
            self.add_performance(performance, calendar, replaces);
        }
    }

    fn add_concert(&mut self, concert: Concert) {
        match self.programmes.entry(concert.id) {
            Entry::Vacant(vacant) => drop(vacant.insert(Arc::new(Programme { concert, showings: Vec::new() }))),
            // A read may be older than a commit that was noted during the read.
            Entry::Occupied(mut known) if known.get().concert.version < concert.version => {
                Arc::make_mut(known.get_mut()).concert = concert;
            }
            Entry::Occupied(_) => {}
        }
    }

    fn add_performance(&mut self, performance: &Performance, calendar: &Calendar, replaces: fn(u64, u64) -> bool) {
        if self.revision(performance.id).is_some_and(|known| !replaces(known, performance.revision)) {
            return;
        }
        let Some(programme) = self.programmes.get_mut(&performance.concert) else { return };
        let showing = Arc::new(Showing {
            id: performance.id,
            concert: performance.concert,
            starts_at: performance.starts_at,
            date: calendar.date_of(performance.starts_at),
            seating: performance.seating.clone(),
            layout: self.layouts.get(&performance.id).cloned(),
            revision: performance.revision,
            era: self.era,
        });
        let showings = &mut Arc::make_mut(programme).showings;
        showings.retain(|known| known.id != performance.id);
        showings.push(showing.clone());
        showings.sort_by_key(|showing| (showing.starts_at, showing.id));
        self.showings.insert(performance.id, showing);
    }
}
