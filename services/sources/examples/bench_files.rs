//! How fast files are read, on one core, down to papers that ingest takes: 100,000 lines as the metadata snapshot of arXiv has
//! them, and every other format with some of the same papers. A record that is refused fails the run.
//!
//! The papers are those of `arxiv-daily` in the folder that `BROADSHEET_DATA` names. Time is that which the thread was on a
//! processor, so that neighbours on a busy machine do not count.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::error::Error;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use sources::files::{FileEvent, FileOptions, FilePage, read};
use sources::{PageContext, PageItem, SourceKind};

const LINES: usize = 100_000;
/// Papers of each other format.
const OTHERS: usize = 2_000;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let snapshot = folder.path().join("arxiv-metadata.json");
    let papers = write_snapshot(&snapshot)?;
    let begun = on_processor();
    let count = papers_of(&snapshot)?;
    let seconds = on_processor().saturating_sub(begun).as_secs_f64();
    if count != LINES {
        return Err(format!("{count} of {LINES} papers of the snapshot were taken").into());
    }
    let megabytes = std::fs::metadata(&snapshot)?.len() as f64 / 1e6;
    println!("arxiv: {count} papers, {megabytes:.0} MB in {seconds:.2} s");
    let mut formats = 1;
    for (name, text) in other_formats(&papers) {
        let path = folder.path().join(name);
        std::fs::write(&path, &text)?;
        let begun = on_processor();
        let count = papers_of(&path)?;
        let seconds = on_processor().saturating_sub(begun).as_secs_f64();
        println!("{name}: {count} papers, {:.0} MB/s", text.len() as f64 / 1e6 / seconds);
        if count != papers.len() {
            return Err(format!("{count} of {} papers of {name} were taken", papers.len()).into());
        }
        formats += 1;
    }
    println!(
        "files: formats={formats} mb_per_s={:.0} rss_mb={}",
        megabytes / seconds,
        peak()?
    );
    Ok(())
}

/// Reads a file; how many papers it has. A refused record is an error.
fn papers_of(path: &Path) -> Outcome<usize> {
    let context = PageContext::new("bench", SourceKind::Files, "2026-12-01T00:00:00Z".parse()?);
    let (mut papers, mut refused) = (0, None);
    let name = path.display().to_string();
    let options = FileOptions::default();
    read(
        File::open(path)?,
        &name,
        FilePage::WHOLE,
        &options,
        &context,
        &mut |event| {
            match event {
                FileEvent::Item(_, PageItem::Paper(_) | PageItem::Withdrawal(_)) => papers += 1,
                FileEvent::Item(place, PageItem::Quarantined(record)) => {
                    refused.get_or_insert_with(|| format!("{name}, record {}: {}", place.record, record.reason));
                }
                _ => {}
            }
            Ok(())
        },
    )?;
    refused.map_or(Ok(papers), |refused| Err(refused.into()))
}

/// Writes the lines of the snapshot; the first papers come back.
fn write_snapshot(path: &Path) -> Outcome<Vec<Value>> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("BROADSHEET_DATA").map_or(beside, PathBuf::from);
    let mut out = BufWriter::new(File::create(path)?);
    let (mut written, mut first) = (0, Vec::new());
    while written < LINES {
        let packed = File::open(data.join("arxiv-daily/papers.jsonl.zst"))?;
        let lines = BufReader::new(ruzstd::decoding::StreamingDecoder::new(BufReader::new(packed))?).lines();
        for line in lines.take(LINES - written) {
            let paper: Value = serde_json::from_str(&line?)?;
            serde_json::to_writer(&mut out, &snapshot_line(&paper, written))?;
            out.write_all(b"\n")?;
            written += 1;
            if first.len() < OTHERS {
                first.push(paper);
            }
        }
    }
    out.flush()?;
    Ok(first)
}

fn snapshot_line(paper: &Value, number: usize) -> Value {
    let names = authors(paper);
    let parsed: Vec<Value> = names.iter().map(|(given, family)| json!([family, given, ""])).collect();
    let printed: Vec<String> = names
        .iter()
        .map(|(given, family)| format!("{given} {family}"))
        .collect();
    json!({
        "id": format!("{:04}.{:05}", 2_000 + number / 50_000 % 12 + 1, number % 50_000),
        "submitter": printed.first(),
        "authors": printed.join(", "),
        "title": paper["title"],
        "comments": paper["comment"],
        "journal-ref": null,
        "doi": null,
        "report-no": null,
        "categories": texts(&paper["categories"]).join(" "),
        "license": "http://arxiv.org/licenses/nonexclusive-distrib/1.0/",
        "abstract": format!("  {}\n", paper["abstract"].as_str().unwrap_or_default()),
        "versions": [{"version": "v1", "created": "Mon, 2 Apr 2007 19:18:42 GMT"}],
        "update_date": "2008-11-26",
        "authors_parsed": parsed,
    })
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// Given and family names.
fn authors(paper: &Value) -> Vec<(&str, &str)> {
    let names = texts(&paper["authors"]).into_iter();
    names.map(|name| name.rsplit_once(' ').unwrap_or(("", name))).collect()
}

/// The same papers in every other format.
fn other_formats(papers: &[Value]) -> Vec<(&'static str, String)> {
    let list = |convert: fn(&Value) -> Value| papers.iter().map(convert).collect::<Vec<Value>>();
    let lines = |convert: fn(&Value) -> Value| {
        list(convert).iter().fold(String::new(), |mut lines, value| {
            let _ = writeln!(lines, "{value}");
            lines
        })
    };
    vec![
        ("own.jsonl", lines(Value::clone)),
        ("own.json", Value::from(list(Value::clone)).to_string()),
        ("semantic-scholar.jsonl", lines(semantic_scholar)),
        (
            "openalex.json",
            json!({"meta": {}, "results": list(openalex)}).to_string(),
        ),
        (
            "crossref.json",
            json!({"message": {"items": list(crossref)}}).to_string(),
        ),
        ("huggingface.json", Value::from(list(huggingface)).to_string()),
        ("csl.json", Value::from(list(csl)).to_string()),
        ("papers.ris", papers.iter().map(ris).collect()),
        ("papers.nbib", papers.iter().map(medline).collect()),
        (
            "papers.csv",
            std::iter::once("Title,Abstract,Authors,Year\n".to_owned())
                .chain(papers.iter().map(csv))
                .collect(),
        ),
    ]
}

fn identifier(paper: &Value) -> String {
    paper["id"]
        .as_str()
        .unwrap_or_default()
        .trim_start_matches("arxiv:")
        .to_owned()
}

fn named(paper: &Value) -> Vec<Value> {
    texts(&paper["authors"])
        .iter()
        .map(|name| json!({ "name": name }))
        .collect()
}

fn structured(paper: &Value) -> Vec<Value> {
    authors(paper)
        .iter()
        .map(|(given, family)| json!({ "given": given, "family": family }))
        .collect()
}

fn semantic_scholar(paper: &Value) -> Value {
    json!({"corpusid": 1, "externalids": {"ArXiv": identifier(paper)}, "title": paper["title"],
        "abstract": paper["abstract"], "authors": named(paper), "publicationdate": paper["published"]})
}

fn openalex(paper: &Value) -> Value {
    let mut index = serde_json::Map::new();
    for (position, word) in paper["abstract"].as_str().unwrap_or_default().split(' ').enumerate() {
        if let Some(list) = index.entry(word).or_insert_with(|| json!([])).as_array_mut() {
            list.push(json!(position));
        }
    }
    let authors: Vec<Value> = texts(&paper["authors"])
        .iter()
        .map(|name| json!({"raw_author_name": name}))
        .collect();
    json!({"id": "https://openalex.org/W1", "title": paper["title"], "abstract_inverted_index": index,
        "authorships": authors, "publication_date": paper["published"]})
}

fn crossref(paper: &Value) -> Value {
    json!({"DOI": format!("10.5555/{}", identifier(paper)), "title": [paper["title"]], "abstract": paper["abstract"],
        "author": structured(paper), "issued": {"date-parts": [[2025, 3]]}})
}

fn huggingface(paper: &Value) -> Value {
    json!({"paper": {"id": identifier(paper), "title": paper["title"], "summary": paper["abstract"],
        "authors": named(paper), "upvotes": 3}})
}

fn csl(paper: &Value) -> Value {
    json!({"id": identifier(paper), "title": paper["title"], "abstract": paper["abstract"], "author": structured(paper),
        "issued": {"date-parts": [[2025, 3]]}})
}

fn text<'a>(paper: &'a Value, field: &str) -> &'a str {
    paper[field].as_str().unwrap_or_default()
}

fn ris(paper: &Value) -> String {
    let mut record = format!(
        "TY  - GEN\nTI  - {}\nAB  - {}\n",
        text(paper, "title"),
        text(paper, "abstract")
    );
    for (given, family) in authors(paper) {
        let _ = writeln!(record, "AU  - {family}, {given}");
    }
    record + "PY  - 2025\nER  - \n\n"
}

fn medline(paper: &Value) -> String {
    let mut record = format!(
        "PMID- 1\nTI  - {}\nAB  - {}\n",
        text(paper, "title"),
        text(paper, "abstract")
    );
    for (given, family) in authors(paper) {
        let _ = writeln!(record, "FAU - {family}, {given}");
    }
    record + "DP  - 2025 Mar\n\n"
}

fn csv(paper: &Value) -> String {
    let quoted = |value: &str| format!("\"{}\"", value.replace('"', "\"\""));
    let authors = texts(&paper["authors"]).join("; ");
    let values = [text(paper, "title"), text(paper, "abstract"), &authors, "2025"].map(quoted);
    values.join(",") + "\n"
}

/// How long this thread has been on a processor; Linux says so in nanoseconds.
fn on_processor() -> Duration {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = schedule.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

/// The most memory that this process has had, in megabytes.
fn peak() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: u64 = line.ok_or("no peak")?.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kilobytes / 1_000)
}
