//! Reservations: seats held for a short time.

use std::sync::Arc;

use axum::extract::State;
use jiff::civil::Date;
use onsale_domain::concert::{
    Dates, Held, Hold, HoldAny, Release, Reservation, SEATS_PER_USER_MAX, Status, Target, Wish,
};
use onsale_domain::ids::{PerformanceId, ReservationId};
use onsale_domain::waiting_room::Token;
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::code::{CodeTries, TypedCode};
use super::refund_policy::RuleShown;
use super::seats::SeatList;
use crate::http::App;
use crate::http::input::callers::{Caller, PathUser, Turn};
use crate::http::input::{Body, Fields, Member, Paged, Path, Payload, Query};
use crate::http::openapi::sample::{self, Sample};
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{Created, Decided, Listed, NoContent, OkJson};
use crate::http::values::{Count, Day, Id, Instant, Name};

/// Seats that one user holds together.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Reservation")]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReservationShown {
    reservation_id: Id<ReservationId>,
    performance_id: Id<PerformanceId>,
    date: Option<Day>,
    seats: Vec<u32>,
    /// Points: the sum of the seats' prices.
    amount: i64,
    status: ReservationStatus,
    /// Seats that were refunded: all of them with the status REFUNDED, some or none with PAID.
    refunded_seats: Vec<u32>,
    /// The refund policy when the seats were held. A buyer who gives them back pays the fee of this policy, or that of the
    /// policy of the performance at that time if it is lower. Without rules, seats cannot be given back by this policy.
    refund_policy: Vec<RuleShown>,
    held_until: Instant,
}

/// What became of a reservation.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum ReservationStatus {
    Held,
    Paid,
    Expired,
    Released,
    Refunded,
}

impl ReservationShown {
    pub(crate) fn of(reservation: &Reservation, status: Status, date: Option<Date>) -> Self {
        Self {
            reservation_id: Id(reservation.id),
            performance_id: Id(reservation.performance),
            date: date.map(Day),
            seats: reservation.seats.to_vec(),
            amount: reservation.amount,
            status: match status {
                Status::Held => ReservationStatus::Held,
                Status::Paid => ReservationStatus::Paid,
                Status::Expired => ReservationStatus::Expired,
                Status::Released => ReservationStatus::Released,
                Status::Refunded => ReservationStatus::Refunded,
            },
            refunded_seats: reservation.refunded.clone(),
            refund_policy: RuleShown::all(&reservation.refund_policy),
            held_until: Instant(reservation.held_until),
        }
    }

    /// As of now: a hold past its end is expired, whether or not that is settled in the database. The catalogue must have
    /// the performance.
    pub(crate) fn now(reservation: &Reservation, app: &App) -> Self {
        let date = app.catalogue.showing(reservation.performance).map(|showing| showing.date);
        Self::of(reservation, reservation.status_at(app.reader.now()), date)
    }
}

impl Sample for ReservationShown {
    fn sample() -> Value {
        json!({
            "reservationId": sample::RESERVATION, "performanceId": sample::PERFORMANCE, "date": "2026-12-19",
            "seats": [7, 8], "amount": 100_000, "status": "HELD", "refundedSeats": [],
            "refundPolicy": [{"hoursBefore": 24, "feePercent": 10}], "heldUntil": "2026-11-22T11:17:13.456Z"
        })
    }
}

/// A performance and the seats to hold in it.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HoldBody {
    /// Or `date`.
    performance_id: Option<Id<PerformanceId>>,
    /// If that date has just one performance.
    date: Option<Day>,
    /// Seat numbers, none twice; or `any`. A user may have `maxSeatsPerUser` seats of a performance; more are refused with
    /// `seat-limit`.
    seats: Option<SeatList>,
    /// Or `seats`.
    any: Option<AnySeats>,
    /// A presale code, which is needed until `codesUntil` of the concert. The hold uses it once.
    code: Option<TypedCode>,
}

/// Adjacent seats that the server chooses: the best that are free.
#[derive(Body, JsonSchema)]
pub(crate) struct AnySeats {
    /// At most `maxSeatsPerUser`; more are refused with `seat-limit`.
    count: Count<1, SEATS_PER_USER_MAX>,
    /// Only seats of this section. Without it, none of an accessible section.
    section: Option<Name>,
    /// Only seats of this grade.
    grade: Option<Name>,
}

impl Body for HoldBody {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        if !fields.has("performanceId") && !fields.has("date") {
            fields.wrong("performanceId", "is required, or date".to_owned());
        }
        let performance_id = Member::take(fields, "performanceId");
        let date = Member::take(fields, "date");
        let code = Member::take(fields, "code");
        match (fields.has("seats"), fields.has("any")) {
            (false, false) => fields.wrong("seats", "is required, or any".to_owned()),
            (true, true) => fields.wrong("any", "cannot come with seats".to_owned()),
            _ => {}
        }
        let (seats, any) = (Member::take(fields, "seats"), Member::take(fields, "any"));
        Some(Self { performance_id, date, seats, any, code })
    }
}

impl Sample for HoldBody {
    fn sample() -> Value {
        json!({"performanceId": sample::PERFORMANCE, "seats": [7, 8]})
    }
}

/// Hold seats, all or none: those that are named, or the best available
///
/// For five minutes, or as the server is set. `any` lets the server choose: seats with consecutive numbers of one segment of a
/// row, or of one range if the performance has no layout. Sections and rows rank as they are listed, ranges by their numbers. Of
/// the first row that fits, it takes a group that leaves no single free seat beside it, if there is one, then the group nearest to
/// the middle of the row, then the one with the lowest number. `date` names the performance if that date has just one. Judged in this
/// order: a seat named twice, or `date` and `performanceId` that disagree; unknown performance; sale closed, or not open yet;
/// presale code missing, wrong or used up; performance cancelled; performance started or closed; unknown seat, or section or grade;
/// more seats of one user than `maxSeatsPerUser` of the concert; taken, or not free. `seat-taken` names the seats. If they are only
/// held, or if lapses could free seats that fit, `Retry-After` is the time until then.
#[operation(
    tag = Reservations,
    returns = "The seats are held",
    codes(
        PerformanceNotFound, PerformanceAmbiguous, SaleClosed, SaleNotOpen, PerformanceCancelled, PerformanceClosed,
        SeatUnknown, SectionUnknown, SeatLimit, SeatTaken, SeatsNotAvailable
    )
)]
pub(crate) async fn create_reservation(
    State(app): State<App>,
    turn: Turn,
    tries: CodeTries,
    payload: Payload<HoldBody>,
) -> Result<Decided<Created<ReservationShown>>, Problem> {
    let read = match payload.read() {
        Ok(body) => find(&app, &turn.token, &body).await.map(|found| (body, found)),
        Err(problem) => Err(problem),
    };
    let (body, mut found) = turn.first(read)?;
    let code_try = tries.begin(&app, &turn.token.user, body.code.as_ref());
    let code = || code_try.text(body.code.as_ref());
    for _ in 0..MOVES_MAX {
        match decide(&app, (&body, &payload), found, code(), &turn.token).await {
            // Only now: under a key that was used before, the first answer counts, whatever the date is since.
            Err(problem) if problem.is_outdated => {
                app.read(app.catalogue.know_all_of(turn.token.concert)).await?;
                found = find(&app, &turn.token, &body).await?;
                check_date(&app, &turn.token, &body)?;
            }
            answer => return answer.map_err(|problem| code_try.note(&app, problem)),
        }
    }
    let answer = decide(&app, (&body, &payload), found, code(), &turn.token).await;
    answer.map_err(|problem| code_try.note(&app, problem))
}

/// How often a request is read again because a performance was added or moved meanwhile. One more answers `unavailable`.
const MOVES_MAX: usize = 3;

async fn decide(
    app: &App,
    (body, payload): (&HoldBody, &Payload<HoldBody>),
    (target, dates): (Target, Option<Dates>),
    code: Option<Arc<str>>,
    token: &Token,
) -> Result<Decided<Created<ReservationShown>>, Problem> {
    let calendar = app.calendar.clone();
    let show = move |Held { reservation, starts_at }: &Held| {
        let date = calendar.date_of(*starts_at);
        Created(ReservationShown::of(reservation, reservation.status, Some(date)))
    };
    let (token, key) = (token.clone(), payload.key(&token.user));
    let Some(any) = &body.any else {
        let seats = body.seats.as_ref().map_or_else(Vec::new, |SeatList(seats)| seats.clone());
        return app.decide(Hold { token, target, dates, seats: seats.into(), code }, key, show).await;
    };
    let name = |name: &Option<Name>| name.as_ref().map(|Name(text)| text.as_str().into());
    let wish = Wish { count: any.count.0, section: name(&any.section), grade: name(&any.grade) };
    app.decide(HoldAny { token, target, dates, wish, code }, key, show).await
}

/// Finds the performance that the body names. A date is looked up in the catalogue, which may be old: the decision compares the
/// dates that the catalogue had with those of the database.
async fn find(app: &App, token: &Token, body: &HoldBody) -> Result<(Target, Option<Dates>), Problem> {
    let performance = body.performance_id.as_ref().map(|Id(id)| *id);
    let date = body.date.as_ref().map(|Day(date)| *date);
    app.read(app.catalogue.know(&[], performance.as_slice())).await?;
    let programme = app.catalogue.programme(token.concert);
    let looked_up = || programme.as_ref().map(|programme| programme.dates()).unwrap_or_default();
    let target = match (performance, date) {
        (Some(id), None) => Target::Performance(id),
        (Some(id), Some(date)) => match app.calendar.span_of(date) {
            Some((from, until)) => Target::Dated(id, from, until),
            // The last date of the calendar has no end that the decision could check.
            None => check_date(app, token, body).map(|()| Target::Performance(id))?,
        },
        (None, Some(date)) => {
            programme.as_ref().map_or(Target::NoneOnDate, |programme| programme.target_on(date, &app.calendar))
        }
        (None, None) => return Err(Problem::invalid_field("performanceId", "is required, or date")),
    };
    // A performance that is named too needs no further one: `Target::Dated` has its date.
    let dates = performance.is_none().then(looked_up);
    Ok((target, dates))
}

/// Checks that a performance and a date of one body agree, as of the last [`find`].
///
/// # Errors
/// `invalid-request`.
fn check_date(app: &App, token: &Token, body: &HoldBody) -> Result<(), Problem> {
    let (Some(Id(id)), Some(Day(date))) = (&body.performance_id, &body.date) else { return Ok(()) };
    match app.catalogue.showing(*id).filter(|showing| showing.concert == token.concert) {
        Some(showing) if showing.date != *date => {
            Err(Problem::invalid_field("date", "is not the date of this performance"))
        }
        _ => Ok(()),
    }
}

/// Get a reservation
///
/// `status` is as of now: a hold that has lapsed is `EXPIRED`. Without `ONSALE_AUTH=jwt` the id, which cannot be
/// guessed, is the key to it.
#[operation(tag = Reservations, returns = "The reservation", codes(ReservationNotFound))]
pub(crate) async fn get_reservation(
    State(app): State<App>,
    caller: Caller,
    path: Path<ReservationId>,
    mut query: Query,
) -> Result<OkJson<ReservationShown>, Problem> {
    query.read()?;
    let found = app.read(app.reader.reservation(path.id()?)).await?;
    let reservation = found.ok_or_else(|| Problem::new(Code::ReservationNotFound))?;
    caller.acting_for(reservation.user.clone())?;
    app.read(app.catalogue.know(&[], &[reservation.performance])).await?;
    Ok(OkJson(ReservationShown::now(&reservation, &app)))
}

/// Give held seats back
///
/// If the hold had ended already, nothing changes and the answer is the same.
#[operation(tag = Reservations, returns = "The seats are not held any more", codes(ReservationNotFound, AlreadyPaid))]
pub(crate) async fn release_reservation(
    State(app): State<App>,
    turn: Turn,
    path: Path<ReservationId>,
    payload: Payload,
) -> Result<Decided<NoContent>, Problem> {
    turn.first(payload.arrived())?;
    let reservation = turn.first(path.id())?;
    let key = payload.key(&turn.token.user);
    app.decide(Release { token: turn.token, reservation }, key, |()| NoContent).await
}

/// List a user's reservations, newest first
#[operation(tag = Reservations, returns = "The reservations")]
pub(crate) async fn list_user_reservations(
    State(app): State<App>,
    PathUser(user): PathUser,
    mut query: Query<Paged<ReservationId>>,
) -> Result<Listed<ReservationShown>, Problem> {
    let Paged { rows, .. } = query.read()?;
    let reservations = app.read(app.reader.reservations_of(&user, rows)).await?;
    let performances: Vec<_> = reservations.iter().map(|reservation| reservation.performance).collect();
    app.read(app.catalogue.know(&[], &performances)).await?;
    let show = |reservation: &Reservation| ReservationShown::now(reservation, &app);
    Ok(Listed::page(&query, reservations, |reservation| reservation.id.to_string(), show))
}
