//! The admin log: what staff changed.

use axum::extract::State;
use onsale_app::admin_log::{parse_subject, subject as subject_text};
use onsale_app::store::{LogFilter, LogRow};
use onsale_domain::ids::{LogId, StaffKeyId};
use onsale_domain::staff::{Action, Right, Subject};
use onsale_macros::operation;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::key::KeyName;
use crate::http::App;
use crate::http::input::staff::{ReadSale, Staff};
use crate::http::input::{Paged, Parameters, Query};
use crate::http::openapi::sample::{self, Sample};
use crate::http::reply::Listed;
use crate::http::reply::problem::Problem;
use crate::http::values::{Id, Instant, Text};

/// An action of the log.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ActionName(String);

impl Text for ActionName {
    const WHAT: &'static str = "an action of the log, such as concert.changed";

    fn parse(text: &str) -> Option<Self> {
        Action::ALL.iter().any(|(_, name)| *name == text).then(|| Self(text.to_owned()))
    }
}

impl JsonSchema for ActionName {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AdminAction".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Action::ALL.iter().map(|(_, name)| *name).collect();
        json_schema!({"type": "string", "enum": names})
    }
}

/// What a log entry is about: a kind, a colon and an id.
#[derive(Clone, Debug)]
pub(crate) struct SubjectText(Subject);

impl Text for SubjectText {
    const WHAT: &'static str = "a kind, a colon and an id, such as concert:<id>";

    fn parse(text: &str) -> Option<Self> {
        parse_subject(text).map(Self)
    }
}

impl JsonSchema for SubjectText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AdminSubject".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[a-z]+:[A-Za-z0-9_-]+$"})
    }
}

/// Which log entries to list.
#[derive(Parameters)]
pub(crate) struct LogQuery {
    /// Only log entries of this key: its id or its name
    actor: Option<KeyName>,
    /// Only log entries of this action
    action: Option<ActionName>,
    /// Only log entries about this, such as `concert:<id>`
    subject: Option<SubjectText>,
}

/// The key of who acted.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AdminActor")]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActorShown {
    /// Null for `root`, the key of the setting.
    key_id: Option<Id<StaffKeyId>>,
    name: String,
}

/// A log entry: one change by a member of the staff.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AdminLogEntry")]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogShown {
    log_id: Id<LogId>,
    at: Instant,
    actor: ActorShown,
    action: ActionName,
    /// A kind, a colon and an id.
    subject: String,
    /// The changed fields as they were; null if the subject is new.
    before: Option<Map<String, Value>>,
    /// The changed fields as they were afterwards; null if the subject is gone.
    after: Option<Map<String, Value>>,
    /// Present and true if values were left out: `before` and `after` have at most 16 KiB.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(with = "Option<bool>")]
    truncated: bool,
    /// The `X-Request-Id` of the call.
    request_id: String,
}

impl LogShown {
    fn of(row: &LogRow) -> Self {
        let object = |text: Option<&str>| text.and_then(|text| serde_json::from_str(text).ok());
        Self {
            log_id: Id(row.id),
            at: Instant(row.at),
            actor: ActorShown { key_id: row.key.map(Id), name: row.actor.to_string() },
            action: ActionName(row.action.to_string()),
            subject: row.subject.to_string(),
            before: object(row.before.as_deref()),
            after: object(row.after.as_deref()),
            truncated: row.truncated,
            request_id: row.request.to_string(),
        }
    }
}

impl Sample for LogShown {
    fn sample() -> Value {
        json!({
            "logId": sample::LOG, "at": "2026-11-22T11:12:13.456Z",
            "actor": {"keyId": sample::KEY, "name": "front desk"}, "action": "concert.changed",
            "subject": format!("concert:{}", sample::CONCERT), "before": {"closed": false}, "after": {"closed": true},
            "requestId": "5f2c9a7be1d04c33"
        })
    }
}

/// List what staff changed, newest first
///
/// One log entry for each call that changed something, saved with the change. It is never changed or deleted. Roles that may
/// not read keys do not see log entries about keys.
#[operation(tag = Staff, returns = "The log entries")]
pub(crate) async fn list_admin_log(
    State(app): State<App>,
    staff: Staff<ReadSale>,
    mut query: Query<Paged<LogId, LogQuery>>,
) -> Result<Listed<LogShown>, Problem> {
    let Paged { filter: LogQuery { actor, action, subject }, rows } = query.read()?;
    let filter = LogFilter {
        actor: actor.map(|KeyName(actor)| actor.into()),
        action: action.map(|ActionName(action)| action.into()),
        subject: subject.map(|SubjectText(about)| subject_text(&about).into()),
        without_keys: !staff.may(Right::ManageKeys),
    };
    let entries = app.read(app.reader.admin_log(&filter, rows)).await?;
    Ok(Listed::page(&query, entries, |row| row.id.to_string(), LogShown::of))
}
