//! Any RSS 2.0, RSS 1.0 or Atom feed.
//!
//! Terms: those of the feed. It is asked for conditionally, and no more often than it allows (`ttl`, `Cache-Control`).
//!
//! Address: the URLs of the settings, one a page. Cursor: the number of the URL, and what each server gave to ask "has it
//! changed since". A feed has no history: what fell off its end between two visits is not seen, so no span can be asked.
//!
//! Fields: titles and texts may be HTML, escaped once or twice; authors are `author`, `dc:creator` or `itunes`-like, one
//! or many in one; `guid`, `id`, `link`, `dc:identifier` and `prism:doi` are searched for a DOI and an arXiv id.

pub mod entries;
pub mod interpreting;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::config::{Kind, check_some, check_url};
use crate::cursor::{Cursor, CursorError, Position, Span};
use crate::draft::Context;
use crate::error::SourceError;
use crate::fetching::{Fetched, read_answer};
use crate::http::{Client, Request};
use crate::page::Outcome;
use crate::source::{ComeBack, Counts, Freshness, Outlet, Page, Source};
use entries::Entry;

/// Settings of kind `feed`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Addresses of the feeds. Required.
    pub urls: Vec<String>,
    /// Categories that every paper gets, before those that the feed gives.
    pub categories: Vec<String>,
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_some("urls", &self.urls)?;
        self.urls.iter().try_for_each(|url| check_url("urls", url))
    }
}

/// One or several feeds.
pub struct Feed {
    name: String,
    settings: Settings,
    client: Client,
}

impl Feed {
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
impl Source for Feed {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Feed
    }

    fn begin(&self, span: Span) -> Result<Cursor, CursorError> {
        no_span(span)?;
        Cursor::start(Kind::Feed, Span::default())
    }

    async fn fetch(&self, cursor: &Cursor, outlet: Outlet) -> Result<Page, SourceError> {
        let categories = self.settings.categories.clone();
        let round = Round {
            client: &self.client,
            kind: Kind::Feed,
            name: &self.name,
            urls: &self.settings.urls,
        };
        round
            .fetch(cursor, outlet, move |entry| interpreting::interpret(entry, &categories))
            .await
    }
}

/// A feed has no history that could be asked for.
pub(crate) fn no_span(span: Span) -> Result<(), CursorError> {
    if span.until.is_some() {
        return Err(CursorError::Span(
            "a feed holds what is new and cannot be asked for a span".into(),
        ));
    }
    Ok(())
}

/// A round over addresses, one a page, each asked for only if it has changed.
pub(crate) struct Round<'a> {
    pub client: &'a Client,
    pub kind: Kind,
    pub name: &'a str,
    pub urls: &'a [String],
}

impl Round<'_> {
    pub async fn fetch<I>(&self, cursor: &Cursor, outlet: Outlet, interpret: I) -> Result<Page, SourceError>
    where
        I: FnMut(Entry) -> Outcome + Send + 'static,
    {
        cursor.expect(self.kind)?;
        let number = match cursor.position {
            Position::Start => 0,
            Position::Number { number } => usize::try_from(number).unwrap_or(usize::MAX),
            _ => return Err(CursorError::NoSuchPosition(format!("{:?}", cursor.position)).into()),
        };
        let mut next = cursor.clone();
        next.validators.retain(|url, _| self.urls.contains(url));
        let Some(address) = self.urls.get(number) else {
            // The list became shorter since the cursor was written.
            return Ok(ended(next, Duration::ZERO, Counts::default(), Freshness::Unchanged));
        };
        let url = Url::parse(address).map_err(|error| CursorError::Unreadable(format!("{address}: {error}")))?;
        let mut request = Request::new(
            url,
            "application/atom+xml, application/rss+xml, application/xml, text/xml",
        );
        request.validator = cursor.validators.get(address).cloned();
        let answer = self.client.get(&request).await?;
        let wait = answer.max_age();
        next.position = Position::Number {
            number: number as u64 + 1,
        };
        next.pass.pages += 1;
        if answer.is_unchanged() {
            return Ok(self.turned(next, wait, Counts::default(), Freshness::Unchanged));
        }
        let (clock, charset, validator) = (answer.clock(), answer.charset(), answer.validator());
        let context = Context {
            source: self.name.to_owned(),
            provider: self.kind.provider(),
            now: clock,
        };
        let Fetched { facts, mut counts } = read_answer(answer.body, outlet, move |body, sink| {
            entries::parse(body, charset.as_deref(), &context, interpret, sink)
        })
        .await?;
        counts.skipped = facts.records.saturating_sub(counts.all());
        if let Some(newest) = facts.newest {
            next.see(newest, clock);
        }
        next.pass.records += counts.all();
        match validator {
            Some(validator) => next.validators.insert(address.clone(), validator),
            None => next.validators.remove(address),
        };
        let wait = wait.max(facts.time_to_live.unwrap_or(Duration::ZERO));
        Ok(self.turned(next, wait, counts, Freshness::Sent))
    }

    /// The page behind which either the next address comes, or the round is over.
    fn turned(&self, next: Cursor, wait: Duration, counts: Counts, freshness: Freshness) -> Page {
        if next.position
            == (Position::Number {
                number: self.urls.len() as u64,
            })
        {
            return ended(next, wait, counts, freshness);
        }
        Page {
            next,
            come_back: ComeBack::Now,
            counts,
            freshness,
        }
    }
}

fn ended(mut next: Cursor, wait: Duration, counts: Counts, freshness: Freshness) -> Page {
    next.position = Position::Start;
    next.pass = crate::cursor::Pass::default();
    Page {
        next,
        come_back: ComeBack::Later(wait),
        counts,
        freshness,
    }
}
