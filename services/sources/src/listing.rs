//! A page of an API that answers with a list in JSON, asked for and read.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use url::Url;

use crate::config::Kind;
use crate::cursor::{Cursor, CursorError, Position};
use crate::draft::Context;
use crate::error::SourceError;
use crate::fetching::{Fetched, read_answer};
use crate::http::{Client, Request};
use crate::json::{self, Facts, Layout, Said};
use crate::source::{ComeBack, Counts, Freshness, Outlet, Page};
use std::time::Duration;

/// Pages in a row without a record that a source may send.
const MAX_EMPTY_PAGES: u64 = 50;

/// Who asks whom.
pub struct Listing<'a> {
    /// The client.
    pub client: &'a Client,
    /// The kind of source.
    pub kind: Kind,
    /// The name of the source.
    pub name: &'a str,
    /// Where the list is in an answer.
    pub layout: Layout,
}

/// A page that was read.
pub struct Listed {
    /// What stood beside the list.
    pub facts: Facts,
    /// What the list held.
    pub counts: Counts,
    /// The clock of the source.
    pub clock: Timestamp,
    /// How many records the pass has, as far as the answer says.
    pub announced: Option<u64>,
}

impl Listing<'_> {
    /// Asks and reads.
    pub async fn fetch<I>(&self, request: &Request, outlet: Outlet, interpret: I) -> Result<Listed, SourceError>
    where
        I: FnMut(&Value) -> Said + Send + 'static,
    {
        let answer = self.client.get(request).await?;
        let (clock, charset, layout) = (answer.clock(), answer.charset(), self.layout);
        let context = Context {
            source: self.name.to_owned(),
            provider: self.kind.provider(),
            now: clock,
        };
        let Fetched { facts, mut counts } = read_answer(answer.body, outlet, move |body, sink| {
            json::parse(body, charset.as_deref(), layout, &context, interpret, sink)
        })
        .await?;
        counts.skipped = facts.records.saturating_sub(counts.all());
        Ok(Listed {
            facts,
            counts,
            clock,
            announced: None,
        })
    }
}

impl Listed {
    /// The cursor behind this page, before it is known where that is.
    pub fn behind(&self, cursor: &Cursor) -> Cursor {
        let mut next = cursor.clone();
        if let Some(newest) = self.facts.newest {
            next.see(newest, self.clock);
        }
        next.pass.pages += 1;
        next.pass.records += self.facts.records;
        next.pass.announced = self.announced.or(next.pass.announced);
        next.pass.empty_pages = if self.facts.records == 0 {
            next.pass.empty_pages + 1
        } else {
            0
        };
        next
    }

    /// The page, where the next one is asked for by a token; without one the pass has ended. A token may be given again as
    /// long as new records come with it, as some servers do.
    ///
    /// # Errors
    /// [`SourceError::Stuck`] for a source that goes round in circles.
    pub fn by_token(
        &self,
        cursor: &Cursor,
        token: Option<String>,
        overlap: SignedDuration,
    ) -> Result<Page, SourceError> {
        let mut next = self.behind(cursor);
        let Some(token) = token else {
            return Ok(self.ended(&next, overlap));
        };
        let repeated = !next.remember(&token);
        if next.pass.empty_pages > MAX_EMPTY_PAGES || repeated && self.facts.records == 0 {
            return Err(SourceError::Stuck {
                pages: next.pass.pages,
                what: format!("token {:?}", domain::text::shorten(&token)),
            });
        }
        next.position = Position::Token { token };
        Ok(self.more(next))
    }

    /// The last page of a pass.
    pub fn ended(&self, next: &Cursor, overlap: SignedDuration) -> Page {
        let next = next.pass_ended(overlap);
        Page {
            come_back: if next.is_done() {
                ComeBack::Never
            } else {
                ComeBack::Later(Duration::ZERO)
            },
            next,
            counts: self.counts,
            freshness: Freshness::Sent,
        }
    }

    /// A page behind which there are others.
    pub fn more(&self, next: Cursor) -> Page {
        Page {
            next,
            come_back: ComeBack::Now,
            counts: self.counts,
            freshness: Freshness::Sent,
        }
    }
}

/// The address of the settings.
pub fn address(text: &str) -> Result<Url, SourceError> {
    Url::parse(text).map_err(|error| CursorError::Unreadable(format!("address {text:?}: {error}")).into())
}

/// The token of a cursor that stands behind a page; `None` at the beginning.
pub fn token(cursor: &Cursor) -> Result<Option<&str>, CursorError> {
    match &cursor.position {
        Position::Start => Ok(None),
        Position::Token { token } => Ok(Some(token)),
        other => Err(no_such(other)),
    }
}

/// A position that a source never gives.
pub fn no_such(position: &Position) -> CursorError {
    CursorError::NoSuchPosition(format!("{position:?}"))
}

/// The day of a moment, in UTC.
pub fn day(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d").to_string()
}
