//! Settings by key: defaults, a file and the environment laid over each other, and the mistakes found while they are read.
//!
//! It knows which keys exist and which are secret from the defaults alone, and the meaning of none.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::secret::{self, Secret, without_userinfo};
use crate::flow;
use crate::toml_error::place_and_message;

/// What every environment variable of the configuration starts with.
pub const ENVIRONMENT_PREFIX: &str = "BROADSHEET_";
/// Sections beside those of the services: one file may configure all of them, and each reads its own.
const SHARED_SECTIONS: [&str; 6] = ["nats", "grpc", "admin", "telemetry", "lifecycle", "up"];

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    key: String,
    value: String,
    origin: String,
    expected: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} = {} (from {}): {}",
            self.key, self.value, self.origin, self.expected
        )
    }
}

/// All mistakes of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError(pub Vec<ConfigProblem>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        writeln!(
            f,
            "the configuration has {count} mistake{}:",
            if count == 1 { "" } else { "s" }
        )?;
        for problem in &self.0 {
            writeln!(f, "  {problem}")?;
        }
        Ok(())
    }
}

#[derive(Clone)]
struct Setting {
    value: Value,
    default: Value,
    origin: String,
    layer: Layer,
    /// Its value is never shown, and may be the content of a file.
    secret: bool,
    /// The file that the value was read from.
    file: Option<PathBuf>,
    /// The file of the secret could not be read: that has been reported, and the value is not judged as well.
    unreadable: bool,
}

impl Setting {
    /// The value, as far as it may be seen.
    fn shown(&self) -> String {
        if self.secret {
            secret::NOT_SHOWN.to_owned()
        } else {
            without_userinfo(&self.value.to_string())
        }
    }
}

/// Where a value came from; later ones win.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    Program,
    File,
    Environment,
}

/// Settings by `section.key`, with where each came from and the mistakes found so far.
#[derive(Default)]
pub struct Settings {
    settings: BTreeMap<String, Setting>,
    problems: Vec<ConfigProblem>,
}

impl Settings {
    /// Lays defaults (later ones over earlier ones), a file and the environment over each other.
    pub fn load(
        defaults: &[&str],
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut this = Self::default();
        for text in defaults {
            this.add_defaults(text);
        }
        if let Some(path) = file {
            this.add_file(path);
        }
        this.add_environment(environment);
        this
    }

    /// Replaces a default from within the program, such as the address of a server it started itself. A value from file or
    /// environment stays.
    pub fn set_default(&mut self, key: &str, value: impl Into<Value>, origin: &str) {
        if let Some(setting) = self.settings.get_mut(key)
            && setting.origin == "default"
        {
            setting.value = value.into();
            origin.clone_into(&mut setting.origin);
        }
    }

    /// The keys of all secrets.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let secrets = self.settings.iter().filter(|(_, setting)| setting.secret);
        secrets.map(|(key, _)| key.as_str())
    }

    /// The keys of all settings.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.settings.keys().map(String::as_str)
    }

    /// Replaces a value by what it stands for, such as a name by the folder found for it. Where it came from stays.
    pub fn replace(&mut self, key: &str, value: impl Into<Value>) {
        if let Some(setting) = self.settings.get_mut(key) {
            setting.value = value.into();
        }
    }

    /// Text as it stands now, without taking it for read. `None` where it is no text.
    pub fn shown(&self, key: &str) -> Option<String> {
        self.settings.get(key)?.value.as_str().map(str::to_owned)
    }

    /// True when a file or the environment says something about a key.
    pub fn is_set(&self, key: &str) -> bool {
        self.settings
            .get(key)
            .is_some_and(|setting| setting.origin != "default")
    }

    /// Reads a setting. A mistake is noted and the default stands in, so that reading goes on and finds the others.
    pub fn get<T>(&mut self, key: &str, expected: &str, parse: impl Fn(&Value) -> Option<T>) -> T {
        let setting = self.settings.get(key).unwrap_or_else(|| panic!("{key} has no default"));
        if let Some(value) = parse(&setting.value) {
            return value;
        }
        let stand_in = parse(&setting.default).unwrap_or_else(|| panic!("the default of {key} does not hold"));
        self.problem(key, expected);
        stand_in
    }

    /// A secret, possibly empty.
    pub fn secret(&mut self, key: &str) -> Secret {
        let file = self.settings.get(key).and_then(|setting| setting.file.clone());
        Secret::new(self.text(key)).with_file(file)
    }

    /// A secret, or `None` where it is not set.
    pub fn optional_secret(&mut self, key: &str) -> Option<Secret> {
        Some(self.secret(key)).filter(|secret| !secret.is_empty())
    }

    /// Text, possibly empty.
    pub fn text(&mut self, key: &str) -> String {
        self.get(key, "must be text in quotes", |value| value.as_str().map(str::to_owned))
    }

    /// A whole number within bounds.
    pub fn number(&mut self, key: &str, allowed: std::ops::RangeInclusive<u64>) -> u64 {
        let expected = format!("must be a whole number from {} to {}", allowed.start(), allowed.end());
        self.get(key, &expected, |value| {
            value
                .as_integer()
                .and_then(|n| u64::try_from(n).ok())
                .filter(|n| allowed.contains(n))
        })
    }

    /// A whole number within bounds, as the type it is used as.
    ///
    /// # Panics
    /// When the bounds do not fit into the type: a mistake in this program that its first test run shows.
    pub fn integer<T: TryFrom<u64>>(&mut self, key: &str, allowed: std::ops::RangeInclusive<u64>) -> T {
        let number = self.number(key, allowed);
        T::try_from(number).unwrap_or_else(|_| panic!("the bounds of {key} do not fit its type"))
    }

    /// Address and port.
    pub fn address(&mut self, key: &str) -> SocketAddr {
        self.get(
            key,
            "must be an IP address and a port, such as 127.0.0.1:7100",
            |value| value.as_str()?.parse().ok(),
        )
    }

    /// An absolute URL with one of the given schemes; `host:port` alone is not one.
    pub fn url(&mut self, key: &str, schemes: &[&str]) -> String {
        let expected = format!("must be a URL that starts with {}", schemes.join(" or "));
        self.get(key, &expected, |value| {
            let text = value.as_str()?;
            let sound = text.split(',').all(|one| {
                url::Url::parse(one.trim()).is_ok_and(|url| schemes.contains(&format!("{}://", url.scheme()).as_str()))
            });
            sound.then(|| text.to_owned())
        })
    }

    /// A URL, or empty for none.
    pub fn optional_url(&mut self, key: &str, schemes: &[&str]) -> Option<String> {
        if self
            .settings
            .get(key)
            .is_some_and(|setting| setting.value.as_str() == Some(""))
        {
            return None;
        }
        let expected = format!("must be empty or a URL that starts with {}", schemes.join(" or "));
        self.get(key, &expected, |value| {
            let text = value.as_str()?;
            if text.is_empty() {
                return Some(None);
            }
            let url = url::Url::parse(text).ok()?;
            schemes
                .contains(&format!("{}://", url.scheme()).as_str())
                .then(|| Some(text.to_owned()))
        })
    }

    /// Notes a mistake that a rule over several settings found.
    pub fn problem(&mut self, key: &str, expected: &str) {
        let setting = self.settings.get(key);
        if setting.is_some_and(|setting| setting.unreadable) {
            return;
        }
        let (value, origin) = setting.map_or_else(
            || (String::new(), String::new()),
            |setting| (setting.shown(), setting.origin.clone()),
        );
        self.problems.push(ConfigProblem {
            key: key.to_owned(),
            value,
            origin,
            expected: expected.to_owned(),
        });
    }

    /// Ends reading: everything that is wrong, or nothing.
    pub fn finish(self) -> Result<(), ConfigError> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(ConfigError(self.problems))
        }
    }

    fn add_defaults(&mut self, text: &str) {
        let table: Table = text
            .parse()
            .unwrap_or_else(|error| panic!("compiled-in defaults do not parse: {error}"));
        let secrets = secret::marked(text);
        for (key, value) in flatten(table) {
            let known = self.settings.get(&key).is_some_and(|known| known.secret);
            let setting = Setting {
                default: value.clone(),
                value,
                origin: "default".to_owned(),
                layer: Layer::Program,
                secret: known || secrets.contains(&key),
                file: None,
                unreadable: false,
            };
            self.settings.insert(key, setting);
        }
    }

    fn add_file(&mut self, path: &Path) {
        let origin = path.display().to_string();
        let file_problem = |expected: String| ConfigProblem {
            key: "file".to_owned(),
            value: origin.clone(),
            origin: "--config".to_owned(),
            expected,
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                self.problems.push(file_problem(format!("cannot be read: {error}")));
                return;
            }
        };
        let table: Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                self.problems.push(file_problem(format!(
                    "is not TOML: {}",
                    place_and_message(&text, &error)
                )));
                return;
            }
        };
        for (key, value) in flatten(table) {
            self.override_with(&key, value, &origin, Layer::File);
        }
    }

    fn add_environment(&mut self, environment: impl IntoIterator<Item = (String, String)>) {
        let mut variables: Vec<(String, String)> = environment
            .into_iter()
            .filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX) && name.contains("__"))
            .collect();
        variables.sort();
        for (name, text) in variables {
            let key = name[ENVIRONMENT_PREFIX.len()..].to_lowercase().replacen("__", ".", 1);
            let value = self
                .settings
                .get(&key)
                .map_or_else(|| Value::String(text.clone()), |s| typed(&text, &s.default));
            self.override_with(&key, value, &format!("environment variable {name}"), Layer::Environment);
        }
    }

    fn override_with(&mut self, key: &str, value: Value, origin: &str, layer: Layer) {
        if self.settings.contains_key(key) {
            return self.set(key, value, origin, layer, None);
        }
        if let Some(of) = key.strip_suffix("_file")
            && self.settings.get(of).is_some_and(|setting| setting.secret)
        {
            return self.read_secret(of, &value, origin, layer);
        }
        self.unknown(key, origin);
    }

    fn set(&mut self, key: &str, value: Value, origin: &str, layer: Layer, file: Option<PathBuf>) {
        let Some(setting) = self.settings.get_mut(key) else {
            return;
        };
        // Whatever the order: a secret is either given or lies in a file.
        let twice = setting.layer == layer && setting.file.is_some() != file.is_some();
        if twice && setting.secret && !is_empty(&value) && !is_empty(&setting.value) {
            let expected = format!("is set both directly and by {key}_file; only one of them can be");
            return self.problem(key, &expected);
        }
        if twice && is_empty(&value) {
            return;
        }
        setting.value = value;
        origin.clone_into(&mut setting.origin);
        setting.layer = layer;
        setting.file = file;
    }

    /// Sets a secret to what a file holds. An empty name means no file.
    fn read_secret(&mut self, key: &str, path: &Value, origin: &str, layer: Layer) {
        if is_empty(path) {
            return;
        }
        let path = PathBuf::from(path.as_str().map_or_else(|| path.to_string(), str::to_owned));
        match secret::read_file(&path) {
            Ok(text) => {
                let origin = format!("the file named by {origin}");
                self.set(key, Value::String(text), &origin, layer, Some(path));
            }
            Err(error) => {
                self.problems.push(ConfigProblem {
                    key: format!("{key}_file"),
                    value: format!("{:?}", path.display().to_string()),
                    origin: origin.to_owned(),
                    expected: error.to_string(),
                });
                if let Some(setting) = self.settings.get_mut(key) {
                    setting.unreadable = true;
                }
            }
        }
    }

    /// Refuses a key that no service has. Its value is not shown: it may be a secret whose key is misspelt.
    fn unknown(&mut self, key: &str, origin: &str) {
        let section = key.split('.').next().unwrap_or(key);
        let ours = self
            .settings
            .keys()
            .any(|known| known.split('.').next() == Some(section));
        if !ours && (SHARED_SECTIONS.contains(&section) || flow::SERVICES.contains(&section)) {
            return;
        }
        let mut expected = "is not a known key".to_owned();
        if let Some(near) = self.nearest(key) {
            let hint = format!("; did you mean {near}?");
            expected.push_str(&hint);
        }
        self.problems.push(ConfigProblem {
            key: key.to_owned(),
            value: secret::NOT_SHOWN.to_owned(),
            origin: origin.to_owned(),
            expected,
        });
    }

    fn nearest(&self, key: &str) -> Option<&str> {
        let scored = self
            .settings
            .keys()
            .map(|known| (strsim::levenshtein(known, key), known.as_str()));
        scored
            .filter(|(distance, _)| *distance <= 4)
            .min()
            .map(|(_, known)| known)
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_str() == Some("")
}

fn flatten(table: Table) -> Vec<(String, Value)> {
    let mut flat = Vec::new();
    for (section, value) in table {
        match value {
            Value::Table(inner) => {
                flat.extend(
                    inner
                        .into_iter()
                        .map(|(key, value)| (format!("{section}.{key}"), value)),
                );
            }
            value => flat.push((section, value)),
        }
    }
    flat
}

/// The value an environment variable stands for, by the type of the default.
fn typed(text: &str, default: &Value) -> Value {
    let parsed = match default {
        Value::Integer(_) => text.trim().parse().ok().map(Value::Integer),
        Value::Float(_) => text.trim().parse().ok().map(Value::Float),
        Value::Boolean(_) => text.trim().parse().ok().map(Value::Boolean),
        _ => None,
    };
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}
