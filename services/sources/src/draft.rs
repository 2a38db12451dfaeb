//! A record while it is being read, and how it becomes a paper.
//!
//! Its texts are cleaned here, once, by what the source says they are ([`TextFormats`]).
//!
//! Title, abstract and authors must be valid or the record is quarantined. Links, categories, dates and language are left
//! out where they are not valid. `domain::submission` accepts every paper made here; a test says so.

use domain::identity::IdError;
use domain::merging::{Identifier, Identifiers, Provider, Scheme, SourceRecord};
use domain::submission::{
    FUTURE_TOLERANCE, MAX_ABSTRACT_CHARS, MAX_AUTHOR_CHARS, MAX_AUTHORS, MAX_CATEGORIES, MAX_LABEL_CHARS,
    MAX_TITLE_CHARS,
};
use domain::{AuthorName, LinkKind, PaperId, Submission, text};
use jiff::Timestamp;

use crate::dates::{self, PublicationDates};
use crate::kind::SourceKind;
use crate::record::SignalKind;
use crate::text_format::{TextFormat, TextFormats};

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
    /// What title, abstract and names are written in.
    pub formats: TextFormats,
    /// Title, in its format.
    pub title: String,
    /// Abstract, in its format.
    pub abstract_text: String,
    /// Authors in order; names in their format.
    pub authors: Vec<AuthorName>,
    /// What its authors or its source remark about it, such as that it was withdrawn.
    pub comment: String,
    /// Categories, the primary one first.
    pub categories: Vec<String>,
    /// When the first version was published.
    pub published: Option<Timestamp>,
    /// Other dates of its publication, for where that is missing or lies in the future.
    pub dates: PublicationDates,
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

    /// Adds the identifier that a text spells, such as an address; any other text is left out.
    pub fn recognise(&mut self, text: &str) {
        if let Some(identifier) = Identifier::recognise(text) {
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
        let title = valid_title(&self.title, self.formats.title)?;
        let abstract_text = valid_abstract(&self.abstract_text, self.formats.abstract_text)?;
        let authors = valid_authors(&self.authors, self.formats.names)?;
        let id = match self.identifiers.paper_id() {
            Some(id) => id.to_string(),
            None => valid_id(&self.native_id, &context.source)?,
        };
        let latest = context.now.saturating_add(FUTURE_TOLERANCE).unwrap_or(Timestamp::MAX);
        let past = |date: &Timestamp| *date <= latest;
        let published = self.published.filter(past).or_else(|| self.dates.best(latest));
        let published = published.or_else(|| dates::month_of_arxiv(&self.identifiers).filter(past));
        let submission = Submission {
            id,
            title,
            abstract_text,
            authors,
            categories: valid_labels(self.categories, self.formats.names),
            published,
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

fn valid_title(raw: &str, format: TextFormat) -> Result<String, String> {
    let title = format.plain(raw);
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

fn valid_abstract(raw: &str, format: TextFormat) -> Result<String, String> {
    let plain = format.plain(raw);
    at_most("abstract", &plain, MAX_ABSTRACT_CHARS)?;
    Ok(plain.trim().to_owned())
}

fn valid_authors(raw: &[AuthorName], format: TextFormat) -> Result<Vec<AuthorName>, String> {
    let mut authors = Vec::with_capacity(raw.len().min(MAX_AUTHORS));
    for name in raw {
        let name = name.map(|part| format.name(part).into());
        if is_blank(name.as_str()) {
            continue;
        }
        authors.push(short_name(name));
    }
    if authors.len() > MAX_AUTHORS {
        return Err(format!(
            "authors has {} entries; at most {MAX_AUTHORS} are allowed",
            authors.len()
        ));
    }
    Ok(authors)
}

/// Where a whole list was put into one name, its beginning is kept rather than the paper refused.
fn short_name(name: AuthorName) -> AuthorName {
    if name.as_str().chars().nth(MAX_AUTHOR_CHARS).is_none() {
        return name;
    }
    let kept: String = name.as_str().chars().take(MAX_AUTHOR_CHARS - 1).chain(['…']).collect();
    AuthorName::literal(&kept)
}

/// Subjects may be whole sentences; what is too long for a category is no category.
fn valid_labels(raw: Vec<String>, format: TextFormat) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for label in raw {
        let plain = label
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'&' | b'\\' | b'{'));
        let label = if plain {
            label
        } else {
            text::one_line(&format.plain(&label))
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

/// An id that only looks like one of arXiv or a DOI is the source's own; none where the source has the name of such a scheme.
fn valid_id(id: &str, source: &str) -> Result<String, String> {
    let id: String = id.split_whitespace().collect::<Vec<_>>().join("_");
    if id.is_empty() {
        return Ok(id);
    }
    let is_wrong = |id: &str| {
        let read = PaperId::from_submission(id, source);
        matches!(read, Err(IdError::Arxiv(_) | IdError::Doi(_)))
    };
    let own = if is_wrong(&id) { format!("{source}:{id}") } else { id };
    if is_wrong(&own) {
        return Ok(String::new());
    }
    PaperId::from_submission(&own, source).map_err(|error| format!("id {error}"))?;
    Ok(own)
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
    use crate::dates::DateOrigin;
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
            formats: TextFormats::all(TextFormat::Markup),
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
    fn an_id_that_only_looks_like_one_is_the_sources_own() {
        let id = |native_id: &str| {
            let draft = RecordDraft {
                native_id: native_id.into(),
                title: "A".into(),
                ..RecordDraft::default()
            };
            let record = draft.into_source_record(&context()).expect("a record");
            let paper = record.submission.into_paper(context().now).expect("a paper");
            paper.id.to_string()
        };
        assert_eq!(id("doi:pending review"), "test:doi:pending_review");
        assert_eq!(id("arXiv:none"), "test:arXiv:none");
        assert_eq!(id("https://www.arxiv.org/pdf/2403.00005v2.pdf"), "arxiv:2403.00005");
        assert_eq!(id("a b"), "test:a_b");
    }

    #[test]
    fn a_list_in_one_name_does_not_cost_the_paper() {
        let record = RecordDraft {
            title: "A".into(),
            authors: vec![
                "Ada Lovelace".into(),
                AuthorName::literal(&"Ada Lovelaceand ".repeat(40)),
            ],
            ..RecordDraft::default()
        };
        let authors = record
            .into_source_record(&context())
            .expect("a record")
            .submission
            .authors;
        assert_eq!(authors[0].as_str(), "Ada Lovelace");
        assert_eq!(authors[1].as_str().chars().count(), MAX_AUTHOR_CHARS);
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

    #[test]
    fn a_date_in_the_future_leaves_the_next_best() {
        let day = |text: &str| text.parse::<Timestamp>().ok();
        let published = |published, created, arxiv: &str| {
            let mut draft = RecordDraft {
                title: "A".into(),
                published,
                ..RecordDraft::default()
            };
            draft.dates.add(DateOrigin::Created, created);
            draft.identify(Scheme::Arxiv, arxiv);
            draft
                .into_source_record(&context())
                .expect("a record")
                .submission
                .published
        };
        let created = day("2026-02-13T00:00:00Z");
        assert_eq!(published(day("2027-12-01T00:00:00Z"), created, ""), created);
        assert_eq!(published(None, None, "2403.00001"), day("2024-03-01T00:00:00Z"));
        assert_eq!(published(None, None, "hep-th/9901001"), day("1999-01-01T00:00:00Z"));
        assert_eq!(published(None, day("2027-01-01T00:00:00Z"), "2799.00001"), None);
    }

    const FORMATS: [TextFormat; 4] = [
        TextFormat::Plain,
        TextFormat::Markup,
        TextFormat::Mixed,
        TextFormat::Tex,
    ];

    fn any_draft() -> impl Strategy<Value = RecordDraft> {
        let words = "[ -~\\u{e9}\\u{200b}\\u{fb03}<>&;]{0,80}|(é|́|\\PC){0,400}";
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
                    formats: TextFormats::all(FORMATS[usize::try_from(seconds % 4).unwrap_or(0)]),
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
