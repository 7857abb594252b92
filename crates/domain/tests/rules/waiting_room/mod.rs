//! The waiting room: places in order of arrival, admission by cap and rate, turns and their ends.

mod admission;
mod blocks;
mod configuring;
mod crowds;
mod draw;
mod drawing;
mod early;
mod entering;
mod leaving;
mod line;
mod turns;
mod two_tokens;
mod window;

use onsale_domain::concert::Sale;
use onsale_domain::waiting_room::Settings;

use crate::support::Stage;

/// Refusals that the tests of draws provoke.
pub(crate) const PROVOKED_BY_DRAWS: [&str; 3] = ["draw-not-closed", "beacon-unnamed", "beacon-set"];

/// This many turns at once, this many admissions a second; a turn of 600 seconds, 60 to claim it.
fn room(max_active: u32, admit_per_second: u32) -> Settings {
    let sale = Sale::default();
    let (paused, early_from) = (false, None);
    let settings =
        Settings { max_active, admit_per_second, active_seconds: 600, claim_seconds: 60, ..Settings::default() };
    Settings { paused, sale, early_from, ..settings }
}

/// Plays a script before the concert `gala` with one counter.
#[track_caller]
fn check(script: &str) {
    Stage::gala(room(1, 50)).play(script);
}
