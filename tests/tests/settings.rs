//! What manifests, recipes and texts name exists: every setting is one that the platform knows.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is read: deployments, recipes and texts.
const PLACES: [&str; 5] = ["deploy", "k8s", "README.md", "ARCHITECTURE.md", ".github"];

#[test]
fn every_setting_that_is_named_anywhere_exists() {
    let known = known();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut named = 0;
    for place in PLACES {
        for file in files(&root.join(place)) {
            let text = std::fs::read_to_string(&file).unwrap();
            for setting in settings(&text) {
                assert!(
                    known.contains(&setting),
                    "{}: {setting} is not a setting",
                    file.display()
                );
                named += 1;
            }
        }
    }
    assert!(named > 20, "only {named} settings are named: the search is broken");
}

#[test]
fn every_setting_that_the_runbook_tells_to_change_exists() {
    let known = known();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/observability/runbook.md");
    let runbook = std::fs::read_to_string(path).unwrap();
    let sections: BTreeSet<&str> = known
        .iter()
        .filter_map(|one| one["BROADSHEET_".len()..].split("__").next())
        .collect();
    let mut named = 0;
    // `section.key`, and `section.some_*` for several.
    for code in runbook.split('`').skip(1).step_by(2) {
        let Some((section, key)) = code.split_once('.') else {
            continue;
        };
        let section = section.to_uppercase();
        if !sections.contains(section.as_str()) || key.contains(' ') {
            continue;
        }
        let key = key.to_uppercase();
        let (begins, ends) = key.split_once('*').unwrap_or((&key, ""));
        let begins = format!("BROADSHEET_{section}__{begins}");
        let exists = known.iter().any(|one| {
            let is_one = *one == begins && !key.contains('*');
            is_one || key.contains('*') && one.starts_with(&begins) && one.ends_with(ends)
        });
        assert!(exists, "{code} is not a setting");
        named += 1;
    }
    assert!(named > 15, "only {named} settings are named: the search is broken");
}

/// Settings as environment variables, from what the program prints of itself.
fn known() -> BTreeSet<String> {
    let output = Command::new(tests::binary())
        .args(["up", "--print-config"])
        .output()
        .unwrap();
    let mut section = String::new();
    let mut known = BTreeSet::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_uppercase();
        } else if let Some((key, _)) = line.split_once(" = ")
            && !key.starts_with('#')
        {
            let setting = format!("BROADSHEET_{section}__{}", key.to_uppercase());
            if line.ends_with("# secret") {
                known.insert(format!("{setting}_FILE"));
            }
            known.insert(setting);
        }
    }
    known
}

fn settings(text: &str) -> BTreeSet<String> {
    words(text)
        .filter(|word| word.starts_with("BROADSHEET_") && word.contains("__") && !word.ends_with("__"))
        .map(str::to_owned)
        .collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
}

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).unwrap() {
        found.extend(files(&entry.unwrap().path()));
    }
    found
}
