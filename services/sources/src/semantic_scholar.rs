//! Semantic Scholar, by its bulk search.
//!
//! Terms: <https://www.semanticscholar.org/product/api/license>, attribution asked for; without a key all callers of the
//! world share one allowance and 429 is usual, with a key one request a second.
//!
//! Address: `/graph/v1/paper/search/bulk?query=…&publicationDateOrYear=from:until&fields=…`, a thousand records a page.
//! Cursor: days of publication, and `token` within a pass, which is left out at its end.
//!
//! Fields: `externalIds` holds `ArXiv`, `DOI`, `PubMed`, `ACL`; `data` is left out where nothing was found;
//! `citationCount` is a signal. Texts are taken over from publishers and preprint servers alike: markup
//! was left in some, and in others tags are words. The bulk data writes the same names in lower case, and has `corpusid`
//! instead of `paperId`.

use domain::merging::Scheme;
use domain::{LinkKind, names};
use http::{HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::checks::{MAX_LATE_OVERLAP_HOURS, check_number, check_url};
use crate::cursor::Cursor;
use crate::error::SourceError;
use crate::http::SourceRequest;
use crate::interpretation::Interpretation;
use crate::json::{self, ListLayout, date, list, number_at, text};
use crate::kind::SourceKind;
use crate::list_api::{FetchContext, ListApi, ListPage, address, day, token};
use crate::record::SignalKind;
use crate::source::PageSummary;
use crate::text_format::{TextFormat, TextFormats};

/// Where the papers are.
pub const LAYOUT: ListLayout = ListLayout {
    list: &["data"],
    expected: "a page of Semantic Scholar's bulk search",
};
const FIELDS: &str =
    "externalIds,title,abstract,authors,publicationDate,year,url,openAccessPdf,fieldsOfStudy,citationCount";

/// Settings of kind `semantic_scholar`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SemanticScholarSettings {
    /// Address of the bulk search.
    pub url: String,
    /// What is asked for, in Semantic Scholar's query language. Required.
    pub query: String,
    /// Key, if there is one.
    pub api_key: String,
    /// How far the next pass goes back before the newest datestamp, in hours. Papers appear days after their date.
    pub overlap_hours: u32,
}

impl Default for SemanticScholarSettings {
    fn default() -> Self {
        Self {
            url: "https://api.semanticscholar.org/graph/v1/paper/search/bulk".into(),
            query: String::new(),
            api_key: String::new(),
            overlap_hours: 336,
        }
    }
}

impl SemanticScholarSettings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("url", &self.url)?;
        if self.query.trim().is_empty() {
            return Err("query is empty; Semantic Scholar gives no papers without one".into());
        }
        check_number("overlap_hours", self.overlap_hours, 0..=MAX_LATE_OVERLAP_HOURS)
    }
}

impl ListApi for SemanticScholarSettings {
    const KIND: SourceKind = SourceKind::SemanticScholar;
    const LAYOUT: ListLayout = LAYOUT;

    fn request(&self, cursor: &Cursor, _context: &FetchContext<'_>) -> Result<SourceRequest, SourceError> {
        let side = |moment: Option<Timestamp>| moment.map(day).unwrap_or_default();
        let days = format!("{}:{}", side(cursor.range.from), side(cursor.range.until));
        let mut url = address(&self.url)?;
        url.query_pairs_mut()
            .append_pair("query", &self.query)
            .append_pair("fields", FIELDS);
        if days != ":" {
            url.query_pairs_mut().append_pair("publicationDateOrYear", &days);
        }
        if let Some(token) = token(cursor)? {
            url.query_pairs_mut().append_pair("token", token);
        }
        let mut request = SourceRequest::new(url, "application/json");
        if let Ok(key) = HeaderValue::from_str(&self.api_key)
            && !self.api_key.is_empty()
        {
            request.headers.push((HeaderName::from_static("x-api-key"), key));
        }
        Ok(request)
    }

    fn interpreter(
        &self,
        _cursor: &Cursor,
        _context: &FetchContext<'_>,
    ) -> impl FnMut(&Value) -> Interpretation + Send + 'static {
        interpret
    }

    fn summarize(
        &self,
        cursor: &Cursor,
        page: ListPage,
        _context: &FetchContext<'_>,
    ) -> Result<PageSummary, SourceError> {
        let token = page.list.text("token").map(str::to_owned);
        let overlap = SignedDuration::from_hours(self.overlap_hours.into());
        page.next_by_token(cursor, page.list.number("total"), token, overlap)
    }
}

/// What a paper of Semantic Scholar means.
pub fn interpret(value: &Value) -> Interpretation {
    let mut draft = match json::object(value) {
        Ok(draft) => draft,
        Err(unusable) => return unusable,
    };
    let id = text(value, "/paperId");
    id.clone_into(&mut draft.native_id);
    draft.identify(Scheme::SemanticScholar, id);
    let external = value.get("externalIds").or_else(|| value.get("externalids"));
    let schemes = [
        (Scheme::Arxiv, "/ArXiv"),
        (Scheme::Doi, "/DOI"),
        (Scheme::Pubmed, "/PubMed"),
        (Scheme::Pmc, "/PubMedCentral"),
        (Scheme::Acl, "/ACL"),
    ];
    for (scheme, pointer) in schemes {
        draft.identify(scheme, external.map_or("", |ids| text(ids, pointer)));
    }
    let corpus = number_at(value, "/corpusid").or_else(|| number_at(value, "/corpusId"));
    if draft.identifiers.is_empty() {
        let Some(corpus) = corpus else {
            return Interpretation::unusable(draft, "paperId is missing");
        };
        draft.native_id = format!("CorpusID:{corpus}");
    }
    draft.formats = TextFormats::all(TextFormat::Mixed);
    text(value, "/title").clone_into(&mut draft.title);
    text(value, "/abstract").clone_into(&mut draft.abstract_text);
    draft.authors = names::each(list(value, "/authors").iter().map(|author| text(author, "/name")));
    draft.categories = list(value, "/fieldsOfStudy")
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let year = || number_at(value, "/year").and_then(|year| crate::dates::parse(&year.to_string()));
    let fields = list(value, "/s2fieldsofstudy")
        .iter()
        .chain(list(value, "/s2FieldsOfStudy"));
    draft
        .categories
        .extend(fields.map(|field| text(field, "/category").to_owned()));
    let day = date(value, "/publicationDate").or_else(|| date(value, "/publicationdate"));
    draft.published = day.or_else(year);
    draft.datestamp = draft.published;
    draft.link(LinkKind::Abstract, text(value, "/url"));
    draft.link(LinkKind::Pdf, text(value, "/openAccessPdf/url"));
    let citations = number_at(value, "/citationCount").or_else(|| number_at(value, "/citationcount"));
    let citations = citations.map(|count| (SignalKind::Citations, count));
    draft.signals.extend(citations);
    Interpretation::paper(draft)
}
