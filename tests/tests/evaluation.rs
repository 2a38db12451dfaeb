//! Rankings do not get worse: the whole platform, filled with a judged set and asked, reaches the figures it reached before.
//!
//! It needs the judged data set cranfield, which is not part of the repository (see `tests::data`). After a change that is
//! meant to rank differently: `broadsheet eval DIR --baseline tests/evaluation/baseline.json --update-baseline`.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tests::{Ran, binary, ran};

/// The judged set of the gate: small enough for every run, and with grades.
const SET: &str = "cranfield";
const METHODS: [&str; 3] = ["bm25", "dense", "hybrid"];
const MEASURES: [&str; 3] = ["ndcg_at_10", "recall_at_100", "mrr_at_10"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn eval(arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(binary());
    command.arg("eval").args(arguments).envs(environment.iter().copied());
    ran(command.stdin(Stdio::null()).output().unwrap())
}

#[test]
fn rankings_are_as_good_as_they_were() {
    let Some(set) = tests::data::find(SET) else { return };
    let baseline = root().join("tests/evaluation/baseline.json");
    let measured = eval(
        &[
            set.to_str().unwrap(),
            "--json",
            "--baseline",
            baseline.to_str().unwrap(),
        ],
        &[],
    );
    assert_eq!(measured.status, 0, "{}", measured.err);
    let report = measured.json();
    assert_eq!(report["data_set"], SET);
    // Two documents have neither title nor text.
    assert_eq!(
        (&report["documents"], &report["papers"]),
        (&1_400.into(), &1_398.into())
    );
    let rejected: Vec<&str> = report["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["document"].as_str().unwrap())
        .collect();
    assert_eq!(rejected, ["471", "995"]);
    assert_eq!(report["queries"], 225);
    for method in METHODS {
        for measure in MEASURES {
            let figure = &report["methods"][method][measure];
            let of = |end: &str| figure[end].as_f64().unwrap();
            assert!(
                0.0 < of("low") && of("low") <= of("value") && of("value") <= of("high"),
                "{method} {measure}"
            );
        }
    }
}

/// A set of four documents: one without a title, two with the same text, one empty; queries in words and by paper.
fn small_set(folder: &Path) {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write(
        "corpus.jsonl",
        concat!(
            r#"{"_id":"bees","title":"","text":"Honey bees find the shortest way between flowers and remember it."}"#,
            "\n",
            r#"{"_id":"steel","title":"Fatigue of steel","text":"Cracks grow in welded steel beams under load."}"#,
            "\n",
            r#"{"_id":"steel-again","title":"Fatigue of steel","text":"Cracks grow in welded steel beams under load."}"#,
            "\n",
            r#"{"_id":"wasps","title":"Flight of wasps","text":"Wasps learn landmarks around their nest as bees do."}"#,
            "\n",
            r#"{"_id":"empty","title":"","text":""}"#,
            "\n",
        ),
    );
    write(
        "queries.jsonl",
        concat!(
            r#"{"_id":"1","text":"how do honey bees find their way"}"#,
            "\n",
            r#"{"_id":"2","text":"cracks in welded steel"}"#,
            "\n",
            r#"{"_id":"3","text":"","paper_id":"bees"}"#,
            "\n",
            r#"{"_id":"4","text":"nobody judged this"}"#,
            "\n",
        ),
    );
    std::fs::create_dir(folder.join("qrels")).unwrap();
    write(
        "qrels/test.tsv",
        "query-id\tcorpus-id\tscore\n1\tbees\t2\n2\tsteel-again\t1\n3\tbees\t2\n3\twasps\t1\n",
    );
}

#[test]
fn a_fall_below_the_baseline_fails_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("small");
    std::fs::create_dir(&set).unwrap();
    small_set(&set);
    let (set, baseline) = (set.to_str().unwrap(), folder.path().join("baseline.json"));
    let cheap = [("BROADSHEET_EMBEDDING__MODEL", "static")];
    let arguments = [set, "--json", "--baseline", baseline.to_str().unwrap()];

    let first = eval(&[&arguments[..], &["--update-baseline"]].concat(), &cheap);
    assert_eq!(first.status, 0, "{}", first.err);
    let report = first.json();
    assert_eq!(
        (&report["documents"], &report["papers"], &report["queries"]),
        (&5.into(), &3.into(), &3.into())
    );
    assert_eq!(report["left_out_queries"], Value::from(vec!["4"]));
    assert_eq!(report["rejected"][0]["document"], "empty");
    assert_eq!(report["methods"]["hybrid"]["ndcg_at_10"]["value"], 1.0, "{report}");

    // The best there can be was reached; a baseline beyond it cannot be.
    let text = std::fs::read_to_string(&baseline).unwrap();
    let mut higher: Value = serde_json::from_str(&text).unwrap();
    higher["small"]["figures"]["hybrid"]["ndcg_at_10"]["value"] = 1.5.into();
    std::fs::write(&baseline, higher.to_string()).unwrap();
    let second = eval(&arguments, &cheap);
    assert_eq!(second.status, 1, "{second:?}");
    assert!(
        second
            .err
            .contains("hybrid ndcg_at_10 is 1.0000: it fell by 0.5000 from 1.5000"),
        "{}",
        second.err
    );
    assert_eq!(second.json()["methods"], report["methods"], "two runs differ");

    // A server that others use is never filled.
    let shared = eval(&arguments, &[cheap[0], ("BROADSHEET_NATS__URL", "nats://127.0.0.1:1")]);
    assert_eq!(shared.status, 64, "{shared:?}");
    assert!(
        shared.err.contains("nats.url names a server that others use"),
        "{}",
        shared.err
    );
}
