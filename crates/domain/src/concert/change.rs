//! Changes of a concert and of a performance: the notice that buyers read, whether the sale is closed, and refund policies.

use std::sync::Arc;

use super::{Concert, Performance, record};
use crate::event::{Event, Happening};
use crate::ids::{ConcertId, EventId, PerformanceId};
use crate::refund::Policy;
use crate::rows::{Keys, Rows};
use crate::{Command, Context, Refusal, waiting_room};

/// A text for all users who wait or buy, in one or two languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Korean: 1 to 200 characters.
    pub ko: Option<Arc<str>>,
    /// English: 1 to 200 characters.
    pub en: Option<Arc<str>>,
}

/// Changes a concert. Returns it as it is afterwards.
#[derive(Clone, Debug)]
pub struct Change {
    /// The concert to change.
    pub concert: ConcertId,
    /// The notice from now on; `Some(None)` removes it.
    pub notice: Option<Option<Arc<Notice>>>,
    /// Whether the sale is closed.
    pub closed: Option<bool>,
}

/// Changes a performance. Returns it as it is afterwards.
#[derive(Clone, Debug)]
pub struct ChangePerformance {
    /// The performance to change.
    pub performance: PerformanceId,
    /// Whether its holds are closed.
    pub closed: Option<bool>,
    /// The rules by which buyers get points back.
    pub refund_policy: Option<Policy>,
}

impl Command for Change {
    type Output = Concert;

    fn needs(&self, keys: &mut Keys) {
        keys.rooms.insert(self.concert);
        keys.concerts.insert(self.concert);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Concert, Refusal> {
        let before = rows.concerts.get(&self.concert).ok_or(Refusal::ConcertNotFound)?.clone();
        let notice = self.notice.clone().unwrap_or_else(|| before.notice.clone());
        let closed = self.closed.unwrap_or(before.closed);
        if notice == before.notice && closed == before.closed {
            return Ok(before);
        }
        let is_closing = closed != before.closed;
        let after = Concert { notice, closed, version: before.version + 1, ..before };
        rows.concerts.put(self.concert, after.clone());
        if is_closing {
            // With the performances, so that a hold reads no other row and never commits after a close.
            for id in rows.performances_of(self.concert) {
                rows.performances.change(&id).into_iter().for_each(|own| own.sale_closed = closed);
            }
            waiting_room::close(rows, self.concert, closed, cx.at);
        } else {
            // Other instances find the notice by the room's version.
            waiting_room::announce(rows, self.concert, cx.at);
        }
        let at = rows.rooms.get(&self.concert).map_or(cx.at, |room| room.updated_at.max(cx.at));
        let (id, version, concert) = (EventId::new(cx.ids.next(at)), after.version, after.clone());
        rows.events.push(Event { id, at, version, happening: Happening::ConcertChanged { concert } });
        Ok(after)
    }
}

impl Command for ChangePerformance {
    type Output = Performance;

    fn needs(&self, keys: &mut Keys) {
        keys.performances.insert(self.performance);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Performance, Refusal> {
        let before = rows.performances.get(&self.performance).ok_or(Refusal::PerformanceNotFound)?.clone();
        let closed = self.closed.unwrap_or(before.closed);
        let refund_policy = self.refund_policy.clone().unwrap_or_else(|| before.refund_policy.clone());
        if closed == before.closed && refund_policy == before.refund_policy {
            return Ok(before);
        }
        if let Some(own) = rows.performances.change(&self.performance) {
            (own.closed, own.refund_policy) = (closed, refund_policy.clone());
        }
        if refund_policy != before.refund_policy {
            rows.new_policies.insert(self.performance);
        }
        let event = EventId::new(cx.ids.next(before.updated_at.max(cx.at)));
        let after = Performance { closed, refund_policy, ..before };
        record(rows, self.performance, event, cx.at, || Happening::PerformanceChanged { performance: after });
        let after = rows.performances.get(&self.performance).ok_or(Refusal::PerformanceNotFound)?;
        Ok(after.clone())
    }
}
