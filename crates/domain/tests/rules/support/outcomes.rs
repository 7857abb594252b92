//! How scripts write the outcome of each command, the events and the refusals.

use crate::support::mixed::Done;
use onsale_domain::Refusal;
use onsale_domain::cancellation::Stepped;
use onsale_domain::concert::{self, Ending, Extended, Held};
use onsale_domain::event::Happening;
use onsale_domain::ids::{ConcertId, ReservationId};
use onsale_domain::lecture::{Applied, Emptied, Ended, HistoryKind, LectureCancelled, Outcome, Promoted, Waitlisted};
use onsale_domain::refund::Refund;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{BlockState, Entered, Token};
use onsale_domain::wallet::{Changed, EntryKind};

use super::cancelled::report;
use super::codes::code;
use super::offer_words::of_offer;
use super::stage::Line;
use super::{Answer, START, Stage, Standing, Tables};

impl Stage {
    /// How an answer reads.
    pub(super) fn say(&self, line: &Line<'_>, answer: &Answer) -> String {
        match answer {
            Err(refusal) => refused(refusal),
            Ok(
                Done::Charge(Changed { account, .. })
                | Done::Use(Changed { account, .. })
                | Done::Adjust(Changed { account, .. }),
            ) => format!("balance {}", account.balance),
            Ok(Done::Apply(Outcome::Applied(Applied { seat_number, .. }))) => format!("seat {seat_number}"),
            Ok(Done::Apply(Outcome::Waitlisted(Waitlisted { position, .. }))) => format!("waits at {position}"),
            Ok(Done::PromoteWaiting(Promoted { promoted, goes_on })) => {
                format!("{promoted} promoted{}", if *goes_on { ", goes on" } else { "" })
            }
            Ok(Done::Cancel(())) => "cancelled".to_owned(),
            Ok(Done::ChangeLecture(lecture)) => {
                format!("version {}, {} of {}", lecture.version, lecture.enrolled, lecture.capacity)
            }
            Ok(Done::CancelLecture(done)) => ended(done),
            Ok(Done::CancelApplications(Emptied { cancelled, left })) => format!("{cancelled} cancelled, {left} left"),
            Ok(Done::RemoveApplication(Ended { seat_number: Some(seat) })) => format!("removed seat {seat}"),
            Ok(Done::RemoveApplication(Ended { seat_number: None })) => "removed from the list".to_owned(),
            Ok(Done::Hold(Held { reservation, .. })) => {
                format!("held {} until {}", reservation.amount, seconds(reservation.held_until))
            }
            Ok(Done::HoldAny(Held { reservation, .. })) => {
                format!("took {} until {}", listed(reservation.seats.iter()), seconds(reservation.held_until))
            }
            Ok(Done::Release(())) => "released".to_owned(),
            Ok(Done::Expire(settled)) => format!("expired {settled}"),
            Ok(Done::Pay(payment)) => format!("paid {}, balance {}", payment.amount, payment.balance_after),
            Ok(Done::RefundSeats(refund) | Done::RefundByStaff(refund)) => {
                let Refund { seats, amount, fee, balance_after, .. } = refund;
                format!("{} for {amount}, fee {fee}, balance {balance_after}", listed(seats.iter()))
            }
            Ok(Done::Enter(entered)) => self.entered(entered),
            Ok(Done::Leave(()) | Done::LeaveSeatList(())) => "left".to_owned(),
            Ok(Done::Step(())) => self.room_of(self.concert_of(line.actor)),
            Ok(Done::HandOut(BlockState { issued, blocks, .. })) => {
                format!("epoch {}, {issued} of {}", blocks.epoch, blocks.reserved_to)
            }
            Ok(Done::Configure(_)) => "set".to_owned(),
            Ok(Done::PutBack(is_back)) => if *is_back { "back" } else { "not back" }.to_owned(),
            Ok(Done::NoteList(())) => "noted".to_owned(),
            Ok(Done::PutBeacon(_)) => "put".to_owned(),
            Ok(Done::StoreDraw(is_stored)) => if *is_stored { "drawn" } else { "as before" }.to_owned(),
            Ok(Done::CreateCodes(codes)) => format!("made {}", listed(codes.iter().map(|code| &code.text))),
            Ok(Done::JoinSeatList(joined)) => format!("waits at {}", joined.position),
            Ok(Done::OfferSeats(step)) => format!("{} done", step.done),
            Ok(Done::DeleteCode(code)) => format!("deleted {}", code.text),
            Ok(Done::CreateLecture(_) | Done::CreateConcert(_) | Done::Schedule(_)) => "made".to_owned(),
            Ok(Done::ChangeConcert(concert)) => announced(concert),
            Ok(Done::ChangePerformance(performance)) if matches!(line.verb, "moves" | "prices") => {
                of_offer(performance)
            }
            Ok(Done::ChangePerformance(performance)) => if performance.closed { "closed" } else { "open" }.to_owned(),
            Ok(Done::AddSeats(performance)) => of_offer(performance),
            Ok(Done::Block(changed) | Done::Unblock(changed)) => {
                format!("{}, blocked {}", listed(changed.seats.iter()), changed.blocked)
            }
            Ok(Done::Extend(Extended { at, seconds: by, holds })) => format!("{holds} by {by} at {}", seconds(*at)),
            Ok(Done::Rewrite(rewritten)) => format!("rewritten {rewritten}"),
            Ok(Done::CancelPerformance(cancelled)) => {
                format!("{}{}", if cancelled.is_new { "cancelled, " } else { "" }, report(cancelled))
            }
            Ok(Done::StepOfCancellation(Stepped::Elsewhere)) => "elsewhere".to_owned(),
            Ok(Done::StepOfCancellation(Stepped::Taken { rests: true })) => "settled, rests".to_owned(),
            Ok(Done::StepOfCancellation(Stepped::Taken { rests: false })) => "settled".to_owned(),
        }
    }

    fn entered(&self, Entered { token, is_new }: &Entered) -> String {
        let which = if *is_new { "new" } else { "same" };
        format!("{which} place {}, {}", token.place, self.standing_of(token))
    }

    pub(super) fn standing_of(&self, token: &Token) -> String {
        match self.world.tables.standing(token, self.world.now) {
            Standing::Waiting(position) => format!("waiting {position}"),
            Standing::Active(until) => format!("active until {}", seconds(until)),
            Standing::Expired => "expired".to_owned(),
        }
    }

    /// Whose turns there are, those over and not yet settled in brackets, and who waits.
    fn room_of(&self, concert: ConcertId) -> String {
        let tables = &self.world.tables;
        let user = |place: u64| tables.places[&(concert, place)].user.to_string();
        let turns = Tables::in_room(&tables.turns, concert).map(|(place, _)| place);
        let turns = turns.map(|place| match tables.ends.contains_key(&(concert, place)) {
            true => format!("({})", user(place)),
            false => user(place),
        });
        let line = tables.line(concert);
        let waiting = (1..=line.issued).filter(|place| line.position(*place).is_some()).map(user);
        format!("turns {}, waiting {}", listed(turns), listed(waiting))
    }

    pub(super) fn tell(&self, happening: &Happening) -> String {
        match happening {
            Happening::PointsMoved { user, kind: EntryKind::Charge, amount, .. } => format!("{user} charged {amount}"),
            Happening::PointsMoved { user, kind: EntryKind::Use, amount, .. } => format!("{user} used {amount}"),
            Happening::PointsMoved { user, kind: EntryKind::Refund, amount, .. } => format!("{user} got {amount} back"),
            Happening::PointsMoved { user, kind: EntryKind::Adjustment, amount, .. } => {
                format!("{user} adjusted {amount}")
            }
            Happening::PaymentRefunded { refund } => {
                format!("{} refunded {}", self.name_of(refund.reservation), listed(refund.seats.iter()))
            }
            Happening::TicketVoided { voided } => format!("ticket of {} void", voided.seat),
            Happening::TicketCheckedIn { seat, .. } => format!("ticket of {seat} scanned"),
            Happening::LectureChanged { user, kind, .. } => match kind {
                HistoryKind::Applied { .. } => format!("{user} applied"),
                HistoryKind::Cancelled { .. } => format!("{user} cancelled"),
                HistoryKind::Waitlisted { position } => format!("{user} waits at {position}"),
                HistoryKind::Promoted { seat_number } => format!("{user} promoted to {seat_number}"),
                HistoryKind::Left => format!("{user} left"),
            },
            Happening::LectureUpdated { lecture } => {
                format!("lecture {}", if lecture.cancellation.is_some() { "ended" } else { "changed" })
            }
            Happening::SeatsHeld { claim, .. } => format!("{} held", self.name_of(claim.reservation)),
            Happening::WaitlistJoined { entry, position } => format!("{} waits at {position}", entry.user),
            Happening::WaitlistOffered { claim, .. } => format!("{} offered", claim.user),
            Happening::WaitlistEnded { user, .. } => format!("{user} off the list"),
            Happening::SeatsReleased { claim, ending: Ending::Expired } => {
                format!("{} expired", self.name_of(claim.reservation))
            }
            Happening::SeatsReleased { claim, ending: Ending::Released } => {
                format!("{} released", self.name_of(claim.reservation))
            }
            Happening::SeatsReleased { claim, ending: Ending::Cancelled } => {
                format!("{} ended", self.name_of(claim.reservation))
            }
            Happening::PerformanceCancelled { .. } => "performance cancelled".to_owned(),
            Happening::PaymentCompleted { claim, .. } => format!("{} paid", self.name_of(claim.reservation)),
            Happening::HoldsExtended { seconds, holds, .. } => format!("{holds} extended by {seconds}"),
            Happening::SeatsBlocked { seats, .. } => format!("{} blocked", listed(seats.iter())),
            Happening::SeatsUnblocked { seats, .. } => format!("{} unblocked", listed(seats.iter())),
            Happening::PerformanceChanged { performance } => {
                format!("performance {}", if performance.closed { "closed" } else { "open" })
            }
            Happening::ConcertChanged { concert } => {
                format!("concert {}", hours(concert))
            }
            Happening::DrawClosed { list, .. } => format!("list of {} closed", list.entries),
            Happening::DrawCompleted { list, .. } => format!("list of {} drawn", list.entries),
        }
    }

    fn name_of(&self, reservation: ReservationId) -> &str {
        let named = self.reservations.iter().find(|(_, id)| **id == reservation);
        named.map_or("unnamed", |(name, _)| name)
    }
}

fn ended(done: &LectureCancelled) -> String {
    let which = if done.is_new { "ended" } else { "ended before" };
    let waiting = if done.waiting == 0 { String::new() } else { format!(", {} waiting", done.waiting) };
    format!("{which}, {} of {} left{waiting}", done.left, done.cancellation.applications)
}

fn announced(concert: &concert::Concert) -> String {
    let said = concert.notice.as_ref().and_then(|notice| notice.en.as_deref());
    format!("{}, {}", hours(concert), said.unwrap_or("-"))
}

/// Whether a concert is closed, its hours, and its limit if that is not the usual one.
fn hours(concert: &concert::Concert) -> String {
    let mut text = if concert.sale.closed { "closed" } else { "open" }.to_owned();
    let concert::Sale { opens_at, closes_at, codes_until, .. } = concert.sale;
    for (word, bound) in [(" from ", opens_at), (" to ", closes_at), (" codes ", codes_until)] {
        text.extend(bound.map(|at| format!("{word}{}", seconds(at))));
    }
    if concert.seats_per_user != concert::SEATS_PER_USER_DEFAULT {
        text += &format!(" limit {}", concert.seats_per_user);
    }
    text
}

/// The contract's code, with what goes with it.
fn refused(refusal: &Refusal) -> String {
    let code = code(refusal);
    match refusal {
        Refusal::AlreadyWaitlisted { position } => format!("{code} {position}"),
        Refusal::LectureNotOpen { retry_after_seconds } => format!("{code}, retry after {retry_after_seconds}"),
        Refusal::SeatUnknown { seats } => format!("{code} {}", listed(seats)),
        Refusal::SeatExists { seats } => format!("{code} {}", listed(seats)),
        Refusal::GradeUnknown { index } => format!("{code} {index}"),
        Refusal::SeatsNotAvailable { retry_after_seconds: Some(wait) } => format!("{code}, retry after {wait}"),
        Refusal::Misplaced { index, field, .. } => format!("{code} {index} {field}"),
        Refusal::SeatTaken { seats, retry_after_seconds: None } => format!("{code} {}", listed(seats)),
        Refusal::SeatTaken { seats, retry_after_seconds: Some(wait) } => {
            format!("{code} {}, retry after {wait}", listed(seats))
        }
        Refusal::SaleNotOpen { opens_at, early_from, opens_in_seconds, .. } => {
            let early = early_from.map_or_else(String::new, |from| format!(", early from {}", seconds(from)));
            format!("{code} until {}{early}, in {opens_in_seconds}", seconds(*opens_at))
        }
        Refusal::SaleHours { field } | Refusal::EarlyHours { field } => format!("{code} {field}"),
        Refusal::CodeRequired { codes_until, ends_in_seconds } => {
            format!("{code} until {}, in {ends_in_seconds}", seconds(*codes_until))
        }
        Refusal::CodeExists { index } => format!("{code} {index}"),
        _ => code.to_owned(),
    }
}

fn listed(items: impl IntoIterator<Item = impl ToString>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { "-".to_owned() } else { items.join(" ") }
}

/// Seconds since the start, as scripts write them.
pub(super) fn seconds(at: Timestamp) -> String {
    let millis = START.millis_until(at);
    let text = format!("{}.{:03}", millis / 1000, millis % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
