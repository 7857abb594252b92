//! Concerts and performances, as an administrator makes them.

use std::sync::Arc;

use axum::extract::State;
use onsale_domain::Refusal;
use onsale_domain::concert::{
    Create, GRADE_DEFAULT, Layout, PRICE_DEFAULT, PRICE_MAX, Performance, SEATS_DEFAULT, SEATS_MAX,
    SEATS_PER_USER_DEFAULT, SEATS_PER_USER_MAX, Sale, Schedule, Seating, Section, Unsound,
};
use onsale_domain::ids::ConcertId;
use onsale_domain::refund::Policy;
use onsale_domain::waiting_room::{Seed, Settings};
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::layout::{LayoutField, explain_layout};
use super::prices::PricesField;
use super::waiting_room::QueueBody;
use crate::http::App;
use crate::http::input::staff::{RunSale, Staff};
use crate::http::input::{Body, Fields, Member, Path, Payload};
use crate::http::openapi::Sample;
use crate::http::reply::problem::Problem;
use crate::http::reply::{Created, Decided};
use crate::http::routes::concert::{ConcertShown, PerformanceShown};
use crate::http::routes::hours::InstantField;
use crate::http::routes::notice::NoticeField;
use crate::http::routes::refund_policy::{PolicyField, RuleShown};
use crate::http::values::{Count, Instant, Name, Points, Scalar};

/// A concert to create, with its waiting room.
#[derive(Body, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConcertBody {
    /// Every character shows: no control characters, direction marks or invisible characters.
    title: Name,
    /// As `title`.
    venue: Name,
    queue: Option<QueueBody>,
    /// The text that buyers read; null for none.
    notice: Option<NoticeField>,
    /// Before this instant no user enters, is admitted or holds seats; null for none.
    opens_at: Option<InstantField>,
    /// The same from this instant on, which is later than `opensAt`; null for none.
    closes_at: Option<InstantField>,
    /// Until this instant a presale code is needed to enter and to hold; later than `opensAt`; null for none.
    codes_until: Option<InstantField>,
    /// Whether the sale is closed until it is opened.
    closed: Option<bool>,
    /// How many seats of a performance one user may have; 4 unless said.
    max_seats_per_user: Option<Count<1, SEATS_PER_USER_MAX>>,
}

impl Sample for ConcertBody {
    fn sample() -> Value {
        json!({"title": "Night of the Locks", "venue": "Hall of Rows", "queue": {"maxActive": 200}})
    }
}

/// Make a concert with its waiting room
#[operation(tag = Administration, returns = "The concert", example = new_concert())]
pub(crate) async fn create_concert(
    State(app): State<App>,
    staff: Staff<RunSale>,
    payload: Payload<ConcertBody>,
) -> Result<Decided<Created<ConcertShown>>, Problem> {
    let body = payload.read()?;
    let seats_per_user = body.max_seats_per_user.map_or(SEATS_PER_USER_DEFAULT, |Count(seats)| seats);
    let ConcertBody {
        title: Name(title),
        venue: Name(venue),
        queue,
        notice,
        opens_at,
        closes_at,
        codes_until,
        closed,
        ..
    } = body;
    let at = |field: Option<InstantField>| field.and_then(|InstantField(at)| at);
    let (opens_at, closes_at, codes_until) = (at(opens_at), at(closes_at), at(codes_until));
    let sale = Sale { closed: closed.unwrap_or(false), opens_at, closes_at, codes_until };
    let patch = queue.unwrap_or_default().into_patch();
    let room = patch.apply(Settings { sale, ..app.room });
    if patch.draw_at.is_some() && room.draw_at.is_none() {
        return Err(Problem::invalid_field("queue.drawAt", "only with the order draw"));
    }
    let seed = room.draw_at.map(|_| Seed::new(rand::random()));
    let notice = notice.and_then(|NoticeField(notice)| notice);
    let create = Create { title: title.into(), venue: venue.into(), room, seed, notice, seats_per_user };
    app.decide_by_staff(&staff, create, &payload, move |concert| Created(ConcertShown::new(concert).with_entry(&room)))
        .await
}

fn new_concert() -> Value {
    let mut concert = ConcertShown::sample();
    for field in ["firstDate", "lastDate", "opensAt", "earlyFrom"] {
        concert[field] = Value::Null;
    }
    concert
}

/// A performance to create, with its seats.
#[derive(Body, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PerformanceBody {
    /// RFC 3339, with seconds and an offset; years 0001 to 9999.
    starts_at: Instant,
    /// Points; the price of seats for which none is named. 50,000 unless said.
    price: Option<Points<0, PRICE_MAX>>,
    /// Or `sections`; seats 1 to 50 without both.
    seats: Option<SeatsBody>,
    /// The sections and rows of the hall, in the order in which best available takes them.
    sections: Option<LayoutField>,
    /// Prices by grade, no two for one grade. They replace those of `price`, `seats` and `sections`.
    prices: Option<PricesField>,
    /// Whether its holds are closed until they are opened.
    closed: Option<bool>,
    /// The rules by which buyers get points back, no two with the same hours. Without it only staff refund.
    refund_policy: Option<PolicyField>,
}

/// A count of seats, or sections.
#[derive(JsonSchema)]
#[serde(untagged)]
pub(crate) enum SeatsBody {
    /// Seats 1 to this one; 50 unless said.
    Count(Count<1, SEATS_MAX>),
    /// Sections that share no seat.
    Sections(#[schemars(length(min = 1, max = 1_000))] Vec<SectionBody>),
}

/// Neighbouring seats of one grade and price.
#[derive(Body, JsonSchema)]
pub(crate) struct SectionBody {
    from: Count<1, SEATS_MAX>,
    to: Count<1, SEATS_MAX>,
    /// "R" unless said. Every character shows.
    grade: Option<Name>,
    /// Points; the performance's price unless said.
    price: Option<Points<0, PRICE_MAX>>,
}

impl Member for SeatsBody {
    fn take(fields: &mut Fields<'_>, name: &str) -> Option<Self> {
        if !fields.is_list(name) {
            let either = |_| format!("must be 1 to {SEATS_MAX}, or a list of sections");
            return fields.optional(name, |value| Count::read(value).map_err(either)).map(Self::Count);
        }
        // A section that is wrong is noted and comes as `None`.
        let sections = fields.objects(name, SectionBody::read)?.into_iter().collect::<Option<Vec<_>>>()?;
        match seating(&sections, PRICE_DEFAULT) {
            Ok(_) => Some(Self::Sections(sections)),
            Err(unsound) => {
                let (path, message) = explain(unsound);
                fields.wrong(&path, message.to_owned());
                None
            }
        }
    }
}

/// The seats of sections, with this price for those that name none.
fn seating(sections: &[SectionBody], price: i64) -> Result<Seating, Unsound> {
    let section = |section: &SectionBody| Section {
        from: section.from.0,
        to: section.to.0,
        grade: section.grade.as_ref().map_or(GRADE_DEFAULT, |Name(grade)| grade).into(),
        price: section.price.map_or(price, |Points(price)| price),
    };
    Seating::new(sections.iter().map(section).collect())
}

/// Neighbouring seats of one grade and price, in an answer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Section")]
pub(crate) struct SectionShown {
    from: u32,
    to: u32,
    grade: String,
    /// Points.
    price: i64,
}

impl SectionShown {
    /// The sections of a performance, in ascending order.
    pub(crate) fn all(seating: &Seating) -> Vec<Self> {
        let shown = |section: &Section| {
            let Section { from, to, price, .. } = *section;
            Self { from, to, grade: section.grade.to_string(), price }
        };
        seating.sections().iter().map(shown).collect()
    }
}

/// The path of the field that is wrong, and what is wrong with it.
pub(super) fn explain(unsound: Unsound) -> (String, &'static str) {
    match unsound {
        Unsound::Empty => ("seats".to_owned(), "must name a section"),
        Unsound::Range(index) => (format!("seats.{index}.to"), "must not be before from"),
        Unsound::Overlap(index) => (format!("seats.{index}.from"), "is a seat of another section"),
    }
}

impl PerformanceBody {
    /// The seats, and their layout if the body has one.
    fn seats(&self) -> Result<(Seating, Option<Layout>), Problem> {
        let price = self.price.map_or(PRICE_DEFAULT, |Points(price)| price);
        let seating = match (&self.sections, &self.seats) {
            (Some(_), Some(_)) => return Err(Problem::invalid_field("sections", "cannot come with seats")),
            (Some(sections), None) => {
                let (layout, seating) = sections.plan(price).map_err(|unsound| {
                    let (path, message) = explain_layout(unsound);
                    Problem::invalid_field(&path, message)
                })?;
                return Ok((seating, Some(layout)));
            }
            (None, Some(SeatsBody::Sections(sections))) => seating(sections, price),
            (None, seats) => {
                let count = seats.as_ref().and_then(|seats| match seats {
                    SeatsBody::Count(Count(seats)) => Some(*seats),
                    SeatsBody::Sections(_) => None,
                });
                let to = count.unwrap_or(SEATS_DEFAULT);
                Seating::new(vec![Section { from: 1, to, grade: GRADE_DEFAULT.into(), price }])
            }
        };
        let seating = seating.map_err(|unsound| {
            let (path, message) = explain(unsound);
            Problem::invalid_field(&path, message)
        })?;
        Ok((seating, None))
    }
}

impl Sample for PerformanceBody {
    fn sample() -> Value {
        let seats = json!([{"from": 1, "to": 20, "grade": "VIP", "price": 120_000}, {"from": 21, "to": 50}]);
        json!({"startsAt": "2026-12-19T19:00:00+09:00", "price": 50_000, "seats": seats})
    }
}

/// A performance that was added, with what buyers do not see of it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AddedPerformance {
    #[serde(flatten)]
    performance: PerformanceShown,
    /// Its holds are closed.
    closed: bool,
    /// By descending hours.
    refund_policy: Vec<RuleShown>,
}

impl Sample for AddedPerformance {
    fn sample() -> Value {
        let mut performance = PerformanceShown::sample();
        (performance["closed"], performance["refundPolicy"]) = (json!(false), json!([]));
        performance
    }
}

/// The largest body with a layout, in bytes. A larger one is refused with `body-too-large`.
const LAYOUT_BYTES_MAX: usize = 1024 * 1024;

/// Add a performance to a concert
///
/// `seats` is how many, from seat 1, or a list of sections that share no seat. `sections` in its place lays out the hall: at most
/// 200 sections with 2,000 segments of rows together. Sections and rows rank as they are listed. The body has at most 1 MiB.
/// `prices` sets the price of all seats of a grade.
#[operation(tag = Administration, returns = "The performance", codes(ConcertNotFound))]
pub(crate) async fn create_performance(
    State(app): State<App>,
    staff: Staff<RunSale>,
    path: Path<ConcertId>,
    payload: Payload<PerformanceBody, LAYOUT_BYTES_MAX>,
) -> Result<Decided<Created<AddedPerformance>>, Problem> {
    let concert = path.id()?;
    let body = payload.read()?;
    let (seating, layout) = body.seats()?;
    let prices = body.prices.map_or_else(Vec::new, |PricesField(prices)| prices);
    let seating = seating.priced(&prices).map_err(|index| Problem::from(&Refusal::GradeUnknown { index }))?;
    let calendar = app.calendar.clone();
    let show = move |added: &Performance| {
        let refund_policy = RuleShown::all(&added.refund_policy);
        let (performance, closed) = (PerformanceShown::new(added, &calendar), added.closed);
        Created(AddedPerformance { performance, closed, refund_policy })
    };
    let closed = body.closed.unwrap_or(false);
    let refund_policy = body.refund_policy.map_or_else(Policy::default, |PolicyField(policy)| policy);
    let layout = layout.map(Arc::new);
    let schedule = Schedule { concert, starts_at: body.starts_at.0, seating, layout, closed, refund_policy };
    app.decide_by_staff(&staff, schedule, &payload, show).await
}
