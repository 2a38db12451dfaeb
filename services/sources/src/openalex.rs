//! OpenAlex.
//!
//! Terms: CC0, <https://docs.openalex.org/>; ten requests a second and 100,000 a day for callers who give a contact address
//! (`mailto`, the contact of the client). Filtering by date of change needs a paid key.
//!
//! Address: `/works?filter=…&cursor=*&per-page=200`. Cursor: days of the date in `date_filter`, and `next_cursor` within a
//! pass, which is empty at its end.
//!
//! Fields: the abstract comes as an inverted index (word to positions) and is reassembled; `ids` holds DOI, PubMed and
//! OpenAlex; `cited_by_count` is a signal; `is_retracted` withdraws. Texts are taken over from publishers and preprint servers alike: markup
//! was left in some, and in others tags are words.

use domain::merging::{Identifier, Scheme};
use domain::{LinkKind, names};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::checks::{MAX_LATE_OVERLAP_HOURS, check_choice, check_number, check_url};
use crate::cursor::Cursor;
use crate::error::SourceError;
use crate::http::SourceRequest;
use crate::interpretation::Interpretation;
use crate::json::{self, ListLayout, date, list, number_at, text};
use crate::kind::SourceKind;
use crate::list_api::{FetchContext, ListApi, ListPage, WorksQuery};
use crate::record::SignalKind;
use crate::source::PageSummary;
use crate::text_format::{TextFormat, TextFormats};

/// Where the works are.
pub const LAYOUT: ListLayout = ListLayout {
    list: &["results"],
    expected: "a page of OpenAlex works",
};
/// Words of one abstract that are read.
const MAX_WORDS: usize = 20_000;

/// Settings of kind `openalex`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OpenAlexSettings {
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
    /// How far the next pass goes back before the newest datestamp, in hours. Works appear days after their date.
    pub overlap_hours: u32,
}

impl Default for OpenAlexSettings {
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

impl OpenAlexSettings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("url", &self.url)?;
        let dates = ["publication_date", "created_date", "updated_date"];
        check_choice("date_filter", &self.date_filter, &dates)?;
        check_number("page_size", self.page_size, 1..=200)?;
        check_number("overlap_hours", self.overlap_hours, 0..=MAX_LATE_OVERLAP_HOURS)
    }
}

impl ListApi for OpenAlexSettings {
    const KIND: SourceKind = SourceKind::Openalex;
    const LAYOUT: ListLayout = LAYOUT;

    fn request(&self, cursor: &Cursor, context: &FetchContext<'_>) -> Result<SourceRequest, SourceError> {
        let query = WorksQuery {
            url: &self.url,
            from: format!("from_{}", self.date_filter),
            until: format!("to_{}", self.date_filter),
            filter: &self.filter,
            page_size: ("per-page", self.page_size),
        };
        let mut url = query.address(cursor, context)?;
        if !self.api_key.is_empty() {
            url.query_pairs_mut().append_pair("api_key", &self.api_key);
        }
        Ok(SourceRequest::new(url, "application/json"))
    }

    fn interpreter(
        &self,
        _cursor: &Cursor,
        _context: &FetchContext<'_>,
    ) -> impl FnMut(&Value) -> Interpretation + Send + 'static {
        let pointer = format!("/{}", self.date_filter);
        move |value| interpret(value, &pointer)
    }

    fn summarize(
        &self,
        cursor: &Cursor,
        page: ListPage,
        _context: &FetchContext<'_>,
    ) -> Result<PageSummary, SourceError> {
        let meta = page.list.values.get("meta").cloned().unwrap_or_default();
        // An empty page may still bring a cursor.
        let token = Some(text(&meta, "/next_cursor").to_owned());
        let token = token.filter(|token| !token.is_empty() && page.list.records > 0);
        let overlap = SignedDuration::from_hours(self.overlap_hours.into());
        page.next_by_token(cursor, number_at(&meta, "/count"), token, overlap)
    }
}

/// What a work of OpenAlex means. `datestamp` points to the date that is followed.
pub fn interpret(value: &Value, datestamp: &str) -> Interpretation {
    let mut draft = match json::object(value) {
        Ok(draft) => draft,
        Err(unusable) => return unusable,
    };
    text(value, "/id").clone_into(&mut draft.native_id);
    draft.identify(Scheme::OpenAlex, text(value, "/id"));
    draft.identify(Scheme::Doi, text(value, "/doi"));
    draft.identify(Scheme::Doi, text(value, "/ids/doi"));
    draft.identify(Scheme::Pubmed, text(value, "/ids/pmid"));
    draft.identify(Scheme::Pmc, text(value, "/ids/pmcid"));
    for location in list(value, "/locations") {
        let page = text(location, "/landing_page_url");
        if let Some(identifier) = Identifier::recognise(page).filter(|one| one.scheme() == Scheme::Arxiv) {
            draft.identifiers.insert(identifier);
        }
    }
    draft.formats = TextFormats::all(TextFormat::Mixed);
    draft.title = either(text(value, "/title"), text(value, "/display_name"));
    draft.abstract_text = value
        .pointer("/abstract_inverted_index")
        .map(abstract_of)
        .unwrap_or_default();
    let authors = list(value, "/authorships").iter();
    draft.authors = names::each(
        authors.map(|author| either(text(author, "/author/display_name"), text(author, "/raw_author_name"))),
    );
    let topics = list(value, "/topics")
        .iter()
        .map(|topic| text(topic, "/display_name").to_owned());
    let field = text(value, "/primary_topic/field/display_name").to_owned();
    draft.categories = std::iter::once(field).chain(topics).collect();
    draft.published = date(value, "/publication_date");
    draft.datestamp = date(value, datestamp);
    text(value, "/language").clone_into(&mut draft.language);
    draft.link(LinkKind::Abstract, text(value, "/primary_location/landing_page_url"));
    draft.link(LinkKind::Abstract, text(value, "/doi"));
    for pointer in ["/primary_location/pdf_url", "/best_oa_location/pdf_url"] {
        draft.link(LinkKind::Pdf, text(value, pointer));
    }
    if value.get("is_retracted").and_then(Value::as_bool) == Some(true) {
        return Interpretation::withdrawn(draft, "retracted according to OpenAlex");
    }
    let citations = number_at(value, "/cited_by_count").map(|count| (SignalKind::Citations, count));
    draft.signals.extend(citations);
    Interpretation::paper(draft)
}

/// Reassembles an abstract from its words and their positions.
fn abstract_of(index: &Value) -> String {
    let Some(index) = index.as_object() else {
        return String::new();
    };
    let mut words: Vec<(u64, &str)> = Vec::new();
    for (word, positions) in index {
        let positions = positions.as_array().map_or(&[][..], Vec::as_slice);
        let room = MAX_WORDS.saturating_sub(words.len());
        words.extend(
            positions
                .iter()
                .take(room)
                .filter_map(|position| Some((position.as_u64()?, word.as_str()))),
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
