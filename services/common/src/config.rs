//! Configuration: commented TOML defaults compiled in, a file over them, the environment over the file.
//!
//! Unknown keys are refused. All mistakes are reported at once, each with its value, where it came from, what it must
//! be, and an example. It never reads a file or the environment on its own account; [`Settings::load`] is given both.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::{Table, Value};

use crate::flow;
use crate::keys::{KeyFile, KeyRecord};
use crate::storage::StreamLimits;

/// Defaults of the sections every service shares.
pub const COMMON_DEFAULTS: &str = include_str!("defaults.toml");
/// What every environment variable of the configuration starts with.
pub const ENVIRONMENT_PREFIX: &str = "BROADSHEET_";
/// Exit status for mistakes in the configuration (`EX_USAGE` of sysexits.h).
pub const EXIT_CONFIG: u8 = 64;
/// The highest limit of a stream, in megabytes: a petabyte.
const MOST_MEGABYTES: u64 = 1 << 30;
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

#[derive(Debug, Clone)]
struct Setting {
    value: Value,
    default: Value,
    origin: String,
}

/// Settings by `section.key`, with where each came from and the mistakes found so far.
#[derive(Debug, Default)]
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
        let problem = ConfigProblem {
            key: key.to_owned(),
            value: if is_secret(key) {
                "(not shown)".to_owned()
            } else {
                setting.value.to_string()
            },
            origin: setting.origin.clone(),
            expected: expected.to_owned(),
        };
        let stand_in = parse(&setting.default).unwrap_or_else(|| panic!("the default of {key} does not hold"));
        self.problems.push(problem);
        stand_in
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
        let (value, origin) = self.settings.get(key).map_or_else(
            || (String::new(), String::new()),
            |setting| (setting.value.to_string(), setting.origin.clone()),
        );
        let value = if is_secret(key) {
            "(not shown)".to_owned()
        } else {
            value
        };
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
        for (key, value) in flatten(table) {
            let setting = Setting {
                default: value.clone(),
                value,
                origin: "default".to_owned(),
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
                self.problems.push(file_problem(format!("is not TOML: {error}")));
                return;
            }
        };
        for (key, value) in flatten(table) {
            self.override_with(&key, value, &origin);
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
            self.override_with(&key, value, &format!("environment variable {name}"));
        }
    }

    fn override_with(&mut self, key: &str, value: Value, origin: &str) {
        if let Some(setting) = self.settings.get_mut(key) {
            setting.value = value;
            origin.clone_into(&mut setting.origin);
            return;
        }
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
        let value = value.to_string();
        self.problems.push(ConfigProblem {
            key: key.to_owned(),
            value,
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

/// Settings every service needs.
#[derive(Debug, Clone)]
pub struct CommonConfig {
    /// The bus.
    pub bus: BusConfig,
    /// The gRPC server.
    pub grpc: GrpcConfig,
    /// Where metrics and probes are served.
    pub admin_listen: SocketAddr,
    /// Traces and logs.
    pub telemetry: TelemetryConfig,
    /// Between the first stop signal and a hard exit.
    pub drain: Duration,
}

/// Where the bus is and how much it keeps.
#[derive(Debug, Clone)]
pub struct BusConfig {
    /// `nats://host:port`, several with commas between.
    pub url: String,
    /// Copies of each stream; 1 or 3 on a cluster of that many servers.
    pub replicas: usize,
    /// How long messages are kept.
    pub max_age: Duration,
    /// How many bytes each stream may take.
    pub limits: StreamLimits,
}

/// The gRPC server.
#[derive(Debug, Clone)]
pub struct GrpcConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// File of the keys that callers may present; `None` requires none, on loopback only.
    pub keys: Option<PathBuf>,
    /// The key that this process presents to other services.
    pub key: Option<String>,
    /// The record of `key` where it is made for this process alone.
    pub process_key: Option<KeyRecord>,
    /// PEM files: certificate chain and key.
    pub tls: Option<(String, String)>,
}

/// Traces and logs.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// Where traces go.
    pub otlp_endpoint: Option<String>,
    /// Filter of the log.
    pub log: String,
    /// Form of the log.
    pub log_format: LogFormat,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl CommonConfig {
    /// Reads the shared sections.
    pub fn read(settings: &mut Settings) -> Self {
        let grpc = read_grpc(settings);
        Self {
            bus: BusConfig {
                url: settings.url("nats.url", &["nats://", "tls://"]),
                replicas: settings.integer("nats.replicas", 1..=5),
                max_age: Duration::from_hours(24 * settings.number("nats.max_age_days", 1..=3650)),
                limits: StreamLimits::from_settings(|setting| settings.number(setting, 1..=MOST_MEGABYTES)),
            },
            grpc,
            admin_listen: settings.address("admin.listen"),
            telemetry: TelemetryConfig {
                otlp_endpoint: settings.optional_url("telemetry.otlp_endpoint", &["http://", "https://"]),
                log: settings.get(
                    "telemetry.log",
                    "must be a filter such as info or info,indexing=debug",
                    |value| {
                        let text = value.as_str()?;
                        tracing_subscriber::EnvFilter::try_new(text)
                            .ok()
                            .map(|_| text.to_owned())
                    },
                ),
                log_format: settings.get("telemetry.log_format", "must be text or json", |value| {
                    match value.as_str()? {
                        "text" => Some(LogFormat::Text),
                        "json" => Some(LogFormat::Json),
                        _ => None,
                    }
                }),
            },
            drain: Duration::from_secs(settings.number("lifecycle.drain_seconds", 1..=600)),
        }
    }
}

fn read_grpc(settings: &mut Settings) -> GrpcConfig {
    let listen = settings.address("grpc.listen");
    let keys = Some(settings.text("grpc.keys"))
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    match &keys {
        Some(path) => {
            if let Err(error) = KeyFile::read(path, false) {
                settings.problem("grpc.keys", &format!("cannot be used: {error}"));
            }
        }
        None if !listen.ip().is_loopback() => {
            let expected = "must name a key file because grpc.listen is not a loopback address; make one with \
                            broadsheet keys init";
            settings.problem("grpc.keys", expected);
        }
        None => {}
    }
    let key = Some(settings.text("grpc.key")).filter(|key| !key.is_empty());
    let certificate = settings.text("grpc.tls_certificate");
    let tls_key = settings.text("grpc.tls_key");
    if certificate.is_empty() != tls_key.is_empty() {
        settings.problem(
            "grpc.tls_key",
            "must be set together with grpc.tls_certificate, or neither",
        );
    }
    let tls = (!certificate.is_empty() && !tls_key.is_empty()).then_some((certificate, tls_key));
    GrpcConfig {
        listen,
        keys,
        key,
        process_key: None,
        tls,
    }
}

fn is_secret(key: &str) -> bool {
    ["token", "key", "password", "redis_url", "smtp_url"]
        .iter()
        .any(|word| key.ends_with(word))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn load(environment: &[(&str, &str)]) -> Settings {
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Settings::load(&[COMMON_DEFAULTS], None, environment)
    }

    #[test]
    fn the_defaults_hold() {
        let mut settings = load(&[]);
        let config = CommonConfig::read(&mut settings);
        settings.finish().expect("no mistakes");
        assert_eq!(config.bus.url, "nats://127.0.0.1:4222");
        assert_eq!(config.telemetry.otlp_endpoint, None);
    }

    #[test]
    fn all_mistakes_come_at_once_with_their_origin() {
        let mut settings = load(&[
            ("BROADSHEET_NATS__URL", "localhost"),
            ("BROADSHEET_NATS__REPLICAS", "many"),
            ("BROADSHEET_GRPC__LISTEN", "0.0.0.0:7100"),
            ("BROADSHEET_NATS__URRL", "x"),
            ("BROADSHEET_DATA", "not a setting"),
        ]);
        CommonConfig::read(&mut settings);
        let text = settings.finish().expect_err("mistakes").to_string();
        assert!(text.contains("4 mistakes"), "{text}");
        assert!(text.contains("nats.urrl = \"x\" (from environment variable BROADSHEET_NATS__URRL): is not a known key; did you mean nats.url?"), "{text}");
        assert!(text.contains("nats.replicas = \"many\" (from environment variable BROADSHEET_NATS__REPLICAS): must be a whole number from 1 to 5"), "{text}");
        assert!(text.contains("grpc.keys = \"\""), "{text}");
        assert!(text.contains("nats.url = \"localhost\""), "{text}");
    }

    #[test]
    fn a_file_is_read_and_its_mistakes_name_it() {
        let folder = std::env::temp_dir().join(format!("broadsheet-config-{}", std::process::id()));
        std::fs::write(
            &folder,
            "[nats]\nreplicas = 9\n[ingest]\nanything = 1\n[nonsense]\nx = 1\n",
        )
        .expect("a file");
        let mut settings = Settings::load(&[COMMON_DEFAULTS], Some(&folder), []);
        CommonConfig::read(&mut settings);
        std::fs::remove_file(&folder).expect("removed");
        let text = settings.finish().expect_err("mistakes").to_string();
        assert!(
            text.contains("2 mistakes") && text.contains("nonsense.x") && text.contains("nats.replicas = 9"),
            "{text}"
        );
    }

    #[test]
    fn the_environment_beats_the_program() {
        let mut settings = load(&[("BROADSHEET_NATS__URL", "nats://a:1")]);
        settings.set_default("nats.url", "nats://b:2", "child");
        settings.set_default("admin.listen", "127.0.0.1:0", "child");
        assert!(settings.is_set("nats.url"));
        let config = CommonConfig::read(&mut settings);
        assert_eq!(config.bus.url, "nats://a:1");
        assert_eq!(config.admin_listen.port(), 0);
    }
}
