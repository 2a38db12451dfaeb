//! A pass over a server of OAI-PMH: the first request by dates, the others by token. Shared by arXiv and all other servers.

use jiff::{SignedDuration, Timestamp};
use url::Url;

use super::envelope::{MetadataHandler, OaiEnvelope, parse};
use crate::cursor::{Cursor, CursorError, CursorPosition};
use crate::draft::PageContext;
use crate::error::SourceError;
use crate::fetching::read_response;
use crate::http::{SourceClient, SourceRequest};
use crate::kind::SourceKind;
use crate::source::{ChangeStatus, ItemSender, PageSummary};

/// Pages in a row without a record that a server may send.
const MAX_EMPTY_PAGES: u64 = 50;

/// What is asked for.
pub struct OaiHarvest<'a> {
    /// The client.
    pub client: &'a SourceClient,
    /// The name of the source.
    pub name: &'a str,
    /// The kind of the source.
    pub kind: SourceKind,
    /// Address of the server.
    pub url: &'a str,
    /// The metadata format.
    pub prefix: &'static str,
    /// Set; empty for all.
    pub set: &'a str,
    /// How dates are written.
    pub granularity: DateGranularity,
    /// How far the next pass goes back.
    pub overlap: SignedDuration,
}

/// The precision of dates that a server accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateGranularity {
    /// `2026-03-01`.
    Day,
    /// `2026-03-01T00:00:00Z`.
    Second,
}

impl DateGranularity {
    fn write(self, moment: Timestamp) -> String {
        let format = match self {
            Self::Day => "%Y-%m-%d",
            Self::Second => "%Y-%m-%dT%H:%M:%SZ",
        };
        moment.strftime(format).to_string()
    }
}

impl OaiHarvest<'_> {
    /// Fetches the page at the cursor.
    pub async fn fetch<M>(self, cursor: &Cursor, items: ItemSender, metadata: M) -> Result<PageSummary, SourceError>
    where
        M: MetadataHandler + Send + 'static,
    {
        let request = SourceRequest::new(self.address(cursor)?, "text/xml, application/xml");
        let response = self.client.get(&request).await?;
        let context = PageContext::new(self.name, self.kind, response.server_time());
        let response_time = context.now;
        let (envelope, counts) = read_response(response, items, move |body, charset, sink| {
            parse(body, charset, metadata, &context, sink)
        })
        .await?;
        protocol_errors(&envelope)?;
        let counts = counts.out_of(envelope.records);
        let server_time = envelope.clock.unwrap_or(response_time);
        let mut next = cursor.after_page(counts.records(), envelope.announced, envelope.newest, server_time);
        let Some(token) = envelope.token else {
            return Ok(PageSummary::end_of_pass(&next, self.overlap, counts));
        };
        check_progress(cursor, &mut next, &token)?;
        next.position = CursorPosition::Token { token };
        Ok(PageSummary::more(next, counts, ChangeStatus::Changed))
    }

    fn address(&self, cursor: &Cursor) -> Result<Url, SourceError> {
        let unreadable = |error| CursorError::Unreadable(format!("address {:?}: {error}", self.url));
        let mut url = Url::parse(self.url).map_err(unreadable)?;
        let mut query = url.query_pairs_mut();
        query.append_pair("verb", "ListRecords");
        match &cursor.position {
            CursorPosition::Token { token } => {
                query.append_pair("resumptionToken", token);
            }
            CursorPosition::Start => {
                query.append_pair("metadataPrefix", self.prefix);
                for (key, moment) in [("from", cursor.range.from), ("until", cursor.range.until)] {
                    if let Some(moment) = moment {
                        query.append_pair(key, &self.granularity.write(moment));
                    }
                }
                if !self.set.is_empty() {
                    query.append_pair("set", self.set);
                }
            }
            other => return Err(other.unexpected().into()),
        }
        drop(query);
        Ok(url)
    }
}

/// Refuses a token that was given before, and page after page without a record.
fn check_progress(cursor: &Cursor, next: &mut Cursor, token: &str) -> Result<(), SourceError> {
    let repeated = matches!(&cursor.position, CursorPosition::Token { token: sent } if sent == token);
    let what = if repeated || !next.remember(token) {
        format!("resumption token {:?}", domain::text::shorten(token))
    } else if next.pass.empty_pages > MAX_EMPTY_PAGES {
        format!("{MAX_EMPTY_PAGES} pages without a record")
    } else {
        return Ok(());
    };
    Err(SourceError::Stuck {
        pages: next.pass.pages,
        what,
    })
}

/// `noRecordsMatch` is an empty list; the others end the page.
fn protocol_errors(envelope: &OaiEnvelope) -> Result<(), SourceError> {
    let Some((code, text)) = envelope.errors.iter().find(|(code, _)| code != "noRecordsMatch") else {
        return Ok(());
    };
    if code == "badResumptionToken" {
        return Err(SourceError::TokenExpired(text.clone()));
    }
    Err(SourceError::Protocol {
        code: code.clone(),
        text: text.clone(),
    })
}
