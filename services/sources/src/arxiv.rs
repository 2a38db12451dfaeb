//! arXiv.
//!
//! Terms: metadata is CC0; <https://info.arxiv.org/help/api/tou.html> asks for at most one request in three seconds over one
//! connection, from all machines of an operator together, and for a contact address. The client keeps to that for every
//! host of arxiv.org, whatever the settings say.
//!
//! | what | address | for |
//! |---|---|---|
//! | OAI-PMH, `metadataPrefix=arXiv` ([`ArxivSource`]) | `https://oaipmh.arxiv.org/oai` | everything: new, revised, deleted; back-fill |
//! | Atom API ([`atom`]) | `https://export.arxiv.org/api/query?id_list=` | single papers, on request |
//! | announcement feed ([`announced`]) | `https://rss.arxiv.org/atom/cs+math` | what is new today, hours before OAI-PMH has it |
//!
//! Cursor: days of the OAI datestamp (arXiv's granularity is a day), an overlap of two days, and the resumption token
//! within a pass. Tokens expire at the end of the day; the pass then starts anew.
//!
//! Fields: `keyname` and `forenames` make an author, the first of `categories` is the primary one, `created` is the date of
//! the first version and `updated` of the last. Texts are plain text with TeX: no tag in them is markup. A withdrawn paper
//! stays listed with a comment or an abstract that says so, and counts as withdrawn.

pub mod announced;
pub mod atom;
pub mod metadata;

use async_trait::async_trait;
use domain::merging::{Identifier, Scheme};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::checks::{MAX_OVERLAP_HOURS, check_number, check_url};
use crate::cursor::{Cursor, CursorError, DateRange};
use crate::draft::PageContext;
use crate::error::SourceError;
use crate::fetching::read_response;
use crate::http::{SourceClient, SourceRequest};
use crate::kind::SourceKind;
use crate::oai::harvest::{DateGranularity, OaiHarvest};
use crate::source::{ItemSender, PageSummary, Source};
use metadata::ArxivMetadata;

/// Papers that one request to the Atom API asks for.
const IDS_A_REQUEST: usize = 100;

/// Settings of kind `arxiv`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArxivSettings {
    /// Address of OAI-PMH.
    pub oai_url: String,
    /// Address of the Atom API.
    pub api_url: String,
    /// OAI set, such as `cs` or `physics:hep-th`; empty for all.
    pub set: String,
    /// Categories to keep, each with its subcategories: `cs` keeps `cs.CL`. Empty for all.
    pub categories: Vec<String>,
    /// How far the next pass goes back before the newest datestamp, in hours.
    pub overlap_hours: u32,
}

impl Default for ArxivSettings {
    fn default() -> Self {
        Self {
            oai_url: "https://oaipmh.arxiv.org/oai".into(),
            api_url: "https://export.arxiv.org/api/query".into(),
            set: String::new(),
            categories: Vec::new(),
            overlap_hours: 48,
        }
    }
}

impl ArxivSettings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("oai_url", &self.oai_url)?;
        check_url("api_url", &self.api_url)?;
        check_number("overlap_hours", self.overlap_hours, 0..=MAX_OVERLAP_HOURS)
    }
}

/// arXiv by OAI-PMH, and by its Atom API for single papers.
pub struct ArxivSource {
    name: String,
    settings: ArxivSettings,
    client: SourceClient,
}

impl ArxivSource {
    /// By its settings.
    pub fn new(name: &str, settings: &ArxivSettings, client: &SourceClient) -> Self {
        Self {
            name: name.to_owned(),
            settings: settings.clone(),
            client: client.clone(),
        }
    }
}

#[async_trait]
impl Source for ArxivSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> SourceKind {
        SourceKind::Arxiv
    }

    fn begin(&self, range: DateRange) -> Result<Cursor, CursorError> {
        Cursor::start(SourceKind::Arxiv, range)
    }

    async fn fetch(&self, cursor: &Cursor, items: ItemSender) -> Result<PageSummary, SourceError> {
        cursor.expect(SourceKind::Arxiv)?;
        let harvest = OaiHarvest {
            client: &self.client,
            name: &self.name,
            kind: SourceKind::Arxiv,
            url: &self.settings.oai_url,
            prefix: "arXiv",
            set: &self.settings.set,
            granularity: DateGranularity::Day,
            overlap: SignedDuration::from_hours(self.settings.overlap_hours.into()),
        };
        let metadata = ArxivMetadata::new(self.settings.categories.clone());
        harvest.fetch(cursor, items, metadata).await
    }

    async fn look_up(&self, identifiers: &[Identifier], items: ItemSender) -> Result<(), SourceError> {
        let ids: Vec<&str> = identifiers
            .iter()
            .filter(|identifier| identifier.scheme() == Scheme::Arxiv)
            .map(Identifier::value)
            .collect();
        for ids in ids.chunks(IDS_A_REQUEST) {
            let mut url = Url::parse(&self.settings.api_url)
                .map_err(|error| CursorError::Unreadable(format!("api_url: {error}")))?;
            url.query_pairs_mut()
                .append_pair("id_list", &ids.join(","))
                .append_pair("max_results", &ids.len().to_string());
            let request = SourceRequest::new(url, "application/atom+xml");
            let response = self.client.get(&request).await?;
            let context = PageContext::new(&self.name, SourceKind::Arxiv, response.server_time());
            read_response(response, items.clone(), move |body, charset, sink| {
                atom::parse(body, charset, &context, sink)
            })
            .await?;
        }
        Ok(())
    }
}

/// The version at the end of an id or an address: `2402.14776v3`.
fn version_of(text: &str) -> Option<u32> {
    let (before, digits) = text.rsplit_once('v')?;
    let version = digits.parse().ok().filter(|version| (1..1_000).contains(version))?;
    before.ends_with(|c: char| c.is_ascii_digit()).then_some(version)
}
