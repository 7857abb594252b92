//! JSON Schemas of what is sent and of what is answered, in the plain form that linters and client generators read.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// Two generators, as null differs: an answer writes null for a member without a value, a request leaves it out.
pub(crate) struct Schemas {
    pub(crate) bodies: SchemaGenerator,
    pub(crate) answers: SchemaGenerator,
}

impl Schemas {
    pub(crate) fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        let answers = settings.clone().for_serialize().with_transform(RecursiveTransform(plain));
        let bodies = settings.for_deserialize().with_transform(RecursiveTransform(|schema: &mut Schema| {
            without_null(schema);
            plain(schema);
            with_null(schema);
            closed(schema);
        }));
        Self { bodies: bodies.into_generator(), answers: answers.into_generator() }
    }

    /// Every schema that was used so far, by name.
    pub(crate) fn definitions(&mut self) -> Map<String, Value> {
        let mut all = self.answers.take_definitions(true);
        all.append(&mut self.bodies.take_definitions(true));
        all
    }
}

/// What every schema gets, in this order: one may make the next possible.
fn plain(schema: &mut Schema) {
    without_lone_choice(schema);
    with_plain_enum(schema);
    with_known_format(schema);
}

/// A member that may be left out is not required. The server also reads null there; documents keep to one way.
fn without_null(schema: &mut Schema) {
    let Some(members) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = &types[..] {
            members["type"] = only.clone();
        }
    }
    if let Some(Value::Array(values)) = members.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::Array(choices)) = members.get_mut("anyOf") {
        choices.retain(|choice| choice["type"] != "null");
    }
}

/// A member that null clears has a `oneOf` with null, which was kept until here. Documents write all choices as `anyOf`.
fn with_null(schema: &mut Schema) {
    let Some(members) = schema.as_object_mut() else { return };
    let has_null = |choices: &Value| choices.as_array().is_some_and(|all| all.contains(&json!({"type": "null"})));
    if members.get("oneOf").is_some_and(has_null)
        && let Some(choices) = members.remove("oneOf")
    {
        members.insert("anyOf".to_owned(), choices);
    }
}

/// `anyOf` of one schema is that schema.
fn without_lone_choice(schema: &mut Schema) {
    let Some(members) = schema.as_object_mut() else { return };
    if let Some(Value::Array(choices)) = members.get("anyOf")
        && let [Value::Object(only)] = &choices[..]
    {
        let only = only.clone();
        members.remove("anyOf");
        members.extend(only);
    }
}

/// An enum whose values are described comes as `oneOf` of constants. Generators make a union of that, or nothing: so
/// it becomes one `enum`, and its description names the values.
fn with_plain_enum(schema: &mut Schema) {
    let Some(members) = schema.as_object_mut() else { return };
    let Some(Value::Array(choices)) = members.get("oneOf") else { return };
    let Some(values) =
        choices.iter().map(|choice| choice["const"].as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    else {
        return;
    };
    let mut description = members.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (value, choice) in values.iter().zip(choices) {
        if let Some(meaning) = choice["description"].as_str() {
            description.push_str(&format!("\n\n`{value}`: {meaning}"));
        }
    }
    members.remove("oneOf");
    members.insert("type".to_owned(), json!("string"));
    members.insert("enum".to_owned(), json!(values));
    members.insert("description".to_owned(), json!(description.trim_start()));
}

/// Rust's names of unsigned integers are formats that most generators do not know. `minimum` gives the bound.
fn with_known_format(schema: &mut Schema) {
    let Some(format) = schema.get_mut("format") else { return };
    match format.as_str() {
        Some("uint8" | "uint16" | "uint32") => *format = json!("int32"),
        Some("uint64" | "uint") => *format = json!("int64"),
        _ => {}
    }
}

/// The server refuses a member that it does not know.
fn closed(schema: &mut Schema) {
    let Some(members) = schema.as_object_mut() else { return };
    if members.get("type").is_some_and(|kind| kind == "object") {
        members.remove("unevaluatedProperties");
        members.insert("additionalProperties".to_owned(), json!(false));
    }
}
