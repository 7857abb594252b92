//! Concerts with their figures, as staff read them.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use onsale_app::catalogue::Programme;
use onsale_domain::concert::{Concert, Performance};
use onsale_domain::ids::ConcertId;
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::figures::Figures;
use super::performance::AdminPerformance;
use crate::http::App;
use crate::http::input::staff::{ReadSale, Staff};
use crate::http::input::{Paged, Parameters, Path, Query};
use crate::http::openapi::Sample;
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{Listed, OkJson};
use crate::http::routes::concert::ConcertShown;
use crate::http::values::{Day, Search};

/// Which concerts to list.
#[derive(Parameters)]
pub(crate) struct ConcertFilter {
    /// Only concerts with this text in their title or venue; capital and small letters count as the same
    q: Option<Search>,
    /// Only concerts with a performance on this date or later, in the time zone of the server
    from: Option<Day>,
    /// Only concerts with a performance on this date or earlier
    to: Option<Day>,
}

impl ConcertFilter {
    /// One performance must be in the range, not one after `from` and another before `to`.
    fn fits(&self, programme: &Programme) -> bool {
        let Concert { title, venue, .. } = &programme.concert;
        let is_named = self.q.as_ref().is_none_or(|q| q.is_in(title) || q.is_in(venue));
        let is_whenever = self.from.is_none() && self.to.is_none();
        let is_within = |date| {
            self.from.as_ref().is_none_or(|Day(from)| *from <= date)
                && self.to.as_ref().is_none_or(|Day(to)| date <= *to)
        };
        is_named && (is_whenever || programme.showings.iter().any(|showing| is_within(showing.date)))
    }
}

/// A concert with the figures of all of its performances.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ConcertWithTotals {
    #[serde(flatten)]
    concert: ConcertShown,
    /// All performances together, past and cancelled ones included.
    totals: Figures,
}

impl Sample for ConcertWithTotals {
    fn sample() -> Value {
        let mut concert = ConcertShown::sample();
        concert["totals"] = Figures::sample();
        concert
    }
}

/// List all concerts with their figures, past ones included
///
/// `from` and `to` name dates of performances. The figures come from counters, as of this request.
#[operation(tag = Administration, returns = "The concerts")]
pub(crate) async fn list_admin_concerts(
    State(app): State<App>,
    _: Staff<ReadSale>,
    mut query: Query<Paged<ConcertId, ConcertFilter>>,
) -> Result<Listed<ConcertWithTotals>, Problem> {
    let Paged { filter, rows } = query.read()?;
    app.read(app.catalogue.edition()).await?;
    let programmes = app.catalogue.search(rows.after, rows.limit, |programme| filter.fits(programme));
    let concerts: Vec<ConcertId> = programmes.iter().map(|programme| programme.concert.id).collect();
    let listed = app.read(app.reader.listed(&concerts, &[])).await?;
    let mut performances: HashMap<ConcertId, Vec<&Performance>> = HashMap::new();
    for performance in &listed.performances {
        performances.entry(performance.concert).or_default().push(performance);
    }
    let fresh: HashMap<ConcertId, &Concert> = listed.concerts.iter().map(|concert| (concert.id, concert)).collect();
    let show = |programme: &Arc<Programme>| {
        let concert = fresh.get(&programme.concert.id).copied().unwrap_or(&programme.concert);
        let own = performances.get(&concert.id).into_iter().flatten().copied();
        ConcertWithTotals { concert: ConcertShown::for_staff(&app, concert), totals: Figures::total(own) }
    };
    Ok(Listed::page(&query, programmes, |programme: &Arc<Programme>| programme.concert.id.to_string(), show))
}

/// How full the waiting room of a concert is.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RoomFigures {
    /// Visitors in line.
    waiting: u64,
    /// Turns that run, or ran until a moment ago.
    active: u32,
    /// Visitors admitted so far. Counts from the version of the server that added it.
    admitted_total: u64,
    /// Whether an organiser has paused admission.
    paused: bool,
}

/// A concert with the figures of each performance, and those of its waiting room.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ConcertInFull {
    #[serde(flatten)]
    concert: ConcertWithTotals,
    /// All performances, by start.
    performances: Vec<AdminPerformance>,
    room: RoomFigures,
}

impl Sample for ConcertInFull {
    fn sample() -> Value {
        let mut concert = ConcertWithTotals::sample();
        concert["performances"] = json!([AdminPerformance::sample()]);
        concert["room"] = json!({"waiting": 120, "active": 200, "admittedTotal": 1400, "paused": false});
        concert
    }
}

/// Get a concert with the figures of its performances and of its waiting room
#[operation(tag = Administration, returns = "The concert", codes(ConcertNotFound))]
pub(crate) async fn get_admin_concert(
    State(app): State<App>,
    _: Staff<ReadSale>,
    path: Path<ConcertId>,
    mut query: Query,
) -> Result<OkJson<ConcertInFull>, Problem> {
    query.read()?;
    let id = path.id()?;
    let missing = || Problem::new(Code::ConcertNotFound);
    app.see_own_changes().await;
    let room = app.rooms.find(id).await?.ok_or_else(missing)?;
    app.read(app.catalogue.know(&[id], &[])).await?;
    let mut listed = app.read(app.reader.listed(&[id], &[])).await?;
    let concert = listed.concerts.iter().find(|concert| concert.id == id).ok_or_else(missing)?;
    listed.performances.sort_by_key(|performance| (performance.starts_at, performance.id));
    let snapshot = room.snapshot();
    let figures = RoomFigures {
        waiting: room.waiting(),
        active: snapshot.room.active,
        admitted_total: snapshot.room.admitted,
        paused: snapshot.room.settings.paused,
    };
    let totals = Figures::total(&listed.performances);
    let shown = listed.performances.iter().map(|performance| AdminPerformance::of(performance, &app.calendar));
    Ok(OkJson(ConcertInFull {
        concert: ConcertWithTotals { concert: ConcertShown::for_staff(&app, concert), totals },
        performances: shown.collect(),
        room: figures,
    }))
}
