//! Where a setting's value comes from.

use std::collections::BTreeMap;
use std::path::Path;

use super::BadSetting;
use super::table::{Setting, TABLE};

/// The file that is read where it is there.
const FILE: &str = "onsale.toml";

/// The raw values of all settings that somebody set, each with the name under which it was set.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    values: BTreeMap<&'static str, (String, String)>,
}

impl Sources {
    /// Gathers values: flags before the environment before the file.
    ///
    /// # Errors
    /// Where the file cannot be read, or sets what is no setting.
    pub(crate) fn gather(flags: impl Fn(&str) -> Option<String>, file: Option<&Path>) -> Result<Self, BadSetting> {
        let path = file.unwrap_or(Path::new(FILE)).display().to_string();
        let in_file = read_file(file)?;
        let mut values = BTreeMap::new();
        for setting in TABLE {
            let flag = || Some((format!("--{}", setting.name), flags(setting.name)?));
            let from_file = || Some((format!("{} in {path}", setting.key()), in_file.get(&setting.key())?.clone()));
            let found = match flag() {
                Some(found) => Some(found),
                None => environment(setting)?.or_else(from_file),
            };
            found.and_then(|found| values.insert(setting.name, found));
        }
        Ok(Self { values })
    }

    /// A setting that has a default. One that is empty is refused, except in the environment, where it counts as unset: a
    /// script whose variable is empty must not work on the default database.
    pub(super) fn parse<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, BadSetting> {
        if let Some((source, _)) = self.values.get(name).filter(|(_, value)| value.is_empty()) {
            return Err(BadSetting {
                name: source.clone(),
                problem: "is empty; leave it out for the default".to_owned(),
            });
        }
        let default = TABLE.iter().find(|setting| setting.name == name).and_then(|setting| setting.default);
        match self.optional(name, &parse)? {
            Some(value) => Ok(value),
            None => parse(default.unwrap_or_default()).map_err(|problem| BadSetting { name: name.to_owned(), problem }),
        }
    }

    /// A setting that may be absent. An empty value is absent too.
    pub(super) fn optional<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, BadSetting> {
        let Some((source, value)) = self.values.get(name).filter(|(_, value)| !value.is_empty()) else {
            return Ok(None);
        };
        parse(value).map(Some).map_err(|problem| BadSetting { name: source.clone(), problem })
    }

    /// The name under which a setting was set; `None` if it was not, or is empty.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.values.get(name).filter(|(_, value)| !value.is_empty()).map(|(source, _)| source.as_str())
    }

    /// The name under which a setting was set, or would be.
    pub(crate) fn name_of(&self, name: &'static str) -> String {
        let variable = || TABLE.iter().find(|setting| setting.name == name).map(Setting::variable);
        self.values.get(name).map(|(source, _)| source.clone()).or_else(variable).unwrap_or_default()
    }
}

/// A variable with the value, or one with `_FILE` at its end that names a file with the value: how secrets are handed
/// to containers, and kept out of what `ps` and `inspect` show.
fn environment(setting: &Setting) -> Result<Option<(String, String)>, BadSetting> {
    let filled = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (name, file) = (setting.variable(), setting.file_variable());
    match (filled(&name), filled(&file)) {
        (Some(_), Some(_)) => Err(BadSetting { name: file, problem: format!("is set beside {name}: one is enough") }),
        (Some(value), None) => Ok(Some((name, value))),
        (None, Some(path)) => {
            let value = std::fs::read_to_string(&path).map_err(|error| BadSetting {
                name: file.clone(),
                problem: format!("names {path}, which cannot be read: {error}"),
            })?;
            match value.trim_end_matches(['\r', '\n']) {
                "" => Err(BadSetting { name: file, problem: format!("names {path}, which is empty") }),
                value => Ok(Some((file, value.to_owned()))),
            }
        }
        (None, None) => Ok(None),
    }
}

/// Names in the environment that look like settings and are none: perhaps misspelt.
pub(crate) fn unknown_variables() -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let known =
        |name: &String| TABLE.iter().any(|setting| setting.variable() == *name || setting.file_variable() == *name);
    names.filter(|name| name.starts_with("ONSALE_") && !known(name)).collect()
}

fn read_file(named: Option<&Path>) -> Result<BTreeMap<String, String>, BadSetting> {
    let path = named.unwrap_or(Path::new(FILE));
    let bad = |problem: String| BadSetting { name: path.display().to_string(), problem };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => return Ok(BTreeMap::new()),
        Err(error) => return Err(bad(format!("cannot be read: {error}"))),
    };
    let table: toml::Table =
        text.parse().map_err(|error: toml::de::Error| bad(format!("is not TOML: {}", error.message())))?;
    table
        .into_iter()
        .map(|(key, value)| {
            if !TABLE.iter().any(|setting| setting.key() == key) {
                return Err(bad(format!("sets {key}, which is no setting")));
            }
            let value = scalar(&value).ok_or_else(|| bad(format!("sets {key} to something that is no plain value")))?;
            Ok((key, value))
        })
        .collect()
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(switch) => Some(switch.to_string()),
        toml::Value::Array(values) => {
            values.iter().map(scalar).collect::<Option<Vec<_>>>().map(|values| values.join(","))
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}
