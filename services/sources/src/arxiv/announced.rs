//! arXiv's announcement feed: what is new today.
//!
//! One Atom document for all archives asked for, replaced once a day at midnight of the American east coast and empty on
//! days without announcement. It holds no list of revisions and no deletions; the harvest by OAI-PMH brings these.

use async_trait::async_trait;
use domain::merging::Scheme;
use domain::names;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::metadata::links;
use super::version_of;
use crate::checks::{check_choice, check_not_empty, check_url};
use crate::cursor::{Cursor, CursorError, DateRange};
use crate::dates::month_of;
use crate::draft::RecordDraft;
use crate::error::SourceError;
use crate::feed::entries::FeedEntry;
use crate::feed::{FeedRound, require_no_range};
use crate::http::SourceClient;
use crate::interpretation::Interpretation;
use crate::kind::SourceKind;
use crate::source::{ItemSender, PageSummary, Source};

/// All archives of arXiv.
const ARCHIVES: [&str; 20] = [
    "astro-ph", "cond-mat", "cs", "econ", "eess", "gr-qc", "hep-ex", "hep-lat", "hep-ph", "hep-th", "math", "math-ph",
    "nlin", "nucl-ex", "nucl-th", "physics", "q-bio", "q-fin", "quant-ph", "stat",
];

/// Settings of kind `arxiv_announced`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArxivAnnouncedSettings {
    /// Address of the feeds; the categories follow after a slash.
    pub url: String,
    /// Archives or categories that are asked for.
    pub categories: Vec<String>,
    /// Kinds of announcement to keep: `new`, `cross`, `replace`, `replace-cross`.
    pub announcements: Vec<String>,
}

impl Default for ArxivAnnouncedSettings {
    fn default() -> Self {
        Self {
            url: "https://rss.arxiv.org/atom".into(),
            categories: ARCHIVES.map(str::to_owned).to_vec(),
            announcements: ANNOUNCEMENTS.map(str::to_owned).to_vec(),
        }
    }
}

/// The kinds of announcement there are.
const ANNOUNCEMENTS: [&str; 4] = ["new", "cross", "replace", "replace-cross"];

impl ArxivAnnouncedSettings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("url", &self.url)?;
        check_not_empty("categories", &self.categories)?;
        for category in &self.categories {
            let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
            if category.is_empty() || !category.chars().all(valid) {
                return Err(format!("categories has {category:?}; they look like cs or cs.CL"));
            }
        }
        for kind in &self.announcements {
            check_choice("announcements", kind, &ANNOUNCEMENTS)?;
        }
        check_not_empty("announcements", &self.announcements)
    }
}

/// arXiv's announcements.
pub struct ArxivAnnouncedSource {
    name: String,
    settings: ArxivAnnouncedSettings,
    client: SourceClient,
}

impl ArxivAnnouncedSource {
    /// By its settings.
    pub fn new(name: &str, settings: &ArxivAnnouncedSettings, client: &SourceClient) -> Self {
        Self {
            name: name.to_owned(),
            settings: settings.clone(),
            client: client.clone(),
        }
    }
}

#[async_trait]
impl Source for ArxivAnnouncedSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> SourceKind {
        SourceKind::ArxivAnnounced
    }

    fn begin(&self, range: DateRange) -> Result<Cursor, CursorError> {
        require_no_range(range)?;
        Cursor::start(SourceKind::ArxivAnnounced, DateRange::default())
    }

    async fn fetch(&self, cursor: &Cursor, items: ItemSender) -> Result<PageSummary, SourceError> {
        let url = format!("{}/{}", self.settings.url, self.settings.categories.join("+"));
        let announcements = self.settings.announcements.clone();
        let round = FeedRound {
            client: &self.client,
            kind: SourceKind::ArxivAnnounced,
            name: &self.name,
            urls: &[url],
        };
        round
            .fetch(cursor, items, move |entry| interpret(entry, &announcements))
            .await
    }
}

/// What an announcement means.
pub fn interpret(entry: FeedEntry, announcements: &[String]) -> Interpretation {
    let kind = entry.announcement.trim();
    if !kind.is_empty() && !announcements.iter().any(|wanted| wanted == kind) {
        return Interpretation::Skipped;
    }
    let abstract_text = match entry.summary.text.split_once("Abstract:") {
        Some((head, text)) if head.len() < 200 => text.trim().to_owned(),
        _ => entry.summary.text,
    };
    let mut draft = RecordDraft {
        version: version_of(&entry.id),
        native_id: entry.id,
        title: entry.title.text,
        abstract_text,
        authors: entry
            .creators
            .iter()
            .flat_map(|text| names::between_commas(text))
            .collect(),
        categories: entry.categories,
        comment: entry.comment,
        datestamp: entry.updated.or(entry.published),
        ..RecordDraft::default()
    };
    let id = draft.native_id.clone();
    draft.identify(Scheme::Arxiv, &id);
    for (_, _, address) in &entry.links {
        draft.identify(Scheme::Arxiv, address);
    }
    for doi in &entry.identifiers {
        draft.identify(Scheme::Doi, doi);
    }
    let Some(arxiv) = draft.identifiers.of(Scheme::Arxiv).next().map(str::to_owned) else {
        let reason = format!("id is {:?}, which is no arXiv id", domain::text::shorten(&id));
        return Interpretation::unusable(draft, reason);
    };
    let first_announced = entry.published.filter(|_| kind.is_empty() || kind == "new");
    draft.published = published(first_announced, month_of(&arxiv));
    if kind.starts_with("replace") {
        draft.updated = entry.published;
    }
    links(&mut draft);
    Interpretation::paper(draft)
}

/// The day of the first announcement, unless the paper is older: then the month that its id names. Papers are announced anew
/// when they are revised or listed in another category, which is no publication.
fn published(announced: Option<Timestamp>, month: Option<Timestamp>) -> Option<Timestamp> {
    let (Some(announced), Some(month)) = (announced, month) else {
        return announced.or(month);
    };
    let fresh = announced.duration_since(month) <= SignedDuration::from_hours(24 * 45);
    Some(if fresh { announced.max(month) } else { month })
}
