//! Crossref.
//!
//! Terms: metadata is free of rights, abstracts belong to publishers or authors; <https://api.crossref.org> asks callers to
//! name an address to write to (`mailto`, the contact of the client) and answers those from a better pool.
//!
//! Address: `/works?filter=from-index-date:…,until-index-date:…&cursor=*&rows=500`. Cursor: the date in `date_filter`, and
//! `next-cursor` within a pass; a page without items ends it.
//!
//! Fields: dates are `date-parts` of one to three numbers, or `[[null]]`; titles are lists and hold markup; abstracts are
//! JATS; `update-to` of type `retraction` or `withdrawal` withdraws the work it names; `is-referenced-by-count` is a signal.

use async_trait::async_trait;
use domain::LinkKind;
use domain::merging::Scheme;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{Kind, check_number, check_url};
use crate::cursor::{Cursor, CursorError, Span};
use crate::dates;
use crate::draft::Draft;
use crate::error::SourceError;
use crate::http::{Client, Request};
use crate::json::{self, Layout, Said, date, first_text, list, number_at, text};
use crate::listing::{Listing, address, day, token};
use crate::names;
use crate::page::Outcome;
use crate::record::SignalKind;
use crate::source::{Outlet, Page, Source};

/// Where the works are.
pub const LAYOUT: Layout = Layout {
    list: &["message", "items"],
    expected: "a page of Crossref works",
};

/// Settings of kind `crossref`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address of the works.
    pub url: String,
    /// Further filters in Crossref's own words, such as `type:journal-article,has-abstract:true`.
    pub filter: String,
    /// The date that is followed: `index`, `update`, `deposit`, `created` or `pub`.
    pub date_filter: String,
    /// Records a page, 1 to 1000.
    pub page_size: u32,
    /// How far the next pass goes back behind the newest datestamp, in hours.
    pub overlap_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "https://api.crossref.org/works".into(),
            filter: "type:journal-article,type:proceedings-article,type:posted-content".into(),
            date_filter: "created".into(),
            page_size: 500,
            overlap_hours: 24,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("url", &self.url)?;
        if !["index", "update", "deposit", "created", "pub"].contains(&self.date_filter.as_str()) {
            return Err(format!(
                "date_filter is {:?}; allowed are index, update, deposit, created and pub",
                self.date_filter
            ));
        }
        check_number("page_size", self.page_size.into(), 1..=1_000)?;
        check_number("overlap_hours", self.overlap_hours.into(), 0..=24 * 60)
    }
}

/// Crossref.
pub struct Crossref {
    name: String,
    settings: Settings,
    client: Client,
}

impl Crossref {
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
impl Source for Crossref {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Crossref
    }

    fn begin(&self, span: Span) -> Result<Cursor, CursorError> {
        Cursor::start(Kind::Crossref, span)
    }

    async fn fetch(&self, cursor: &Cursor, outlet: Outlet) -> Result<Page, SourceError> {
        cursor.expect(Kind::Crossref)?;
        let settings = &self.settings;
        let mut filters = Vec::new();
        for (side, moment) in [("from", cursor.span.from), ("until", cursor.span.until)] {
            if let Some(moment) = moment {
                filters.push(format!("{side}-{}-date:{}", settings.date_filter, day(moment)));
            }
        }
        if !settings.filter.is_empty() {
            filters.push(settings.filter.clone());
        }
        let mut url = address(&settings.url)?;
        url.query_pairs_mut()
            .append_pair("filter", &filters.join(","))
            .append_pair("rows", &settings.page_size.to_string())
            .append_pair("cursor", token(cursor)?.unwrap_or("*"))
            .append_pair("mailto", self.client.contact());
        let listing = Listing {
            client: &self.client,
            kind: Kind::Crossref,
            name: &self.name,
            layout: LAYOUT,
        };
        let stamp = stamp(&settings.date_filter);
        let request = Request::new(url, "application/json");
        let mut listed = listing
            .fetch(&request, outlet, move |value| interpret(value, stamp))
            .await?;
        let next = listed.facts.text("message.next-cursor").map(str::to_owned);
        // Crossref gives a cursor with every page, even behind the last; a page without items is the last.
        let next = next.filter(|_| listed.facts.records > 0);
        listed.announced = listed.facts.number("message.total-results");
        listed.by_token(cursor, next, SignedDuration::from_hours(settings.overlap_hours.into()))
    }
}

/// Where the date that is followed stands in a work.
fn stamp(date_filter: &str) -> &'static str {
    match date_filter {
        "index" => "/indexed",
        "created" => "/created",
        "pub" => "/issued",
        _ => "/deposited",
    }
}

/// What a work of Crossref means. `stamp` points to the date that is followed.
pub fn interpret(value: &Value, stamp: &str) -> Said {
    let mut draft = match json::object(value) {
        Ok(draft) => draft,
        Err(bad) => return bad,
    };
    let doi = text(value, "/DOI");
    draft.identify(Scheme::Doi, doi);
    doi.clone_into(&mut draft.native_id);
    draft.datestamp = date_of(value, stamp);
    if draft.identifiers.is_empty() {
        return Said::plain(Outcome::Bad(
            Box::new(draft),
            format!("DOI is {doi:?}; a DOI is required"),
        ));
    }
    if let Some((target, kind)) = takes_back(value) {
        let mut taken = Draft {
            datestamp: draft.datestamp,
            ..Draft::default()
        };
        taken.identify(Scheme::Doi, target);
        target.clone_into(&mut taken.native_id);
        return Said::plain(Outcome::Withdrawn(Box::new(taken), format!("{kind} by doi:{doi}")));
    }
    first_text(value, "/title").clone_into(&mut draft.title);
    text(value, "/abstract").clone_into(&mut draft.abstract_text);
    draft.authors = list(value, "/author").iter().map(author).collect();
    draft.categories = list(value, "/subject")
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    draft.published = [
        "/posted",
        "/published-online",
        "/published",
        "/published-print",
        "/issued",
        "/created",
    ]
    .iter()
    .find_map(|pointer| date_of(value, pointer));
    text(value, "/language").clone_into(&mut draft.language);
    preprints(value, &mut draft);
    draft.link(LinkKind::Abstract, &format!("https://doi.org/{doi}"));
    for link in list(value, "/link") {
        if text(link, "/content-type") == "application/pdf" {
            draft.link(LinkKind::Pdf, text(link, "/URL"));
        }
    }
    let title = draft.title.trim_start().to_ascii_uppercase();
    if title.starts_with("RETRACTED:") || title.starts_with("WITHDRAWN:") {
        return Said::plain(Outcome::Withdrawn(Box::new(draft), "its title says so".into()));
    }
    let signals = number_at(value, "/is-referenced-by-count").map(|count| (SignalKind::Citations, count));
    Said {
        outcome: Outcome::Paper(Box::new(draft)),
        signals: signals.into_iter().collect(),
    }
}

/// The work that this notice takes back, and the word for it.
fn takes_back(value: &Value) -> Option<(&str, &str)> {
    list(value, "/update-to").iter().find_map(|update| {
        let kind = text(update, "/type");
        let target = text(update, "/DOI");
        let other = !target.eq_ignore_ascii_case(text(value, "/DOI"));
        (other && matches!(kind, "retraction" | "withdrawal" | "removal")).then_some((target, kind))
    })
}

/// A preprint and the article it became are one work.
fn preprints(value: &Value, draft: &mut Draft) {
    for relation in ["/relation/has-preprint", "/relation/is-preprint-of"] {
        for other in list(value, relation) {
            match text(other, "/id-type") {
                "doi" => draft.identify(Scheme::Doi, text(other, "/id")),
                "arxiv" => draft.identify(Scheme::Arxiv, text(other, "/id")),
                _ => {}
            }
        }
    }
}

fn author(value: &Value) -> String {
    let name = text(value, "/name");
    if name.is_empty() {
        names::join(text(value, "/given"), text(value, "/family"), text(value, "/suffix"))
    } else {
        name.to_owned()
    }
}

/// `date-time` where there is one, else one to three `date-parts`, of which any may be null.
fn date_of(value: &Value, pointer: &str) -> Option<Timestamp> {
    let value = value.pointer(pointer)?;
    if let Some(moment) = date(value, "/date-time") {
        return Some(moment);
    }
    let part = |index: usize| {
        let part = value.pointer(&format!("/date-parts/0/{index}"))?;
        part.as_i64().or_else(|| part.as_str()?.trim().parse().ok())
    };
    dates::day(part(0)?, part(1).unwrap_or(1), part(2).unwrap_or(1))
}
