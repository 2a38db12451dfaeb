//! What a file holds, by its beginning. The ending of its name is asked only where the beginning does not tell.

use serde::de::IgnoredAny;
use serde_json::Value;

use super::FileFormat;
use super::csv;
use super::layout::{self, JsonLayout};
use crate::encoding::lenient;
use crate::error::SourceError;
use crate::json::scanner::described;

/// Records that are looked at.
const LOOKED_AT: usize = 8;
/// What a file should be, for the error when it is not.
const EXPECTED: &str = "papers as JSON, BibTeX, RIS, MEDLINE, CSV or TSV";

/// The format of a file that begins so. `whole` says whether that is all of it.
///
/// # Errors
/// A file that holds no papers, with what it is instead.
pub fn detect(head: &[u8], whole: bool, path: &str) -> Result<FileFormat, SourceError> {
    let text = lenient(head);
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let by_content = match text.as_bytes().first() {
        None if whole => return Ok(by_name(path).unwrap_or(FileFormat::Jsonl)),
        Some(b'{' | b'[') => Some(json(text, whole)),
        Some(b'<') => Some(xml(text)?),
        _ => tagged(text)
            .or_else(|| bibtex(text))
            .or_else(|| lines_of_json(text, whole))
            .or_else(|| table(text)),
    };
    if let Some(format) = by_content {
        return Ok(format);
    }
    let found = match head {
        [b'%', b'P', b'D', b'F', ..] => "a PDF".to_owned(),
        [b'P', b'K', 3, 4, ..] => "a ZIP archive; unpack it first".to_owned(),
        head if head[..head.len().min(4_096)].contains(&0) => "binary data".to_owned(),
        _ => match by_name(path) {
            Some(format) => return Ok(format),
            None => described(&text[..text.floor_char_boundary(4_096)]),
        },
    };
    Err(unexpected(found))
}

fn unexpected(found: String) -> SourceError {
    SourceError::UnexpectedFormat {
        expected: EXPECTED,
        found,
    }
}

/// By the ending of the name, without that of a compression.
fn by_name(path: &str) -> Option<FileFormat> {
    let lower = path.to_ascii_lowercase();
    let name = [".gz", ".zst", ".xz"]
        .iter()
        .find_map(|ending| lower.strip_suffix(ending));
    match name.unwrap_or(&lower).rsplit('.').next()? {
        "jsonl" | "ndjson" | "json" => Some(FileFormat::Jsonl),
        "bib" | "bibtex" => Some(FileFormat::Bibtex),
        "ris" => Some(FileFormat::Ris),
        "nbib" => Some(FileFormat::Medline),
        _ => None,
    }
}

/// The shape that most of the first records have.
fn json(text: &str, whole: bool) -> FileFormat {
    let layout = layout::of(text.as_bytes(), whole);
    let records = match &layout {
        JsonLayout::Lines => text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .take(LOOKED_AT)
            .collect(),
        layout => layout::first_values(text.as_bytes(), layout, LOOKED_AT),
    };
    let shapes: Vec<FileFormat> = records.iter().map(shape).collect();
    let votes = |format: &FileFormat| shapes.iter().filter(|shape| *shape == format).count();
    let best = shapes.iter().rev().max_by_key(|format| votes(format));
    best.copied().unwrap_or(FileFormat::Jsonl)
}

/// The shape of a record, by the keys that no other has.
fn shape(record: &Value) -> FileFormat {
    let has = |key: &str| record.get(key).is_some();
    let is_text = |pointer: &str| record.pointer(pointer).is_some_and(Value::is_string);
    let is_list = |pointer: &str| record.pointer(pointer).is_some_and(Value::is_array);
    let of_openalex = record.get("id").and_then(Value::as_str).unwrap_or_default();
    if has("authors_parsed") || has("versions") && has("update_date") {
        FileFormat::ArxivSnapshot
    } else if has("abstract_inverted_index") || has("authorships") || of_openalex.starts_with("https://openalex.org/") {
        FileFormat::Openalex
    } else if has("paperId") || has("externalIds") || has("externalids") || has("corpusid") {
        FileFormat::SemanticScholar
    } else if is_text("/paper/id") || has("upvotes") && has("summary") {
        FileFormat::Huggingface
    } else if has("DOI") && is_list("/title") || is_list("/message/title") {
        FileFormat::Crossref
    } else if is_list("/issued/date-parts") || is_text("/author/0/family") || has("container-title") || has("DOI") {
        FileFormat::Csl
    } else {
        FileFormat::Jsonl
    }
}

fn xml(text: &str) -> Result<FileFormat, SourceError> {
    let start = &text[..text.floor_char_boundary(4_096)];
    if start.contains("<PubmedArticle") || start.contains("<!DOCTYPE PubmedArticleSet") {
        return Ok(FileFormat::Pubmed);
    }
    let lower = start.to_ascii_lowercase();
    if ["<!doctype html", "<html", "<head", "<body", "<title"]
        .iter()
        .any(|tag| lower.contains(tag))
    {
        return Err(unexpected(html(start)));
    }
    Err(unexpected(format!(
        "XML of another kind, which begins {:?}",
        domain::text::shorten(start)
    )))
}

fn html(start: &str) -> String {
    let described = described(start);
    if described.starts_with("an HTML page") {
        return described;
    }
    "an HTML page".to_owned()
}

/// RIS and MEDLINE begin each line with a tag.
fn tagged(text: &str) -> Option<FileFormat> {
    text.lines().take(64).find_map(|line| match line.as_bytes() {
        [b'T', b'Y', b' ', b' ', b'-', ..] => Some(FileFormat::Ris),
        [b'P', b'M', b'I', b'D', b'-', ..] => Some(FileFormat::Medline),
        _ => None,
    })
}

/// A line that begins an entry.
fn bibtex(text: &str) -> Option<FileFormat> {
    let entry = |line: &str| {
        let rest = line.trim_start().strip_prefix('@')?;
        let kind = rest.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let named = kind.len() < rest.len() && kind.trim_start().starts_with(['{', '(']);
        named.then_some(FileFormat::Bibtex)
    };
    text.lines().find_map(entry)
}

/// Lines of JSON behind others that are none.
fn lines_of_json(text: &str, whole: bool) -> Option<FileFormat> {
    let is_record = |line: &str| line.starts_with('{') && serde_json::from_str::<IgnoredAny>(line).is_ok();
    let mut begin = 0;
    let found = text.split_inclusive('\n').find(|line| {
        let found = is_record(line);
        begin += if found { 0 } else { line.len() };
        found
    });
    found.map(|_| json(&text[begin..], whole))
}

/// A table whose header names a title.
fn table(text: &str) -> Option<FileFormat> {
    csv::delimiter(text.as_bytes()).map(|_| FileFormat::Csv)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(text: &str) -> String {
        match detect(text.as_bytes(), true, "papers.txt") {
            Ok(format) => format.as_str().to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn formats_are_told_by_their_content() {
        for (text, expected) in [
            ("{\"title\":\"T\"}\n{\"title\":\"U\"}\n", "jsonl"),
            ("log: begun\n{\"title\":\"T\"}\n", "jsonl"),
            ("[{\"id\":\"0704.0001\",\"authors_parsed\":[]}]", "arxiv"),
            (
                "{\"meta\":{},\"results\":[{\"id\":\"https://openalex.org/W1\"}]}",
                "openalex",
            ),
            ("{\"corpusid\":7,\"externalids\":{}}\n", "semantic_scholar"),
            ("{\"total\":1,\"data\":[{\"paperId\":\"x\"}]}", "semantic_scholar"),
            (
                "{\"message\":{\"items\":[{\"DOI\":\"10.1/x\",\"title\":[\"T\"]}]}}",
                "crossref",
            ),
            ("[{\"paper\":{\"id\":\"2402.1\"}}]", "huggingface"),
            ("[{\"id\":\"x\",\"issued\":{\"date-parts\":[[2024]]}}]", "csl"),
            ("\u{feff}% remark\n@string{a = {b}}\n", "bibtex"),
            ("Provider: X\n\nTY  - JOUR\nTI  - T\n", "ris"),
            ("\n\nPMID- 123\nTI  - T\n", "medline"),
            ("Authors;Title;Year\nA;T;2024\n", "csv"),
            ("Title\tAuthors\nT\tA\n", "csv"),
            ("<?xml version=\"1.0\"?><PubmedArticleSet>", "pubmed"),
        ] {
            assert_eq!(detected(text), expected, "{text}");
        }
    }

    #[test]
    fn what_holds_no_papers_is_called_what_it_is() {
        for (text, expected) in [
            (
                "<!DOCTYPE html><title>404 Not Found</title>",
                "an HTML page titled \"404 Not Found\"",
            ),
            ("<html><body>Sorry", "an HTML page"),
            ("<rss><channel>", "XML of another kind"),
            ("%PDF-1.7", "a PDF"),
            ("PK\u{3}\u{4}", "a ZIP archive"),
            ("\u{7f}ELF\0\0", "binary data"),
            ("Rate limit exceeded", "Rate limit exceeded"),
        ] {
            assert!(detected(text).contains(expected), "{}", detected(text));
        }
    }

    #[test]
    fn the_name_is_asked_where_the_content_does_not_tell() {
        let named = |path: &str| detect(b"% nothing but a remark\n", true, path).ok();
        assert_eq!(named("a/papers.BIB.gz"), Some(FileFormat::Bibtex));
        assert_eq!(named("papers.txt"), None);
        assert_eq!(
            detect(b"{\"title\":\"T\"}", true, "papers.bib").ok(),
            Some(FileFormat::Jsonl)
        );
    }
}
