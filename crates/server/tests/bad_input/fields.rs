//! Members of bodies: missing, unknown, twice, of the wrong type, out of range.

use serde_json::{Value, json};

use crate::fixture::{Fixture, Operation};

/// A body with one fault, and the member that the problem must name.
struct Wrong {
    body: String,
    field: String,
    why: String,
}

/// A member of a body: its path, and its value in a valid body.
struct Member {
    path: Vec<String>,
    value: Value,
}

impl Member {
    /// Its name in problems.
    fn field(&self) -> String {
        self.path.join(".")
    }

    fn pointer(&self) -> String {
        format!("/{}", self.path.join("/"))
    }

    /// The valid body with another value for this member.
    fn set(&self, body: &Value, value: Value) -> Wrong {
        let mut wrong = body.clone();
        let why = format!("is {value}");
        *wrong.pointer_mut(&self.pointer()).unwrap() = value;
        Wrong { body: wrong.to_string(), field: self.field(), why }
    }

    /// The valid body without this member.
    fn without(&self, body: &Value) -> Wrong {
        let mut wrong = body.clone();
        let (name, parent) = self.path.split_last().unwrap();
        let parent: String = parent.iter().map(|name| format!("/{name}")).collect();
        wrong.pointer_mut(&parent).unwrap().as_object_mut().unwrap().remove(name);
        Wrong { body: wrong.to_string(), field: self.field(), why: "is missing".to_owned() }
    }
}

/// All members, those of members included; items of lists too.
fn members(value: &Value, path: &[String]) -> Vec<Member> {
    let mut found = Vec::new();
    let within: Vec<(String, &Value)> = match value {
        Value::Object(all) => all.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(all) => all.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in within {
        let path = [path, &[name]].concat();
        found.extend(members(value, &path));
        found.push(Member { path, value: value.clone() });
    }
    found
}

/// Values of other types than this one.
fn other_types(member: &Member) -> Vec<Value> {
    let null = if ["lecturer", "notice", "opensAt", "closesAt", "codesUntil", "earlyFrom", "beaconName", "beaconAt"]
        .contains(&member.path.last().map_or("", String::as_str))
    {
        vec![]
    } else {
        vec![Value::Null]
    };
    let others = match &member.value {
        Value::String(_) => vec![json!(1), json!(1.5), json!(true), json!([]), json!(["x"]), json!({})],
        Value::Number(_) => vec![json!("1"), json!(""), json!(1.5), json!(true), json!([]), json!([1]), json!({})],
        Value::Bool(_) => vec![json!("true"), json!(1), json!(0), json!([]), json!({})],
        Value::Array(_) => vec![json!("1"), json!(1.5), json!(true), json!({}), json!([]), json!([[]]), json!(["x"])],
        Value::Object(_) => vec![json!("x"), json!(1), json!(true), json!([])],
        Value::Null => unreachable!("no sound body has one"),
    };
    // A performance may have no refund policy.
    let may_be_empty = member.field() == "refundPolicy";
    let others = others.into_iter().filter(|other| !(may_be_empty && *other == json!([])));
    null.into_iter().chain(others).collect()
}

/// Values of the right type, out of the contract's bounds.
fn out_of_range(operation: &Operation, member: &Member) -> Vec<Value> {
    let name = member.path.last().map_or("", String::as_str);
    let beyond = |least: i64, most: i64| {
        let numbers = [least - 1, most + 1, i64::MIN, i64::MAX].map(|number| json!(number));
        [numbers.to_vec(), vec![serde_json::from_str("123456789012345678901234567890").unwrap()]].concat()
    };
    let long = |length: usize| json!("x".repeat(length));
    match name {
        "amount" if operation.id == "adjustPoints" => [beyond(-1_000_000_000, 1_000_000_000), vec![json!(0)]].concat(),
        "amount" => beyond(1, 10_000_000),
        "maxSeatsPerUser" => beyond(1, 20),
        "capacity" | "maxActive" | "admitPerSecond" => beyond(1, 1_000_000),
        "activeSeconds" | "seconds" => beyond(1, 86_400),
        "claimSeconds" => beyond(1, 3_600),
        "price" => beyond(0, 100_000_000),
        "hoursBefore" => beyond(0, 8_760),
        "feePercent" => beyond(0, 100),
        "from" | "to" => beyond(1, 100_000),
        "title" | "venue" | "lecturer" | "grade" | "reason" | "ko" | "en" => vec![json!(""), long(201)],
        "order" => ["", "Draw", "lots"].map(Value::from).to_vec(),
        "value" => vec![json!(""), json!("two words"), json!("é"), long(513)],
        "beaconName" => vec![json!(""), long(201)],
        "name" => vec![json!(""), long(101), json!("a\u{7}b")],
        "key" => vec![json!(""), json!("two words"), json!("é"), json!("a\u{0}"), long(1_001)],
        "role" => ["", "Owner", "root", "admin"].map(Value::from).to_vec(),
        "userId" => vec![json!(""), long(65), json!("a b"), json!("é"), json!("a.b"), json!("a\n"), json!("\u{0}")],
        "date" => ["", "today", "2026-02-30", "2026-13-01", "20260101", "2026-1-1"].map(Value::from).to_vec(),
        // A scan may show any text as the code of a ticket.
        "code" if !operation.id.starts_with("createCheckIn") => vec![json!(""), long(65)],
        "startsAt" | "opensAt" | "closesAt" | "codesUntil" | "earlyFrom" | "drawAt" | "beaconAt" => {
            ["", "soon", "2026-01-01", "2026-02-30T00:00:00Z", "2026-01-01T25:00:00Z", "2026-01-01T00:00:00"]
                .map(Value::from)
                .to_vec()
        }
        "scanId" | "device" => vec![json!(""), long(65)],
        _ if name.ends_with("Id") => {
            ["", "x", "42", "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a0", "{}"].map(Value::from).to_vec()
        }
        _ => Vec::new(),
    }
}

/// A body as text, with the member at this place written twice.
fn with_twice(value: &Value, here: &[String], place: &[String]) -> String {
    let inner = |name: &str, value: &Value| with_twice(value, &[here, &[name.to_owned()]].concat(), place);
    match value {
        Value::Object(all) => {
            let mut text = Vec::new();
            for (name, value) in all {
                let member = format!("{}:{}", json!(name), inner(name, value));
                if [here, std::slice::from_ref(name)].concat() == place {
                    text.push(member.clone());
                }
                text.push(member);
            }
            format!("{{{}}}", text.join(","))
        }
        Value::Array(all) => {
            let items: Vec<String> =
                all.iter().enumerate().map(|(index, value)| inner(&index.to_string(), value)).collect();
            format!("[{}]", items.join(","))
        }
        other => other.to_string(),
    }
}

fn wrongs(fixture: &Fixture, operation: &Operation) -> Vec<Wrong> {
    let body = fixture.body(operation);
    let required = required(fixture, operation);
    let mut wrongs = Vec::new();
    for member in members(&body, &[]) {
        let is_item = member.path.last().is_some_and(|name| name.parse::<usize>().is_ok());
        let wrong_values = [other_types(&member), out_of_range(operation, &member)].concat();
        wrongs.extend(wrong_values.into_iter().map(|value| member.set(&body, value)));
        if !is_item {
            let twice = with_twice(&body, &[], &member.path);
            wrongs.push(Wrong { body: twice, field: member.field(), why: "is there twice".to_owned() });
        }
        if member.path.last().is_some_and(|name| required.contains(name)) {
            wrongs.push(member.without(&body));
        }
        if member.value.is_object() {
            let mut wrong = member.set(&body, {
                let mut more = member.value.clone();
                more["unknown"] = json!(1);
                more
            });
            wrong.field.push_str(".unknown");
            wrongs.push(wrong);
        }
    }
    for name in ["unknown", " ", "AMOUNT", "user_id", "__proto__", "é"] {
        let mut body = body.clone();
        body[name] = json!(1);
        wrongs.push(Wrong { body: body.to_string(), field: name.to_owned(), why: "is unknown".to_owned() });
    }
    wrongs
}

/// Members that the document requires, those of members of lists included.
fn required(fixture: &Fixture, operation: &Operation) -> Vec<String> {
    let schema = schema_of(fixture, operation);
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let own = required.iter().map(crate::support::text);
    let of_prices: &[&str] = if operation.id == "updatePerformance" { &["grade", "price"] } else { &[] };
    let of_lists = ["from", "to", "hoursBefore", "feePercent"].into_iter().chain(of_prices.iter().copied());
    own.chain(of_lists.map(str::to_owned)).collect()
}

fn schema_of<'a>(fixture: &'a Fixture, operation: &'a Operation) -> &'a Value {
    let schema = &operation.described["requestBody"]["content"]["application/json"]["schema"];
    let name =
        schema["$ref"].as_str().unwrap_or_else(|| panic!("{}: {schema}", operation.id)).strip_prefix("#").unwrap();
    fixture.document.pointer(name).unwrap()
}

#[tokio::test]
async fn a_problem_names_the_wrong_member() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    let mut tried = 0;
    for operation in fixture.operations.iter().filter(|operation| operation.takes_an_object()) {
        for wrong in wrongs(&fixture, operation) {
            let call = fixture.call(operation, &operation.template).header("content-type", "application/json");
            let reply = call.bytes(wrong.body.clone()).send().await;
            let problem = reply.expect(422);
            let what = format!("{}: {} {}: {problem}", operation.id, wrong.field, wrong.why);
            let code = if wrong.field == "amount" && reply.code() != "invalid-request" {
                "amount-out-of-range"
            } else {
                "invalid-request"
            };
            assert_eq!(problem["code"], code, "{what}");
            let errors = problem["errors"].as_array().unwrap_or_else(|| panic!("{what}"));
            let named = errors.iter().any(|error| names(&error["field"], &wrong.field));
            assert!(named, "{what}");
            tried += 1;
        }
    }
    assert!(tried > 300, "the table is generated: {tried}");
    fixture.is_as_before(&before).await;
}

/// Whether a problem names this member. How items of lists are written is not fixed: the list must be named.
fn names(found: &Value, field: &str) -> bool {
    let found = found.as_str().unwrap_or_default();
    let list = field.split('.').next().unwrap_or_default();
    let in_a_list = ["seats", "prices", "refundPolicy", "checkIns"].contains(&list);
    found == field || (in_a_list && found.starts_with(list))
}

#[tokio::test]
async fn a_body_with_only_valid_members_is_accepted() {
    let fixture = Fixture::start().await;
    for operation in fixture.operations.iter().filter(|operation| operation.takes_an_object()) {
        let body = fixture.body(operation);
        let known = schema_of(&fixture, operation)["properties"].as_object().unwrap().keys().cloned();
        // Only with `ONSALE_CHARGE=staff`: see `auth/staff/charging.rs`.
        let known = known.filter(|name| operation.id != "chargePoints" || name != "externalId");
        // In place of `seats`: see `halls.rs`.
        let known = known.filter(|name| !["any", "sections"].contains(&name.as_str()));
        let mut here: Vec<String> = body.as_object().unwrap().keys().cloned().collect();
        here.sort();
        assert!(known.eq(here.iter().cloned()), "{}: a body with every member", operation.id);
        let reply = fixture.call(operation, &operation.template).json(&body).send().await;
        // The order of a room in use stays, its places are not drawn, and the ticket of the scan was refunded by a call before. The
        // payment has ended the turn.
        let refused = match operation.id.as_str() {
            "updateQueueSettings" | "putBeacon" | "createCheckIn" => 409,
            "createReservation" => 403,
            _ => 0,
        };
        assert!(reply.status.is_success() || reply.status == refused, "{}: {reply:?}", operation.id);
    }
    audit_and_text(&fixture).await;
}

/// Different spellings of the same JSON have the same effect.
async fn audit_and_text(fixture: &Fixture) {
    let before = fixture.sale.caller.get("/point/eve").expect(200).await["balance"].as_i64().unwrap();
    for body in ["{\"amount\":5}", " \n\t{ \"amount\" : 5 }\r\n", r#"{"\u0061mount":5}"#] {
        let call = fixture.sale.caller.patch("/point/eve/charge").header("content-type", "application/json");
        call.bytes(body).expect(200).await;
    }
    let call = fixture.sale.caller.patch("/point/eve/charge").header("content-type", "application/json");
    let problem = call.bytes(r#"{"amount":5,"\u0061mount":5}"#).refused(422, "invalid-request").await;
    assert_eq!(problem["errors"][0]["field"], "amount");
    let after = fixture.sale.caller.get("/point/eve").expect(200).await["balance"].as_i64().unwrap();
    assert_eq!(after - before, 15);
}
