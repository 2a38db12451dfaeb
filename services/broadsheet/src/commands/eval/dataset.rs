//! Reads a judged data set from its folder: in the layout of BEIR, or with the field names of Broadsheet's own JSON lines.
//!
//! It repairs one thing: a document with text but no title gets the first words of the abstract as its title.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use domain::evaluation::{Judgments, read_judgments};
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use proto::convert::to_wire_time;
use proto::ingest::v1::PaperSubmission;
use serde::Deserialize;

use crate::error::CommandError;
use crate::json_lines;

/// How many words of the abstract become a missing title.
const TITLE_WORDS: usize = 12;

/// A judged data set; its corpus is read when it is submitted.
pub struct DataSet {
    /// The folder's name.
    pub name: String,
    /// File of the documents.
    pub corpus: PathBuf,
    /// Its queries, in the order of the file.
    pub queries: Vec<JudgedQuery>,
    /// Which documents are relevant to which query.
    pub judgments: Judgments,
}

/// A query of the data set.
#[derive(Debug, Deserialize)]
pub struct JudgedQuery {
    /// Its id in the judgments.
    #[serde(alias = "_id")]
    pub id: String,
    /// Its words.
    #[serde(default)]
    pub text: String,
    /// A document to find similar ones to, instead of words.
    #[serde(default)]
    pub paper_id: Option<String>,
}

/// A document of the corpus.
#[derive(Debug)]
pub struct CorpusDocument {
    /// Its id in the judgments.
    pub id: String,
    /// The submission it becomes.
    pub paper: PaperSubmission,
}

#[derive(Deserialize)]
struct CorpusRow {
    #[serde(alias = "_id")]
    id: String,
    title: Option<String>,
    #[serde(rename = "abstract", alias = "text")]
    abstract_text: Option<String>,
    authors: Option<Vec<String>>,
    published: Option<String>,
}

/// Reads queries and judgments, and finds the corpus.
pub fn read(folder: &Path) -> Result<DataSet, CommandError> {
    let name = folder.canonicalize().ok().and_then(|full| {
        let name = full.file_name()?;
        Some(name.to_string_lossy().into_owned())
    });
    let corpus = found(folder, &["corpus.jsonl", "corpus.jsonl.gz"])?;
    let queries = read_queries(&found(folder, &["queries.jsonl", "queries.jsonl.gz"])?)?;
    let qrels = found(folder, &["qrels.txt", "qrels/test.tsv"])?;
    let mut text = String::new();
    open(&qrels)?
        .read_to_string(&mut text)
        .map_err(|error| file_error(&qrels, error))?;
    Ok(DataSet {
        name: name.unwrap_or_else(|| folder.display().to_string()),
        corpus,
        queries,
        judgments: read_judgments(&text).map_err(|error| file_error(&qrels, error))?,
    })
}

fn found(folder: &Path, names: &[&str]) -> Result<PathBuf, CommandError> {
    let file = names.iter().map(|name| folder.join(name)).find(|file| file.is_file());
    file.ok_or_else(|| CommandError::data(format!("{}: has no {}", folder.display(), names.join(" and no "))))
}

fn file_error(file: &Path, problem: impl std::fmt::Display) -> CommandError {
    CommandError::data(format!("{}: {problem}", file.display()))
}

/// Opens a file, decompressing it if its name ends in .gz.
pub fn open(file: &Path) -> Result<Box<dyn BufRead + Send>, CommandError> {
    let opened = File::open(file).map_err(|error| file_error(file, error))?;
    if file.extension().is_some_and(|extension| extension == "gz") {
        return Ok(Box::new(BufReader::new(MultiGzDecoder::new(opened))));
    }
    Ok(Box::new(BufReader::new(opened)))
}

fn read_queries(file: &Path) -> Result<Vec<JudgedQuery>, CommandError> {
    let (mut reader, mut line, mut number) = (open(file)?, Vec::new(), 0);
    let mut queries = Vec::new();
    while json_lines::next(&mut reader, &mut line).map_err(|error| file_error(file, error))? {
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let query: JudgedQuery = serde_json::from_slice(&line)
            .map_err(|error| file_error(file, format!("line {number} is not a query in JSON: {error}")))?;
        if query.text.trim().is_empty() && query.paper_id.is_none() {
            return Err(file_error(file, format!("line {number} has neither text nor paper_id")));
        }
        queries.push(query);
    }
    Ok(queries)
}

/// Reads a line of the corpus.
///
/// # Errors
/// What is wrong with it, as the predicate of a sentence.
pub fn document(line: &[u8], source: &str) -> Result<CorpusDocument, String> {
    let row: CorpusRow = serde_json::from_slice(line).map_err(|error| format!("is not a document in JSON: {error}"))?;
    let abstract_text = row.abstract_text.unwrap_or_default();
    let title = row.title.filter(|title| !title.trim().is_empty());
    let paper = PaperSubmission {
        id: row.id.clone(),
        title: title.unwrap_or_else(|| first_words(&abstract_text)),
        r#abstract: abstract_text,
        authors: row.authors.unwrap_or_default(),
        published_time: row.published.as_deref().and_then(published_time).map(to_wire_time),
        source: source.to_owned(),
        ..PaperSubmission::default()
    };
    Ok(CorpusDocument { id: row.id, paper })
}

fn first_words(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().take(TITLE_WORDS).collect();
    words.join(" ")
}

/// A time, a day, or a year. A date in another form is left out: no ranking depends on it.
fn published_time(text: &str) -> Option<Timestamp> {
    let day = |text: &str| {
        let day: Date = text.parse().ok()?;
        Some(day.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp())
    };
    let is_year = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_year {
        return day(&format!("{text}-01-01"));
    }
    text.parse().ok().or_else(|| day(text))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn both_layouts_become_papers() {
        let own = br#"{"id":"pl:1","title":"T","abstract":"A","authors":["Ada"],"published":"2017","venue":"X"}"#;
        let own = document(own, "eval").expect("a document");
        assert_eq!((own.id.as_str(), own.paper.id.as_str()), ("pl:1", "pl:1"));
        assert_eq!(own.paper.published_time.expect("a date").seconds, 1_483_228_800);
        let beir = document(br#"{"_id":"7","title":"T","text":"A","metadata":{}}"#, "eval").expect("a document");
        assert_eq!(
            (beir.paper.r#abstract.as_str(), beir.paper.source.as_str()),
            ("A", "eval")
        );
        assert_eq!(beir.paper.published_time, None);
        assert!(document(b"{}", "eval").expect_err("no id").contains("missing field"));
    }

    #[test]
    fn a_missing_title_is_made_of_the_abstract() {
        let words = "one two three four five six seven eight nine ten eleven twelve thirteen";
        let line = format!(r#"{{"id":"1","title":" ","abstract":"{words}"}}"#);
        let paper = document(line.as_bytes(), "eval").expect("a document").paper;
        assert_eq!(paper.title, words.strip_suffix(" thirteen").expect("its end"));
        let empty = document(br#"{"id":"1","title":"","abstract":null}"#, "eval").expect("a document");
        assert_eq!(empty.paper.title, "");
    }

    #[test]
    fn a_folder_is_read_compressed_or_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("written");
        let refusal = read(folder.path()).err().expect("nothing there");
        assert!(format!("{refusal:?}").contains("has no corpus.jsonl"), "{refusal:?}");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(br#"{"_id":"a","text":"words"}"#).expect("packed");
        write("queries.jsonl.gz", &packed.finish().expect("packed"));
        write("corpus.jsonl", b"");
        std::fs::create_dir(folder.path().join("qrels")).expect("a folder");
        write("qrels/test.tsv", b"query-id\tcorpus-id\tscore\na\td\t1\n");
        let set = read(folder.path()).expect("a set");
        assert_eq!((set.queries.len(), set.judgments["a"]["d"]), (1, 1));
        write("qrels.txt", b"a 0 d\n");
        let refusal = read(folder.path()).err().expect("no judgment");
        assert!(format!("{refusal:?}").contains("line 1 is"), "{refusal:?}");
    }
}
