//! Sample data for `serve --demo` and `seed`.

use onsale_app::desk::DeskCommand;
use onsale_app::store::{LectureFilter, Page};
use onsale_domain::concert::{self, GRADE_DEFAULT, PRICE_DEFAULT, SEATS_DEFAULT, Seating, Section};
use onsale_domain::ids::{ConcertId, UserId};
use onsale_domain::lecture::{self, CAPACITY_DEFAULT};
use onsale_domain::refund::{Policy, Rule};
use onsale_domain::staff::{Actor, ByStaff, Call};
use onsale_domain::time::Timestamp;
use onsale_domain::wallet;

use super::Failed;
use crate::sale::Sale;
use crate::settings::Settings;

/// The sample user, and the points in its wallet.
const USER: &str = "42";
const POINTS: i64 = 500_000;

/// Title, lecturer, and the days until it starts.
const LECTURES: [(&str, Option<&str>, i64); 3] = [
    ("Queues that hold", Some("The queueing group"), 3),
    ("What a database promises", None, 10),
    ("Counting without locking", None, 24),
];

/// Title, venue, and the days until each performance.
const CONCERTS: [(&str, &str, &[i64]); 2] =
    [("Night of the Locks", "Hall of Rows", &[7, 8, 14]), ("The Last Seat", "Dome by the River", &[21])];

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// The `requestId` of the log entries about the sample data.
const REQUEST: &str = "seed";

/// Fills an empty database. Returns `false` and changes nothing if it has a lecture or a concert.
///
/// # Errors
/// `Failed::Error` if the database or a rule refuses a sample.
pub(super) async fn seed(sale: &Sale, settings: &Settings) -> Result<bool, Failed> {
    let reader = sale.store.reader();
    let from = Timestamp::from_millis(i64::MIN);
    let any = LectureFilter::starting(from);
    let lectures = reader.lectures(any, Page { after: None, limit: 1 }).await?;
    if !sale.catalogue.is_empty() || !lectures.is_empty() {
        return Ok(false);
    }
    let now = reader.now();
    for (title, lecturer, days) in LECTURES {
        let starts_at = evening(settings, now, days)?;
        let lecturer = lecturer.map(Into::into);
        let new = lecture::Create {
            title: title.into(),
            lecturer,
            starts_at,
            capacity: CAPACITY_DEFAULT,
            opens_at: None,
            closed: false,
        };
        decide(sale, by_root(new)).await?;
    }
    for (title, venue, days) in CONCERTS {
        let create = concert::Create {
            title: title.into(),
            venue: venue.into(),
            room: settings.room,
            seed: None,
            notice: None,
            seats_per_user: concert::SEATS_PER_USER_DEFAULT,
        };
        let concert = decide(sale, by_root(create)).await?;
        for day in days {
            schedule(sale, concert.id, evening(settings, now, *day)?).await?;
        }
    }
    let user = UserId::parse(USER).ok_or_else(|| Failed::Error("the sample user has an invalid id".to_owned()))?;
    decide(sale, wallet::Charge { user, amount: POINTS }).await?;
    Ok(true)
}

async fn schedule(sale: &Sale, concert: ConcertId, starts_at: Timestamp) -> Result<(), Failed> {
    let best = Section { from: 1, to: 10, grade: "VIP".into(), price: 2 * PRICE_DEFAULT };
    let rest = Section { from: 11, to: SEATS_DEFAULT, grade: GRADE_DEFAULT.into(), price: PRICE_DEFAULT };
    let seating = Seating::new(vec![best, rest])
        .map_err(|unsound| Failed::Error(format!("the sample seating is invalid: {unsound:?}")))?;
    let refund_policy = refund_policy()?;
    decide(
        sale,
        by_root(concert::Schedule { concert, starts_at, seating, layout: None, closed: false, refund_policy }),
    )
    .await?;
    Ok(())
}

/// A command with a log entry, as the owner of the key of the settings would give it.
fn by_root<C>(command: C) -> ByStaff<C> {
    ByStaff { call: Box::new(Call { actor: Actor::Root, request: REQUEST.into() }), command }
}

/// After the consumer standard of Korea for performances, without its calendar days and its free day after the booking.
fn refund_policy() -> Result<Policy, Failed> {
    let rules = [(240, 0), (168, 10), (72, 20), (24, 30), (0, 90)];
    let rule = |(hours_before, fee_percent)| Rule { hours_before, fee_percent };
    Policy::new(rules.map(rule).to_vec())
        .map_err(|unfit| Failed::Error(format!("the sample refund policy is invalid: {unfit:?}")))
}

async fn decide<C: DeskCommand>(sale: &Sale, command: C) -> Result<C::Output, Failed> {
    let outcome = sale.desk.submit_patiently(command).await?;
    outcome.map_err(|refusal| Failed::Error(format!("the server refused a sample: {refusal:?}")))
}

/// 19:00 in the sale's time zone, this many days from now.
fn evening(settings: &Settings, now: Timestamp, days: i64) -> Result<Timestamp, Failed> {
    let date = settings.calendar.date_of(now.plus_millis(days * DAY_MILLIS));
    let span =
        settings.calendar.span_of(date).ok_or_else(|| Failed::Error("the calendar has no such date".to_owned()))?;
    Ok(span.0.plus_millis(19 * 60 * 60 * 1000))
}
