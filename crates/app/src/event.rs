//! Events as consumers read them: CloudEvents 1.0, with the names and fields of the contract.

use onsale_domain::concert::{Concert, Ending, Notice, Performance, Seating, Section};
use onsale_domain::event::{Claim, Event, Happening, Subject};
use onsale_domain::ids::EventId;
use onsale_domain::lecture::{HistoryKind, Lecture};
use onsale_domain::refund::{By, Policy, Refund, Rule};
use onsale_domain::seat_list::EntryEnd;
use onsale_domain::ticket::{Voided, Why};
use onsale_domain::time::Timestamp;
use onsale_domain::wallet::EntryKind;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::calendar::{parse_rfc3339, rfc3339};
use crate::draw_event::{self, closed_data, completed_data};
use crate::trace::TraceContext;

/// The `source` of every event: this system. Ids are unique within it.
pub const SOURCE: &str = "/onsale";

/// The state of an event in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventState {
    /// Written, not yet sent.
    Pending,
    /// Sent, and acknowledged by the receiver.
    Sent,
    /// A dead letter: it cannot be sent, and has a reason.
    Dead,
}

/// An event as the outbox stores it.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// Position in the log, ascending in commit order.
    pub position: u64,
    /// Id of the event, the same in every retry.
    pub id: EventId,
    /// The CloudEvents type, such as `onsale.seats.held.v1`.
    pub kind: String,
    /// Id of the user, lecture or performance that it is about.
    pub subject: String,
    /// The subject's version after the change. Events of one subject are in this order.
    pub version: u64,
    /// When the change was decided.
    pub at: Timestamp,
    /// The data of the event, as JSON.
    pub data: String,
    /// Whether it is sent.
    pub state: EventState,
    /// Why it is a dead letter; `None` if it is none.
    pub reason: Option<String>,
    /// The trace context of the request that caused it, if it is traced.
    pub trace: Option<TraceContext>,
}

/// CloudEvents' structured mode, in the order in which it is written.
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: &'static str,
    #[serde(rename = "type")]
    kind: &'a str,
    subject: &'a str,
    time: String,
    datacontenttype: &'static str,
    /// The text from the outbox, checked to be JSON and not parsed into values.
    data: Option<&'a RawValue>,
}

/// The fields that are read back from a published CloudEvent.
#[derive(Deserialize)]
struct Published<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    subject: String,
    time: String,
    #[serde(borrow)]
    data: &'a RawValue,
}

impl StoredEvent {
    /// Reads an event back from its published text. Its position and version are 0, because the text does not contain them.
    /// Returns `None` if the text is no event of this program.
    pub fn from_json(json: &str) -> Option<Self> {
        let Published { id, kind, subject, time, data } = serde_json::from_str(json).ok()?;
        Some(Self {
            position: 0,
            id: EventId::parse(&id)?,
            kind,
            subject,
            version: 0,
            at: parse_rfc3339(&time)?,
            data: data.get().to_owned(),
            state: EventState::Dead,
            reason: None,
            trace: None,
        })
    }

    /// The event in CloudEvents' structured mode, on one line.
    pub fn to_json(&self) -> String {
        let event = CloudEvent {
            specversion: "1.0",
            id: self.id.to_string(),
            source: SOURCE,
            kind: &self.kind,
            subject: &self.subject,
            time: rfc3339(self.at),
            datacontenttype: "application/json",
            // Data that is no JSON becomes `null`, so that the event as a whole stays readable.
            data: serde_json::from_str(&self.data).ok(),
        };
        // Only maps with other keys than text, and failing writers, cannot be written as JSON.
        serde_json::to_string(&event).unwrap_or_else(|error| unreachable!("an event is JSON: {error}"))
    }

    /// The topic that events of this type are sent to.
    pub fn topic(&self) -> &'static str {
        match self.kind.split('.').nth(1) {
            Some("points") => "onsale.points",
            Some("lecture") => "onsale.lectures",
            _ => "onsale.concerts",
        }
    }
}

/// The topics of all events.
pub const TOPICS: [&str; 3] = ["onsale.points", "onsale.lectures", "onsale.concerts"];

/// The CloudEvents type of an event.
pub fn kind_of(happening: &Happening) -> &'static str {
    match happening {
        Happening::PointsMoved { kind: EntryKind::Charge, .. } => "onsale.points.charged.v1",
        Happening::PointsMoved { kind: EntryKind::Use, .. } => "onsale.points.used.v1",
        Happening::PointsMoved { kind: EntryKind::Refund, .. } => "onsale.points.refunded.v1",
        Happening::PointsMoved { kind: EntryKind::Adjustment, .. } => "onsale.points.adjusted.v1",
        Happening::LectureChanged { kind, .. } => lecture_kind(*kind),
        Happening::LectureUpdated { .. } => "onsale.lecture.changed.v1",
        Happening::SeatsHeld { .. } => "onsale.seats.held.v1",
        Happening::WaitlistJoined { .. } => "onsale.waitlist.joined.v1",
        Happening::WaitlistOffered { .. } => "onsale.waitlist.offered.v1",
        Happening::WaitlistEnded { .. } => "onsale.waitlist.ended.v1",
        Happening::SeatsReleased { .. } => "onsale.seats.released.v1",
        Happening::PaymentCompleted { .. } => "onsale.payment.completed.v1",
        Happening::PaymentRefunded { .. } => "onsale.payment.refunded.v1",
        Happening::TicketVoided { .. } => "onsale.ticket.voided.v1",
        Happening::TicketCheckedIn { undone_at: None, .. } => "onsale.ticket.checked-in.v1",
        Happening::TicketCheckedIn { undone_at: Some(_), .. } => "onsale.ticket.check-in-undone.v1",
        Happening::SeatsBlocked { .. } => "onsale.seats.blocked.v1",
        Happening::SeatsUnblocked { .. } => "onsale.seats.unblocked.v1",
        Happening::HoldsExtended { .. } => "onsale.holds.extended.v1",
        Happening::PerformanceChanged { .. } => "onsale.performance.changed.v1",
        Happening::PerformanceCancelled { .. } => "onsale.performance.cancelled.v1",
        Happening::ConcertChanged { .. } => "onsale.concert.changed.v1",
        Happening::DrawClosed { .. } => draw_event::CLOSED,
        Happening::DrawCompleted { .. } => draw_event::COMPLETED,
    }
}

/// The CloudEvents type of a line of a lecture's history.
pub fn lecture_kind(kind: HistoryKind) -> &'static str {
    match kind {
        HistoryKind::Applied { .. } => "onsale.lecture.applied.v1",
        HistoryKind::Cancelled { .. } => "onsale.lecture.cancelled.v1",
        HistoryKind::Waitlisted { .. } => "onsale.lecture.waitlisted.v1",
        HistoryKind::Promoted { .. } => "onsale.lecture.promoted.v1",
        HistoryKind::Left => "onsale.lecture.left.v1",
    }
}

/// The topic of an event: events of one topic and subject stay in order.
pub fn topic_of(happening: &Happening) -> &'static str {
    match happening.subject() {
        Subject::User(_) => "onsale.points",
        Subject::Lecture(_) => "onsale.lectures",
        Subject::Performance(_) | Subject::Concert(_) => "onsale.concerts",
    }
}

/// The subject of an event, as text.
pub fn subject_of(event: &Event) -> String {
    match event.happening.subject() {
        Subject::User(user) => user.to_string(),
        Subject::Lecture(lecture) => lecture.to_string(),
        Subject::Performance(performance) => performance.to_string(),
        Subject::Concert(concert) => concert.to_string(),
    }
}

/// The data of an event, as JSON. Formatted by hand, because it is built for every change of a sale. What a sale changes
/// contains only ids, numbers and instants, and none of them needs escaping.
pub fn data_of(happening: &Happening) -> String {
    match happening {
        Happening::PointsMoved { user, amount, balance_after, reference, .. } => {
            let reference = reference.map_or_else(|| "null".to_owned(), |payment| format!("\"{payment}\""));
            format!(r#"{{"userId":"{user}","amount":{amount},"balanceAfter":{balance_after},"reference":{reference}}}"#)
        }
        Happening::LectureChanged { lecture, user, kind } => {
            let number = match (kind.seat_number(), kind.position()) {
                (Some(seat_number), _) => format!(r#","seatNumber":{seat_number}"#),
                (None, Some(position)) => format!(r#","position":{position}"#),
                (None, None) => String::new(),
            };
            format!(r#"{{"lectureId":"{lecture}","userId":"{user}"{number}}}"#)
        }
        Happening::LectureUpdated { lecture } => lecture_data(lecture),
        Happening::SeatsHeld { claim, held_until, is_offer } => {
            let offer = if *is_offer { r#","offer":true"# } else { "" };
            format!(r#"{{{},"heldUntil":"{}"{offer}}}"#, claim_fields(claim), rfc3339(*held_until))
        }
        Happening::WaitlistJoined { .. } | Happening::WaitlistOffered { .. } | Happening::WaitlistEnded { .. } => {
            waitlist_data(happening)
        }
        Happening::SeatsReleased { claim, ending } => {
            let reason = match ending {
                Ending::Expired => "expired",
                Ending::Released => "released",
                Ending::Cancelled => "cancelled",
            };
            format!(r#"{{{},"reason":"{reason}"}}"#, claim_fields(claim))
        }
        Happening::PaymentCompleted { claim, payment, paid_at } => {
            format!(r#"{{{},"paymentId":"{payment}","paidAt":"{}"}}"#, claim_fields(claim), rfc3339(*paid_at))
        }
        Happening::PaymentRefunded { refund } => refund_data(refund),
        Happening::TicketVoided { voided } => voided_data(voided),
        Happening::TicketCheckedIn { check_in, performance, ticket, seat, device, checked_in_at, undone_at } => {
            let mut data = json!({
                "checkInId": check_in.to_string(), "performanceId": performance.to_string(), "ticketId": ticket.to_string(),
                "seat": seat, "device": &**device, "checkedInAt": rfc3339(*checked_in_at),
            });
            if let Some(undone_at) = undone_at {
                data["undoneAt"] = rfc3339(*undone_at).into();
            }
            data.to_string()
        }
        Happening::SeatsBlocked { performance, seats, reason }
        | Happening::SeatsUnblocked { performance, seats, reason } => json!({
            "performanceId": performance.to_string(), "seats": seats.to_vec(), "reason": &**reason,
        })
        .to_string(),
        Happening::HoldsExtended { performance, at, seconds, holds, reason } => json!({
            "performanceId": performance.to_string(), "at": rfc3339(*at), "seconds": seconds, "holds": holds,
            "reason": &**reason,
        })
        .to_string(),
        Happening::PerformanceChanged { performance } => performance_data(performance),
        Happening::PerformanceCancelled { performance, concert, reason, cancelled_at } => json!({
            "performanceId": performance.to_string(), "concertId": concert.to_string(), "reason": &**reason,
            "cancelledAt": rfc3339(*cancelled_at),
        })
        .to_string(),
        Happening::ConcertChanged { concert } => concert_data(concert),
        Happening::DrawClosed { concert, list, commitment, entries_hash } => {
            closed_data(*concert, list, *commitment, *entries_hash).to_string()
        }
        Happening::DrawCompleted { concert, list, draw } => completed_data(*concert, list, draw).to_string(),
    }
}

/// The data of an event of a waiting list of a performance.
fn waitlist_data(happening: &Happening) -> String {
    match happening {
        Happening::WaitlistJoined { entry, position } => json!({
            "waitlistId": entry.id.to_string(), "performanceId": entry.performance.to_string(),
            "userId": entry.user.as_str(), "count": entry.wish.count, "section": entry.wish.section.as_deref(),
            "grade": entry.wish.grade.as_deref(), "position": position,
        })
        .to_string(),
        Happening::WaitlistOffered { waitlist, claim, held_until } => {
            format!(r#"{{"waitlistId":"{waitlist}",{},"heldUntil":"{}"}}"#, claim_fields(claim), rfc3339(*held_until))
        }
        Happening::WaitlistEnded { performance, user, waitlist, reservation, end } => json!({
            "waitlistId": waitlist.map(|id| id.to_string()), "performanceId": performance.to_string(),
            "userId": user.as_str(), "reservationId": reservation.map(|id| id.to_string()), "reason": entry_end(*end),
        })
        .to_string(),
        _ => String::new(),
    }
}

/// Why an entry of a waiting list ended, as consumers read it.
pub fn entry_end(end: EntryEnd) -> &'static str {
    match end {
        EntryEnd::Served => "served",
        EntryEnd::Lapsed => "lapsed",
        EntryEnd::Left => "left",
        EntryEnd::Started => "started",
        EntryEnd::Cancelled => "cancelled",
    }
}

fn refund_data(refund: &Refund) -> String {
    let Refund { id, payment, reservation, performance, user, amount, fee, refunded_at, .. } = refund;
    json!({
        "refundId": id.to_string(), "paymentId": payment.to_string(), "reservationId": reservation.to_string(),
        "performanceId": performance.to_string(), "userId": user.as_str(), "seats": refund.seats.to_vec(),
        "amount": amount, "fee": fee, "by": by(refund.by), "refundedAt": rfc3339(*refunded_at),
    })
    .to_string()
}

/// The data of a void ticket, which the audit compares too.
pub fn voided_data(voided: &Voided) -> String {
    let Voided { ticket, payment, performance, seat, why, at, .. } = voided;
    json!({
        "ticketId": ticket.to_string(), "paymentId": payment.to_string(), "performanceId": performance.to_string(),
        "seat": seat, "reason": why_void(*why), "voidedAt": rfc3339(*at),
    })
    .to_string()
}

/// Why a ticket is void, as consumers read it.
pub fn why_void(why: Why) -> &'static str {
    match why {
        Why::Refunded => "refunded",
        Why::Cancelled => "cancelled",
        Why::Reissued => "reissued",
    }
}

/// Who decided on a refund, as clients and consumers read it.
pub fn by(by: By) -> &'static str {
    match by {
        By::Buyer => "buyer",
        By::Staff => "staff",
        By::Cancellation => "cancellation",
    }
}

/// A refund policy as JSON, by descending hours.
pub fn policy_data(policy: &Policy) -> Value {
    let rule = |rule: &Rule| json!({"hoursBefore": rule.hours_before, "feePercent": rule.fee_percent});
    policy.rules().iter().map(rule).collect()
}

/// Sections as JSON, in ascending order.
pub fn seating_data(seating: &Seating) -> Value {
    let section = |section: &Section| {
        let Section { from, to, grade, price } = section;
        json!({"from": from, "to": to, "grade": &**grade, "price": price})
    };
    seating.sections().iter().map(section).collect()
}

fn performance_data(performance: &Performance) -> String {
    json!({
        "performanceId": performance.id.to_string(), "concertId": performance.concert.to_string(),
        "startsAt": rfc3339(performance.starts_at), "closed": performance.closed,
        "seats": seating_data(&performance.seating),
        "refundPolicy": policy_data(&performance.refund_policy),
    })
    .to_string()
}

fn lecture_data(lecture: &Lecture) -> String {
    json!({
        "lectureId": lecture.id.to_string(), "title": &*lecture.title, "lecturer": lecture.lecturer.as_deref(),
        "startsAt": rfc3339(lecture.starts_at), "capacity": lecture.capacity, "opensAt": lecture.opens_at.map(rfc3339),
        "closed": lecture.closed, "cancelled": lecture.cancellation.is_some(),
        "reason": lecture.cancellation.as_ref().map(|cancellation| &*cancellation.reason),
    })
    .to_string()
}

fn concert_data(concert: &Concert) -> String {
    json!({
        "concertId": concert.id.to_string(), "title": &*concert.title, "venue": &*concert.venue,
        "notice": concert.notice.as_deref().map(notice_data), "closed": concert.sale.closed,
        "opensAt": concert.sale.opens_at.map(rfc3339), "closesAt": concert.sale.closes_at.map(rfc3339),
        "codesUntil": concert.sale.codes_until.map(rfc3339), "maxSeatsPerUser": concert.seats_per_user,
    })
    .to_string()
}

/// A notice as JSON: a member for each language that it has.
fn notice_data(notice: &Notice) -> Value {
    let texts = [("ko", &notice.ko), ("en", &notice.en)];
    let given = texts.into_iter().filter_map(|(language, text)| Some((language.to_owned(), json!(text.as_deref()?))));
    Value::Object(given.collect())
}

fn claim_fields(claim: &Claim) -> String {
    let Claim { reservation, performance, user, seats, amount } = claim;
    let seats: Vec<String> = seats.iter().map(u32::to_string).collect();
    format!(
        r#""reservationId":"{reservation}","performanceId":"{performance}","userId":"{user}","seats":[{}],"amount":{amount}"#,
        seats.join(",")
    )
}

#[cfg(test)]
mod tests;
