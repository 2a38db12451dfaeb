//! OpenAlex.
//!
//! Terms: CC0, <https://docs.openalex.org/>; ten requests a second and 100,000 a day for callers who name an address to
//! write to (`mailto`, the contact of the client). Dates of change may be asked for with a paid key only.
//!
//! Address: `/works?filter=…&cursor=*&per-page=200`. Cursor: days of the date in `date_filter`, and `next_cursor` within a
//! pass, which is empty at its end.
//!
//! Fields: the abstract comes as an inverted index (word to places) and is put together again; `ids` holds DOI, PubMed and
//! OpenAlex; `cited_by_count` is a signal; `is_retracted` withdraws.

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

/// Where the works are.
pub const LAYOUT: Layout = Layout {
    list: &["results"],
    expected: "a page of OpenAlex works",
};
/// Words of one abstract that are put together.
const MAX_WORDS: usize = 20_000;

/// Settings of kind `openalex`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address of the works.
    pub url: String,
    /// Further filters in OpenAlex's own words, such as `type:article,language:en`.
    pub filter: String,
    /// The date that is followed: `publication_date`, or with a paid key `created_date` or `updated_date`.
    pub date_filter: String,
    /// Key, if there is one.
    pub api_key: String,
    /// Records a page, 1 to 200.
    pub page_size: u32,
    /// How far the next pass goes back behind the newest datestamp, in hours. Works appear days after their date.
    pub overlap_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "https://api.openalex.org/works".into(),
            filter: "type:article|preprint".into(),
            date_filter: "publication_date".into(),
            api_key: String::new(),
            page_size: 200,
            overlap_hours: 336,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("url", &self.url)?;
        if !["publication_date", "created_date", "updated_date"].contains(&self.date_filter.as_str()) {
            return Err(format!(
                "date_filter is {:?}; allowed are publication_date, created_date and updated_date",
                self.date_filter
            ));
        }
        check_number("page_size", self.page_size.into(), 1..=200)?;
        check_number("overlap_hours", self.overlap_hours.into(), 0..=24 * 120)
    }
}

/// OpenAlex.
pub struct OpenAlex {
    name: String,
    settings: Settings,
    client: Client,
}

impl OpenAlex {
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
impl Source for OpenAlex {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Openalex
    }

    fn begin(&self, span: Span) -> Result<Cursor, CursorError> {
        Cursor::start(Kind::Openalex, span)
    }

    async fn fetch(&self, cursor: &Cursor, outlet: Outlet) -> Result<Page, SourceError> {
        cursor.expect(Kind::Openalex)?;
        let settings = &self.settings;
        let mut filters = Vec::new();
        for (side, moment) in [("from", cursor.span.from), ("to", cursor.span.until)] {
            if let Some(moment) = moment {
                filters.push(format!("{side}_{}:{}", settings.date_filter, day(moment)));
            }
        }
        if !settings.filter.is_empty() {
            filters.push(settings.filter.clone());
        }
        let mut url = address(&settings.url)?;
        url.query_pairs_mut()
            .append_pair("filter", &filters.join(","))
            .append_pair("per-page", &settings.page_size.to_string())
            .append_pair("cursor", token(cursor)?.unwrap_or("*"))
            .append_pair("mailto", self.client.contact());
        if !settings.api_key.is_empty() {
            url.query_pairs_mut().append_pair("api_key", &settings.api_key);
        }
        let listing = Listing {
            client: &self.client,
            kind: Kind::Openalex,
            name: &self.name,
            layout: LAYOUT,
        };
        let stamp = format!("/{}", settings.date_filter);
        let request = Request::new(url, "application/json");
        let mut listed = listing
            .fetch(&request, outlet, move |value| interpret(value, &stamp))
            .await?;
        let meta = listed.facts.values.get("meta").cloned().unwrap_or_default();
        listed.announced = number_at(&meta, "/count");
        // An empty page may still bring a cursor.
        let next = Some(text(&meta, "/next_cursor").to_owned());
        let next = next.filter(|next| !next.is_empty() && listed.facts.records > 0);
        listed.by_token(cursor, next, SignedDuration::from_hours(settings.overlap_hours.into()))
    }
}

/// What a work of OpenAlex means. `stamp` points to the date that is followed.
pub fn interpret(value: &Value, stamp: &str) -> Said {
    let mut draft = match json::object(value) {
        Ok(draft) => draft,
        Err(bad) => return bad,
    };
    text(value, "/id").clone_into(&mut draft.native_id);
    draft.identify(Scheme::OpenAlex, text(value, "/id"));
    draft.identify(Scheme::Doi, text(value, "/doi"));
    draft.identify(Scheme::Doi, text(value, "/ids/doi"));
    draft.identify(Scheme::Pubmed, text(value, "/ids/pmid"));
    for place in list(value, "/locations") {
        let page = text(place, "/landing_page_url");
        if page.contains("arxiv.org/abs/") {
            draft.identify(Scheme::Arxiv, page);
        }
    }
    draft.title = either(text(value, "/title"), text(value, "/display_name"));
    draft.abstract_text = value
        .pointer("/abstract_inverted_index")
        .map(abstract_of)
        .unwrap_or_default();
    let authors = list(value, "/authorships").iter();
    draft.authors = authors
        .map(|author| either(text(author, "/author/display_name"), text(author, "/raw_author_name")))
        .collect();
    let topics = list(value, "/topics")
        .iter()
        .map(|topic| text(topic, "/display_name").to_owned());
    let field = text(value, "/primary_topic/field/display_name").to_owned();
    draft.categories = std::iter::once(field).chain(topics).collect();
    draft.published = date(value, "/publication_date");
    draft.datestamp = date(value, stamp);
    text(value, "/language").clone_into(&mut draft.language);
    draft.link(LinkKind::Abstract, text(value, "/primary_location/landing_page_url"));
    draft.link(LinkKind::Abstract, text(value, "/doi"));
    for pointer in ["/primary_location/pdf_url", "/best_oa_location/pdf_url"] {
        draft.link(LinkKind::Pdf, text(value, pointer));
    }
    if value.get("is_retracted").and_then(Value::as_bool) == Some(true) {
        return Said::plain(Outcome::Withdrawn(
            Box::new(draft),
            "retracted, as OpenAlex says".into(),
        ));
    }
    let signals = number_at(value, "/cited_by_count").map(|count| (SignalKind::Citations, count));
    Said {
        outcome: Outcome::Paper(Box::new(draft)),
        signals: signals.into_iter().collect(),
    }
}

/// Puts an abstract together from its words and their places.
fn abstract_of(index: &Value) -> String {
    let Some(index) = index.as_object() else {
        return String::new();
    };
    let mut words: Vec<(u64, &str)> = Vec::new();
    for (word, places) in index {
        let places = places.as_array().map_or(&[][..], Vec::as_slice);
        let room = MAX_WORDS.saturating_sub(words.len());
        words.extend(
            places
                .iter()
                .take(room)
                .filter_map(|place| Some((place.as_u64()?, word.as_str()))),
        );
    }
    words.sort_unstable();
    let words: Vec<&str> = words.into_iter().map(|(_, word)| word).collect();
    words.join(" ")
}

/// The first text, or the second where there is no first.
fn either(first: &str, second: &str) -> String {
    if first.is_empty() { second } else { first }.to_owned()
}
