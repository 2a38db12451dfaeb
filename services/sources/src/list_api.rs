//! Sources that are JSON APIs: each page is a list, fetched by one request.
//!
//! [`ListApi`] is what differs from API to API: the request, where the list is, what a record means and where the next page
//! begins. [`ListSource`] does the rest for all of them.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use url::Url;

use crate::cursor::{Cursor, CursorError, CursorPosition, DateRange};
use crate::draft::PageContext;
use crate::error::SourceError;
use crate::fetching::read_response;
use crate::http::{SourceClient, SourceRequest};
use crate::interpretation::Interpretation;
use crate::json::{self, ListLayout, ListSummary};
use crate::kind::SourceKind;
use crate::source::{ChangeStatus, ItemSender, PageSummary, RecordCounts, Source};

/// Pages in a row without a record that a source may send.
const MAX_EMPTY_PAGES: u64 = 50;

/// A JSON API that pages through lists of records.
pub trait ListApi: Send + Sync + 'static {
    /// Its kind.
    const KIND: SourceKind;
    /// Where the list is in a response.
    const LAYOUT: ListLayout;

    /// The request for the page at a cursor.
    fn request(&self, cursor: &Cursor, context: &FetchContext<'_>) -> Result<SourceRequest, SourceError>;

    /// What each record of that page means.
    fn interpreter(
        &self,
        cursor: &Cursor,
        context: &FetchContext<'_>,
    ) -> impl FnMut(&Value) -> Interpretation + Send + 'static;

    /// Where and when to go on after that page.
    fn summarize(
        &self,
        cursor: &Cursor,
        page: ListPage,
        context: &FetchContext<'_>,
    ) -> Result<PageSummary, SourceError>;
}

/// On whose behalf a page is fetched, and when.
#[derive(Debug, Clone, Copy)]
pub struct FetchContext<'a> {
    /// How the operator can be reached.
    pub contact: &'a str,
    /// When the request was made, by our clock.
    pub now: Timestamp,
}

/// A source that is a JSON API.
pub struct ListSource<A> {
    name: String,
    api: A,
    client: SourceClient,
}

/// A page of a JSON API that was read.
pub struct ListPage {
    /// What stood beside the list.
    pub list: ListSummary,
    /// What the list held.
    pub counts: RecordCounts,
    /// The time by the source's clock.
    pub server_time: Timestamp,
}

impl<A: ListApi> ListSource<A> {
    /// Under a name, over the shared client.
    pub fn new(name: &str, api: A, client: &SourceClient) -> Self {
        Self {
            name: name.to_owned(),
            api,
            client: client.clone(),
        }
    }
}

#[async_trait]
impl<A: ListApi> Source for ListSource<A> {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> SourceKind {
        A::KIND
    }

    fn begin(&self, range: DateRange) -> Result<Cursor, CursorError> {
        Cursor::start(A::KIND, range)
    }

    async fn fetch(&self, cursor: &Cursor, items: ItemSender) -> Result<PageSummary, SourceError> {
        cursor.expect(A::KIND)?;
        let context = FetchContext {
            contact: self.client.contact(),
            now: self.client.clock().now(),
        };
        let request = self.api.request(cursor, &context)?;
        let response = self.client.get(&request).await?;
        let server_time = response.server_time();
        let page_context = PageContext::new(&self.name, A::KIND, server_time);
        let interpret = self.api.interpreter(cursor, &context);
        let (list, counts) = read_response(response, items, move |body, charset, sink| {
            json::parse(body, charset, A::LAYOUT, &page_context, interpret, sink)
        })
        .await?;
        let page = ListPage {
            counts: counts.out_of(list.records),
            list,
            server_time,
        };
        self.api.summarize(cursor, page, &context)
    }
}

impl ListPage {
    /// The cursor after this page, whose position is still that of the page.
    pub fn cursor_after(&self, cursor: &Cursor, announced: Option<u64>) -> Cursor {
        cursor.after_page(self.list.records, announced, self.list.newest, self.server_time)
    }

    /// A page whose successor is fetched by a token; without one the pass has ended. A token may be repeated as long as new
    /// records come with it, as some servers do.
    ///
    /// # Errors
    /// [`SourceError::Stuck`] for a source that loops.
    pub fn next_by_token(
        &self,
        cursor: &Cursor,
        announced: Option<u64>,
        token: Option<String>,
        overlap: SignedDuration,
    ) -> Result<PageSummary, SourceError> {
        let mut next = self.cursor_after(cursor, announced);
        let Some(token) = token else {
            return Ok(PageSummary::end_of_pass(&next, overlap, self.counts));
        };
        let repeated = !next.remember(&token);
        if next.pass.empty_pages > MAX_EMPTY_PAGES || repeated && self.list.records == 0 {
            return Err(SourceError::Stuck {
                pages: next.pass.pages,
                what: format!("token {:?}", domain::text::shorten(&token)),
            });
        }
        Ok(self.next_at(next, CursorPosition::Token { token }))
    }

    /// A page whose successor is at a known position.
    pub fn next_at(&self, mut next: Cursor, position: CursorPosition) -> PageSummary {
        next.position = position;
        PageSummary::more(next, self.counts, ChangeStatus::Changed)
    }
}

/// A request to an API of works that filters by date and pages with a `cursor` parameter, as those of Crossref and OpenAlex
/// do. What they add is appended to the address.
pub struct WorksQuery<'a> {
    /// Address of the works.
    pub url: &'a str,
    /// The name of the filter for the first day.
    pub from: String,
    /// The name of the filter for the last day.
    pub until: String,
    /// Further filters in the API's own words.
    pub filter: &'a str,
    /// The parameter for the number of records a page, and its value.
    pub page_size: (&'static str, u32),
}

impl WorksQuery<'_> {
    /// The address of the page at a cursor.
    pub fn address(&self, cursor: &Cursor, context: &FetchContext<'_>) -> Result<Url, SourceError> {
        let days = [(&self.from, cursor.range.from), (&self.until, cursor.range.until)];
        let mut filters: Vec<String> = days
            .into_iter()
            .filter_map(|(name, moment)| Some(format!("{name}:{}", day(moment?))))
            .collect();
        if !self.filter.is_empty() {
            filters.push(self.filter.to_owned());
        }
        let (size, records) = self.page_size;
        let mut url = address(self.url)?;
        url.query_pairs_mut()
            .append_pair("filter", &filters.join(","))
            .append_pair(size, &records.to_string())
            .append_pair("cursor", token(cursor)?.unwrap_or("*"))
            .append_pair("mailto", context.contact);
        Ok(url)
    }
}

/// A setting as an address.
///
/// # Errors
/// [`CursorError::Unreadable`] for one that is none.
pub fn address(text: &str) -> Result<Url, SourceError> {
    Url::parse(text).map_err(|error| CursorError::Unreadable(format!("address {text:?}: {error}")).into())
}

/// The token of a cursor; `None` at the first page.
///
/// # Errors
/// [`CursorError::NoSuchPosition`] for a cursor at anything else.
pub fn token(cursor: &Cursor) -> Result<Option<&str>, CursorError> {
    match &cursor.position {
        CursorPosition::Start => Ok(None),
        CursorPosition::Token { token } => Ok(Some(token)),
        other => Err(other.unexpected()),
    }
}

/// The day of a moment, in UTC.
pub fn day(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d").to_string()
}
