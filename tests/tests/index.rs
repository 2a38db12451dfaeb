//! The life of an index, through the command line: rebuilt, switched, dropped, verified, backed up, restored, copied.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use serde_json::Value;
use tests::{Platform, until};

const OFFERS_BOTH: &[(&str, &str)] = &[
    ("BROADSHEET_EMBEDDING__MODEL", "static"),
    ("BROADSHEET_EMBEDDING__NEXT_MODEL", "minilm"),
];
const OLD: &str = "papers-potion-base-8M-f65d0f325faa";
const NEW: &str = "papers-all-MiniLM-L6-v2-53aa51172d14";

fn ingest(platform: &Platform, names: impl Iterator<Item = usize>) {
    let line = |name| {
        format!(r#"{{"id":"{name}","source":"x","title":"Paper {name} on consensus","abstract":"Leaders sleep."}}"#)
    };
    let lines: Vec<String> = names.map(line).collect();
    let ran = platform.run_with_input(&["ingest", "-", "--wait"], &lines.join("\n"));
    assert_eq!(ran.status, 0, "{ran:?}");
}

fn status(platform: &Platform) -> Value {
    platform.must(&["index", "status", "--json"]).json()
}

fn papers_of(status: &Value, name: &str) -> Option<u64> {
    let all = status["collections"].as_array().unwrap();
    all.iter().find(|one| one["name"] == name)?["papers"].as_u64()
}

#[test]
fn a_rebuild_is_complete_before_the_switch() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start_with(folder.path(), OFFERS_BOTH);
    ingest(&platform, 0..20);
    assert_eq!(platform.must(&["withdraw", "x:3"]).status, 0);
    until("the withdrawal is in", || {
        (status(&platform)["papers"] == 19).then_some(())
    });

    let refused = platform.run(&["index", "drop", OLD]);
    assert_ne!(
        refused.status, 0,
        "the collection in use cannot be dropped: {refused:?}"
    );
    let refused = platform.run(&["index", "switch", NEW]);
    assert!(refused.err.contains("there are"), "{refused:?}");

    let rebuilt = platform.must(&["index", "rebuild"]);
    assert!(rebuilt.out.contains("complete"), "{rebuilt:?}");
    let before = status(&platform);
    assert_eq!(before["collection"], OLD);
    assert_eq!((papers_of(&before, OLD), papers_of(&before, NEW)), (Some(19), Some(19)));

    // Until the switch papers and withdrawals go into both.
    ingest(&platform, 20..25);
    assert_eq!(platform.must(&["withdraw", "x:4"]).status, 0);
    until("both know of the withdrawal", || {
        let now = status(&platform);
        (papers_of(&now, OLD) == Some(23) && papers_of(&now, NEW) == Some(23)).then_some(())
    });
    platform.must(&["index", "switch", NEW]);
    let after = status(&platform);
    assert_eq!((&after["collection"], &after["papers"]), (&NEW.into(), &23.into()));
    assert_eq!(
        platform.must(&["search", "consensus", "--json"]).json()["results"]
            .as_array()
            .unwrap()
            .len(),
        10
    );

    // Papers that the flow embedded for the old model are embedded again for the new one.
    ingest(&platform, 25..26);
    let found = platform.must(&["search", "paper 25", "--limit", "1", "--json"]).json();
    assert_eq!(found["results"][0]["id"], "x:25", "{found}");
    platform.must(&["index", "drop", OLD]);
    assert_eq!(papers_of(&status(&platform), OLD), None);

    let again = platform.run(&["index", "rebuild", "--encoder", "nobody@1"]);
    assert!(again.err.contains("it offers"), "{again:?}");
    assert_eq!(platform.stop(), 0);
}

#[test]
fn a_rebuild_that_is_killed_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start_with(folder.path(), OFFERS_BOTH);
    ingest(&platform, 0..300);
    let endpoint = platform.endpoint("grpc");
    let asking = std::thread::spawn(move || {
        let mut command = std::process::Command::new(tests::binary());
        command
            .args(["index", "rebuild", "--endpoint", &endpoint])
            .output()
            .unwrap()
    });
    until("some of it is built", || {
        papers_of(&status(&platform), NEW).filter(|papers| *papers >= 64)
    });
    platform.kill();
    asking.join().unwrap();

    let platform = Platform::start_with(folder.path(), OFFERS_BOTH);
    until("the rebuild ends by itself", || {
        let rebuild = status(&platform)["rebuild"].clone();
        (rebuild["state"] == "complete").then_some(())
    });
    let now = status(&platform);
    assert_eq!(papers_of(&now, NEW), Some(300), "{now}");
    let embedded = now["rebuild"]["embedded"].as_u64().unwrap();
    assert!(embedded < 300, "what was built before is not built again: {now}");

    let cancelled = platform.must(&["index", "rebuild", "--cancel"]);
    assert!(cancelled.out.contains("complete"), "{cancelled:?}");
    platform.must(&["index", "drop", NEW]);
    assert_eq!(platform.stop(), 0);
}

#[test]
fn verify_tells_what_is_missing_and_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    ingest(&platform, 0..10);
    let clean = platform.must(&["index", "verify", "--json"]).json();
    assert_eq!(
        (&clean["compared"], &clean["differences"]),
        (&10.into(), &Value::Array(Vec::new()))
    );
    assert_eq!(platform.stop(), 0);

    // The index is lost, the registry of what was accepted is not.
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    let platform = Platform::start(folder.path());
    assert_eq!(status(&platform)["papers"], 0);
    let found = platform.run(&["index", "verify", "--json"]);
    assert_eq!(found.status, 1, "{found:?}");
    assert_eq!(found.json()["differences"].as_array().unwrap().len(), 10);
    platform.must(&["index", "verify", "--repair"]);
    until("all are back", || (status(&platform)["papers"] == 10).then_some(()));
    platform.must(&["index", "verify"]);
    assert_eq!(platform.stop(), 0);
}

#[test]
fn a_backup_can_be_restored_under_another_model() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("catalogue.backup");
    let file = file.to_str().unwrap();
    let platform = Platform::start(&folder.path().join("one"));
    ingest(&platform, 0..12);
    platform.must(&["withdraw", "x:5"]);
    until("the withdrawal is in", || {
        (status(&platform)["papers"] == 11).then_some(())
    });
    platform.must(&["index", "backup", file]);
    assert_eq!(platform.stop(), 0);

    for (name, model) in [("two", "static"), ("three", "minilm")] {
        let platform = Platform::start_with(&folder.path().join(name), &[("BROADSHEET_EMBEDDING__MODEL", model)]);
        platform.must(&["index", "restore", file]);
        let now = status(&platform);
        assert_eq!((&now["papers"], &now["withdrawn"]), (&11.into(), &1.into()), "{now}");
        let found = platform.must(&["search", "paper 7", "--limit", "1", "--json"]).json();
        assert_eq!(found["results"][0]["id"], "x:7", "{found}");
        assert_eq!(platform.stop(), 0);
    }

    let platform = Platform::start(&folder.path().join("four"));
    let bytes = std::fs::read(file).unwrap();
    let cut = folder.path().join("cut.backup");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let refused = platform.run(&["index", "restore", cut.to_str().unwrap()]);
    assert_eq!(refused.status, 65, "{refused:?}");
    assert!(refused.err.contains("is not a complete backup"), "{refused:?}");
    assert_eq!(platform.stop(), 0);
}

#[test]
fn a_copy_moves_an_embedded_store_while_nothing_runs_over_it() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let platform = Platform::start(&one);
    ingest(&platform, 0..12);
    let busy = copied(&one, &two);
    assert!(!busy.status.success(), "a folder in use is refused");
    assert_eq!(platform.stop(), 0);
    let copied = copied(&one, &two);
    assert!(copied.status.success(), "{copied:?}");
    std::fs::create_dir_all(&two).unwrap();
    let platform = Platform::start(&two);
    assert_eq!(status(&platform)["papers"], 12);
    assert_eq!(platform.stop(), 0);
}

fn copied(from: &Path, to: &Path) -> std::process::Output {
    let mut command = std::process::Command::new(tests::binary());
    command
        .args(["index", "copy", "--data"])
        .arg(from)
        .arg("--to")
        .arg(to.join("index"));
    command.output().unwrap()
}
