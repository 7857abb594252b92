//! Presale codes, as an organiser makes, reads and deletes them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use onsale_domain::ids::ConcertId;
use onsale_domain::presale::{CODE_MAX, Code as PresaleCode, CreateCodes, DeleteCode, NewCode, USES_MAX};
use onsale_macros::operation;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::App;
use crate::http::input::staff::{RunSale, Staff};
use crate::http::input::{Body, Cursor, Fields, Member, Paged, Path, PathArgs, Payload, Query};
use crate::http::openapi::{Input, Operation, Sample};
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{Created, Decided, Listed, NoContent};
use crate::http::routes::hours::InstantField;
use crate::http::values::{Count, Id, IdText, Instant, PathId};

/// The text of a code.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CodeText(pub(crate) Arc<str>);

impl IdText for CodeText {
    const WHAT: &'static str = "1 to 64 of A-Z a-z 0-9 _ -";

    fn parse_id(text: &str) -> Option<Self> {
        let is_clear = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        ((1..=CODE_MAX).contains(&text.len()) && text.bytes().all(is_clear)).then(|| Self(text.into()))
    }

    fn shape() -> Schema {
        json_schema!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"})
    }
}

impl PathId for CodeText {
    const NAME: &'static str = "code";
    const DESCRIPTION: &'static str = "The text of the code";
}

/// Cursors begin with this, so that no text of another list is one.
const CURSOR: &str = "after-";

/// The text of the last code of a page.
impl Cursor for Arc<str> {
    fn parse(text: &str) -> Option<Self> {
        text.strip_prefix(CURSOR).and_then(CodeText::parse_id).map(|CodeText(text)| text)
    }
}

/// A code to make.
#[derive(JsonSchema)]
#[schemars(rename = "NewPresaleCode")]
#[serde(rename_all = "camelCase")]
pub(crate) struct CodeBody {
    /// Without it the server makes one of twelve characters that cannot be guessed. Capital and small letters differ.
    code: Option<Id<CodeText>>,
    /// Maximum number of live holds and unrefunded payments with the code.
    uses: Count<1, USES_MAX>,
    /// The same for one user.
    uses_per_user: Count<1, USES_MAX>,
    /// Before this instant the code is not valid; null for none.
    from: Option<InstantField>,
    /// From this instant on the code is not valid; later than `from`, and null for none.
    until: Option<InstantField>,
}

impl Body for CodeBody {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let code = Member::take(fields, "code");
        let (uses, uses_per_user) = (Member::require(fields, "uses"), Member::require(fields, "usesPerUser"));
        let (from, until): (Option<InstantField>, Option<InstantField>) =
            (Member::take(fields, "from"), Member::take(fields, "until"));
        if fields.has("section") && !fields.take_null("section") {
            // Taken, so that it is not reported as unknown too.
            let _: Option<()> =
                fields.optional("section", |_| Err("is not supported: a code is for all seats".to_owned()));
        }
        let bound = |field: &Option<InstantField>| field.and_then(|InstantField(at)| at);
        if bound(&from).zip(bound(&until)).is_some_and(|(from, until)| until <= from) {
            fields.wrong("until", "must be later than from".to_owned());
        }
        Some(Self { code, uses: uses?, uses_per_user: uses_per_user?, from, until })
    }
}

/// The codes to make: at least one, and no two with the same text.
pub(crate) struct CodesBody(Vec<CodeBody>);

impl Body for CodesBody {
    const IS_LIST: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        // A code that is wrong is noted and comes as `None`.
        let codes = fields.objects("", CodeBody::read)?;
        if codes.is_empty() {
            fields.wrong("body", "must name a code".to_owned());
            return None;
        }
        let mut known: HashSet<&CodeText> = HashSet::new();
        let mut texts = codes.iter().map(|code| code.as_ref().and_then(|code| Some(&code.code.as_ref()?.0)));
        if let Some(index) = texts.position(|text| text.is_some_and(|text| !known.insert(text))) {
            fields.wrong(&format!("{index}.code"), "is named twice".to_owned());
        }
        codes.into_iter().collect::<Option<Vec<_>>>().map(Self)
    }
}

impl JsonSchema for CodesBody {
    fn schema_name() -> Cow<'static, str> {
        "NewPresaleCodes".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let code = generator.subschema_for::<CodeBody>();
        json_schema!({"type": "array", "minItems": 1, "maxItems": 1_000, "items": code})
    }
}

impl Sample for CodesBody {
    fn sample() -> Value {
        json!([{"code": "FANCLUB-2026", "uses": 500, "usesPerUser": 1, "from": null, "until": "2026-11-21T14:00:00+09:00"}])
    }
}

/// A presale code, as lists show it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PresaleCode")]
#[serde(rename_all = "camelCase")]
pub(crate) struct CodeShown {
    code: Id<CodeText>,
    uses: u32,
    uses_per_user: u32,
    /// Holds and unrefunded payments with the code. A hold that has lapsed counts here until it is settled, about a second.
    used: u64,
    from: Option<Instant>,
    until: Option<Instant>,
    created_at: Instant,
}

impl fmt::Display for CodeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl CodeShown {
    fn of(code: &PresaleCode, used: u64) -> Self {
        Self {
            code: Id(CodeText(code.text.clone())),
            uses: code.uses,
            uses_per_user: code.uses_per_user,
            used,
            from: code.from.map(Instant),
            until: code.until.map(Instant),
            created_at: Instant(code.created_at),
        }
    }
}

impl Sample for CodeShown {
    fn sample() -> Value {
        json!({
            "code": "FANCLUB-2026", "uses": 500, "usesPerUser": 1, "used": 0, "from": null,
            "until": "2026-11-21T05:00:00.000Z", "createdAt": "2026-11-19T11:12:13.456Z"
        })
    }
}

/// The concert and the code of the path.
pub(crate) struct CodePath(PathArgs);

impl CodePath {
    fn read(&self) -> Result<(ConcertId, CodeText), Problem> {
        let Id(concert) = self.0.parse(ConcertId::NAME)?;
        let Id(code) = self.0.parse(CodeText::NAME)?;
        Ok((concert, code))
    }
}

impl FromRequestParts<App> for CodePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        PathArgs::from_request_parts(parts, app).await.map(Self)
    }
}

impl Input for CodePath {
    fn describe(operation: &mut Operation) {
        operation.path::<Id<ConcertId>>(ConcertId::NAME, ConcertId::DESCRIPTION);
        operation.path::<Id<CodeText>>(CodeText::NAME, CodeText::DESCRIPTION);
    }
}

/// The largest list of codes, in bytes: 1,000 codes of the greatest length fit. A larger one is refused with `body-too-large`.
const CODES_BYTES_MAX: usize = 1024 * 1024;

/// Make presale codes of a concert, all or none
///
/// The body is a list. Until `codesUntil` of the concert a code is needed to enter its waiting room and to hold seats. A use is a
/// live hold or an unrefunded payment, whatever number of seats it has. A hold that lapses or is released, a cancellation and the
/// refund of all seats give the use back.
#[operation(tag = Administration, returns = "The codes, in the order of the request", codes(ConcertNotFound, CodeExists))]
pub(crate) async fn create_codes(
    State(app): State<App>,
    staff: Staff<RunSale>,
    path: Path<ConcertId>,
    payload: Payload<CodesBody, CODES_BYTES_MAX>,
) -> Result<Decided<Created<Vec<CodeShown>>>, Problem> {
    let concert = path.id()?;
    let CodesBody(codes) = payload.read()?;
    let new = |code: CodeBody| NewCode {
        text: code.code.map(|Id(CodeText(text))| text),
        uses: code.uses.0,
        uses_per_user: code.uses_per_user.0,
        from: code.from.and_then(|InstantField(at)| at),
        until: code.until.and_then(|InstantField(at)| at),
    };
    let create = CreateCodes { concert, codes: codes.into_iter().map(new).collect() };
    // A retired room is loaded first, so that this instance sees what changes it.
    app.rooms.find(concert).await?;
    let show = |codes: &Vec<PresaleCode>| Created(codes.iter().map(|code| CodeShown::of(code, 0)).collect::<Vec<_>>());
    app.decide_by_staff(&staff, create, &payload, show).await
}

/// List the presale codes of a concert, by their text
#[operation(tag = Administration, returns = "The codes", codes(ConcertNotFound))]
pub(crate) async fn list_codes(
    State(app): State<App>,
    _: Staff<RunSale>,
    path: Path<ConcertId>,
    mut query: Query<Paged<Arc<str>>>,
) -> Result<Listed<CodeShown>, Problem> {
    let Paged { rows, .. } = query.read()?;
    let concert = path.id()?;
    app.rooms.find(concert).await?.ok_or_else(|| Problem::new(Code::ConcertNotFound))?;
    let codes = app.read(app.reader.codes(concert, rows)).await?;
    let cursor = |(code, _): &(PresaleCode, u64)| format!("{CURSOR}{}", code.text);
    Ok(Listed::page(&query, codes, cursor, |(code, used)| CodeShown::of(code, *used)))
}

/// Delete a presale code
///
/// From then on it is `code-invalid`. Holds and payments that were made with it stay.
#[operation(tag = Administration, returns = "The code is deleted", codes(CodeNotFound))]
pub(crate) async fn delete_code(
    State(app): State<App>,
    staff: Staff<RunSale>,
    path: CodePath,
    payload: Payload,
) -> Result<Decided<NoContent>, Problem> {
    let (concert, CodeText(text)) = path.read()?;
    payload.arrived()?;
    app.decide_by_staff(&staff, DeleteCode { concert, text }, &payload, |_| NoContent).await
}
