//! `onsale events`: the event log.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::ArgMatches;
use onsale_app::calendar::parse_rfc3339;
use onsale_app::event::{EventState, StoredEvent};
use onsale_app::store::{Page, Reader};
use onsale_domain::ids::EventId;
use onsale_domain::time::Timestamp;
use tokio::signal::ctrl_c;

use super::{Failed, Outcome, block_on, print, print_to_reader};
use crate::sale;
use crate::settings::Settings;

/// How often the log is looked at while it is followed.
const LOOK_EVERY: Duration = Duration::from_millis(250);

const PAGE: usize = 1_000;

pub(super) fn run(settings: &Settings, given: &ArgMatches) -> Outcome {
    if let Some(given) = given.subcommand_matches("retry") {
        let ids = given
            .get_many::<String>("id")
            .into_iter()
            .flatten()
            .map(|id| EventId::parse(id).ok_or_else(|| Failed::Usage(format!("--id {id} is no id of an event"))));
        let ids = ids.collect::<Result<Vec<_>, _>>()?;
        let put_back = block_on(async { sale::retry_dead_events(settings, &ids).await.map_err(Failed::from) })?;
        return print(&format!("{put_back} dead letter(s) put back"));
    }
    if let Some(given) = given.subcommand_matches("replay") {
        let since = given.get_one::<String>("since").map(String::as_str).unwrap_or_default();
        let since = parse_rfc3339(since)
            .ok_or_else(|| Failed::Usage(format!("--since {since} is no instant: 2026-11-25T09:00:00Z")))?;
        let found = block_on(async { sale::replay_events(settings, since).await.map_err(Failed::from) })?;
        return print(if found { "sent events since then will be sent again" } else { "nothing since then was sent" });
    }
    let state = given.get_one::<String>("state").cloned();
    let show = if given.get_flag("json") { as_json } else { as_line };
    let (follow, show) = (given.get_flag("follow"), &show);
    block_on(async {
        let reader = sale::open_beside(settings).await?;
        tokio::select! {
            shown = show_events(reader, follow, state.as_deref(), show) => shown,
            _ = ctrl_c() => Ok(ExitCode::SUCCESS),
        }
    })
}

async fn show_events(
    reader: Arc<dyn Reader>,
    follow: bool,
    state: Option<&str>,
    show: &impl Fn(&StoredEvent, Timestamp) -> String,
) -> Outcome {
    let mut after = None;
    loop {
        let events = reader.events(Page { after, limit: PAGE }).await?;
        let now = reader.now();
        for event in &events {
            after = Some(event.position);
            if state.is_some_and(|state| state != word_of(event.state)) {
                continue;
            }
            if !print_to_reader(&show(event, now))? {
                return Ok(ExitCode::SUCCESS);
            }
        }
        if events.len() < PAGE {
            if !follow {
                return Ok(ExitCode::SUCCESS);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn word_of(state: EventState) -> &'static str {
    match state {
        EventState::Pending => "pending",
        EventState::Sent => "sent",
        EventState::Dead => "dead",
    }
}

/// State, id, type, subject, age, reason.
fn as_line(event: &StoredEvent, now: Timestamp) -> String {
    let state = word_of(event.state);
    let age = age(event.at.millis_until(now));
    let reason = event.reason.as_deref().unwrap_or("-");
    format!("{state:<7}  {}  {:<27}  {:<36}  {age:>6}  {reason}", event.id, event.kind, event.subject)
}

fn as_json(event: &StoredEvent, _: Timestamp) -> String {
    event.to_json()
}

/// A span of time in its largest whole unit.
fn age(millis: i64) -> String {
    let seconds = millis.max(0) / 1000;
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=172_799 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}
