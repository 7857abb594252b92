//! What one instance publishes of itself for the others, as JSON.

use onsale_domain::ids::{ConcertId, PerformanceId};
use serde::{Deserialize, Serialize};

use super::answers::AnswerFigures;
use super::recent::{Counts, Seconds};

/// Counts by second of each id.
type BySecond = Vec<(String, Seconds)>;

/// The part of one instance.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Part {
    /// Seats sold, by performance.
    pub(super) sold: BySecond,
    /// Users admitted, by concert.
    pub(super) admitted: BySecond,
    pub(super) answers: AnswerFigures,
}

impl Part {
    pub(super) fn new(counts: &Counts, answers: AnswerFigures) -> Self {
        let sold = counts.sold.iter().map(|(id, seconds)| (id.to_string(), seconds.clone())).collect();
        let admitted = counts.admitted.iter().map(|(id, seconds)| (id.to_string(), seconds.clone())).collect();
        Self { sold, admitted, answers }
    }

    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The part of another instance; an empty one if another version of this program wrote it in another form.
    pub(super) fn of_text(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// Adds the counts of this part to those of this process.
    pub(super) fn add_to(self, counts: &mut Counts) {
        // The order of the seconds is lost: they are only summed from here on.
        for (id, seconds) in
            self.sold.into_iter().filter_map(|(id, seconds)| Some((PerformanceId::parse(&id)?, seconds)))
        {
            counts.sold.entry(id).or_default().extend(seconds);
        }
        for (id, seconds) in
            self.admitted.into_iter().filter_map(|(id, seconds)| Some((ConcertId::parse(&id)?, seconds)))
        {
            counts.admitted.entry(id).or_default().extend(seconds);
        }
    }
}
