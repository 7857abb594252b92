//! Settles cancelled performances: ends their holds and refunds their payments, in steps.
//!
//! The cancellation counts at once, because each hold, payment and refund reads the row of its performance. This task does the
//! rest. Any instance may take the next step, also after the one that cancelled has crashed: a step and how far it has come are
//! saved together. The instance that took a step keeps the others away for a few seconds, so that they do not read the same
//! seats for nothing.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use onsale_domain::cancellation::{Cancellation, FailedRefund, Part, Step, Stepped};
use onsale_domain::ids::{PaymentId, PerformanceId, ReservationId};
use onsale_domain::payment::Payment;
use onsale_domain::refund::RefundSeats;
use onsale_domain::time::Timestamp;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::background::TaskMetrics;
use crate::desk::{Desk, Observer};
use crate::store::{Page, Reader, StoreError, Unit, UnsettledSeat};

/// Wakes the task when this process cancels a performance.
#[derive(Debug, Default)]
pub struct CancellerWake(Notify);

#[async_trait]
impl Observer for CancellerWake {
    fn committed(&self, unit: &Unit) {
        if unit.rows.cancellations.added().next().is_some() {
            self.0.notify_one();
        }
    }

    async fn recover(&self) -> Result<(), StoreError> {
        self.0.notify_one();
        Ok(())
    }
}

/// The cancellations that are not done, as the last run of the task found them.
#[derive(Clone, Debug, Default)]
pub struct CancellationGauges {
    waiting: Gauge,
    overdue_seconds: Gauge,
}

impl CancellationGauges {
    /// Registers `cancellations_waiting` and `cancellations_overdue_seconds`.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Cancelled performances of which only payments are left whose refund failed";
        registry.register("cancellations_waiting", help, self.waiting.clone());
        let help = "Longest time for which a step of a cancellation has been due";
        registry.register("cancellations_overdue_seconds", help, self.overdue_seconds.clone());
    }

    /// Shows these cancellations, all that are under way.
    fn show(&self, under_way: &[Cancellation], now: Timestamp) {
        let waiting = under_way.iter().filter(|cancellation| cancellation.progress.is_through).count();
        self.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        // The longest is not negative: a step that is due later counts as 0.
        let overdue = under_way.iter().map(|cancellation| due_at(cancellation).millis_until(now) / 1_000);
        self.overdue_seconds.set(overdue.max().unwrap_or_default().max(0));
    }
}

/// The instant from which any process may take the next step.
fn due_at(Cancellation { cancelled_at, progress, .. }: &Cancellation) -> Timestamp {
    let waits_until = if progress.is_through { progress.retry_at } else { *cancelled_at };
    waits_until.max(progress.leased_until)
}

/// Settles the seats of cancelled performances.
#[derive(Clone)]
pub struct Canceller {
    /// Finds cancellations and seats.
    pub reader: Arc<dyn Reader>,
    /// Decides each step in one unit of work.
    pub desk: Arc<Desk>,
    /// Wakes the task before its next regular run.
    pub wake: Arc<CancellerWake>,
    /// Names this process in leases.
    pub holder: i64,
    /// Counts the runs and failures of the task.
    pub metrics: TaskMetrics,
    /// Shows the cancellations that are not done.
    pub gauges: CancellationGauges,
}

impl Canceller {
    /// How often cancellations of other instances are looked for.
    const EVERY: Duration = Duration::from_secs(2);
    /// Maximum number of seats in one step, and so of payments. Buyers of other performances may wait in the same lane.
    const SEATS_TOGETHER_MAX: usize = 100;
    /// After a step the task rests for this multiple of its duration, because buyers wait for the same locks and processors.
    /// `./bench staff cancellation` measures what is left for the sale.
    const RESTS: u32 = 8;
    /// The longest rest, well below the lease of a step.
    const REST_MAX: Duration = Duration::from_secs(1);

    /// A name of a process for leases: random, and never 0.
    pub fn new_holder() -> i64 {
        rand::random::<i64>().saturating_abs().max(1)
    }

    /// Runs until stopped.
    pub async fn run(self, stop: CancellationToken) {
        let mut tried = HashMap::new();
        loop {
            // A step that is under way at the end is decided as a whole or not at all.
            let settled = tokio::select! {
                () = stop.cancelled() => return,
                settled = self.settle(&mut tried) => settled,
            };
            self.metrics.ran(settled.is_ok());
            match settled {
                Ok(true) => continue,
                Ok(false) => {}
                Err(reason) => tracing::warn!(reason, "failed to settle a cancelled performance; retrying in 2 s"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(Self::EVERY) => {}
                () = self.wake.0.notified() => {}
            }
        }
    }

    /// Takes one step of each cancellation that is due. One that fails does not keep the others from being settled. `tried`
    /// has the last payment of each performance whose refund was tried again in this round. Returns whether another step follows.
    ///
    /// # Errors
    /// The first failure.
    async fn settle(&self, tried: &mut HashMap<PerformanceId, PaymentId>) -> Result<bool, String> {
        let under_way = self.reader.cancellations_under_way().await.map_err(|error| error.to_string())?;
        let now = self.reader.now();
        self.gauges.show(&under_way, now);
        let (mut goes_on, mut settled) = (false, Ok(()));
        for Cancellation { performance, progress, .. } in under_way {
            let is_ours = progress.holder == self.holder || progress.leased_until <= now;
            let is_due = !progress.is_through || progress.retry_at <= now;
            if !is_ours || !is_due {
                continue;
            }
            let began = Instant::now();
            let step = if progress.is_through {
                self.again(performance, tried).await
            } else {
                self.seats(performance, progress.settled_to).await
            };
            let stepped = match step {
                Ok(step) => self.step(step).await,
                Err(error) => Err(error.to_string()),
            };
            match stepped {
                Ok(further) => {
                    goes_on |= further;
                    if further {
                        tokio::time::sleep((began.elapsed() * Self::RESTS).min(Self::REST_MAX)).await;
                    }
                }
                Err(reason) => settled = settled.and(Err(reason)),
            }
        }
        settled.map(|()| goes_on)
    }

    /// The step that settles the next seats.
    async fn seats(&self, performance: PerformanceId, after: u32) -> Result<Step, StoreError> {
        let seats = self.reader.unsettled_seats(performance, after, Self::SEATS_TOGETHER_MAX).await?;
        let to = seats.last().map(|seat| seat.number).filter(|_| seats.len() == Self::SEATS_TOGETHER_MAX);
        let (holds, payments) = named(performance, seats);
        Ok(Step { performance, holder: self.holder, part: Part::Seats { after, to }, payments, holds })
    }

    /// The step that tries the next failed refunds again.
    async fn again(
        &self,
        performance: PerformanceId,
        tried: &mut HashMap<PerformanceId, PaymentId>,
    ) -> Result<Step, StoreError> {
        let page = Page { after: tried.remove(&performance), limit: Self::SEATS_TOGETHER_MAX };
        let failed = self.reader.failed_refunds(performance, page).await?;
        let last = failed.last().map(|(failed, ..)| failed.payment);
        let further = last.filter(|_| failed.len() == Self::SEATS_TOGETHER_MAX);
        tried.extend(further.map(|payment| (performance, payment)));
        let refund = |(failed, paid, _): (FailedRefund, Payment, Vec<u32>)| RefundSeats {
            payment: failed.payment,
            reservation: failed.reservation,
            performance,
            user: paid.user,
            seats: None,
        };
        let (part, payments) = (Part::Again { is_last: further.is_none() }, failed.into_iter().map(refund).collect());
        Ok(Step { performance, holder: self.holder, part, payments, holds: Vec::new() })
    }

    /// Takes a step. Returns whether another follows after a rest.
    async fn step(&self, step: Step) -> Result<bool, String> {
        let stepped = self.desk.submit_patiently(step).await.map_err(|error| error.to_string())?;
        // Elsewhere, another instance does what is left, or the next run looks whether it did.
        let stepped = stepped.map_err(|refusal| format!("{refusal:?}"))?;
        Ok(matches!(stepped, Stepped::Taken { rests: false }))
    }
}

/// The holds and the payments of seats, each once.
fn named(performance: PerformanceId, seats: Vec<UnsettledSeat>) -> (Vec<ReservationId>, Vec<RefundSeats>) {
    let (mut known, mut holds, mut payments) = (BTreeSet::new(), Vec::new(), Vec::new());
    for UnsettledSeat { reservation, paid, .. } in seats {
        if !known.insert(reservation) {
            continue;
        }
        match paid {
            None => holds.push(reservation),
            Some((payment, user)) => {
                payments.push(RefundSeats { payment, reservation, performance, user, seats: None });
            }
        }
    }
    (holds, payments)
}

#[cfg(test)]
mod tests {
    use onsale_domain::cancellation::Progress;
    use onsale_domain::ids::{ConcertId, EventId};

    use super::*;

    const CANCELLED_AT: Timestamp = Timestamp::from_millis(1_000_000);

    fn cancellation(progress: Progress) -> Cancellation {
        Cancellation {
            performance: PerformanceId::new(Default::default()),
            concert: ConcertId::new(Default::default()),
            version: 2,
            event: EventId::new(Default::default()),
            cancelled_at: CANCELLED_AT,
            reason: "the singer is ill".into(),
            payments: 3,
            refunded_before: 0,
            progress,
        }
    }

    /// The gauges with these cancellations, this many seconds after the cancellation: those that wait, and overdue seconds.
    fn shown(progress: &[&Progress], seconds: u32) -> (i64, i64) {
        let gauges = CancellationGauges::default();
        let under_way: Vec<_> = progress.iter().map(|progress| cancellation((*progress).clone())).collect();
        gauges.show(&under_way, CANCELLED_AT.plus_seconds(seconds));
        (gauges.waiting.get(), gauges.overdue_seconds.get())
    }

    #[test]
    fn a_cancellation_waits_after_its_last_seat_and_is_overdue_when_no_process_takes_its_step() {
        let new = Progress::default();
        let leased = Progress { leased_until: CANCELLED_AT.plus_seconds(70), ..Progress::default() };
        let through = Progress { is_through: true, retry_at: CANCELLED_AT.plus_seconds(80), ..leased };
        let table: [(&[&Progress], u32, (i64, i64)); 8] = [
            (&[], 90, (0, 0)),
            (&[&new], 0, (0, 0)),
            (&[&new], 90, (0, 90)),
            (&[&leased], 69, (0, 0)),
            (&[&leased], 90, (0, 20)),
            (&[&through], 79, (1, 0)),
            (&[&through], 90, (1, 10)),
            (&[&through, &leased, &through], 90, (2, 20)),
        ];
        for (progress, seconds, expected) in table {
            assert_eq!(shown(progress, seconds), expected, "{progress:?} after {seconds} s");
        }
    }
}
