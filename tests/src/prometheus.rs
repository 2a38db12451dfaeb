//! A real Prometheus that scrapes what a test names and evaluates rules each second.
//!
//! `tests/tools/prometheus` finds or fetches it. It knows the rules only as Prometheus reads them.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::get;

/// The server. It ends with the test.
pub struct Prometheus {
    process: Child,
    url: String,
    _folder: TempDir,
}

/// What calls, or will when it goes on for as long as the rule waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Its name, without what all have before it.
    pub name: String,
    /// `page` or `ticket`.
    pub severity: String,
    /// The service, where it is about one; else empty.
    pub service: String,
    /// `pending` or `firing`.
    pub state: String,
    /// Its annotations.
    pub annotations: Value,
}

/// A rule as Prometheus reads it.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The name of its alert.
    pub alert: String,
    /// The expression.
    pub query: String,
    /// `page` or `ticket`.
    pub severity: String,
    /// Its annotations, as they are written.
    pub annotations: Value,
}

/// What the names of all alerts begin with.
pub const PREFIX: &str = "Broadsheet";

impl Prometheus {
    /// Starts one with the text of a file of rules. Targets are a service, which may be empty, and the address of its
    /// operator's port (`http://…`).
    pub fn start(rules: &str, targets: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str| folder.path().join(name);
        std::fs::write(of("rules.yaml"), rules).unwrap();
        std::fs::write(of("prometheus.yaml"), config(targets)).unwrap();
        let program = program();
        let mut process = Command::new(&program)
            .arg(format!("--config.file={}", of("prometheus.yaml").display()))
            .arg(format!("--storage.tsdb.path={}", of("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (mut url, mut said) = (None, String::new());
        for line in lines.by_ref() {
            let line = line.unwrap();
            let _ = writeln!(said, "{line}");
            if let Some((_, address)) = line.split_once("address=")
                && line.contains("Listening on")
            {
                url = Some(format!("http://{}", address.split_whitespace().next().unwrap()));
            }
            if url.is_some() && line.contains("Server is ready") {
                break;
            }
        }
        // What it says from here on nobody needs; it must not wait for somebody to read it.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            url: url.unwrap_or_else(|| panic!("prometheus does not start: {said}")),
            process,
            _folder: folder,
        }
    }

    /// What calls or will, by name.
    pub fn alerts(&self) -> Vec<Alert> {
        let data = self.ask("alerts");
        let alerts = data["alerts"].as_array().unwrap().iter();
        let mut alerts: Vec<Alert> = alerts.map(alert).collect();
        alerts.sort_by(|left, right| (&left.name, &left.service).cmp(&(&right.name, &right.service)));
        alerts
    }

    /// The rules it knows.
    pub fn rules(&self) -> Vec<Rule> {
        let data = self.ask("rules");
        let groups = data["groups"].as_array().unwrap().iter();
        groups
            .flat_map(|group| group["rules"].as_array().unwrap())
            .map(rule)
            .collect()
    }

    /// The value of an expression now; none where it has none, or several.
    pub fn value(&self, expression: &str) -> Option<f64> {
        let encoded: String = expression.bytes().fold(String::new(), |mut encoded, byte| {
            let _ = write!(encoded, "%{byte:02X}");
            encoded
        });
        let data = self.ask(&format!("query?query={encoded}"));
        match data["result"].as_array().unwrap().as_slice() {
            [one] => one["value"][1].as_str().unwrap().parse().ok(),
            _ => None,
        }
    }

    fn ask(&self, path: &str) -> Value {
        let (status, body) = get(&format!("{}/api/v1/{path}", self.url));
        assert_eq!(status, 200, "{path}: {body}");
        let mut answer: Value = serde_json::from_str(&body).unwrap();
        answer["data"].take()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Scrapes and evaluates each second. The job is the one that the rules know.
fn config(targets: &[(&str, &str)]) -> String {
    let mut text = "global: { scrape_interval: 1s, evaluation_interval: 1s }\nrule_files: [rules.yaml]\n".to_owned();
    text.push_str("scrape_configs:\n  - job_name: broadsheet\n    static_configs:\n");
    for (service, admin) in targets {
        let address = admin.trim_start_matches("http://");
        let labels = if service.is_empty() {
            String::new()
        } else {
            format!("service: {service}")
        };
        let _ = writeln!(text, "      - {{ targets: [\"{address}\"], labels: {{ {labels} }} }}");
    }
    if targets.is_empty() {
        text.push_str("      - { targets: [] }\n");
    }
    text
}

fn program() -> PathBuf {
    let setup = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/prometheus");
    let found = Command::new(setup).stderr(Stdio::inherit()).output().unwrap();
    assert!(found.status.success(), "tests/tools/prometheus says why above");
    let folder = String::from_utf8(found.stdout).unwrap();
    Path::new(folder.trim()).join("prometheus")
}

fn alert(one: &Value) -> Alert {
    let label = |name: &str| one["labels"][name].as_str().unwrap_or_default().to_owned();
    Alert {
        name: label("alertname").trim_start_matches(PREFIX).to_owned(),
        severity: label("severity"),
        service: label("service"),
        state: one["state"].as_str().unwrap().to_owned(),
        annotations: one["annotations"].clone(),
    }
}

fn rule(one: &Value) -> Rule {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Rule {
        alert: text(&one["name"]),
        query: text(&one["query"]),
        severity: text(&one["labels"]["severity"]),
        annotations: one["annotations"].clone(),
    }
}
