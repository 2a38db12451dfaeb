//! What is exported and read again is the same paper, for real ones.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use domain::merging::SourceRecord;
use domain::readable::readable_line;
use domain::{AuthorName, LinkKind};
use proto::papers::v1::Author;
use serde_json::Value;
use sources::PageItem;
use sources::parsing::{PageFormat, parse};

use super::*;

/// How many papers are tried.
const PAPERS: usize = 10_000;
/// Every format that is exported and can be read again: its parser, what that reads of it, and how many of the papers may
/// come back changed, because the parser does not know all that is written.
const FORMATS: [(PaperFormat, PageFormat, &[&str], usize); 1] = [(
    PaperFormat::Bibtex,
    PageFormat::Bibtex,
    &["id", "title", "abstract", "authors", "link"],
    20,
)];

/// What of a paper every format keeps. Texts need only read the same, and dates name the same month.
type Kept = BTreeMap<&'static str, String>;

#[test]
fn papers_come_back_as_they_were_exported() {
    let Some(path) = arxiv_daily() else { return };
    let papers = papers(&path);
    for (format, parser, fields, most_changed) in FORMATS {
        let mut changed = Vec::new();
        for batch in papers.chunks(500) {
            let text: String = batch
                .iter()
                .filter_map(|paper| text_of(paper, format, "https://x.org"))
                .collect();
            let mut read = Vec::new();
            let now = Timestamp::UNIX_EPOCH;
            parse(parser, text.as_bytes(), now, |item| {
                if let PageItem::Paper(record) = item {
                    read.push(kept_of_record(&record));
                }
                Ok(())
            })
            .expect("a file that can be read");
            let read: BTreeMap<String, Kept> = read.into_iter().map(|kept| (kept["id"].clone(), kept)).collect();
            changed.extend(
                batch
                    .iter()
                    .filter_map(|paper| difference(paper, read.get(&paper.id), fields)),
            );
        }
        for one in changed.iter().take(20) {
            println!("{one}");
        }
        let (name, count) = (format.name(), changed.len());
        println!("{name}: {count} of {} papers come back changed", papers.len());
        assert!(count <= most_changed, "{name}: {count} papers come back changed");
    }
}

/// The first thing that differs.
fn difference(paper: &Paper, read: Option<&Kept>, fields: &[&str]) -> Option<String> {
    let Some(read) = read else {
        return Some(format!("{} does not come back", paper.id));
    };
    let wanted = kept(paper);
    let differs = |name: &&&str| {
        let (wanted, read) = (&wanted[**name], &read[**name]);
        wanted != read && readable_line(wanted) != readable_line(read)
    };
    let name = *fields.iter().find(differs)?;
    let wanted = &wanted[name];
    Some(format!("{} {name}\n    {wanted}\n    {}", paper.id, read[name]))
}

fn kept(paper: &Paper) -> Kept {
    let authors: Vec<&str> = paper.authors.iter().map(|author| author.name.as_str()).collect();
    Kept::from([
        ("id", paper.id.clone()),
        ("title", paper.title.clone()),
        ("abstract", paper.r#abstract.clone()),
        ("authors", authors.join("; ")),
        (
            "month",
            published_day(paper)
                .map(|day| day.strftime("%Y-%m").to_string())
                .unwrap_or_default(),
        ),
        ("link", crate::paper::url_of(paper).unwrap_or_default()),
    ])
}

fn kept_of_record(record: &SourceRecord) -> Kept {
    let submission = &record.submission;
    let id = domain::PaperId::from_submission(&submission.id, "x")
        .expect("an id")
        .to_string();
    let link = submission.links.iter().find(|(kind, _)| *kind == LinkKind::Abstract);
    let month = submission.published.map(|time| time.strftime("%Y-%m").to_string());
    Kept::from([
        ("id", id),
        ("title", submission.title.clone()),
        ("abstract", submission.abstract_text.clone()),
        (
            "authors",
            submission
                .authors
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; "),
        ),
        ("month", month.unwrap_or_default()),
        ("link", link.map(|(_, url)| url.clone()).unwrap_or_default()),
    ])
}

/// Papers from all over the data set.
fn papers(path: &Path) -> Vec<Paper> {
    let file = std::fs::File::open(path).expect("a file");
    let lines = BufReader::new(ruzstd::decoding::StreamingDecoder::new(file).expect("zstd")).lines();
    let lines = lines.step_by(7).take(PAPERS);
    lines
        .map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON"))
        .map(|value: Value| paper(&value))
        .collect()
}

fn paper(value: &Value) -> Paper {
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let list = |name: &str| {
        let values = value[name].as_array().into_iter().flatten();
        values
            .filter_map(Value::as_str)
            .map(domain::text::one_line)
            .collect::<Vec<_>>()
    };
    let published: Option<Timestamp> = format!("{}T00:00:00Z", text("published")).parse().ok();
    Paper {
        id: text("id"),
        title: domain::text::one_line(&text("title")),
        r#abstract: domain::text::paragraphs(&text("abstract")),
        authors: list("authors")
            .iter()
            .map(|name| Author::from(&AuthorName::parse(name)))
            .collect(),
        categories: list("categories"),
        published_time: published.map(|time| prost_types::Timestamp {
            seconds: time.as_second(),
            nanos: 0,
        }),
        ..Paper::default()
    }
}

/// The data set; where it is missing the test is skipped, or fails in CI.
fn arxiv_daily() -> Option<PathBuf> {
    let variable = std::env::var_os("BROADSHEET_DATA");
    let is_left_out = variable.as_ref().is_some_and(|value| value == "skip");
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = variable
        .map_or_else(beside, PathBuf::from)
        .join("arxiv-daily/papers.jsonl.zst");
    if path.exists() {
        return Some(path);
    }
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(
        is_left_out || !in_ci,
        "{} does not exist; BROADSHEET_DATA names its folder",
        path.display()
    );
    // Past the capture of the test harness, which shows nothing of a test that passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {} does not exist", path.display());
    None
}
