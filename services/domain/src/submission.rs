//! Turns a submission into a paper: normalises and checks every field, and reports all violations at once.
//!
//! It never decides whether a paper is new; the registry in ingest does.

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::identity::hex;
use crate::{AuthorName, Link, LinkKind, Paper, PaperId, text};

/// Longest title in characters, after normalisation.
pub const MAX_TITLE_CHARS: usize = 1_000;
/// Longest abstract in characters, after normalisation.
pub const MAX_ABSTRACT_CHARS: usize = 20_000;
/// Most authors of one paper.
pub const MAX_AUTHORS: usize = 5_000;
/// Longest author name in characters.
pub const MAX_AUTHOR_CHARS: usize = 300;
/// Most categories of one paper.
pub const MAX_CATEGORIES: usize = 50;
/// Longest category, source or language in characters.
pub const MAX_LABEL_CHARS: usize = 64;
/// How far in the future a date may lie, for time zones and clocks that are ahead.
pub const FUTURE_TOLERANCE: SignedDuration = SignedDuration::from_hours(24);
/// The source of papers that name none.
pub const DEFAULT_SOURCE: &str = "api";

/// A paper as submitted. Only the title is required.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Submission {
    /// Identifier in any spelling; empty to derive one.
    pub id: String,
    /// Title.
    pub title: String,
    /// Abstract.
    pub abstract_text: String,
    /// Authors in order.
    pub authors: Vec<AuthorName>,
    /// Categories, the primary one first.
    pub categories: Vec<String>,
    /// When it was published; `None` if unknown.
    pub published: Option<Timestamp>,
    /// When its text was last changed.
    pub updated: Option<Timestamp>,
    /// Links by kind; empty ones are left out.
    pub links: Vec<(LinkKind, String)>,
    /// The feed it comes from; empty means [`DEFAULT_SOURCE`].
    pub source: String,
    /// BCP 47 tag.
    pub language: String,
}

/// One invalid field of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field, such as `title` or `authors[3]`.
    pub field: String,
    /// What is wrong, with the value and what is allowed.
    pub description: String,
}

impl Submission {
    /// Makes a paper with revision 0, which ingest replaces. An unknown date stays unknown.
    ///
    /// # Errors
    /// Every violation, at least one.
    pub fn into_paper(self, now: Timestamp) -> Result<Paper, Vec<Violation>> {
        let mut check = SubmissionCheck {
            violations: Vec::new(),
            now,
        };
        let source = check.source(&self.source);
        let title = check.title(&self.title);
        let abstract_text = text::paragraphs(&self.abstract_text);
        check.at_most(
            "abstract",
            abstract_text.chars().count(),
            MAX_ABSTRACT_CHARS,
            "characters",
        );
        let authors = check.authors(self.authors);
        let categories = check.categories(&self.categories);
        let language = text::one_line(&self.language);
        check.at_most("language", language.chars().count(), MAX_LABEL_CHARS, "characters");
        let published = check.date("published_time", self.published);
        let updated = check.date("updated_time", self.updated);
        let links = check.links(self.links);
        let id = check.id(&self.id, &source, &title, authors.first().map(AuthorName::as_str));
        let Some(id) = id.filter(|_| check.violations.is_empty()) else {
            return Err(check.violations);
        };
        let mut paper = Paper {
            id,
            title,
            abstract_text,
            authors,
            categories,
            published,
            updated,
            links,
            source,
            revision: 0,
            content_hash: String::new(),
            language,
            accepted: now,
            revised: now,
        };
        paper.content_hash = content_hash(&paper);
        Ok(paper)
    }
}

/// Hex SHA-256 of the content a reader sees: title, abstract, authors, categories, links, language. Dates and
/// source are left out, so that the same text from two feeds is the same content.
fn content_hash(paper: &Paper) -> String {
    let mut hash = Sha256::new();
    let mut part = |value: &str| {
        hash.update((value.len() as u64).to_le_bytes());
        hash.update(value);
    };
    part(&paper.title);
    part(&paper.abstract_text);
    let authors = paper.authors.iter().map(AuthorName::as_str);
    let categories = paper.categories.iter().map(String::as_str);
    part(&authors.len().to_string());
    authors.for_each(&mut part);
    part(&categories.len().to_string());
    categories.for_each(&mut part);
    for link in &paper.links {
        part(&link.url);
    }
    part(&paper.language);
    hex(&hash.finalize())
}

/// Hex SHA-256 of the folded title, abstract and first author: equal for the same text under different ids.
/// `None` where there is too little text to tell (no abstract).
pub fn text_fingerprint(paper: &Paper) -> Option<String> {
    if paper.abstract_text.is_empty() {
        return None;
    }
    let author = paper.authors.first().map(AuthorName::as_str).unwrap_or_default();
    let key = [&paper.title, paper.abstract_text.as_str(), author]
        .map(text::fold)
        .join("\n");
    Some(hex(&Sha256::digest(key)))
}

struct SubmissionCheck {
    violations: Vec<Violation>,
    now: Timestamp,
}

impl SubmissionCheck {
    fn wrong(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.violations.push(Violation {
            field: field.into(),
            description: description.into(),
        });
    }

    fn at_most(&mut self, field: &str, found: usize, allowed: usize, unit: &str) {
        if found > allowed {
            self.wrong(field, format!("has {found} {unit}; at most {allowed} are allowed"));
        }
    }

    fn title(&mut self, raw: &str) -> String {
        let title = text::one_line(raw);
        if title.is_empty() {
            let shown = text::shorten(raw);
            self.wrong(
                "title",
                format!("is {shown:?}; 1 to {MAX_TITLE_CHARS} visible characters are required"),
            );
        }
        self.at_most("title", title.chars().count(), MAX_TITLE_CHARS, "characters");
        title
    }

    fn source(&mut self, raw: &str) -> String {
        if raw.is_empty() {
            return DEFAULT_SOURCE.to_owned();
        }
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        if raw.len() > MAX_LABEL_CHARS || !raw.chars().all(allowed) {
            let shown = text::shorten(raw);
            self.wrong(
                "source",
                format!("is {shown:?}; allowed are 1 to {MAX_LABEL_CHARS} of a-z, 0-9, - and _"),
            );
        }
        raw.to_owned()
    }

    fn authors(&mut self, authors: Vec<AuthorName>) -> Vec<AuthorName> {
        self.at_most("authors", authors.len(), MAX_AUTHORS, "entries");
        for (index, author) in authors.iter().enumerate().take(MAX_AUTHORS) {
            self.entry("authors", index, author.as_str(), MAX_AUTHOR_CHARS);
        }
        authors
    }

    fn categories(&mut self, raw: &[String]) -> Vec<String> {
        self.at_most("categories", raw.len(), MAX_CATEGORIES, "entries");
        let categories = raw.iter().take(MAX_CATEGORIES).map(|value| text::one_line(value));
        let categories: Vec<String> = categories.collect();
        for (index, category) in categories.iter().enumerate() {
            self.entry("categories", index, category, MAX_LABEL_CHARS);
        }
        categories
    }

    fn entry(&mut self, field: &str, index: usize, value: &str, longest: usize) {
        let field = format!("{field}[{index}]");
        if value.is_empty() {
            self.wrong(&*field, format!("is empty; 1 to {longest} characters are required"));
        }
        self.at_most(&field, value.chars().count(), longest, "characters");
    }

    fn date(&mut self, field: &str, date: Option<Timestamp>) -> Option<Timestamp> {
        let date = date?;
        let latest = self.now.saturating_add(FUTURE_TOLERANCE).unwrap_or(Timestamp::MAX);
        if date > latest {
            self.wrong(field, format!("is {date}; it must not lie later than {latest}"));
        }
        Some(date)
    }

    fn links(&mut self, raw: Vec<(LinkKind, String)>) -> Vec<Link> {
        let mut links = Vec::new();
        for (kind, url) in raw {
            if url.is_empty() {
                continue;
            }
            let web = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
            let sound = web.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
                && url.len() <= 2_048
                && !url.chars().any(|c| c.is_whitespace() || c.is_control());
            if !sound {
                let field = match kind {
                    LinkKind::Abstract => "url",
                    LinkKind::Pdf => "pdf_url",
                    LinkKind::Code => "code_url",
                };
                let shown = text::shorten(&url);
                self.wrong(
                    field,
                    format!("is {shown:?}; an http or https URL of at most 2048 characters is required"),
                );
                continue;
            }
            links.push(Link { kind, url });
        }
        links
    }

    fn id(&mut self, raw: &str, source: &str, title: &str, first_author: Option<&str>) -> Option<PaperId> {
        let raw = raw.trim();
        if raw.is_empty() {
            return Some(PaperId::from_title(title, first_author));
        }
        match PaperId::from_submission(raw, source) {
            Ok(id) => Some(id),
            Err(error) => {
                self.wrong("id", error.to_string());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().expect("a timestamp")
    }

    fn plain() -> Submission {
        Submission {
            title: "On  papers".into(),
            abstract_text: "Text.".into(),
            ..Submission::default()
        }
    }

    fn fields(submission: Submission) -> Vec<String> {
        submission
            .into_paper(now())
            .expect_err("violations")
            .into_iter()
            .map(|v| v.field)
            .collect()
    }

    #[test]
    fn only_the_title_is_required() {
        let paper = Submission {
            title: " A ".into(),
            ..Submission::default()
        }
        .into_paper(now())
        .expect("a paper");
        assert_eq!(
            (paper.title.as_str(), paper.source.as_str(), paper.published),
            ("A", "api", None)
        );
        assert_eq!((paper.updated, paper.accepted, paper.revised), (None, now(), now()));
        assert!(paper.id.as_str().starts_with("sha256:"));
    }

    #[test]
    fn all_violations_come_at_once() {
        let bad = Submission {
            id: "arxiv:nope".into(),
            title: "\u{0}\n".into(),
            abstract_text: "x".repeat(MAX_ABSTRACT_CHARS + 1),
            authors: vec!["A".into(), "".into()],
            published: Some("2026-03-03T00:00:00Z".parse().expect("a timestamp")),
            links: vec![(LinkKind::Pdf, "javascript:alert(1)".into())],
            source: "Not OK".into(),
            ..Submission::default()
        };
        assert_eq!(
            fields(bad),
            [
                "source",
                "title",
                "abstract",
                "authors[1]",
                "published_time",
                "pdf_url",
                "id"
            ]
        );
    }

    #[test]
    fn a_date_within_a_day_is_fine() {
        let soon = now()
            .saturating_add(SignedDuration::from_hours(23))
            .expect("a timestamp");
        assert!(
            Submission {
                published: Some(soon),
                ..plain()
            }
            .into_paper(now())
            .is_ok()
        );
    }

    #[test]
    fn the_parts_of_names_do_not_change_the_hash() {
        let hash = |authors| {
            let submission = Submission { authors, ..plain() };
            submission.into_paper(now()).expect("a paper").content_hash
        };
        let known = "c9c5fd81bb2f0692e8344f88bf7b0719d00f194675ea9c70f0b94a83745313d6";
        assert_eq!(hash(vec!["Ana Gómez Ruiz".into(), "Plato".into()]), known);
        let in_parts = vec![AuthorName::new("Ana", "Gómez Ruiz", ""), AuthorName::literal("Plato")];
        assert_eq!(hash(in_parts), known);
    }

    #[test]
    fn content_decides_the_hash_and_dates_do_not() {
        let one = plain().into_paper(now()).expect("a paper");
        let later = Submission {
            published: Some(Timestamp::UNIX_EPOCH),
            ..plain()
        }
        .into_paper(now())
        .expect("a paper");
        let other = Submission {
            abstract_text: "Other.".into(),
            ..plain()
        }
        .into_paper(now())
        .expect("a paper");
        assert_eq!(one.content_hash, later.content_hash);
        assert_ne!(one.content_hash, other.content_hash);
    }

    #[test]
    fn the_same_text_under_two_ids_has_one_fingerprint() {
        let one = Submission {
            id: "arxiv:2402.14776".into(),
            ..plain()
        }
        .into_paper(now())
        .expect("a paper");
        let two = Submission {
            id: "doi:10.1145/1".into(),
            title: "on papers".into(),
            ..plain()
        };
        assert_eq!(
            text_fingerprint(&one),
            text_fingerprint(&two.into_paper(now()).expect("a paper"))
        );
    }
}
