//! A record while it is being read, and how it becomes a paper.
//!
//! Title, abstract and authors must be valid or the record is quarantined. Links, categories, dates and language are left
//! out where they are not valid. `domain::submission` accepts every paper made here; a test says so.

use domain::merging::{Identifier, Identifiers, Provider, Scheme, SourceRecord};
use domain::submission::{
    FUTURE_TOLERANCE, MAX_ABSTRACT_CHARS, MAX_AUTHOR_CHARS, MAX_AUTHORS, MAX_CATEGORIES, MAX_LABEL_CHARS,
    MAX_TITLE_CHARS,
};
use domain::{AuthorName, LinkKind, Submission, text};
use jiff::Timestamp;

use crate::kind::SourceKind;
use crate::markup;
use crate::record::SignalKind;

const MAX_URL_BYTES: usize = 2_048;

/// Which source a page belongs to, and the time: the same for all records of the page.
#[derive(Debug, Clone)]
pub struct PageContext {
    /// The name of the source.
    pub source: String,
    /// Who provides the records.
    pub provider: Provider,
    /// The time by the source's clock.
    pub now: Timestamp,
}

impl PageContext {
    /// Of a page of the source `name`.
    pub fn new(name: &str, kind: SourceKind, now: Timestamp) -> Self {
        Self {
            source: name.to_owned(),
            provider: kind.provider(),
            now,
        }
    }
}

/// A record while it is being read.
#[derive(Debug, Clone, Default)]
pub struct RecordDraft {
    /// Its id as the source writes it; used if it has no identifier in a shared scheme.
    pub native_id: String,
    /// Identifiers in shared schemes.
    pub identifiers: Identifiers,
    /// Title; may hold markup.
    pub title: String,
    /// Abstract; may hold markup.
    pub abstract_text: String,
    /// Authors in order; names may hold markup.
    pub authors: Vec<AuthorName>,
    /// Categories, the primary one first.
    pub categories: Vec<String>,
    /// When the first version was published.
    pub published: Option<Timestamp>,
    /// When the text was last changed.
    pub updated: Option<Timestamp>,
    /// Links.
    pub links: Vec<(LinkKind, String)>,
    /// BCP 47 tag or a name of a language.
    pub language: String,
    /// The version of the text.
    pub version: Option<u32>,
    /// When the source last changed the record.
    pub datestamp: Option<Timestamp>,
    /// What the source counted about it.
    pub signals: Vec<(SignalKind, u64)>,
}

impl RecordDraft {
    /// Adds an identifier; what is not valid in this scheme is left out.
    pub fn identify(&mut self, scheme: Scheme, raw: &str) {
        if let Ok(identifier) = Identifier::new(scheme, raw) {
            self.identifiers.insert(identifier);
        }
    }

    /// Adds a link; an empty one is left out.
    pub fn link(&mut self, kind: LinkKind, url: &str) {
        let url = url.trim();
        if !url.is_empty() && !self.links.iter().any(|(_, known)| known == url) {
            self.links.push((kind, url.to_owned()));
        }
    }

    /// Makes the source record of a paper.
    ///
    /// # Errors
    /// Why the record cannot be used: which field, what it holds, what is allowed.
    pub fn into_source_record(self, context: &PageContext) -> Result<SourceRecord, String> {
        let title = valid_title(&self.title)?;
        let abstract_text = valid_abstract(&self.abstract_text)?;
        let authors = valid_authors(self.authors)?;
        let id = match self.identifiers.paper_id() {
            Some(id) => id.to_string(),
            None => valid_id(&self.native_id, &context.source)?,
        };
        let latest = context.now.saturating_add(FUTURE_TOLERANCE).unwrap_or(Timestamp::MAX);
        let past = |date: &Timestamp| *date <= latest;
        let submission = Submission {
            id,
            title,
            abstract_text,
            authors,
            categories: valid_labels(self.categories),
            published: self.published.filter(past),
            updated: self.updated.filter(past),
            links: self.links.into_iter().filter(|(_, url)| valid_url(url)).collect(),
            source: context.source.clone(),
            language: language(&self.language),
        };
        Ok(SourceRecord {
            provider: context.provider,
            submission,
            identifiers: self.identifiers,
            version: self.version,
            datestamp: self.datestamp,
        })
    }
}

fn valid_title(raw: &str) -> Result<String, String> {
    let title = markup::plain(raw);
    let shown = || text::shorten(raw);
    if is_blank(&title) {
        return Err(format!(
            "title is {:?}; 1 to {MAX_TITLE_CHARS} visible characters are required",
            shown()
        ));
    }
    at_most("title", &title, MAX_TITLE_CHARS)?;
    Ok(title.trim().to_owned())
}

fn valid_abstract(raw: &str) -> Result<String, String> {
    let plain = markup::plain(raw);
    at_most("abstract", &plain, MAX_ABSTRACT_CHARS)?;
    Ok(plain.trim().to_owned())
}

fn valid_authors(raw: Vec<AuthorName>) -> Result<Vec<AuthorName>, String> {
    let mut authors = Vec::with_capacity(raw.len().min(MAX_AUTHORS));
    for name in raw {
        let name = if name.as_str().contains(['<', '&']) {
            name.map(markup::plain)
        } else {
            name
        };
        if is_blank(name.as_str()) {
            continue;
        }
        at_most("an author", name.as_str(), MAX_AUTHOR_CHARS)?;
        authors.push(name);
    }
    if authors.len() > MAX_AUTHORS {
        return Err(format!(
            "authors has {} entries; at most {MAX_AUTHORS} are allowed",
            authors.len()
        ));
    }
    Ok(authors)
}

/// Subjects may be whole sentences; what is too long for a category is no category.
fn valid_labels(raw: Vec<String>) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for label in raw {
        let plain = label
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'&'));
        let label = if plain {
            label
        } else {
            text::one_line(&markup::plain(&label))
        };
        if !label.is_empty() && label.chars().count() <= MAX_LABEL_CHARS && !labels.contains(&label) {
            labels.push(label);
        }
        if labels.len() == MAX_CATEGORIES {
            break;
        }
    }
    labels
}

fn valid_id(id: &str, source: &str) -> Result<String, String> {
    let id: String = id.split_whitespace().collect::<Vec<_>>().join("_");
    if id.is_empty() {
        return Ok(id);
    }
    domain::PaperId::from_submission(&id, source).map_err(|error| format!("id {error}"))?;
    Ok(id)
}

fn valid_url(url: &str) -> bool {
    let web = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    web.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && url.len() <= MAX_URL_BYTES
        && !url.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// The tag of a language that is named by two or three letters; anything else is left out.
fn language(raw: &str) -> String {
    let raw = raw.trim();
    let valid = (2..=20).contains(&raw.len()) && raw.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !valid {
        return String::new();
    }
    match raw.to_ascii_lowercase().as_str() {
        "eng" | "english" => "en".into(),
        "ger" | "deu" | "german" => "de".into(),
        "fre" | "fra" | "french" => "fr".into(),
        "spa" | "spanish" => "es".into(),
        "por" | "portuguese" => "pt".into(),
        "ita" | "italian" => "it".into(),
        "rus" | "russian" => "ru".into(),
        "chi" | "zho" | "chinese" => "zh".into(),
        "jpn" | "japanese" => "ja".into(),
        "ind" | "indonesian" => "id".into(),
        _ => raw.to_owned(),
    }
}

fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || text::is_invisible(c))
}

/// Counts characters only where the number of bytes does not decide. NFC can lengthen a text, so one near the limit is
/// measured in its normal form.
fn at_most(field: &str, value: &str, most: usize) -> Result<(), String> {
    if value.len() <= most / 4 {
        return Ok(());
    }
    let length = text::one_line(value).chars().count();
    if length <= most {
        return Ok(());
    }
    Err(format!("{field} has {length} characters; at most {most} are allowed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn context() -> PageContext {
        PageContext {
            source: "test".into(),
            provider: Provider::Feed,
            now: "2026-03-01T12:00:00Z".parse().expect("a timestamp"),
        }
    }

    #[test]
    fn invalid_extras_are_left_out() {
        let record = RecordDraft {
            title: "A <b>title</b>".into(),
            categories: vec!["x".repeat(200), "cs.CL".into(), "cs.CL".into(), " ".into()],
            published: Some("2031-01-01T00:00:00Z".parse().expect("a timestamp")),
            links: vec![(LinkKind::Abstract, "javascript:alert(1)".into())],
            language: "eng".into(),
            ..RecordDraft::default()
        }
        .into_source_record(&context())
        .expect("a record");
        let paper = record.submission;
        assert_eq!((paper.title.as_str(), paper.language.as_str()), ("A title", "en"));
        assert_eq!(
            (paper.categories.as_slice(), paper.published),
            (["cs.CL".to_owned()].as_slice(), None)
        );
        assert!(paper.links.is_empty());
    }

    #[test]
    fn an_invalid_paper_is_refused() {
        let long = "word ".repeat(MAX_ABSTRACT_CHARS);
        let draft = |title: &str, abstract_text: &str| RecordDraft {
            title: title.into(),
            abstract_text: abstract_text.into(),
            ..RecordDraft::default()
        };
        let reason = |draft: RecordDraft| draft.into_source_record(&context()).expect_err("a reason");
        assert!(reason(draft(" \u{200b} ", "")).starts_with("title is"));
        assert!(reason(draft("A", &long)).starts_with("abstract has"));
        assert!(reason(draft(&long, "")).starts_with("title has"));
    }

    fn any_draft() -> impl Strategy<Value = RecordDraft> {
        let words = "[ -~\\u{e9}\\u{200b}<>&;]{0,80}|(é|́|\\PC){0,400}";
        (
            words,
            words,
            proptest::collection::vec("\\PC{0,350}", 0..4),
            proptest::collection::vec("\\PC{0,80}", 0..4),
            "\\PC{0,40}|https?://\\PC{0,20}",
            "\\PC{0,12}",
            0_i64..4_000_000_000,
        )
            .prop_map(
                |(title, abstract_text, authors, categories, url, id, seconds)| RecordDraft {
                    native_id: id.clone(),
                    title,
                    abstract_text,
                    authors: authors.into_iter().map(AuthorName::from).collect(),
                    categories,
                    published: Timestamp::from_second(seconds).ok(),
                    updated: Timestamp::from_second(seconds).ok(),
                    links: vec![(LinkKind::Pdf, url)],
                    language: id,
                    ..RecordDraft::default()
                },
            )
    }

    proptest! {
        #[test]
        fn every_source_record_is_accepted(draft in any_draft()) {
            if let Ok(record) = draft.into_source_record(&context()) {
                let paper = record.submission.into_paper(context().now);
                prop_assert!(paper.is_ok(), "{:?}", paper);
            }
        }
    }
}
