//! A pass over a server of OAI-PMH: the first request by dates, the others by token. What arXiv and all others share.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use url::Url;

use super::envelope::{Envelope, Metadata, parse};
use crate::cursor::{Cursor, CursorError, Position};
use crate::draft::Context;
use crate::error::SourceError;
use crate::fetching::{Fetched, read_answer};
use crate::http::{Client, Request};
use crate::source::{ComeBack, Freshness, Outlet, Page};

/// Pages in a row without a record that a server may send.
const MAX_EMPTY_PAGES: u64 = 50;

/// What is asked for.
pub struct Harvest<'a> {
    /// The client.
    pub client: &'a Client,
    /// Address of the server.
    pub url: &'a str,
    /// Format that is asked for.
    pub prefix: &'static str,
    /// Set; empty for all.
    pub set: &'a str,
    /// How dates are written.
    pub granularity: Granularity,
    /// How far the next pass goes back.
    pub overlap: SignedDuration,
    /// Who asks.
    pub context: Context,
}

/// How exactly a server takes dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granularity {
    /// `2026-03-01`.
    Day,
    /// `2026-03-01T00:00:00Z`.
    Second,
}

impl Granularity {
    fn write(self, moment: Timestamp) -> String {
        let format = match self {
            Self::Day => "%Y-%m-%d",
            Self::Second => "%Y-%m-%dT%H:%M:%SZ",
        };
        moment.strftime(format).to_string()
    }
}

impl Harvest<'_> {
    /// Fetches the page at the cursor.
    pub async fn fetch<M>(mut self, cursor: &Cursor, outlet: Outlet, metadata: M) -> Result<Page, SourceError>
    where
        M: Metadata + Send + 'static,
    {
        let url = self.address(cursor)?;
        let answer = self.client.get(&Request::new(url, "text/xml, application/xml")).await?;
        self.context.now = answer.clock();
        let (charset, context) = (answer.charset(), self.context.clone());
        let Fetched { facts, mut counts } = read_answer(answer.body, outlet, move |body, sink| {
            parse(body, charset.as_deref(), metadata, &context, sink)
        })
        .await?;
        protocol_errors(&facts)?;
        counts.skipped = facts.records.saturating_sub(counts.all());
        let mut next = cursor.clone();
        let clock = facts.clock.unwrap_or(self.context.now);
        if let Some(newest) = facts.newest {
            next.see(newest, clock);
        }
        next.pass.pages += 1;
        next.pass.records += counts.all();
        next.pass.announced = facts.announced.or(next.pass.announced);
        next.pass.empty_pages = if counts.all() == 0 {
            next.pass.empty_pages + 1
        } else {
            0
        };
        let Some(token) = facts.token else {
            let next = next.pass_ended(self.overlap);
            let come_back = if next.is_done() {
                ComeBack::Never
            } else {
                ComeBack::Later(Duration::ZERO)
            };
            return Ok(page(next, come_back, counts));
        };
        let repeated = matches!(&cursor.position, Position::Token { token: sent } if *sent == token);
        if repeated || !next.remember(&token) {
            return Err(SourceError::Stuck {
                pages: next.pass.pages,
                what: format!("resumption token {:?}", domain::text::shorten(&token)),
            });
        }
        if next.pass.empty_pages > MAX_EMPTY_PAGES {
            return Err(SourceError::Stuck {
                pages: next.pass.pages,
                what: format!("{MAX_EMPTY_PAGES} pages without a record"),
            });
        }
        next.position = Position::Token { token };
        Ok(page(next, ComeBack::Now, counts))
    }

    fn address(&self, cursor: &Cursor) -> Result<Url, SourceError> {
        let mut url = Url::parse(self.url).map_err(|error| {
            SourceError::Cursor(CursorError::Unreadable(format!("address {:?}: {error}", self.url)))
        })?;
        let mut query = url.query_pairs_mut();
        query.append_pair("verb", "ListRecords");
        match &cursor.position {
            Position::Token { token } => {
                query.append_pair("resumptionToken", token);
            }
            Position::Start => {
                query.append_pair("metadataPrefix", self.prefix);
                for (key, moment) in [("from", cursor.span.from), ("until", cursor.span.until)] {
                    if let Some(moment) = moment {
                        query.append_pair(key, &self.granularity.write(moment));
                    }
                }
                if !self.set.is_empty() {
                    query.append_pair("set", self.set);
                }
            }
            other => return Err(CursorError::NoSuchPosition(format!("{other:?}")).into()),
        }
        drop(query);
        Ok(url)
    }
}

fn page(next: Cursor, come_back: ComeBack, counts: crate::source::Counts) -> Page {
    Page {
        next,
        come_back,
        counts,
        freshness: Freshness::Sent,
    }
}

/// `noRecordsMatch` is an empty list; the others end the page.
fn protocol_errors(envelope: &Envelope) -> Result<(), SourceError> {
    let Some((code, text)) = envelope.errors.iter().find(|(code, _)| code != "noRecordsMatch") else {
        return Ok(());
    };
    if code == "badResumptionToken" {
        return Err(SourceError::PlaceForgotten(text.clone()));
    }
    Err(SourceError::Protocol {
        code: code.clone(),
        text: text.clone(),
    })
}
