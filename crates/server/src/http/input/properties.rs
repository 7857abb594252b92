//! What holds for every request, well meant or not: nothing panics, an answer stays short, what is sound is read as it
//! was written.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::fields::{self, Fields};
use super::{RawQuery, body, structure, visible};
use crate::http::reply::problem::Problem;
use crate::http::values::{Day, Switch};

/// The longest answer to a bad request, in bytes.
const ANSWER_MAX: usize = 8 * 1024;

fn is_short(problem: &Problem) -> bool {
    problem.to_json().len() <= ANSWER_MAX
}

fn query(text: &str) -> Option<Result<RawQuery, Problem>> {
    let uri: Uri = format!("/list?{text}").parse().ok()?;
    Some(RawQuery::read(&uri))
}

/// A JSON text as it may be written, with what it holds.
#[derive(Clone, Debug)]
enum Json {
    Scalar(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    fn text(&self) -> String {
        match self {
            Self::Scalar(text) => text.clone(),
            Self::Array(all) => format!("[{}]", all.iter().map(Self::text).collect::<Vec<_>>().join(" , ")),
            Self::Object(all) => {
                let member = |(name, value): &(String, Self)| format!("{}:{}", quoted(name), value.text());
                format!("{{ {} }}", all.iter().map(member).collect::<Vec<_>>().join(","))
            }
        }
    }

    fn is_within_bounds(&self, depth: usize) -> bool {
        match self {
            Self::Scalar(_) => true,
            Self::Array(all) => {
                all.len() <= 1_000 && depth < 32 && all.iter().all(|inner| inner.is_within_bounds(depth + 1))
            }
            Self::Object(all) => {
                all.len() <= 64 && depth < 32 && all.iter().all(|(_, inner)| inner.is_within_bounds(depth + 1))
            }
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn scalar() -> impl Strategy<Value = Json> {
    let number = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f32>()
            .prop_filter_map("finite", |n| { serde_json::Number::from_f64(f64::from(n)).map(|n| n.to_string()) })
    ];
    let word = prop_oneof![Just("true"), Just("false"), Just("null")].prop_map(str::to_owned);
    prop_oneof![number, word, any::<String>().prop_map(|text| quoted(&text))].prop_map(Json::Scalar)
}

/// Values of any shape, some of them at their bounds.
fn json() -> impl Strategy<Value = Json> {
    let inner = scalar().prop_recursive(6, 60, 6, |inner| {
        let name = prop_oneof!["[a-c]", any::<String>(), Just("{\"[,".to_owned())];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
            prop::collection::vec((name, inner), 0..6).prop_map(Json::Object),
        ]
    });
    let one = || Json::Scalar("1".to_owned());
    prop_oneof![
        6 => inner.clone(),
        1 => (995..1_006_usize).prop_map(move |length| Json::Array(vec![one(); length])),
        1 => (60..70_usize).prop_map(move |length| Json::Object(vec![("a".to_owned(), one()); length])),
        1 => (28..36_usize, inner).prop_map(|(depth, inner)| (0..depth).fold(inner, |inner, _| Json::Array(vec![inner]))),
    ]
}

/// Takes what a handler would, and more.
fn take(bytes: &[u8]) -> Result<(), Problem> {
    let mut fields = Fields::read(bytes)?;
    fields.required("amount", fields::integer);
    fields.optional("a", fields::name);
    fields.optional("b", fields::between(1..=10));
    fields.object("queue", |queue| queue.optional("c", fields::switch));
    if fields.is_list("seats") {
        fields.objects("seats", |seat| seat.required("from", fields::count(1, 100)));
    } else {
        fields.items("seats", fields::saturated);
    }
    fields.finish(Some(()))
}

fn raw(text: &str) -> &RawValue {
    serde_json::from_str(text).unwrap_or_else(|error| unreachable!("{text}: {error}"))
}

proptest! {
    #![proptest_config(crate::properties::cases(200))]

    #[test]
    fn any_query_is_read_or_refused_in_few_words(text in prop_oneof!["[a-c0-9=&%+;]{0,80}", "[!-~]{0,200}", "(a?&){0,400}"]) {
        let Some(read) = query(&text) else { return Ok(()) };
        let taken = read.and_then(|mut query| {
            query.rows(|cursor| cursor.parse::<u64>().ok());
            query.optional::<Day>("a");
            query.required::<Switch>("b");
            let _ = (query.raw().len(), query.next_link("7"));
            query.finish(Some(()))
        });
        if let Err(problem) = taken {
            prop_assert!(is_short(&problem));
        }
    }

    #[test]
    fn parameters_are_read_as_they_were_meant(
        pairs in prop::collection::btree_map(any::<String>(), any::<String>(), 0..32),
    ) {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let written: Vec<String> = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let Some(Ok(mut query)) = query(&written.join("&")) else { return Err(TestCaseError::fail("a sound query")) };
        for (name, value) in &pairs {
            prop_assert_eq!(query.required(name), Some(value.clone()));
        }
        prop_assert!(query.finish(Some(())).is_ok());
    }

    #[test]
    fn a_link_leads_to_the_same_list_after_the_cursor(cursor in "[ -~]{0,76}", limit in 1..=200_usize, first in any::<bool>()) {
        let old = URL_SAFE_NO_PAD.encode("before");
        let written = if first { format!("cursor={old}&limit={limit}") } else { format!("&limit={limit}&&") };
        let Some(Ok(query)) = query(&written) else { return Err(TestCaseError::fail("a sound query")) };
        let link = query.next_link(&cursor);
        let target = link.trim_start_matches('<').split('>').next().unwrap_or("");
        let target: Uri = target.parse().map_err(|error| TestCaseError::fail(format!("{link}: {error}")))?;
        let Ok(mut next) = RawQuery::read(&target) else { return Err(TestCaseError::fail(link)) };
        let page = next.rows(|text| Some(text.to_owned()));
        prop_assert_eq!((page.after, page.limit), (Some(cursor), limit + 1), "one row more than the page has");
        prop_assert!(next.finish(Some(())).is_ok());
    }

    #[test]
    fn any_cursor_is_read_or_refused(text in prop_oneof!["[A-Za-z0-9_-]{0,140}", "[A-Za-z0-9%=]{0,40}"]) {
        let Some(Ok(mut query)) = query(&format!("cursor={text}")) else { return Ok(()) };
        let page = query.rows(|cursor| Some(cursor.len()));
        prop_assert!(page.after.is_none_or(|length| length <= 96));
        let sound = text.len() <= 128 && URL_SAFE_NO_PAD.decode(&text).is_ok_and(|bytes| String::from_utf8(bytes).is_ok());
        prop_assert_eq!(query.finish(Some(())).is_ok(), sound);
    }

    #[test]
    fn any_bytes_are_a_body_or_refused_in_few_words(bytes in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        r#"[\[\]{}:,"a0-9 .\\u-]{0,200}"#.prop_map(String::into_bytes),
        json().prop_map(|json| json.text().into_bytes()),
        prop::collection::vec((prop_oneof![Just("amount".to_owned()), Just("seats".to_owned()), "[a-z]{0,300}"], json()), 0..70)
            .prop_map(|members| Json::Object(members).text().into_bytes()),
    ]) {
        if let Err(problem) = take(&bytes) {
            prop_assert!(is_short(&problem), "{} bytes", problem.to_json().len());
        }
    }

    #[test]
    fn bounds_are_where_they_are_said_to_be(json in json()) {
        prop_assert_eq!(structure::check(&json.text()).is_ok(), json.is_within_bounds(0));
    }

    #[test]
    fn whole_numbers_are_read_as_digits(number in any::<i64>(), fraction in "([.][0-9]{1,3})?([eE][+-]?[0-9])?", digits in "[1-9][0-9]{19,40}") {
        let text = format!("{number}{fraction}");
        let read = fields::integer(raw(&text));
        prop_assert_eq!(read.ok(), Some(number).filter(|_| fraction.is_empty()));
        prop_assert!(fields::integer(raw(&digits)).is_err());
        prop_assert_eq!(fields::saturated(raw(&digits)), Ok(i64::MAX));
        prop_assert_eq!(fields::saturated(raw(&format!("-{digits}"))), Ok(i64::MIN));
        prop_assert_eq!(fields::between(-50..=50)(raw(&number.to_string())).is_ok(), (-50..=50).contains(&number));
    }

    #[test]
    fn text_is_read_as_it_was_written(text in any::<String>()) {
        prop_assert_eq!(fields::text(raw(&quoted(&text))), Ok(text.clone()));
        prop_assert_eq!(fields::name(raw(&quoted(&text))).ok(), Some(text).filter(|text| visible::check(text).is_ok()));
    }

    #[test]
    fn a_name_has_nothing_hidden(text in any::<String>(), hidden in prop_oneof![
        "[\u{0}-\u{1f}\u{7f}-\u{9f}]", "[\u{202a}-\u{202e}\u{2066}-\u{2069}\u{200e}\u{200f}\u{61c}]",
        "[\u{200b}\u{2060}\u{feff}\u{3164}\u{115f}\u{ad}]", "[\u{e000}-\u{e010}\u{fdd0}-\u{fdef}]",
    ], at in any::<prop::sample::Index>()) {
        let is_sound = visible::check(&text).is_ok();
        prop_assert!(!is_sound || (1..=200).contains(&text.chars().count()));
        prop_assert!(!is_sound || !text.chars().any(char::is_control));
        let characters: Vec<char> = text.chars().collect();
        let at = at.index(characters.len() + 1);
        let with: String = characters[..at].iter().copied().chain(hidden.chars()).chain(characters[at..].iter().copied()).collect();
        prop_assert!(visible::check(&with).is_err(), "{with:?}");
    }

    #[test]
    fn letters_of_any_writing_make_a_name(text in r"\p{L}[\p{L}\p{N}\p{P} ]{0,199}") {
        let has_fillers = text.contains(['\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}']);
        prop_assert_eq!(visible::check(&text).is_ok(), !has_fillers, "{:?}", text);
    }

    #[test]
    fn an_idempotency_key_is_visible_and_bounded(bytes in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300), "[!-~]{0,300}".prop_map(String::into_bytes),
    ]) {
        let Ok(value) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
        let headers: HeaderMap = [(HeaderName::from_static("idempotency-key"), value)].into_iter().collect();
        let is_sound = (1..=255).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
        match body::idempotency_key(&headers) {
            Ok(key) => prop_assert!(is_sound && key.as_deref().map(str::as_bytes) == Some(&bytes[..])),
            Err(problem) => prop_assert!(!is_sound && is_short(&problem)),
        }
    }
}

/// The work is bounded by the parameters that are taken, whatever the length of the query.
#[test]
fn a_query_is_read_no_further_than_its_bound() {
    for (given, taken) in [(5, 5), (32, 32), (33, 33), (66, 33), (9_000, 33), (18_000, 33)] {
        let names: Vec<String> = (0..given).map(|number| format!("p{number}")).collect();
        let mut pulled = 0;
        let read = RawQuery::collect(names.iter().map(String::as_str).inspect(|_| pulled += 1), &Uri::default());
        assert_eq!((read.is_ok(), pulled), (given <= 32, taken), "of {given} parameters");
    }
}
