//! Hugging Face daily papers, with their up-votes.
//!
//! Terms: <https://huggingface.co/terms-of-service>; the API is public, and papers and abstracts are arXiv's. Anonymous
//! callers have a few hundred requests in five minutes; we ask once in two seconds.
//!
//! Address: `/api/daily_papers?date=2026-03-01&limit=100&p=0`. Cursor: the day and its page. Each pass reads the last days
//! again, because votes go on for days; a page with fewer records than asked for ends a day.
//!
//! Fields: `paper.id` is the arXiv id; `paper.upvotes` (the pages show the same), `numComments` and `githubStars` are
//! signals.

use domain::merging::Scheme;
use domain::{LinkKind, names};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::checks::{check_number, check_url};
use crate::cursor::{Cursor, CursorError, CursorPosition};
use crate::dates::{self, day_of};
use crate::error::SourceError;
use crate::http::SourceRequest;
use crate::interpretation::Interpretation;
use crate::json::{self, ListLayout, date, list, number_at, text};
use crate::kind::SourceKind;
use crate::list_api::{FetchContext, ListApi, ListPage, address};
use crate::record::SignalKind;
use crate::source::PageSummary;

/// Pages of one day; there are a few dozen papers.
const MAX_PAGES: u64 = 1_000;
/// The response is the list.
pub const LAYOUT: ListLayout = ListLayout {
    list: &[],
    expected: "a list of Hugging Face daily papers",
};

/// Settings of kind `huggingface`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HuggingFaceSettings {
    /// Address of the daily papers.
    pub url: String,
    /// Records a page, 1 to 100.
    pub page_size: u32,
    /// Days that each pass reads again, for votes that came later.
    pub days_again: u32,
}

impl Default for HuggingFaceSettings {
    fn default() -> Self {
        Self {
            url: "https://huggingface.co/api/daily_papers".into(),
            page_size: 100,
            days_again: 3,
        }
    }
}

impl HuggingFaceSettings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("url", &self.url)?;
        check_number("page_size", self.page_size, 1..=100)?;
        check_number("days_again", self.days_again, 0..=60)
    }

    fn overlap(&self) -> SignedDuration {
        SignedDuration::from_hours(24 * i64::from(self.days_again))
    }

    /// The day of the page at a cursor, and which page of that day. A pass begins at the first day of its range, or some
    /// days ago.
    fn day_and_page(&self, cursor: &Cursor, now: Timestamp) -> Result<(Date, u64), CursorError> {
        match &cursor.position {
            CursorPosition::Start => {
                let recent = || now.checked_sub(self.overlap()).unwrap_or(now);
                Ok((day_of(cursor.range.from.unwrap_or_else(recent)), 0))
            }
            CursorPosition::Day { day, number } => Ok((*day, *number)),
            other => Err(other.unexpected()),
        }
    }
}

impl ListApi for HuggingFaceSettings {
    const KIND: SourceKind = SourceKind::Huggingface;
    const LAYOUT: ListLayout = LAYOUT;

    fn request(&self, cursor: &Cursor, context: &FetchContext<'_>) -> Result<SourceRequest, SourceError> {
        let (day, number) = self.day_and_page(cursor, context.now)?;
        let mut url = address(&self.url)?;
        url.query_pairs_mut()
            .append_pair("date", &day.to_string())
            .append_pair("limit", &self.page_size.to_string())
            .append_pair("p", &number.to_string());
        Ok(SourceRequest::new(url, "application/json"))
    }

    fn interpreter(
        &self,
        cursor: &Cursor,
        context: &FetchContext<'_>,
    ) -> impl FnMut(&Value) -> Interpretation + Send + 'static {
        let day = self.day_and_page(cursor, context.now).ok();
        let listed = day.and_then(|(day, _)| dates::midnight(day));
        move |value| interpret(value, listed)
    }

    fn summarize(
        &self,
        cursor: &Cursor,
        page: ListPage,
        context: &FetchContext<'_>,
    ) -> Result<PageSummary, SourceError> {
        let (day, number) = self.day_and_page(cursor, context.now)?;
        let next = page.cursor_after(cursor, None);
        if number >= MAX_PAGES {
            return Err(SourceError::Stuck {
                pages: number,
                what: format!("pages of {day} without end"),
            });
        }
        if page.list.records >= u64::from(self.page_size) {
            let number = number + 1;
            return Ok(page.next_at(next, CursorPosition::Day { day, number }));
        }
        let last = day_of(cursor.range.until.unwrap_or(page.server_time).min(page.server_time));
        match day.tomorrow() {
            Ok(day) if day <= last => Ok(page.next_at(next, CursorPosition::Day { day, number: 0 })),
            _ => Ok(PageSummary::end_of_pass(&next, self.overlap(), page.counts)),
        }
    }
}

/// What a daily paper means; `listed` is the day it was listed.
pub fn interpret(value: &Value, listed: Option<Timestamp>) -> Interpretation {
    let mut draft = match json::object(value) {
        Ok(draft) => draft,
        Err(unusable) => return unusable,
    };
    let paper = value.get("paper").filter(|paper| paper.is_object()).unwrap_or(value);
    let id = text(paper, "/id");
    id.clone_into(&mut draft.native_id);
    draft.identify(Scheme::Arxiv, id);
    draft.datestamp = listed;
    if draft.identifiers.is_empty() {
        let reason = format!("paper.id is {id:?}, which is no arXiv id");
        return Interpretation::unusable(draft, reason);
    }
    text(paper, "/title").clone_into(&mut draft.title);
    text(paper, "/summary").clone_into(&mut draft.abstract_text);
    draft.authors = names::each(list(paper, "/authors").iter().map(|author| text(author, "/name")));
    draft.published = date(paper, "/publishedAt").or_else(|| date(value, "/publishedAt"));
    draft.link(LinkKind::Code, text(paper, "/githubRepo"));
    crate::arxiv::metadata::links(&mut draft);
    let counted = [
        (SignalKind::Upvotes, number_at(paper, "/upvotes")),
        (SignalKind::Stars, number_at(paper, "/githubStars")),
        (SignalKind::Comments, number_at(value, "/numComments")),
    ];
    let counted = counted.into_iter().filter_map(|(kind, count)| Some((kind, count?)));
    draft.signals.extend(counted);
    Interpretation::paper(draft)
}
