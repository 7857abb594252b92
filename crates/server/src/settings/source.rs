//! The sources of settings: flags, the environment and `onsale.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use super::BadSetting;
use super::table::{self, Setting};

/// The file that is read if it exists, unless `--config` names another.
const FILE: &str = "onsale.toml";

/// The raw values of all settings that a source sets.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// By the setting's name: the name in its source (see [`BadSetting::name`]), and the value.
    values: BTreeMap<&'static str, (String, String)>,
}

impl Sources {
    /// Gathers values. A flag overrides the environment, which overrides the file.
    ///
    /// # Errors
    /// `BadSetting` if a file cannot be read, if `onsale.toml` has an unknown key, or if a variable is set together with its
    /// `_FILE` variant.
    pub(crate) fn gather(flags: impl Fn(&str) -> Option<String>, file: Option<&Path>) -> Result<Self, BadSetting> {
        let path = file.unwrap_or(Path::new(FILE)).display().to_string();
        let in_file = read_file(file)?;
        let mut values = BTreeMap::new();
        for setting in table::all() {
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

    /// Reads a setting that has a default. An empty flag or key is refused: a script that passes an empty variable as
    /// `--database-url` must not work on the default database. An empty environment variable counts as not set.
    ///
    /// # Errors
    /// `BadSetting` if the value is empty or `parse` refuses it.
    pub(super) fn parse<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, BadSetting> {
        if let Some((source, _)) = self.values.get(name).filter(|(_, value)| value.is_empty()) {
            return Err(BadSetting {
                name: source.clone(),
                problem: "is empty; omit it to use the default".to_owned(),
            });
        }
        let default = find(name).and_then(|setting| setting.default);
        match self.optional(name, &parse)? {
            Some(value) => Ok(value),
            None => parse(default.unwrap_or_default()).map_err(|problem| BadSetting { name: name.to_owned(), problem }),
        }
    }

    /// Reads a setting that may be absent. An empty value counts as absent.
    ///
    /// # Errors
    /// `BadSetting` if `parse` refuses the value.
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

    /// The name of a setting in its source; `None` if no source sets it, or if the value is empty.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.values.get(name).filter(|(_, value)| !value.is_empty()).map(|(source, _)| source.as_str())
    }

    /// The name of a setting in its source, or its environment variable if no source sets it.
    pub(crate) fn name_of(&self, name: &'static str) -> String {
        let variable = || find(name).map(Setting::variable);
        self.values.get(name).map(|(source, _)| source.clone()).or_else(variable).unwrap_or_default()
    }
}

fn find(name: &str) -> Option<&'static Setting> {
    table::all().find(|setting| setting.name == name)
}

/// Reads a setting from the environment: `ONSALE_X` holds the value, or `ONSALE_X_FILE` names a file that holds it. Container
/// runtimes hand out secrets as files, which `ps` and `inspect` do not show.
fn environment(setting: &Setting) -> Result<Option<(String, String)>, BadSetting> {
    let filled = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (name, file) = (setting.variable(), setting.file_variable());
    match (filled(&name), filled(&file)) {
        (Some(_), Some(_)) => {
            Err(BadSetting { name: file, problem: format!("and {name} are both set; unset one of them") })
        }
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

/// Environment variables that begin with `ONSALE_` and are not settings: perhaps misspelt.
pub(crate) fn unknown_variables() -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let known =
        |name: &String| table::all().any(|setting| setting.variable() == *name || setting.file_variable() == *name);
    names.filter(|name| name.starts_with("ONSALE_") && !known(name)).collect()
}

/// Reads the keys of a TOML file. Without `named`, a missing `onsale.toml` sets nothing.
fn read_file(named: Option<&Path>) -> Result<BTreeMap<String, String>, BadSetting> {
    let path = named.unwrap_or(Path::new(FILE));
    let bad = |problem: String| BadSetting { name: path.display().to_string(), problem };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => return Ok(BTreeMap::new()),
        Err(error) => return Err(bad(format!("cannot be read: {error}"))),
    };
    let table: toml::Table =
        text.parse().map_err(|error: toml::de::Error| bad(format!("is not valid TOML: {}", error.message())))?;
    table
        .into_iter()
        .map(|(key, value)| {
            if !table::all().any(|setting| setting.key() == key) {
                return Err(bad(format!("sets {key}, which is not a setting; see onsale serve --help")));
            }
            let value = scalar(&value).ok_or_else(|| {
                bad(format!("sets {key} to a value that is not text, a number, true, false or a list of these"))
            })?;
            Ok((key, value))
        })
        .collect()
}

/// A value as a flag would write it; elements of an array with commas between them.
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
