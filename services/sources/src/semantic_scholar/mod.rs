//! Semantic Scholar, by its bulk search.
//!
//! Terms: <https://www.semanticscholar.org/product/api/license>, attribution asked for; without a key all callers of the
//! world share one allowance and 429 is usual, with a key one request a second.
//!
//! Address: `/graph/v1/paper/search/bulk?query=…&publicationDateOrYear=from:until&fields=…`, a thousand records a page.
//! Cursor: days of publication, and `token` within a pass, which is left out at its end.
//!
//! Fields: `externalIds` holds `ArXiv`, `DOI`, `PubMed`, `ACL`; `data` is left out where nothing was found;
//! `citationCount` is a signal.

use async_trait::async_trait;
use domain::LinkKind;
use domain::merging::Scheme;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{Kind, check_number, check_url};
use crate::cursor::{Cursor, CursorError, Span};
use crate::error::SourceError;
use crate::http::{Client, Request};
use crate::json::{self, Layout, Said, date, list, number_at, text};
use crate::listing::{Listing, address, day, token};
use crate::page::Outcome;
use crate::record::SignalKind;
use crate::source::{Outlet, Page, Source};

/// Where the papers are.
pub const LAYOUT: Layout = Layout {
    list: &["data"],
    expected: "a page of Semantic Scholar's bulk search",
};
const FIELDS: &str =
    "externalIds,title,abstract,authors,publicationDate,year,url,openAccessPdf,fieldsOfStudy,citationCount";

/// Settings of kind `semantic_scholar`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address of the bulk search.
    pub url: String,
    /// What is asked for, in Semantic Scholar's query language. Required.
    pub query: String,
    /// Key, if there is one.
    pub api_key: String,
    /// How far the next pass goes back behind the newest datestamp, in hours. Papers appear days after their date.
    pub overlap_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "https://api.semanticscholar.org/graph/v1/paper/search/bulk".into(),
            query: String::new(),
            api_key: String::new(),
            overlap_hours: 336,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("url", &self.url)?;
        if self.query.trim().is_empty() {
            return Err("query is empty; Semantic Scholar gives no papers without one".into());
        }
        check_number("overlap_hours", self.overlap_hours.into(), 0..=24 * 120)
    }
}

/// Semantic Scholar.
pub struct SemanticScholar {
    name: String,
    settings: Settings,
    client: Client,
}

impl SemanticScholar {
    /// By its settings.
    pub fn new(name: &str, settings: &Settings, client: &Client) -> Self {
        Self {
            name: name.to_owned(),
            settings: settings.clone(),
            client: client.clone(),
        }
    }
}

#[async_trait]
impl Source for SemanticScholar {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::SemanticScholar
    }

    fn begin(&self, span: Span) -> Result<Cursor, CursorError> {
        Cursor::start(Kind::SemanticScholar, span)
    }

    async fn fetch(&self, cursor: &Cursor, outlet: Outlet) -> Result<Page, SourceError> {
        cursor.expect(Kind::SemanticScholar)?;
        let settings = &self.settings;
        let mut url = address(&settings.url)?;
        let side = |moment: Option<jiff::Timestamp>| moment.map(day).unwrap_or_default();
        let span = format!("{}:{}", side(cursor.span.from), side(cursor.span.until));
        url.query_pairs_mut()
            .append_pair("query", &settings.query)
            .append_pair("fields", FIELDS);
        if span != ":" {
            url.query_pairs_mut().append_pair("publicationDateOrYear", &span);
        }
        if let Some(token) = token(cursor)? {
            url.query_pairs_mut().append_pair("token", token);
        }
        let mut request = Request::new(url, "application/json");
        if let Ok(key) = http::HeaderValue::from_str(&settings.api_key)
            && !settings.api_key.is_empty()
        {
            request.headers.push((http::HeaderName::from_static("x-api-key"), key));
        }
        let listing = Listing {
            client: &self.client,
            kind: Kind::SemanticScholar,
            name: &self.name,
            layout: LAYOUT,
        };
        let mut listed = listing.fetch(&request, outlet, interpret).await?;
        let next = listed.facts.text("token").map(str::to_owned);
        listed.announced = listed.facts.number("total");
        listed.by_token(cursor, next, SignedDuration::from_hours(settings.overlap_hours.into()))
    }
}

/// What a paper of Semantic Scholar means.
pub fn interpret(value: &Value) -> Said {
    let mut draft = match json::object(value) {
        Ok(draft) => draft,
        Err(bad) => return bad,
    };
    let id = text(value, "/paperId");
    id.clone_into(&mut draft.native_id);
    draft.identify(Scheme::SemanticScholar, id);
    let external = [
        (Scheme::Arxiv, "/externalIds/ArXiv"),
        (Scheme::Doi, "/externalIds/DOI"),
        (Scheme::Pubmed, "/externalIds/PubMed"),
        (Scheme::Acl, "/externalIds/ACL"),
    ];
    for (scheme, pointer) in external {
        draft.identify(scheme, text(value, pointer));
    }
    if draft.identifiers.is_empty() {
        return Said::plain(Outcome::Bad(Box::new(draft), "paperId is missing".into()));
    }
    text(value, "/title").clone_into(&mut draft.title);
    text(value, "/abstract").clone_into(&mut draft.abstract_text);
    draft.authors = list(value, "/authors")
        .iter()
        .map(|author| text(author, "/name").to_owned())
        .collect();
    draft.categories = list(value, "/fieldsOfStudy")
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let year = || number_at(value, "/year").and_then(|year| crate::dates::parse(&year.to_string()));
    draft.published = date(value, "/publicationDate").or_else(year);
    draft.datestamp = draft.published;
    draft.link(LinkKind::Abstract, text(value, "/url"));
    draft.link(LinkKind::Pdf, text(value, "/openAccessPdf/url"));
    let signals = number_at(value, "/citationCount").map(|count| (SignalKind::Citations, count));
    Said {
        outcome: Outcome::Paper(Box::new(draft)),
        signals: signals.into_iter().collect(),
    }
}
