//! Any RSS 2.0, RSS 1.0 or Atom feed.
//!
//! Terms: those of the feed. It is asked for conditionally, and no more often than it allows (`ttl`, `Cache-Control`).
//!
//! Address: the URLs of the settings, one a page. Cursor: the number of the URL, and what each server gave to ask "has it
//! changed since". A feed has no history: what was dropped from it between two fetches is never seen, and no range of dates
//! can be requested.
//!
//! Fields: titles and texts are what Atom says they are, and else may be HTML, escaped once or twice; relative links are made
//! absolute; authors are `author`, `dc:creator` or `itunes`-like, one
//! or many in one; `guid`, `id`, `link`, `dc:identifier` and `prism:doi` are searched for a DOI and an arXiv id.

mod base;
pub mod entries;
pub mod interpret;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::checks::{check_not_empty, check_url};
use crate::cursor::{Cursor, CursorError, CursorPosition, DateRange};
use crate::draft::PageContext;
use crate::error::SourceError;
use crate::fetching::read_response;
use crate::http::{SourceClient, SourceRequest};
use crate::interpretation::Interpretation;
use crate::kind::SourceKind;
use crate::source::{ChangeStatus, ItemSender, PageSummary, RecordCounts, Source};
use entries::FeedEntry;

/// Settings of kind `feed`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeedSettings {
    /// Addresses of the feeds. Required.
    pub urls: Vec<String>,
    /// Categories that every paper gets, before those that the feed gives.
    pub categories: Vec<String>,
}

impl FeedSettings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_not_empty("urls", &self.urls)?;
        self.urls.iter().try_for_each(|url| check_url("urls", url))
    }
}

/// One or several feeds.
pub struct FeedSource {
    name: String,
    settings: FeedSettings,
    client: SourceClient,
}

impl FeedSource {
    /// By its settings.
    pub fn new(name: &str, settings: &FeedSettings, client: &SourceClient) -> Self {
        Self {
            name: name.to_owned(),
            settings: settings.clone(),
            client: client.clone(),
        }
    }
}

#[async_trait]
impl Source for FeedSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> SourceKind {
        SourceKind::Feed
    }

    fn begin(&self, range: DateRange) -> Result<Cursor, CursorError> {
        require_no_range(range)?;
        Cursor::start(SourceKind::Feed, DateRange::default())
    }

    async fn fetch(&self, cursor: &Cursor, items: ItemSender) -> Result<PageSummary, SourceError> {
        let categories = self.settings.categories.clone();
        let round = FeedRound {
            client: &self.client,
            kind: SourceKind::Feed,
            name: &self.name,
            urls: &self.settings.urls,
        };
        round
            .fetch(cursor, items, move |entry| interpret::interpret(entry, &categories))
            .await
    }
}

/// A feed has no history.
///
/// # Errors
/// A range that ends.
pub(crate) fn require_no_range(range: DateRange) -> Result<(), CursorError> {
    if range.until.is_some() {
        let why = "a feed holds what is new and cannot be asked for a range of dates";
        return Err(CursorError::Range(why.into()));
    }
    Ok(())
}

/// A round over addresses, one a page, each fetched conditionally.
pub(crate) struct FeedRound<'a> {
    pub client: &'a SourceClient,
    pub kind: SourceKind,
    pub name: &'a str,
    pub urls: &'a [String],
}

impl FeedRound<'_> {
    /// Fetches the address at the cursor; `interpret` says what each entry is.
    pub async fn fetch<I>(&self, cursor: &Cursor, items: ItemSender, interpret: I) -> Result<PageSummary, SourceError>
    where
        I: FnMut(FeedEntry) -> Interpretation + Send + 'static,
    {
        cursor.expect(self.kind)?;
        let number = match cursor.position {
            CursorPosition::Start => 0,
            CursorPosition::Number { number } => number,
            ref other => return Err(other.unexpected().into()),
        };
        let mut next = cursor.clone();
        next.validators.retain(|url, _| self.urls.contains(url));
        let Some(address) = usize::try_from(number).ok().and_then(|number| self.urls.get(number)) else {
            // The list became shorter since the cursor was written.
            let (counts, change) = (RecordCounts::default(), ChangeStatus::Unchanged);
            return Ok(PageSummary::end_of_round(next, Duration::ZERO, counts, change));
        };
        let response = self.client.get(&request(address, cursor)?).await?;
        let pause = response.max_age();
        next.position = CursorPosition::Number { number: number + 1 };
        next.pass.pages += 1;
        if response.is_unchanged() {
            return Ok(self.summary(next, pause, RecordCounts::default(), ChangeStatus::Unchanged));
        }
        let (server_time, validator) = (response.server_time(), response.validator());
        let base = response.url.clone();
        let context = PageContext::new(self.name, self.kind, server_time);
        let (feed, counts) = read_response(response, items, move |body, charset, sink| {
            entries::parse(body, charset, Some(&base), &context, interpret, sink)
        })
        .await?;
        let counts = counts.out_of(feed.records);
        if let Some(newest) = feed.newest {
            next.observe(newest, server_time);
        }
        next.pass.records += counts.records();
        next.set_validator(address, validator);
        let pause = pause.max(feed.time_to_live.unwrap_or(Duration::ZERO));
        Ok(self.summary(next, pause, counts, ChangeStatus::Changed))
    }

    /// The page after which the next address follows or the round ends.
    fn summary(&self, next: Cursor, pause: Duration, counts: RecordCounts, change: ChangeStatus) -> PageSummary {
        let number = self.urls.len() as u64;
        if next.position == (CursorPosition::Number { number }) {
            return PageSummary::end_of_round(next, pause, counts, change);
        }
        PageSummary::more(next, counts, change)
    }
}

fn request(address: &str, cursor: &Cursor) -> Result<SourceRequest, SourceError> {
    let url = Url::parse(address).map_err(|error| CursorError::Unreadable(format!("{address}: {error}")))?;
    let accept = "application/atom+xml, application/rss+xml, application/xml, text/xml";
    let mut request = SourceRequest::new(url, accept);
    request.validator = cursor.validators.get(address).cloned();
    Ok(request)
}
