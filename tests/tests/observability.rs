//! What an operator is shown and told exists: metrics and their labels in dashboards, rules and runbook, a section and a panel
//! for every alert, and every command of the runbook.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::prometheus::{PREFIX, Prometheus, Rule};
use tests::{Platform, get};

/// Labels that Prometheus adds.
const FROM_PROMETHEUS: [&str; 3] = ["job", "instance", "service"];
/// Statuses exist once a page was answered with them.
const ONCE_IT_HAPPENED: [&str; 1] = ["status"];

/// By metric, the values of each of its labels.
type Exposed = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/observability")
}

fn text_of(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

/// Every case that tells of an alert.
fn cases() -> String {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let cases = files.filter(|path| path.to_string_lossy().ends_with(".tests.yaml"));
    cases.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// What a platform with one source shows before anything has happened.
fn exposed() -> Exposed {
    let folder = tempfile::tempdir().unwrap();
    let sources = folder.path().join("sources.toml");
    let empty = folder.path().join("papers.jsonl");
    std::fs::write(&empty, "").unwrap();
    let text = format!(
        "[http]\ncontact = \"test@example.org\"\n[sources.files]\nkind = \"files\"\npaths = [\"{}\"]\n",
        empty.display()
    );
    std::fs::write(&sources, text).unwrap();
    let platform = Platform::start_with(
        folder.path(),
        &[("BROADSHEET_INGEST__SOURCES", sources.to_str().unwrap())],
    );
    let (_, text) = get(&format!("{}/metrics", platform.endpoint("admin")));
    let mut exposed = Exposed::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels_of = exposed.entry(name.to_owned()).or_default();
        for (label, value) in pairs(labels.trim_end_matches('}')) {
            labels_of.entry(label).or_default().insert(value);
        }
    }
    exposed
}

/// `label="value"` and, in expressions, `label=~"one|another"`: each label with each of its values.
fn pairs(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('"') {
        let (value, behind) = after.split_once('"').unwrap();
        let label = before.trim_matches([',', ' ']).trim_end_matches(['=', '~', '!']);
        pairs.extend(value.split('|').map(|one| (label.to_owned(), one.to_owned())));
        rest = behind;
    }
    pairs
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
}

/// Every metric that a text names, with what follows it.
fn metrics(text: &str) -> Vec<(&str, &str)> {
    let starts = text.match_indices("broadsheet_").filter(|(at, _)| {
        let before = text[..*at].chars().next_back();
        before.is_none_or(|c| !(c.is_ascii_alphanumeric() || c == '_'))
    });
    let named = starts.map(|(at, _)| {
        let name = words(&text[at..]).next().unwrap();
        (name, &text[at + name.len()..])
    });
    named.collect()
}

/// What is wrong with the metrics of an expression, and with the labels behind each.
fn strangers(exposed: &Exposed, expression: &str) -> Vec<String> {
    let mut strangers = Vec::new();
    for (metric, behind) in metrics(expression) {
        let Some(labels) = exposed.get(metric) else {
            strangers.push(metric.to_owned());
            continue;
        };
        let Some((selector, _)) = behind.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
            continue;
        };
        for (label, value) in pairs(selector) {
            let known = FROM_PROMETHEUS.contains(&label.as_str())
                || labels
                    .get(&label)
                    .is_some_and(|values| ONCE_IT_HAPPENED.contains(&label.as_str()) || values.contains(&value));
            if !known {
                strangers.push(format!("{metric}{{{label}=\"{value}\"}}"));
            }
        }
    }
    strangers
}

/// What an expression groups or joins by: every word in the parentheses behind `by` and `on`.
fn groupings(expression: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for opening in [" by (", " on ("] {
        for (at, _) in expression.match_indices(opening) {
            let inside = expression[at + opening.len()..].split(')').next().unwrap();
            found.extend(words(inside).filter(|word| !word.is_empty()).map(str::to_owned));
        }
    }
    found
}

fn dashboard() -> Vec<Value> {
    let text = text_of("grafana/dashboards/broadsheet.json");
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    dashboard["panels"].as_array().unwrap().clone()
}

#[test]
fn metrics_on_the_dashboard_exist_from_the_start() {
    let exposed = exposed();
    let rules = Prometheus::start(&text_of("alerts.yaml"), &[]).rules();
    let panels = dashboard();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let shown = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
    let mut looked_at = 0;
    for expression in rules.iter().map(|rule| rule.query.clone()).chain(shown) {
        let strangers = strangers(&exposed, &expression);
        assert!(strangers.is_empty(), "{expression}: {strangers:?} are not exposed");
        let labels: BTreeSet<&String> = exposed.values().flat_map(BTreeMap::keys).collect();
        for label in groupings(&expression) {
            let known = labels.contains(&label)
                || FROM_PROMETHEUS.contains(&label.as_str())
                || ["le", "alertname", "severity"].contains(&label.as_str());
            assert!(known, "{expression}: nothing has a label {label}");
        }
        looked_at += metrics(&expression).len();
    }
    let runbook = text_of("runbook.md");
    assert_eq!(strangers(&exposed, &runbook), [""; 0]);
    let told = cases();
    for (metric, _) in metrics(&told) {
        assert!(
            exposed.contains_key(metric),
            "a case tells of {metric}, which is not exposed"
        );
    }
    assert!(
        looked_at > 80,
        "only {looked_at} metrics are named: the search is broken"
    );
}

#[test]
fn what_does_not_exist_is_found() {
    let mut exposed = Exposed::new();
    let labels = exposed.entry("broadsheet_a_total".to_owned()).or_default();
    labels.insert("kind".to_owned(), BTreeSet::from(["x".to_owned(), "y".to_owned()]));
    let wrong = |expression| strangers(&exposed, expression);
    assert_eq!(
        wrong("sum(rate(broadsheet_a_total{kind=~\"x|y\",job=\"b\"}[5m]))"),
        [""; 0]
    );
    assert_eq!(
        wrong("broadsheet_a_total{kind=~\"x|z\"}"),
        ["broadsheet_a_total{kind=\"z\"}"]
    );
    assert_eq!(
        wrong("broadsheet_a_total{sort=\"x\"}"),
        ["broadsheet_a_total{sort=\"x\"}"]
    );
    assert_eq!(wrong("1 - broadsheet_b"), ["broadsheet_b"]);
}

/// The sections of the runbook, by heading, with what is in them.
fn sections(runbook: &str) -> BTreeMap<&str, &str> {
    let parts = runbook.split("\n### ").skip(1);
    parts.map(|part| part.split_once('\n').unwrap()).collect()
}

#[test]
fn every_alert_has_a_runbook_section_and_a_panel() {
    let rules = Prometheus::start(&text_of("alerts.yaml"), &[]).rules();
    let runbook = text_of("runbook.md");
    let sections = sections(&runbook);
    let panels = dashboard();
    let titles: BTreeSet<&str> = panels.iter().map(|panel| panel["title"].as_str().unwrap()).collect();
    assert_eq!(titles.len(), panels.len(), "two panels have one title");
    let alerts: BTreeSet<&str> = rules.iter().map(|rule| rule.alert.as_str()).collect();
    assert_eq!(alerts.len(), rules.len(), "two alerts have one name");
    let headings: BTreeSet<&str> = sections.keys().copied().collect();
    assert_eq!(alerts, headings);
    for rule in &rules {
        whole(rule, &titles);
    }
    for (heading, text) in sections {
        for part in ["**Readers notice**", "It means**", "**Look", "**Do", "**Over when**"] {
            assert!(text.contains(part), "{heading} lacks {part}");
        }
        for name in italics(text) {
            assert!(titles.contains(name.as_str()), "{heading}: there is no panel {name:?}");
        }
    }
    let told = cases();
    for alert in alerts {
        let called =
            told.contains(&format!("alertname=\"{alert}\"")) || told.contains(&format!("alertname: {alert}\n"));
        assert!(called, "no case of alerts.tests.yaml expects {alert}");
    }
}

fn whole(rule: &Rule, titles: &BTreeSet<&str>) {
    let said = |name: &str| rule.annotations[name].as_str().unwrap_or_default();
    assert!(rule.alert.starts_with(PREFIX), "{rule:?}");
    assert!(["page", "ticket"].contains(&rule.severity.as_str()), "{rule:?}");
    assert!(
        !said("summary").is_empty() && !said("description").is_empty(),
        "{rule:?}"
    );
    assert!(titles.contains(said("panel")), "{rule:?}: there is no such panel");
    // As forges make anchors of headings.
    let anchor = rule.alert.to_lowercase();
    let expected = format!("{{{{ $externalLabels.runbooks }}}}deploy/observability/runbook.md#{anchor}");
    assert_eq!(said("runbook_url"), expected);
}

/// What stands between single asterisks, but for code.
fn italics(text: &str) -> Vec<String> {
    let words: String = text.split('`').step_by(2).collect();
    let plain = words.split("**").step_by(2);
    plain
        .flat_map(|part| part.split('*').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_of_the_runbook_is_one_that_the_program_knows() {
    let runbook = text_of("runbook.md");
    let commands = runbook.split('`').skip(1).step_by(2);
    let commands: BTreeSet<&str> = commands.filter_map(|code| code.strip_prefix("broadsheet ")).collect();
    for command in &commands {
        let path: Vec<&str> = command
            .split_whitespace()
            .take_while(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with("--"))
            .collect();
        // The first word that is no command is an argument of the last one that is.
        let help = (1..=path.len()).rev().find_map(|length| help(&path[..length]));
        let help = help.unwrap_or_else(|| panic!("broadsheet {command}: no such command"));
        let options = command.split_whitespace().filter(|word| word.starts_with("--"));
        for option in options {
            let known = help.split([' ', ',', '\n']).any(|word| word == option);
            assert!(known, "broadsheet {command}: no option {option}");
        }
    }
    assert!(commands.len() > 20, "only {commands:?}: the search is broken");
}

/// What a command says of itself, where it is one and needs no further word.
fn help(path: &[&str]) -> Option<String> {
    let asked = Command::new(tests::binary()).args(path).arg("--help").output().unwrap();
    let help = String::from_utf8(asked.stdout).unwrap();
    let usage = format!("Usage: broadsheet {}", path.join(" "));
    let is_whole = help.lines().any(|line| line.starts_with(&usage)) && !help.contains("<COMMAND>");
    (asked.status.success() && is_whole).then_some(help)
}
