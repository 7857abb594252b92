//! What a performance and a concert have sold, from counters of the rows that each sale writes anyway.

use onsale_domain::concert::Performance;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::openapi::Sample;

/// Seats and points of a performance, or of all performances of a concert. `capacity` is the sum of `available`, `held`, `sold` and
/// `blocked`.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Figures {
    /// Number of seats.
    capacity: u64,
    /// Seats that can be held now, if the performance and its sale are open.
    available: u64,
    /// Seats in holds. A hold that has lapsed may count until it is settled.
    held: u64,
    /// Paid seats that were not refunded.
    sold: u64,
    /// Seats that staff keep from being held.
    blocked: u64,
    /// Points paid, less those given back.
    revenue: i64,
    /// Points given back, without fees.
    refunded: i64,
}

impl Figures {
    /// The figures of one performance.
    pub(crate) fn of(performance: &Performance) -> Self {
        let Performance { held, sold, blocked, revenue, refunded, .. } = *performance;
        let [capacity, held, sold, blocked] = [performance.seating.capacity(), held, sold, blocked].map(u64::from);
        let available = capacity.saturating_sub(held + sold + blocked);
        Self { capacity, available, held, sold, blocked, revenue, refunded }
    }

    /// The figures of several performances together.
    pub(crate) fn total<'a>(performances: impl IntoIterator<Item = &'a Performance>) -> Self {
        performances.into_iter().map(Self::of).fold(Self::default(), |all, one| Self {
            capacity: all.capacity + one.capacity,
            available: all.available + one.available,
            held: all.held + one.held,
            sold: all.sold + one.sold,
            blocked: all.blocked + one.blocked,
            revenue: all.revenue + one.revenue,
            refunded: all.refunded + one.refunded,
        })
    }
}

impl Sample for Figures {
    fn sample() -> Value {
        json!({
            "capacity": 50, "available": 32, "held": 4, "sold": 12, "blocked": 2, "revenue": 600_000, "refunded": 100_000
        })
    }
}
