//! `onsale events`: prints the event log, and sends events again.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use clap::ArgMatches;
use clap::parser::ValueSource;
use onsale_app::calendar::parse_rfc3339;
use onsale_app::event::{EventState, StoredEvent};
use onsale_app::store::{Page, Reader, StoreError};
use onsale_domain::ids::EventId;
use onsale_domain::time::Timestamp;
use tokio::signal::ctrl_c;

use super::{Failed, Outcome, block_on, print, write_to_reader};
use crate::sale;
use crate::settings::Settings;

/// The time from one read of the log to the next with `--follow`.
const POLL_EVERY: Duration = Duration::from_millis(250);

/// Events per read of the log, and per write to standard output.
const PAGE: usize = 1_000;

/// Events that `--follow` prints before new ones, as `tail -f` does.
const LAST_DEFAULT: usize = 10;

/// The largest `--last`: one read.
pub(super) const LAST_MAX: i64 = 1_000;

pub(super) fn run(settings: &Settings, given: &ArgMatches) -> Outcome {
    if let Some((name, inner)) = given.subcommand() {
        refuse_view(name, given)?;
        return if name == "retry" { retry(settings, inner) } else { replay(settings, inner) };
    }
    let view = View {
        state: given.get_one::<String>("state").map(String::as_str).and_then(state_of),
        show: if given.get_flag("json") { as_json } else { as_line },
        follow: given.get_flag("follow"),
        last: match (given.get_one::<u16>("last"), given.get_flag("follow") && !given.get_flag("from-start")) {
            (Some(last), _) => Some(usize::from(*last)),
            (None, true) => Some(LAST_DEFAULT),
            (None, false) => None,
        },
    };
    block_on(async {
        let reader = sale::open_reader(settings).await?;
        tokio::select! {
            shown = show_events(&*reader, &view) => shown,
            _ = ctrl_c() => Ok(ExitCode::SUCCESS),
        }
    })
}

/// Refuses flags that choose what to print, as these commands print no events.
fn refuse_view(command: &str, given: &ArgMatches) -> Result<(), Failed> {
    let is_given = |name: &&str| given.value_source(name) == Some(ValueSource::CommandLine);
    match ["follow", "from-start", "json", "last", "state"].into_iter().find(is_given) {
        Some(name) => Err(Failed::Usage(format!("--{name} has no effect on onsale events {command}"))),
        None => Ok(()),
    }
}

fn retry(settings: &Settings, given: &ArgMatches) -> Outcome {
    let ids = given.get_many::<String>("id").into_iter().flatten();
    let ids = ids.map(|id| {
        EventId::parse(id).ok_or_else(|| Failed::Usage(format!("--id {id} is not the id of an event, a UUID")))
    });
    let ids = ids.collect::<Result<BTreeSet<_>, _>>()?.into_iter().collect::<Vec<_>>();
    let mut put_back = 0;
    let done = block_on(async {
        sale::retry_dead_events(settings, &ids, |more| put_back += more).await.map_err(Failed::from)
    });
    if put_back > 0 || done.is_ok() {
        print(&format!("{put_back} dead letter(s) put back"))?;
    }
    done?;
    if put_back < ids.len() {
        let missing = ids.len() - put_back;
        return Err(Failed::Error(format!("{missing} of the {} events of --id are not dead letters", ids.len())));
    }
    Ok(ExitCode::SUCCESS)
}

fn replay(settings: &Settings, given: &ArgMatches) -> Outcome {
    let since = given.get_one::<String>("since").map(String::as_str).unwrap_or_default();
    let since = parse_rfc3339(since).ok_or_else(|| {
        Failed::Usage(format!("--since {since} is not an instant in RFC 3339, such as 2026-11-25T09:00:00Z"))
    })?;
    let found = block_on(async { sale::replay_events(settings, since).await.map_err(Failed::from) })?;
    print(if found { "sent events since then will be sent again" } else { "no event since then was sent" })
}

/// Which events to print, and how.
struct View {
    state: Option<EventState>,
    show: fn(&StoredEvent, Timestamp) -> String,
    follow: bool,
    /// Begin with this many events from the end of the log; `None`: with its first event.
    last: Option<usize>,
}

impl View {
    /// Returns the next events that may be in the state. The database has an index for dead and for unsent events; for sent
    /// ones, and with `--follow`, it reads every event.
    async fn page(&self, reader: &dyn Reader, after: Option<u64>) -> Result<Vec<StoredEvent>, StoreError> {
        let page = Page { after, limit: PAGE };
        match self.state {
            Some(EventState::Dead) if !self.follow => reader.dead_events(page).await,
            Some(EventState::Pending) if !self.follow => reader.unsent_events(page).await,
            _ => reader.events(page).await,
        }
    }

    /// Writes events with one system call. Returns whether the reader of standard output still has the pipe open.
    fn print(&self, events: &[StoredEvent], now: Timestamp) -> Result<bool, Failed> {
        let is_wanted = |event: &&StoredEvent| self.state.is_none_or(|state| state == event.state);
        let lines = events.iter().filter(is_wanted).map(|event| (self.show)(event, now) + "\n");
        write_to_reader(lines.collect::<String>().as_bytes())
    }
}

/// Prints events until the log ends, or with `--follow` until the reader of standard output closes the pipe.
async fn show_events(reader: &dyn Reader, view: &View) -> Outcome {
    let mut after = None;
    if let Some(count) = view.last {
        let last = reader.last_events(count).await?;
        after = last.last().map(|event| event.position);
        if !view.print(&last, reader.now())? || !view.follow {
            return Ok(ExitCode::SUCCESS);
        }
    }
    loop {
        let events = view.page(reader, after).await?;
        after = events.last().map(|event| event.position).or(after);
        if !view.print(&events, reader.now())? {
            return Ok(ExitCode::SUCCESS);
        }
        // A full page: there may be more, so read on at once.
        if events.len() < PAGE {
            if !view.follow {
                return Ok(ExitCode::SUCCESS);
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }
}

fn state_of(word: &str) -> Option<EventState> {
    [EventState::Pending, EventState::Sent, EventState::Dead].into_iter().find(|state| word_of(*state) == word)
}

fn word_of(state: EventState) -> &'static str {
    match state {
        EventState::Pending => "pending",
        EventState::Sent => "sent",
        EventState::Dead => "dead",
    }
}

/// The line of an event: state, id, type, subject, age, and the reason if it is dead.
fn as_line(event: &StoredEvent, now: Timestamp) -> String {
    let state = word_of(event.state);
    let age = age(event.at.millis_until(now));
    let reason = event.reason.as_deref().unwrap_or("-");
    format!("{state:<7}  {}  {:<27}  {:<36}  {age:>6}  {reason}", event.id, event.kind, event.subject)
}

fn as_json(event: &StoredEvent, _: Timestamp) -> String {
    event.to_json()
}

/// Formats a time span in its largest unit of which there are two: `119s`, `2m`, `2h`, `2d`.
fn age(millis: i64) -> String {
    let seconds = millis.max(0) / 1000;
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=172_799 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}
