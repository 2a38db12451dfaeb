//! The papers of these tests: the sample that ships with the binary, dated as if it had come in these days, and a few whose
//! authors mean no good.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

const SAMPLE: &str = include_str!("../../../services/broadsheet/sample/papers.jsonl");
/// How many appear each day, back from today.
const A_DAY: usize = 4;

/// A paper with formulas in its title and its abstract.
pub const FORMULAS: &str = "arxiv:2611.00001";
/// A paper that wants to be more than text.
pub const HOSTILE: &str = "test:hostile";
/// A paper of one very long word.
pub const LONG: &str = "test:long";

/// All of them, a JSON object a line.
pub fn lines() -> String {
    let sample = SAMPLE.lines().enumerate().map(|(index, line)| {
        let mut paper: Value = serde_json::from_str(line).unwrap();
        paper["published"] = json!(days_ago(index / A_DAY));
        paper
    });
    let papers: Vec<String> = sample.chain(ours()).map(|paper| paper.to_string()).collect();
    papers.join("\n")
}

/// A date that many days ago, `2026-11-27`; never in the future, wherever on earth this runs.
pub fn days_ago(days: usize) -> String {
    let now = TimeZone::UTC.to_datetime(Timestamp::now());
    let days = i64::try_from(days).unwrap();
    now.date().checked_sub(days.days()).unwrap().to_string()
}

fn ours() -> [Value; 3] {
    let formulas = json!({
        "id": FORMULAS,
        "title": "Sorting Hedgehogs in $\\mathcal{O}(n \\log n)$ Time",
        "abstract": "We show that $\\sum_{i=1}^{n} x_i^2 \\leq \\alpha \\cdot \\mathbb{E}[X]$ for every $\\epsilon > 0$, and that \
                     hedgehogs are \\emph{sorted} \\& counted when $n \\to \\infty$.",
        "authors": ["Ruth Abara", "Édouard Ménard-Ølsen", "李明"],
        "categories": ["cs.DS", "math.CO"],
        "published": days_ago(0),
        "url": "https://arxiv.org/abs/2611.00001",
        "pdf_url": "https://arxiv.org/pdf/2611.00001",
    });
    let hostile = json!({
        "id": "hostile",
        "source": "test",
        "title": "<script>document.title='taken'</script> \u{202e}sgohegdeh\u{202c} & <b>\"hedgehogs\"</b> {{ 7 * 7 }}",
        "abstract": "</p></article></main><img src=x onerror=\"document.title='taken'\"> <a href=\"javascript:alert(1)\">hedgehogs</a> \
                     <!-- ]]> &amp; $\\href{javascript:alert(1)}{x}$",
        "authors": ["<i>Mallory</i>", "' OR 1=1 --"],
        "categories": ["cs.CR"],
        "published": days_ago(0),
    });
    let long = json!({
        "id": "long",
        "source": "test",
        "title": format!("Hedgehog{}", "igel".repeat(100)),
        "abstract": format!("About {}.", "hedgehogs/".repeat(60)),
        "authors": ["Taumatawhakatangihangakoauauotamateaturipukakapikimaungahoronukupokaiwhenuakitanatahu".repeat(2)],
        "categories": ["cs.CL"],
        "published": days_ago(1),
    });
    [formulas, hostile, long]
}
