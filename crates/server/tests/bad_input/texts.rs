//! Instants, dates, titles and names in another form than documented are refused, and the problem names the field.

use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::support::{audit, text};

/// What ISO 8601, its extensions or a careless parser allow, and RFC 3339 with an offset does not.
const NO_INSTANTS: [&str; 32] = [
    "2090-01-01",
    "2090-01-01T10:00:00",
    "2090-01-01 10:00:00Z",
    "2090-01-01 10:00:00+09:00",
    "2090-01-01T10:00Z",
    "2090-01-01T10Z",
    "20900101T100000Z",
    "2090-01-01T100000Z",
    "2090-01-01T10:00:00+09",
    "2090-01-01T10:00:00+0900",
    "2090-01-01T10:00:00+9:00",
    "2090-01-01T10:00:00[Asia/Seoul]",
    "2090-01-01T10:00:00+09:00[Asia/Seoul]",
    "2090-01-01T10:00:00Z[UTC]",
    "2090-01-01T10:00:00,5Z",
    "2090-01-01T10:00:00.Z",
    "2090-01-01T10:00:00Z ",
    " 2090-01-01T10:00:00Z",
    "2090-01-01T24:00:00Z",
    "2090-01-01T10:60:00Z",
    "2090-01-01T10:00:60Z",
    "2090-01-01T10:00:00+24:00",
    "2090-W01-1T10:00:00Z",
    "2090-001T10:00:00Z",
    "2090-02-29T10:00:00Z",
    "0000-01-01T00:00:00Z",
    "-000001-01-01T00:00:00Z",
    "-009999-01-01T00:00:00Z",
    "+002090-01-01T10:00:00Z",
    "+010000-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "2090-01-01T10:00:00\u{2212}09:00",
];

/// Text that is invisible or misleading on a screen.
const UNSEEN: [&str; 24] = [
    "",
    " ",
    "\u{3000}\u{a0}",
    "\t",
    "a\nb",
    "a\0",
    "\u{7f}",
    "\u{85}",
    "\u{200b}\u{200b}",
    "\u{200d}",
    "\u{feff}",
    "\u{2060}",
    "\u{ad}",
    "\u{3164}",
    "\u{115f}\u{1160}",
    "\u{2800}",
    "\u{202e}abc",
    "abc\u{202c}",
    "a\u{2066}b\u{2069}",
    "\u{200f}א",
    "\u{301}",
    "\u{fe0f}",
    "\u{e000}",
    "\u{ffff}",
];

/// Text in many scripts, which must come back unchanged.
const SEEN: [&str; 8] = [
    "잠금의 밤",
    "Zoe\u{308} Łukasz",
    "👩\u{200d}🚀 ❤\u{fe0f}",
    "حفلة ٧",
    "ליל המנעולים",
    "می\u{200c}خواهم",
    "क\u{94d}\u{200d}ष",
    " as it came ",
];

#[tokio::test]
async fn an_instant_must_be_rfc_3339_with_an_offset() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    let performances = fixture.operations.iter().find(|operation| operation.id == "createPerformance").unwrap();
    let calls = |instant: &str| {
        let lecture = fixture.sale.admin(fixture.sale.caller.post("/admin/lectures"));
        let lecture = lecture.json(&json!({"title": "T", "startsAt": instant}));
        let performance = fixture.call(performances, &performances.template);
        [lecture, performance.json(&json!({"startsAt": instant}))]
    };
    for instant in NO_INSTANTS {
        for call in calls(instant) {
            let problem = call.refused(422, "invalid-request").await;
            assert_eq!(problem["errors"][0]["field"], "startsAt", "{instant:?}: {problem}");
        }
    }
    fixture.is_as_before(&before).await;
    let table = [
        ("2090-01-01T10:00:00Z", "2090-01-01T10:00:00.000Z"),
        ("2090-01-01t10:00:00z", "2090-01-01T10:00:00.000Z"),
        ("2090-01-01T10:00:00.123999+09:00", "2090-01-01T01:00:00.123Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ("9999-12-30T00:00:00Z", "9999-12-30T00:00:00.000Z"),
    ];
    for (instant, read) in table {
        for call in calls(instant) {
            assert_eq!(call.expect(201).await["startsAt"], read, "{instant}");
        }
    }
    audit(&fixture.sale).await;
}

#[tokio::test]
async fn a_date_must_have_the_form_yyyy_mm_dd() {
    let fixture = Fixture::start().await;
    let seats = fixture.operations.iter().find(|operation| operation.id == "listConcertSeats").unwrap();
    let holds = fixture.operations.iter().find(|operation| operation.id == "createReservation").unwrap();
    let dates = [
        "2090-W01-1",
        "2090-1-001",
        "0000-01-01",
        "-090-01-01",
        "2090/01/01",
        "2090-02-29",
        "+090-01-01",
        "2090-01-0１",
    ];
    for date in dates {
        let encoded: String = date.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let calls = [
            fixture.sale.caller.get(&format!("/lectures?date={encoded}")),
            fixture.call(seats, &format!("{}?date={encoded}", seats.template)),
            fixture.call(holds, &holds.template).json(&json!({"date": date, "seats": [1]})),
        ];
        for call in calls {
            let problem = call.refused(422, "invalid-request").await;
            assert_eq!(problem["errors"][0]["field"], "date", "{date}: {problem}");
        }
    }
}

/// Bodies with the text as each title or name, each with the path of that member.
fn named(text: &str) -> [(&'static str, Value, &'static str); 5] {
    let at = "2090-01-01T10:00:00Z";
    let section = json!({"from": 1, "to": 2, "grade": text});
    [
        ("createLecture", json!({"title": text, "startsAt": at}), "title"),
        ("createLecture", json!({"title": "T", "lecturer": text, "startsAt": at}), "lecturer"),
        ("createConcert", json!({"title": text, "venue": "V"}), "title"),
        ("createConcert", json!({"title": "T", "venue": text}), "venue"),
        ("createPerformance", json!({"startsAt": at, "seats": [section]}), "seats.0.grade"),
    ]
}

#[tokio::test]
async fn a_title_or_name_with_invisible_characters_is_refused() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    let call = |id: &str, body: &Value| {
        let operation = fixture.operations.iter().find(|operation| operation.id == id).unwrap();
        fixture.call(operation, &operation.template).json(body)
    };
    let long = "가".repeat(201);
    for name in UNSEEN.into_iter().chain([long.as_str()]) {
        for (id, body, field) in named(name) {
            let problem = call(id, &body).refused(422, "invalid-request").await;
            assert_eq!(problem["errors"][0]["field"], field, "{name:?}: {problem}");
        }
    }
    fixture.is_as_before(&before).await;
    let longest = "😀".repeat(200);
    for name in SEEN.into_iter().chain([longest.as_str()]) {
        for (id, body, field) in named(name) {
            let made = call(id, &body).expect(201).await;
            if !field.starts_with("seats") {
                assert_eq!(text(&made[field]), name, "as it came");
            }
        }
    }
    audit(&fixture.sale).await;
}
