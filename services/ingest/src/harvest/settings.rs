//! The file that names the sources and the schedule of each.
//!
//! One table per source. The keys of each kind of source are documented in `sources`; the keys here are those of the
//! schedule. All mistakes are reported at once.

use std::collections::BTreeMap;
use std::path::Path;

use common::config::Secret;
use common::toml_error::place_and_message;
use jiff::SignedDuration;
use jiff::civil::Date;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use sources::{HttpConfig, SourceConfig};

use super::plan::HarvestTiming;

/// How far back a source is read at its first run, unless the file says otherwise.
const DEFAULT_FIRST_RUN: SignedDuration = SignedDuration::from_hours(24 * 7);
const SHORTEST_INTERVAL: SignedDuration = SignedDuration::from_millis(10);
const LONGEST_INTERVAL: SignedDuration = SignedDuration::from_hours(24 * 31);
const DEFAULT_JITTER: f64 = 0.1;

/// All sources, and how they are accessed.
#[derive(Debug, Clone, Default)]
pub struct SourcesConfig {
    /// Settings of the client that they share.
    pub http: HttpConfig,
    /// The sources by name.
    pub sources: BTreeMap<String, ScheduledSource>,
}

/// A source with its schedule.
#[derive(Debug, Clone)]
pub struct ScheduledSource {
    /// What to read.
    pub source: SourceConfig,
    /// When to read it.
    pub timing: HarvestTiming,
    /// Where the first run begins.
    pub first_run: FirstRun,
    /// Identifies these settings: other settings are worth another try after a stop.
    pub fingerprint: String,
}

/// Where the first run of a source begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstRun {
    /// This long before the first run.
    Ago(SignedDuration),
    /// At the beginning of a day, UTC.
    Day(Date),
}

/// The mistakes of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.0.join("; "))]
pub struct SourcesConfigError(pub Vec<String>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourcesFile {
    #[serde(default)]
    http: HttpConfig,
    #[serde(default)]
    sources: BTreeMap<String, toml::Table>,
}

/// Reads the file.
///
/// # Errors
/// All of its mistakes, each with the source and the key.
pub fn read(path: &Path) -> Result<SourcesConfig, SourcesConfigError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| SourcesConfigError(vec![format!("{shown} cannot be read: {error}")]))?;
    parse(&text).map_err(|SourcesConfigError(problems)| {
        let problems = problems.into_iter().map(|problem| format!("{shown}: {problem}"));
        SourcesConfigError(problems.collect())
    })
}

/// Reads the text of the file.
fn parse(text: &str) -> Result<SourcesConfig, SourcesConfigError> {
    let file: SourcesFile =
        toml::from_str(text).map_err(|error| SourcesConfigError(vec![place_and_message(text, &error)]))?;
    let mut problems: Vec<String> = file
        .http
        .problems()
        .into_iter()
        .map(|problem| format!("http.{problem}"))
        .collect();
    let mut sources = BTreeMap::new();
    for (name, table) in file.sources {
        match scheduled(&name, table) {
            Ok(Some(source)) => drop(sources.insert(name, source)),
            Ok(None) => {}
            Err(found) => problems.extend(found.into_iter().map(|problem| format!("sources.{name}: {problem}"))),
        }
    }
    if !problems.is_empty() {
        return Err(SourcesConfigError(problems));
    }
    Ok(SourcesConfig {
        http: file.http,
        sources,
    })
}

/// Replaces the file that holds a key by the key.
fn read_api_key(table: &mut toml::Table) -> Result<(), String> {
    let Some(file) = table.remove("api_key_file") else {
        return Ok(());
    };
    if table.contains_key("api_key") {
        return Err("api_key is set both directly and by api_key_file; only one of them can be".to_owned());
    }
    let file = file.as_str().ok_or("api_key_file must be the name of a file")?;
    let key = Secret::from_file(Path::new(file)).map_err(|error| format!("api_key_file: {error}"))?;
    table.insert("api_key".to_owned(), key.expose().into());
    Ok(())
}

/// One table; nothing where it is not enabled.
fn scheduled(name: &str, mut table: toml::Table) -> Result<Option<ScheduledSource>, Vec<String>> {
    let fingerprint = fingerprint_of(&table);
    let mut problems = Vec::new();
    let enabled = match table.remove("enabled") {
        None => true,
        Some(toml::Value::Boolean(enabled)) => enabled,
        Some(other) => {
            problems.push(format!("enabled is {other}; true or false is required"));
            false
        }
    };
    let interval = setting(&mut table, "interval", &mut problems, duration);
    let jitter = setting(&mut table, "jitter", &mut problems, share);
    let first_run = setting(&mut table, "begin", &mut problems, first_run);
    if let Err(problem) = read_api_key(&mut table) {
        problems.push(problem);
    }
    match SourceConfig::read(name, table) {
        Ok(source) if problems.is_empty() => {
            let default = SignedDuration::try_from(source.kind().default_interval()).unwrap_or(LONGEST_INTERVAL);
            let timing = HarvestTiming {
                interval: interval.unwrap_or(default),
                jitter: jitter.unwrap_or(DEFAULT_JITTER),
            };
            let source = ScheduledSource {
                source,
                timing,
                first_run: first_run.unwrap_or(FirstRun::Ago(DEFAULT_FIRST_RUN)),
                fingerprint,
            };
            Ok(enabled.then_some(source))
        }
        Ok(_) => Err(problems),
        Err(error) => {
            problems.push(error.problem);
            Err(problems)
        }
    }
}

/// Takes a setting out of the table; a mistake is reported.
fn setting<T>(
    table: &mut toml::Table,
    key: &str,
    problems: &mut Vec<String>,
    parse: impl Fn(&toml::Value) -> Result<T, String>,
) -> Option<T> {
    let value = table.remove(key)?;
    parse(&value)
        .map_err(|allowed| problems.push(format!("{key} is {value}; {allowed}")))
        .ok()
}

fn duration(value: &toml::Value) -> Result<SignedDuration, String> {
    let allowed = "a duration such as \"30m\" or \"2h\" is required, from 10ms to 31 days";
    let parsed: Option<SignedDuration> = value.as_str().and_then(|text| text.parse().ok());
    let parsed = parsed.filter(|parsed| (SHORTEST_INTERVAL..=LONGEST_INTERVAL).contains(parsed));
    parsed.ok_or_else(|| allowed.to_owned())
}

fn share(value: &toml::Value) -> Result<f64, String> {
    let number = value
        .as_float()
        .or_else(|| value.as_integer().map(|whole| whole as f64));
    let number = number.filter(|number| (0.0..=0.5).contains(number));
    number.ok_or_else(|| "a number from 0 to 0.5 is required".to_owned())
}

fn first_run(value: &toml::Value) -> Result<FirstRun, String> {
    let text = match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Datetime(date) => date.to_string(),
        _ => String::new(),
    };
    let day = text.parse().map(FirstRun::Day).ok();
    let ago = || {
        text.parse()
            .ok()
            .filter(|ago: &SignedDuration| !ago.is_negative())
            .map(FirstRun::Ago)
    };
    day.or_else(ago)
        .ok_or_else(|| "a day such as \"2026-01-31\" or a duration such as \"168h\" is required".to_owned())
}

/// Tells settings apart without storing secrets in them.
fn fingerprint_of(table: &toml::Table) -> String {
    let hash = Sha256::digest(table.to_string());
    domain::identity::hex(&hash[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTP: &str = "[http]\ncontact = \"papers@example.org\"\n";

    #[test]
    fn a_source_has_the_default_schedule_of_its_kind() {
        let text = format!(
            "{HTTP}[sources.arxiv]\n[sources.mine]\nkind = \"acl\"\ninterval = \"90m\"\njitter = 0\nbegin = \"2026-01-31\"\n"
        );
        let read = parse(&text).expect("sources");
        let arxiv = &read.sources["arxiv"];
        assert_eq!(arxiv.timing.interval, SignedDuration::from_hours(2));
        assert_eq!(arxiv.first_run, FirstRun::Ago(DEFAULT_FIRST_RUN));
        let mine = &read.sources["mine"];
        assert_eq!(
            mine.timing,
            HarvestTiming {
                interval: SignedDuration::from_mins(90),
                jitter: 0.0
            }
        );
        assert_eq!(mine.first_run, FirstRun::Day("2026-01-31".parse().expect("a date")));
        assert_ne!(arxiv.fingerprint, mine.fingerprint);
    }

    #[test]
    fn a_disabled_source_is_left_out_but_its_mistakes_are_not() {
        let off = format!("{HTTP}[sources.arxiv]\nenabled = false\n");
        assert!(parse(&off).expect("sources").sources.is_empty());
        assert!(parse(&format!("{off}interval = 3\n")).is_err());
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let text = format!(
            "{HTTP}[sources.arxiv]\ninterval = \"soon\"\njitter = 2\nnonsense = 1\n[sources.x]\nkind = \"gopher\"\n"
        );
        let problems = parse(&text).expect_err("mistakes").0;
        for expected in [
            "sources.arxiv: interval is \"soon\"",
            "jitter is 2",
            "nonsense",
            "gopher",
        ] {
            assert!(
                problems.iter().any(|problem| problem.contains(expected)),
                "{expected}: {problems:?}"
            );
        }
    }
}
