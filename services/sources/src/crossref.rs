//! Crossref.
//!
//! Terms: metadata is free of rights, abstracts belong to publishers or authors; <https://api.crossref.org> asks callers for
//! a contact address (`mailto`, the contact of the client) and serves those who give one from a better pool.
//!
//! Address: `/works?filter=from-index-date:…,until-index-date:…&cursor=*&rows=500`. Cursor: the date in `date_filter`, and
//! `next-cursor` within a pass; a page without items ends it.
//!
//! Fields: dates are `date-parts` of one to three numbers, or `[[null]]`; titles are lists and hold markup; abstracts are
//! JATS, formulas in several forms; `update-to` of type `retraction` or `withdrawal` withdraws the work it names; `is-referenced-by-count` is a signal.

use domain::merging::Scheme;
use domain::{AuthorName, LinkKind};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::checks::{MAX_OVERLAP_HOURS, check_choice, check_number, check_url};
use crate::cursor::Cursor;
use crate::dates::{self, DateOrigin};
use crate::draft::RecordDraft;
use crate::error::SourceError;
use crate::http::SourceRequest;
use crate::interpretation::Interpretation;
use crate::json::{self, ListLayout, date, first_text, list, number_at, text};
use crate::kind::SourceKind;
use crate::list_api::{FetchContext, ListApi, ListPage, WorksQuery};
use crate::record::SignalKind;
use crate::source::PageSummary;
use crate::text_format::{TextFormat, TextFormats};

/// Where the works are.
pub const LAYOUT: ListLayout = ListLayout {
    list: &["message", "items"],
    expected: "a page of Crossref works",
};

/// Settings of kind `crossref`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CrossrefSettings {
    /// Address of the works.
    pub url: String,
    /// Further filters in Crossref's own words, such as `type:journal-article,has-abstract:true`.
    pub filter: String,
    /// The date that is followed: `index`, `update`, `deposit`, `created` or `pub`.
    pub date_filter: String,
    /// Records a page, 1 to 1000.
    pub page_size: u32,
    /// How far the next pass goes back before the newest datestamp, in hours.
    pub overlap_hours: u32,
}

impl Default for CrossrefSettings {
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

impl CrossrefSettings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("url", &self.url)?;
        let dates = ["index", "update", "deposit", "created", "pub"];
        check_choice("date_filter", &self.date_filter, &dates)?;
        check_number("page_size", self.page_size, 1..=1_000)?;
        check_number("overlap_hours", self.overlap_hours, 0..=MAX_OVERLAP_HOURS)
    }
}

impl ListApi for CrossrefSettings {
    const KIND: SourceKind = SourceKind::Crossref;
    const LAYOUT: ListLayout = LAYOUT;

    fn request(&self, cursor: &Cursor, context: &FetchContext<'_>) -> Result<SourceRequest, SourceError> {
        let query = WorksQuery {
            url: &self.url,
            from: format!("from-{}-date", self.date_filter),
            until: format!("until-{}-date", self.date_filter),
            filter: &self.filter,
            page_size: ("rows", self.page_size),
        };
        Ok(SourceRequest::new(query.address(cursor, context)?, "application/json"))
    }

    fn interpreter(
        &self,
        _cursor: &Cursor,
        _context: &FetchContext<'_>,
    ) -> impl FnMut(&Value) -> Interpretation + Send + 'static {
        let pointer = datestamp_pointer(&self.date_filter);
        move |value| interpret(value, pointer)
    }

    fn summarize(
        &self,
        cursor: &Cursor,
        page: ListPage,
        _context: &FetchContext<'_>,
    ) -> Result<PageSummary, SourceError> {
        let token = page.list.text("message.next-cursor").map(str::to_owned);
        // Crossref gives a cursor with every page, even after the last; a page without items is the last.
        let token = token.filter(|_| page.list.records > 0);
        let announced = page.list.number("message.total-results");
        let overlap = SignedDuration::from_hours(self.overlap_hours.into());
        page.next_by_token(cursor, announced, token, overlap)
    }
}

/// Where a work has the date that is followed.
fn datestamp_pointer(date_filter: &str) -> &'static str {
    match date_filter {
        "index" => "/indexed",
        "created" => "/created",
        "pub" => "/issued",
        _ => "/deposited",
    }
}

/// The dates of a work.
const DATES: [(DateOrigin, &str); 9] = [
    (DateOrigin::Posted, "/posted"),
    (DateOrigin::Online, "/published-online"),
    (DateOrigin::Online, "/journal-issue/published-online"),
    (DateOrigin::Published, "/published"),
    (DateOrigin::Published, "/content-created"),
    (DateOrigin::Issue, "/published-print"),
    (DateOrigin::Issue, "/journal-issue/published-print"),
    (DateOrigin::Issued, "/issued"),
    (DateOrigin::Created, "/created"),
];

/// What a work of Crossref means. `datestamp` points to the date that is followed.
pub fn interpret(value: &Value, datestamp: &str) -> Interpretation {
    let mut draft = match json::object(value) {
        Ok(draft) => draft,
        Err(unusable) => return unusable,
    };
    let doi = text(value, "/DOI");
    draft.identify(Scheme::Doi, doi);
    doi.clone_into(&mut draft.native_id);
    draft.datestamp = date_of(value, datestamp);
    if draft.identifiers.is_empty() {
        return Interpretation::unusable(draft, format!("DOI is {doi:?}; a DOI is required"));
    }
    if let Some((target, kind)) = withdrawn_work(value) {
        let mut withdrawn = RecordDraft {
            datestamp: draft.datestamp,
            ..RecordDraft::default()
        };
        withdrawn.identify(Scheme::Doi, target);
        target.clone_into(&mut withdrawn.native_id);
        return Interpretation::withdrawn(withdrawn, format!("{kind} by doi:{doi}"));
    }
    describe(value, doi, &mut draft);
    let citations = number_at(value, "/is-referenced-by-count").map(|count| (SignalKind::Citations, count));
    draft.signals.extend(citations);
    Interpretation::paper(draft)
}

/// Reads what describes the work: title, authors, dates, links.
fn describe(value: &Value, doi: &str, draft: &mut RecordDraft) {
    draft.formats = TextFormats::all(TextFormat::Markup);
    first_text(value, "/title").clone_into(&mut draft.title);
    text(value, "/abstract").clone_into(&mut draft.abstract_text);
    draft.authors = list(value, "/author").iter().map(author).collect();
    draft.categories = list(value, "/subject")
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    for (origin, pointer) in DATES {
        draft.dates.add(origin, date_of(value, pointer));
    }
    text(value, "/language").clone_into(&mut draft.language);
    preprints(value, draft);
    draft.link(LinkKind::Abstract, &format!("https://doi.org/{doi}"));
    for link in list(value, "/link") {
        if text(link, "/content-type") == "application/pdf" {
            draft.link(LinkKind::Pdf, text(link, "/URL"));
        }
    }
}

/// The work that this notice withdraws, and the kind of notice.
fn withdrawn_work(value: &Value) -> Option<(&str, &str)> {
    list(value, "/update-to").iter().find_map(|update| {
        let kind = text(update, "/type");
        let target = text(update, "/DOI");
        let other = !target.eq_ignore_ascii_case(text(value, "/DOI"));
        (other && matches!(kind, "retraction" | "withdrawal" | "removal")).then_some((target, kind))
    })
}

/// A preprint and the article it became are one work.
fn preprints(value: &Value, draft: &mut RecordDraft) {
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

fn author(value: &Value) -> AuthorName {
    let name = text(value, "/name");
    if name.is_empty() {
        AuthorName::new(text(value, "/given"), text(value, "/family"), text(value, "/suffix"))
    } else {
        AuthorName::literal(name)
    }
}

/// `date-time` where there is one, else one to three `date-parts`, of which any may be null.
pub fn date_of(value: &Value, pointer: &str) -> Option<Timestamp> {
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
