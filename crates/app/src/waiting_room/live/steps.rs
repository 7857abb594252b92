//! What a room's turns call for: the step that is due, and a count for its forecast.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Step, Token};

use super::{LiveRoom, LiveTurn, Running};

/// Counts the turns that run.
pub(super) fn running(live: &HashMap<u64, LiveTurn>, claim_seconds: u32, at: Timestamp) -> Running {
    let mut running = Running::default();
    live.values().for_each(|turn| turn.count(&mut running, claim_seconds, at));
    running
}

impl LiveRoom {
    /// The step that this room needs now, if any.
    pub(in crate::waiting_room) fn next_step(&self, at: Timestamp) -> Option<Step> {
        let snapshot = self.snapshot.load();
        let claim_seconds = snapshot.room.settings.claim_seconds;
        let mut step = Step::of(self.concert);
        let issued = self.beside.issued().min(snapshot.room.blocks.reserved_to);
        let admissible = self.admissible(at);
        if issued > snapshot.room.issued && (admissible > 0 || self.beside.is_due(at)) {
            self.beside.writing(at);
            step.issued = issued;
        }
        self.glances.look(|| self.gather(&mut step, claim_seconds, at));
        let idle = step.seen.is_empty() && step.claimed.is_empty() && step.due.is_empty();
        let has_news = step.issued > 0 || !step.bearers.is_empty();
        (!idle || has_news || admissible > 0).then_some(step)
    }

    /// Has tokens checked by the next step, as the one that should have done so failed.
    pub(in crate::waiting_room) fn check_again(&self, bearers: Vec<Token>) {
        let turns = self.read_turns();
        for token in bearers {
            if let Some(live) = turns.get(&token.place) {
                live.check_again(token);
            }
        }
    }

    /// What is to be said of the turns.
    fn gather(&self, step: &mut Step, claim_seconds: u32, at: Timestamp) {
        let mut running = Running::default();
        for (place, live) in self.read_turns().iter() {
            live.follow_clock(at);
            live.count(&mut running, claim_seconds, at);
            let claimed = live.claimed.load(Ordering::Relaxed);
            if claimed && !live.turn.claimed && step.claimed.len() < Step::PLACES_MAX {
                step.claimed.push(*place);
            }
            if !claimed && live.is_worth_noting(claim_seconds, at) && step.seen.len() < Step::PLACES_MAX {
                step.seen.push((*place, live.seen()));
            }
            if !live.turn.named && step.bearers.len() < Step::PLACES_MAX {
                step.bearers.extend(live.bearer());
            }
            if step.bearers.len() < Step::PLACES_MAX {
                step.bearers.extend(live.take_to_check());
            }
            if live.is_due(claim_seconds, at) && step.due.len() < Step::PLACES_MAX {
                step.due.push(*place);
            }
        }
        self.forecaster.lock().unwrap_or_else(PoisonError::into_inner).count(running);
    }
}
