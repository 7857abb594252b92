//! A JSON object, read field by field. Fields that are missing, unknown, repeated, of the wrong type or out of range are
//! all reported together.

use std::ops::RangeInclusive;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::errors::Errors;
use super::{structure, visible};
use crate::http::reply::problem::{Code, Problem};

/// What is wrong with a value.
pub(crate) type Wrong = String;

/// An object's members that are not taken yet, and what was wrong with those that are.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    path: String,
    members: Vec<(String, &'a RawValue)>,
    errors: Errors,
}

impl<'a> Fields<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// If the bytes are no JSON, or no object, or have more members, elements or levels than a request may have.
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, Problem> {
        let value: &RawValue = serde_json::from_slice(body)
            .map_err(|error| Problem::new(Code::MalformedRequest).detail(format!("the body is no JSON: {error}")))?;
        structure::check(value.get()).map_err(|beyond| Problem::invalid_field(&beyond.path, beyond.message))?;
        Self::open(value, String::new()).map_err(|wrong| Problem::invalid_field("body", wrong))
    }

    /// Reads a body that is a list, as the member of an empty name: its elements are named by their indices.
    ///
    /// # Errors
    /// If the bytes are no JSON, or no list, or have more members, elements or levels than a request may have.
    pub(crate) fn read_list(body: &'a [u8]) -> Result<Self, Problem> {
        let value: &RawValue = serde_json::from_slice(body)
            .map_err(|error| Problem::new(Code::MalformedRequest).detail(format!("the body is no JSON: {error}")))?;
        structure::check(value.get()).map_err(|beyond| Problem::invalid_field(&beyond.path, beyond.message))?;
        list(value).map_err(|wrong| Problem::invalid_field("body", wrong))?;
        Ok(Self { path: String::new(), members: vec![(String::new(), value)], errors: Errors::default() })
    }

    fn open(value: &'a RawValue, path: String) -> Result<Self, Wrong> {
        let members = members_of(value).ok_or("must be an object")?;
        let mut fields = Self { path, members: Vec::with_capacity(members.len()), errors: Errors::default() };
        for (name, value) in members {
            if fields.members.iter().any(|(known, _)| *known == name) {
                fields.wrong(&name, "is there twice".to_owned());
            } else {
                fields.members.push((name, value));
            }
        }
        Ok(fields)
    }

    /// Takes a member that must be there. One that is missing or wrong is noted and gives `None`.
    pub(crate) fn required<T>(&mut self, name: &str, read: impl FnOnce(&'a RawValue) -> Result<T, Wrong>) -> Option<T> {
        if !self.has(name) {
            self.wrong(name, "is required".to_owned());
        }
        self.optional(name, read)
    }

    /// Takes a member that may be absent. A null is not absent.
    pub(crate) fn optional<T>(&mut self, name: &str, read: impl FnOnce(&'a RawValue) -> Result<T, Wrong>) -> Option<T> {
        let index = self.members.iter().position(|(known, _)| known == name)?;
        let (_, value) = self.members.swap_remove(index);
        match read(value) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.wrong(name, wrong);
                None
            }
        }
    }

    /// Takes an object within this one.
    pub(crate) fn object<T>(&mut self, name: &str, read: impl FnOnce(&mut Fields<'a>) -> T) -> Option<T> {
        let path = self.path_of(name);
        let mut inner = self.optional(name, |value| Fields::open(value, path))?;
        let value = read(&mut inner);
        self.errors.append(inner.errors());
        Some(value)
    }

    /// Takes a list of objects.
    pub(crate) fn objects<T>(&mut self, name: &str, read: impl Fn(&mut Fields<'a>) -> T) -> Option<Vec<T>> {
        let values = self.optional(name, list)?;
        let path = self.path_of(name);
        let mut found = Vec::with_capacity(values.len());
        for (index, value) in values.into_iter().enumerate() {
            let own = if path.is_empty() { index.to_string() } else { format!("{path}.{index}") };
            match Fields::open(value, own.clone()) {
                Ok(mut inner) => {
                    found.push(read(&mut inner));
                    self.errors.append(inner.errors());
                }
                Err(wrong) => self.errors.push(&own, wrong),
            }
        }
        Some(found)
    }

    /// Takes a list that must be there, and notes what is wrong with its elements, each by its index.
    pub(crate) fn items<T>(&mut self, name: &str, read: impl Fn(&'a RawValue) -> Result<T, Wrong>) -> Option<Vec<T>> {
        let values = self.required(name, list)?;
        let mut found = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            match read(value) {
                Ok(item) => found.push(item),
                Err(wrong) => self.wrong(&format!("{name}.{index}"), wrong),
            }
        }
        (found.len() == values.len()).then_some(found)
    }

    /// Whether a member is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(known, _)| known == name)
    }

    /// Takes a member that is there and null. Returns whether it was.
    pub(crate) fn take_null(&mut self, name: &str) -> bool {
        let index = self.members.iter().position(|(known, value)| known == name && value.get() == "null");
        index.map(|index| self.members.swap_remove(index)).is_some()
    }

    /// Whether a member is there and is a list.
    pub(crate) fn is_list(&self, name: &str) -> bool {
        self.members.iter().any(|(known, value)| known == name && value.get().starts_with('['))
    }

    /// Notes what is wrong with a member.
    pub(crate) fn wrong(&mut self, name: &str, message: Wrong) {
        self.errors.push(&self.path_of(name), message);
    }

    /// Ends the reading: a member that was not taken is unknown.
    ///
    /// # Errors
    /// `invalid-request` with all errors that were noted.
    pub(crate) fn finish<T>(mut self, read: Option<T>) -> Result<T, Problem> {
        let errors = self.errors();
        match read {
            Some(read) if errors.is_empty() => Ok(read),
            _ => Err(Problem::invalid(errors)),
        }
    }

    fn errors(&mut self) -> Errors {
        for (name, _) in std::mem::take(&mut self.members) {
            self.wrong(&name, "is unknown".to_owned());
        }
        std::mem::take(&mut self.errors)
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

/// The members of an object, in order, those named twice included.
fn members_of(value: &RawValue) -> Option<Vec<(String, &RawValue)>> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
    value
        .get()
        .starts_with('{')
        .then(|| serde_json::Deserializer::from_str(value.get()).deserialize_map(Members).ok())?
}

/// A list of anything.
pub(crate) fn list(value: &RawValue) -> Result<Vec<&RawValue>, Wrong> {
    serde_json::from_str(value.get()).map_err(|_| "must be a list".to_owned())
}

/// A text of any content.
pub(crate) fn text(value: &RawValue) -> Result<String, Wrong> {
    serde_json::from_str(value.get()).map_err(|_| "must be a string".to_owned())
}

/// A title or a name that can be shown: see [`visible::check`].
pub(crate) fn name(value: &RawValue) -> Result<String, Wrong> {
    let text = text(value)?;
    visible::check(&text).map_err(str::to_owned)?;
    Ok(text)
}

/// Whether a text may be a title or a name: 1 to 200 characters that all show.
pub(crate) fn is_name(text: &str) -> bool {
    visible::check(text).is_ok()
}

/// `true` or `false`.
pub(crate) fn switch(value: &RawValue) -> Result<bool, Wrong> {
    serde_json::from_str(value.get()).map_err(|_| "must be true or false".to_owned())
}

/// A whole number of 64 bits, in digits alone: `7.0` and `7e0` are none.
pub(crate) fn integer(value: &RawValue) -> Result<i64, Wrong> {
    match whole(value)? {
        Ok(number) => Ok(number),
        Err(_) => Err("must be a whole number of 64 bits".to_owned()),
    }
}

/// A whole number, however large: one of more than 64 bits comes as the bound that it passes.
fn whole(value: &RawValue) -> Result<Result<i64, i64>, Wrong> {
    let text = value.get();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("must be a whole number".to_owned());
    }
    Ok(text.parse().map_err(|_| if digits.len() < text.len() { i64::MIN } else { i64::MAX }))
}

/// As [`integer`]; a larger number comes as the largest of 64 bits, to be refused as out of range.
pub(crate) fn saturated(value: &RawValue) -> Result<i64, Wrong> {
    whole(value).map(|number| number.unwrap_or_else(|bound| bound))
}

/// A whole number within bounds.
pub(crate) fn between(bounds: RangeInclusive<i64>) -> impl Fn(&RawValue) -> Result<i64, Wrong> {
    move |value| {
        let number = saturated(value)?;
        let wrong = || format!("must be {} to {}", bounds.start(), bounds.end());
        if bounds.contains(&number) { Ok(number) } else { Err(wrong()) }
    }
}

/// As [`between`], for counts.
pub(crate) fn count(least: u32, most: u32) -> impl Fn(&RawValue) -> Result<u32, Wrong> {
    move |value| {
        let number = between(i64::from(least)..=i64::from(most))(value)?;
        u32::try_from(number).map_err(|error| error.to_string())
    }
}
