//! The ACL Anthology, by the XML of its volumes.
//!
//! Terms: metadata is CC BY 4.0, <https://aclanthology.org/info/development/>; the files lie in a public repository and
//! are fetched conditionally, so that a volume that has not changed costs one short answer.
//!
//! Address: `{url}/{year}.{venue}.xml`, one file for all volumes of a venue in a year. Cursor: the number of the file in
//! the list of years and venues that the span gives; a file that is not there yet (404) is an empty page.
//!
//! Fields: titles and abstracts hold markup (`<fixed-case>`, `<tex-math>`, `<i>`); `<author>` has `<first>` and `<last>`;
//! the id is `{year}.{venue}-{volume}.{paper}`; `<retracted>` withdraws. There is no date of change and often only a year
//! of publication, so everything that changed comes with the whole file.

pub mod volumes;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::{Kind, check_number, check_some, check_url};
use crate::cursor::{Cursor, CursorError, Position, Span};
use crate::draft::Context;
use crate::error::SourceError;
use crate::fetching::{Fetched, read_answer};
use crate::http::{Answer, Client, Request};
use crate::listing::{address, no_such};
use crate::source::{ComeBack, Counts, Freshness, Outlet, Page, Source};

/// The first year of the anthology.
const FIRST_YEAR: i16 = 1952;

/// Settings of kind `acl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Folder of the XML files.
    pub url: String,
    /// Venues that are followed.
    pub venues: Vec<String>,
    /// Years that are followed, this year and those before it, where the span does not begin earlier.
    pub years: u32,
}

impl Default for Settings {
    fn default() -> Self {
        let venues = [
            "acl", "naacl", "eacl", "emnlp", "findings", "aacl", "coling", "lrec", "conll", "tacl", "cl",
        ];
        Self {
            url: "https://raw.githubusercontent.com/acl-org/acl-anthology/master/data/xml".into(),
            venues: venues.map(str::to_owned).to_vec(),
            years: 2,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("url", &self.url)?;
        check_some("venues", &self.venues)?;
        for venue in &self.venues {
            if venue.is_empty() || !venue.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return Err(format!("venues has {venue:?}; they look like acl or emnlp"));
            }
        }
        check_number("years", self.years.into(), 1..=80)
    }
}

/// The ACL Anthology.
pub struct Acl {
    name: String,
    settings: Settings,
    client: Client,
}

impl Acl {
    /// By its settings.
    pub fn new(name: &str, settings: &Settings, client: &Client) -> Self {
        Self {
            name: name.to_owned(),
            settings: settings.clone(),
            client: client.clone(),
        }
    }

    /// The file of a number: years one after the other, in each all venues. A new year comes last, so that numbers of
    /// cursors stay what they are.
    fn file(&self, span: Span, number: u64, now: Timestamp) -> Option<String> {
        let venues = self.settings.venues.len() as u64;
        let first = span.from.map_or(FIRST_YEAR, year);
        let last = year(span.until.unwrap_or(now).min(now));
        let year = i64::from(first) + i64::try_from(number / venues).ok()?;
        let venue = self.settings.venues.get(usize::try_from(number % venues).ok()?)?;
        (year <= i64::from(last)).then(|| format!("{}/{year}.{venue}.xml", self.settings.url))
    }

    /// Asks for a file. `None` for one that is not there.
    async fn ask(&self, cursor: &Cursor, file: &str) -> Result<Option<Answer>, SourceError> {
        let mut request = Request::new(address(file)?, "application/xml, text/xml, text/plain");
        request.validator = cursor.validators.get(file).cloned();
        match self.client.get(&request).await {
            Ok(answer) => Ok(Some(answer)),
            Err(SourceError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn turned(&self, mut next: Cursor, number: u64, counts: Counts, freshness: Freshness) -> Page {
        let now = Timestamp::now();
        let more = self.file(next.span, number + 1, now).is_some();
        next.pass.pages += 1;
        next.pass.records += counts.all();
        let come_back = if more {
            next.position = Position::Number { number: number + 1 };
            ComeBack::Now
        } else if next.span.until.is_some() {
            next.position = Position::Done;
            ComeBack::Never
        } else {
            next.position = Position::Start;
            next.pass = crate::cursor::Pass::default();
            ComeBack::Later(Duration::ZERO)
        };
        Page {
            next,
            come_back,
            counts,
            freshness,
        }
    }
}

fn year(moment: Timestamp) -> i16 {
    crate::dates::day_of(moment).year()
}

#[async_trait]
impl Source for Acl {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Acl
    }

    /// An open span begins some years ago and keeps to that beginning.
    fn begin(&self, span: Span) -> Result<Cursor, CursorError> {
        let years = i64::from(self.settings.years.saturating_sub(1));
        let first = i64::from(year(Timestamp::now())) - years;
        let from = span.from.or_else(|| crate::dates::day(first, 1, 1));
        Cursor::start(Kind::Acl, Span { from, ..span })
    }

    async fn fetch(&self, cursor: &Cursor, outlet: Outlet) -> Result<Page, SourceError> {
        cursor.expect(Kind::Acl)?;
        let number = match &cursor.position {
            Position::Start => 0,
            Position::Number { number } => *number,
            other => return Err(no_such(other).into()),
        };
        let mut next = cursor.clone();
        let Some(file) = self.file(cursor.span, number, Timestamp::now()) else {
            return Ok(self.turned(next, number, Counts::default(), Freshness::Unchanged));
        };
        let answer = match self.ask(cursor, &file).await? {
            Some(answer) if !answer.is_unchanged() => answer,
            _ => return Ok(self.turned(next, number, Counts::default(), Freshness::Unchanged)),
        };
        let (clock, charset, validator) = (answer.clock(), answer.charset(), answer.validator());
        let context = Context {
            source: self.name.clone(),
            provider: Kind::Acl.provider(),
            now: clock,
        };
        let Fetched { facts, mut counts } = read_answer(answer.body, outlet, move |body, sink| {
            volumes::parse(body, charset.as_deref(), &context, sink)
        })
        .await?;
        counts.skipped = facts.records.saturating_sub(counts.all());
        if let Some(newest) = facts.newest {
            next.see(newest, clock);
        }
        match validator {
            Some(validator) => next.validators.insert(file, validator),
            None => next.validators.remove(&file),
        };
        Ok(self.turned(next, number, counts, Freshness::Sent))
    }
}
