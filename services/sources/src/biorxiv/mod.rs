//! bioRxiv and medRxiv, by their API.
//!
//! Terms: <https://api.biorxiv.org/> gives metadata freely; abstracts and texts belong to their authors under the licence
//! that each record names. No limit is published; we ask once a second over one connection.
//!
//! Address: `/details/{server}/{from}/{until}/{number}`, a hundred records a page. Cursor: days of posting (every revision
//! is posted anew under its own day) and the number of the first record of the page.
//!
//! Fields: `authors` is `Last, F.; Last, F.`; `version` counts from 1; `published` is the DOI of the journal's version, or
//! `NA`; `type` says `WITHDRAWN` or `withdrawn` for what was taken back.

use async_trait::async_trait;
use domain::LinkKind;
use domain::merging::Scheme;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{Kind, check_number, check_url};
use crate::cursor::{Cursor, CursorError, Position, Span};
use crate::error::SourceError;
use crate::http::{Client, Request};
use crate::json::{self, Layout, Said, date, number_at, text};
use crate::listing::{Listing, address, day, no_such};
use crate::names;
use crate::page::Outcome;
use crate::source::{Outlet, Page, Source};

/// Where the records are.
pub const LAYOUT: Layout = Layout {
    list: &["collection"],
    expected: "a page of the bioRxiv API",
};

/// Settings of kind `biorxiv`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address of the API.
    pub url: String,
    /// `biorxiv` or `medrxiv`.
    pub server: String,
    /// How far the next pass goes back behind the newest datestamp, in hours.
    pub overlap_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "https://api.biorxiv.org/details".into(),
            server: "biorxiv".into(),
            overlap_hours: 48,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("url", &self.url)?;
        if !["biorxiv", "medrxiv"].contains(&self.server.as_str()) {
            return Err(format!("server is {:?}; allowed are biorxiv and medrxiv", self.server));
        }
        check_number("overlap_hours", self.overlap_hours.into(), 0..=24 * 60)
    }
}

/// bioRxiv or medRxiv.
pub struct Biorxiv {
    name: String,
    settings: Settings,
    client: Client,
}

impl Biorxiv {
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
impl Source for Biorxiv {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Biorxiv
    }

    fn begin(&self, span: Span) -> Result<Cursor, CursorError> {
        Cursor::start(Kind::Biorxiv, span)
    }

    async fn fetch(&self, cursor: &Cursor, outlet: Outlet) -> Result<Page, SourceError> {
        cursor.expect(Kind::Biorxiv)?;
        let number = match &cursor.position {
            Position::Start => 0,
            Position::Number { number } => *number,
            other => return Err(no_such(other).into()),
        };
        let overlap = SignedDuration::from_hours(self.settings.overlap_hours.into());
        let request = Request::new(address(&self.path(cursor, number))?, "application/json");
        let listing = Listing {
            client: &self.client,
            kind: Kind::Biorxiv,
            name: &self.name,
            layout: LAYOUT,
        };
        let server = self.settings.server.clone();
        let mut listed = listing
            .fetch(&request, outlet, move |value| interpret(value, &server))
            .await?;
        let message = listed.facts.values.get("messages").and_then(|list| list.get(0));
        listed.announced = message.and_then(|message| number_at(message, "/total"));
        let mut next = listed.behind(cursor);
        let behind = number + listed.facts.records;
        let more = next.pass.announced.is_none_or(|total| behind < total);
        if listed.facts.records == 0 || !more {
            return Ok(listed.ended(&next, overlap));
        }
        next.position = Position::Number { number: behind };
        Ok(listed.more(next))
    }
}

impl Biorxiv {
    /// Both ends are days, and the last may lie in the future: what is posted while a pass goes on is on its last pages.
    fn path(&self, cursor: &Cursor, number: u64) -> String {
        let from = cursor.span.from.map_or_else(|| "2013-11-01".to_owned(), day);
        let until = cursor.span.until.map_or_else(|| "2099-12-31".to_owned(), day);
        format!(
            "{}/{}/{from}/{until}/{number}/json",
            self.settings.url, self.settings.server
        )
    }
}

/// What a record of bioRxiv means.
pub fn interpret(value: &Value, server: &str) -> Said {
    let mut draft = match json::object(value) {
        Ok(draft) => draft,
        Err(bad) => return bad,
    };
    let doi = text(value, "/doi").trim();
    draft.identify(Scheme::Doi, doi);
    doi.clone_into(&mut draft.native_id);
    let published = text(value, "/published");
    if published != "NA" {
        draft.identify(Scheme::Doi, published);
    }
    if draft.identifiers.is_empty() {
        return Said::plain(Outcome::Bad(
            Box::new(draft),
            format!("doi is {doi:?}; a DOI is required"),
        ));
    }
    text(value, "/title").clone_into(&mut draft.title);
    text(value, "/abstract").clone_into(&mut draft.abstract_text);
    draft.authors = names::list(text(value, "/authors"));
    draft.categories = vec![text(value, "/category").to_owned()];
    draft.version = number_at(value, "/version").and_then(|version| u32::try_from(version).ok());
    draft.datestamp = date(value, "/date");
    // The date is that of the version; only the first version knows when the paper was published.
    if draft.version.unwrap_or(1) == 1 {
        draft.published = draft.datestamp;
    } else {
        draft.updated = draft.datestamp;
    }
    let version = draft.version.unwrap_or(1);
    draft.link(
        LinkKind::Abstract,
        &format!("https://www.{server}.org/content/{doi}v{version}"),
    );
    draft.link(
        LinkKind::Pdf,
        &format!("https://www.{server}.org/content/{doi}v{version}.full.pdf"),
    );
    if text(value, "/type").to_ascii_lowercase().contains("withdraw") {
        return Said::plain(Outcome::Withdrawn(Box::new(draft), "withdrawn by its authors".into()));
    }
    Said::plain(Outcome::Paper(Box::new(draft)))
}
