//! What holds for every page, whatever it is about: valid, accessible, light, calm, and nobody's but ours.

use serde_json::{Value, json};

use crate::loaded::Loaded;
use crate::stage::Stage;
use crate::variant::{Scheme, Screen};
use crate::webdriver::Session;

/// The layout shift that a page may have while it loads. Chromium calls 0.1 good; what nobody sees comes from rounding when
/// the machine is busy.
const MOST_SHIFT: f64 = 0.005;
/// Most that a page may transfer with everything that belongs to it, bytes.
const MOST_BYTES: u64 = 60_000;
const MEASURE: &str = include_str!("../../browser/measure.js");
const ASK_AXE: &str = include_str!("../../browser/axe.js");
const TAGS: [&str; 6] = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/// What is wrong with the page that is open, and how it came to be there.
pub fn findings(stage: &Stage, session: &Session, screen: Screen) -> (Loaded, Vec<String>) {
    let mut loaded = Loaded::read(session);
    let mut findings = of_loading(stage, session, &mut loaded);
    findings.extend(of_console(session, &loaded));
    let measured = session.run_async(MEASURE, &[]);
    findings.extend(of_layout(&measured, screen));
    (loaded, findings)
}

/// What is against the rules of accessibility, in the scheme that is asked for now.
pub fn inaccessible(stage: &Stage, session: &Session, scheme: Scheme) -> Vec<String> {
    if session.run("return typeof axe", &[]) == "undefined" {
        session.run(&stage.axe, &[]);
    }
    // Colours are all that a scheme changes.
    let rules: &[&str] = match scheme {
        Scheme::Light => &[],
        Scheme::Dark => &["color-contrast"],
    };
    let Value::Array(violations) = session.run_async(ASK_AXE, &[json!(TAGS), json!(rules)]) else {
        return vec!["axe gave no answer".to_owned()];
    };
    let told = violations.iter().map(|one| {
        let place = one["where"]
            .as_array()
            .map(|places| places.iter().filter_map(Value::as_str));
        let place = place.map(|places| places.collect::<Vec<_>>().join("\n      "));
        format!(
            "axe, {} ({}, {}): {}\n      {}",
            one["rule"].as_str().unwrap_or_default(),
            one["impact"].as_str().unwrap_or_default(),
            scheme.name(),
            one["why"].as_str().unwrap_or_default(),
            place.unwrap_or_default()
        )
    });
    told.collect()
}

fn of_loading(stage: &Stage, session: &Session, loaded: &mut Loaded) -> Vec<String> {
    let mut findings = Vec::new();
    let strangers = loaded.asked.iter().filter(|url| !stage.is_ours(url));
    findings.extend(strangers.map(|url| format!("asks somebody else: {url}")));
    if loaded.bytes > MOST_BYTES {
        findings.push(format!("transfers {} bytes, {MOST_BYTES} are allowed", loaded.bytes));
    }
    let body = session.command("Network.getResponseBody", &json!({ "requestId": loaded.request }));
    let html = body["body"].as_str().unwrap_or_default();
    findings.extend(stage.invalid(html).into_iter().map(|one| format!("HTML, {one}")));
    findings
}

/// Errors on the console: of scripts, of the security policy, of what did not load. That the page itself is a refusal is none.
fn of_console(session: &Session, loaded: &Loaded) -> Vec<String> {
    let entries = session.log("browser");
    let errors = entries.iter().filter(|entry| entry["level"] == "SEVERE");
    let messages = errors.filter_map(|entry| entry["message"].as_str());
    let refusal = format!("{} - Failed to load resource", loaded.url);
    let refused = |message: &&str| loaded.status >= 400 && message.starts_with(&refusal);
    messages
        .filter(|message| !refused(message))
        .map(|message| format!("console: {message}"))
        .collect()
}

fn of_layout(measured: &Value, screen: Screen) -> Vec<String> {
    let (width, _) = screen.size();
    let checks = [
        (
            measured["width"].as_u64() > Some(width.into()),
            "scrolls sideways",
            &measured["overflowing"],
        ),
        (
            measured["shift"].as_f64().is_none_or(|shift| shift > MOST_SHIFT),
            "shifts while it loads",
            &measured["shift"],
        ),
        (
            measured["painted_ms"].is_null(),
            "has no first paint",
            &measured["painted_ms"],
        ),
        (measured["headings"] != 1, "has not one h1", &measured["headings"]),
        (
            measured["main"] != 1,
            "has not one main with the id main",
            &measured["main"],
        ),
        (measured["title"] == "", "has no title", &measured["title"]),
        (measured["language"] == "", "has no language", &measured["language"]),
        (
            measured["inline"] != 0,
            "has scripts or styles inside",
            &measured["inline"],
        ),
    ];
    let broken = checks.into_iter().filter(|(broken, ..)| *broken);
    broken
        .map(|(_, what, measured)| format!("{what}: {measured}"))
        .collect()
}
