//! bioRxiv and medRxiv, by their API.
//!
//! Terms: <https://api.biorxiv.org/> gives metadata freely; abstracts and texts belong to their authors under the licence
//! that each record names. No limit is published; we ask once a second over one connection.
//!
//! Address: `/details/{server}/{from}/{until}/{number}`, a hundred records a page. Cursor: days of posting (every revision
//! is posted anew under its own day) and the number of the first record of the page.
//!
//! Fields: `authors` is `Last, F.; Last, F.`; `version` counts from 1; `published` is the DOI of the journal's version, or
//! `NA`; `type` says `WITHDRAWN` or `withdrawn` for withdrawn papers. Titles and abstracts hold HTML.

use domain::merging::Scheme;
use domain::{LinkKind, names};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::checks::{MAX_OVERLAP_HOURS, check_choice, check_number, check_url};
use crate::cursor::{Cursor, CursorError, CursorPosition};
use crate::error::SourceError;
use crate::http::SourceRequest;
use crate::interpretation::Interpretation;
use crate::json::{self, ListLayout, date, number_at, text};
use crate::kind::SourceKind;
use crate::list_api::{FetchContext, ListApi, ListPage, address, day};
use crate::source::PageSummary;
use crate::text_format::{TextFormat, TextFormats};

/// Where the records are.
pub const LAYOUT: ListLayout = ListLayout {
    list: &["collection"],
    expected: "a page of the bioRxiv API",
};

/// Settings of kind `biorxiv`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BiorxivSettings {
    /// Address of the API.
    pub url: String,
    /// `biorxiv` or `medrxiv`.
    pub server: String,
    /// How far the next pass goes back before the newest datestamp, in hours.
    pub overlap_hours: u32,
}

impl Default for BiorxivSettings {
    fn default() -> Self {
        Self {
            url: "https://api.biorxiv.org/details".into(),
            server: "biorxiv".into(),
            overlap_hours: 48,
        }
    }
}

impl BiorxivSettings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("url", &self.url)?;
        check_choice("server", &self.server, &["biorxiv", "medrxiv"])?;
        check_number("overlap_hours", self.overlap_hours, 0..=MAX_OVERLAP_HOURS)
    }
}

impl ListApi for BiorxivSettings {
    const KIND: SourceKind = SourceKind::Biorxiv;
    const LAYOUT: ListLayout = LAYOUT;

    /// Both ends are days, and the last may be in the future: what is posted during a pass is on its last pages.
    fn request(&self, cursor: &Cursor, _context: &FetchContext<'_>) -> Result<SourceRequest, SourceError> {
        let from = cursor.range.from.map_or_else(|| "2013-11-01".to_owned(), day);
        let until = cursor.range.until.map_or_else(|| "2099-12-31".to_owned(), day);
        let path = format!(
            "{}/{}/{from}/{until}/{}/json",
            self.url,
            self.server,
            first_record(cursor)?
        );
        Ok(SourceRequest::new(address(&path)?, "application/json"))
    }

    fn interpreter(
        &self,
        _cursor: &Cursor,
        _context: &FetchContext<'_>,
    ) -> impl FnMut(&Value) -> Interpretation + Send + 'static {
        let server = self.server.clone();
        move |value| interpret(value, &server)
    }

    fn summarize(
        &self,
        cursor: &Cursor,
        page: ListPage,
        _context: &FetchContext<'_>,
    ) -> Result<PageSummary, SourceError> {
        let message = page.list.values.get("messages").and_then(|list| list.get(0));
        let announced = message.and_then(|message| number_at(message, "/total"));
        let next = page.cursor_after(cursor, announced);
        let number = first_record(cursor)? + page.list.records;
        let more = next.pass.announced.is_none_or(|total| number < total);
        if page.list.records == 0 || !more {
            let overlap = SignedDuration::from_hours(self.overlap_hours.into());
            return Ok(PageSummary::end_of_pass(&next, overlap, page.counts));
        }
        Ok(page.next_at(next, CursorPosition::Number { number }))
    }
}

/// The number of the first record of the page at a cursor.
fn first_record(cursor: &Cursor) -> Result<u64, CursorError> {
    match &cursor.position {
        CursorPosition::Start => Ok(0),
        CursorPosition::Number { number } => Ok(*number),
        other => Err(other.unexpected()),
    }
}

/// What a record of bioRxiv means.
pub fn interpret(value: &Value, server: &str) -> Interpretation {
    let mut draft = match json::object(value) {
        Ok(draft) => draft,
        Err(unusable) => return unusable,
    };
    let doi = text(value, "/doi").trim();
    draft.identify(Scheme::Doi, doi);
    doi.clone_into(&mut draft.native_id);
    let published = text(value, "/published");
    if published != "NA" {
        draft.identify(Scheme::Doi, published);
    }
    if draft.identifiers.is_empty() {
        return Interpretation::unusable(draft, format!("doi is {doi:?}; a DOI is required"));
    }
    draft.formats = TextFormats::all(TextFormat::Markup);
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
        return Interpretation::withdrawn(draft, "withdrawn by its authors");
    }
    Interpretation::paper(draft)
}
