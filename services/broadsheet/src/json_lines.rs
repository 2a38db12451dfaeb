//! Papers as JSON lines: what a line may hold, and what is wrong with one that cannot be read.
//!
//! Whether a paper is acceptable is for ingest to decide.

use std::io::BufRead;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use proto::convert::to_wire_time;
use proto::ingest::v1::PaperSubmission;
use serde::Deserialize;

/// Longest line in bytes; a longer one is neither kept nor parsed. A message of the bus or of gRPC holds no more.
const MAX_LINE_BYTES: usize = 2 * 1024 * 1024;

/// Reads the next line without its end into `line`; of one that is too long, only enough to see that. False at the end of
/// the input.
pub fn next(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    let mut any = false;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        let room = (MAX_LINE_BYTES + 1).saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let read = part.len() + usize::from(end.is_some());
        reader.consume(read);
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// One line. Unknown fields are ignored, so that files of other programs can be read.
#[derive(Deserialize)]
struct PaperLine {
    #[serde(default)]
    id: String,
    #[serde(default)]
    title: String,
    #[serde(default, alias = "summary")]
    r#abstract: String,
    #[serde(default)]
    authors: Vec<AuthorField>,
    #[serde(default)]
    categories: CategoriesField,
    #[serde(default, alias = "date", alias = "published_time")]
    published: String,
    #[serde(default, alias = "updated_time")]
    updated: String,
    #[serde(default)]
    url: String,
    #[serde(default)]
    pdf_url: String,
    #[serde(default)]
    code_url: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    language: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AuthorField {
    Name(String),
    Object { name: String },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum CategoriesField {
    List(Vec<String>),
    Words(String),
}

impl Default for CategoriesField {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

/// Reads one line.
///
/// # Errors
/// What is wrong with it, as the predicate of a sentence.
pub fn parse(line: &[u8]) -> Result<PaperSubmission, String> {
    if line.len() > MAX_LINE_BYTES {
        return Err(format!(
            "is longer than {MAX_LINE_BYTES} bytes, the most a paper may have"
        ));
    }
    let line: PaperLine = serde_json::from_slice(line).map_err(|error| format!("is not a paper in JSON: {error}"))?;
    Ok(PaperSubmission {
        id: line.id,
        title: line.title,
        r#abstract: line.r#abstract,
        authors: line
            .authors
            .into_iter()
            .map(|author| match author {
                AuthorField::Name(name) | AuthorField::Object { name } => name,
            })
            .collect(),
        categories: match line.categories {
            CategoriesField::List(list) => list,
            CategoriesField::Words(words) => words.split_whitespace().map(str::to_owned).collect(),
        },
        published_time: date("published", &line.published)?,
        updated_time: date("updated", &line.updated)?,
        url: line.url,
        pdf_url: line.pdf_url,
        code_url: line.code_url,
        source: line.source,
        language: line.language,
        author_names: Vec::new(),
    })
}

/// A time in RFC 3339, or a day, which begins at midnight UTC.
pub fn date(field: &str, text: &str) -> Result<Option<prost_types::Timestamp>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let time = text.parse::<Timestamp>().ok().or_else(|| {
        let day: Date = text.parse().ok()?;
        Some(day.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp())
    });
    let time = time.ok_or_else(|| {
        format!("{field} is {text:?}; it must be a day such as 2026-03-01 or a time such as 2026-03-01T12:00:00Z")
    })?;
    Ok(Some(to_wire_time(time)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_refused_and_the_next_one_is_read() {
        let long = vec![b'x'; MAX_LINE_BYTES + 100_000];
        let mut input = [b"a\n\n".as_slice(), &long, b"\nlast"].concat();
        let mut reader = std::io::BufReader::with_capacity(1_000, input.as_mut_slice() as &[u8]);
        let (mut line, mut lengths) = (Vec::new(), Vec::new());
        while next(&mut reader, &mut line).expect("a line") {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [1, 0, MAX_LINE_BYTES + 1, 4]);
        assert!(parse(&long).expect_err("too long").contains("2097152 bytes"));
    }

    #[test]
    fn usual_spellings_are_read() {
        let line = br#"{"id":"x","title":"T","abstract":"A","authors":["Ada",{"name":"Bob"}],"categories":"cs.CL cs.AI","date":"2026-03-01","other":1}"#;
        let paper = parse(line).expect("a paper");
        assert_eq!(paper.authors, ["Ada", "Bob"]);
        assert_eq!(paper.categories, ["cs.CL", "cs.AI"]);
        assert_eq!(paper.published_time.expect("a date").seconds, 1_772_323_200);
    }

    #[test]
    fn an_unreadable_line_is_refused_with_its_fault() {
        assert!(parse(b"{").expect_err("broken").contains("is not a paper in JSON"));
        assert!(parse(br#"{"title":3}"#).expect_err("a number").contains("invalid type"));
        assert!(
            parse(br#"{"title":"T","published":"soon"}"#)
                .expect_err("no date")
                .contains("published is \"soon\"")
        );
    }
}
