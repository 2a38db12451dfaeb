//! The ACL Anthology, by the XML of its volumes.
//!
//! Terms: metadata is CC BY 4.0, <https://aclanthology.org/info/development/>; the files are in a public repository and
//! are fetched conditionally, so that an unchanged volume costs one short response.
//!
//! Address: `{url}/{year}.{venue}.xml`, one file for all volumes of a venue in a year. Cursor: the number of the file in
//! the list of years and venues of the range; a file that does not exist yet (404) is an empty page.
//!
//! Fields: titles and abstracts hold markup (`<fixed-case>`, `<tex-math>`, `<i>`); `<author>` has `<first>` and `<last>`;
//! the id is `{year}.{venue}-{volume}.{paper}`; `<retracted>` withdraws. There is no date of change and often only a year
//! of publication, so everything that changed comes with the whole file.

pub mod volumes;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::checks::{check_not_empty, check_number, check_url};
use crate::cursor::{Cursor, CursorError, CursorPosition, DateRange};
use crate::draft::PageContext;
use crate::error::SourceError;
use crate::fetching::read_response;
use crate::http::{SourceClient, SourceRequest, SourceResponse};
use crate::kind::SourceKind;
use crate::list_api::address;
use crate::source::{ChangeStatus, ItemSender, NextFetch, PageSummary, RecordCounts, Source};

/// The first year of the anthology.
const FIRST_YEAR: i16 = 1952;

/// Settings of kind `acl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AclSettings {
    /// Folder of the XML files.
    pub url: String,
    /// Venues that are followed.
    pub venues: Vec<String>,
    /// Years that are followed, this year and those before it, unless the range begins earlier.
    pub years: u32,
}

impl Default for AclSettings {
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

impl AclSettings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("url", &self.url)?;
        check_not_empty("venues", &self.venues)?;
        for venue in &self.venues {
            if venue.is_empty() || !venue.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return Err(format!("venues has {venue:?}; they look like acl or emnlp"));
            }
        }
        check_number("years", self.years, 1..=80)
    }
}

/// The ACL Anthology.
pub struct AclSource {
    name: String,
    settings: AclSettings,
    client: SourceClient,
}

impl AclSource {
    /// By its settings.
    pub fn new(name: &str, settings: &AclSettings, client: &SourceClient) -> Self {
        Self {
            name: name.to_owned(),
            settings: settings.clone(),
            client: client.clone(),
        }
    }

    /// The file of a number: year after year, in each all venues. A new year is appended, so that the numbers in cursors
    /// keep their meaning.
    fn file(&self, range: DateRange, number: u64, now: Timestamp) -> Option<String> {
        let venues = self.settings.venues.len() as u64;
        let first = range.from.map_or(FIRST_YEAR, year);
        let last = year(range.until.unwrap_or(now).min(now));
        let year = i64::from(first) + i64::try_from(number / venues).ok()?;
        let venue = self.settings.venues.get(usize::try_from(number % venues).ok()?)?;
        (year <= i64::from(last)).then(|| format!("{}/{year}.{venue}.xml", self.settings.url))
    }

    /// Requests a file. `None` for one that does not exist.
    async fn get(&self, cursor: &Cursor, file: &str) -> Result<Option<SourceResponse>, SourceError> {
        let mut request = SourceRequest::new(address(file)?, "application/xml, text/xml, text/plain");
        request.validator = cursor.validators.get(file).cloned();
        match self.client.get(&request).await {
            Ok(response) => Ok(Some(response)),
            Err(SourceError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The page after which the next file follows or the round ends.
    fn summary(&self, mut next: Cursor, number: u64, counts: RecordCounts, change: ChangeStatus) -> PageSummary {
        next.pass.pages += 1;
        next.pass.records += counts.records();
        if self.file(next.range, number + 1, self.client.clock().now()).is_some() {
            next.position = CursorPosition::Number { number: number + 1 };
            return PageSummary::more(next, counts, change);
        }
        if next.range.until.is_none() {
            return PageSummary::end_of_round(next, Duration::ZERO, counts, change);
        }
        next.position = CursorPosition::Done;
        PageSummary {
            next,
            next_fetch: NextFetch::Never,
            counts,
            change,
        }
    }
}

fn year(moment: Timestamp) -> i16 {
    crate::dates::day_of(moment).year()
}

#[async_trait]
impl Source for AclSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> SourceKind {
        SourceKind::Acl
    }

    /// An open range begins some years ago and keeps that beginning.
    fn begin(&self, range: DateRange) -> Result<Cursor, CursorError> {
        let years = i64::from(self.settings.years.saturating_sub(1));
        let first = i64::from(year(self.client.clock().now())) - years;
        let from = range.from.or_else(|| crate::dates::day(first, 1, 1));
        Cursor::start(SourceKind::Acl, DateRange { from, ..range })
    }

    async fn fetch(&self, cursor: &Cursor, items: ItemSender) -> Result<PageSummary, SourceError> {
        cursor.expect(SourceKind::Acl)?;
        let number = match &cursor.position {
            CursorPosition::Start => 0,
            CursorPosition::Number { number } => *number,
            other => return Err(other.unexpected().into()),
        };
        let mut next = cursor.clone();
        let unchanged = |next| self.summary(next, number, RecordCounts::default(), ChangeStatus::Unchanged);
        let Some(file) = self.file(cursor.range, number, self.client.clock().now()) else {
            return Ok(unchanged(next));
        };
        let response = match self.get(cursor, &file).await? {
            Some(response) if !response.is_unchanged() => response,
            _ => return Ok(unchanged(next)),
        };
        let (server_time, validator) = (response.server_time(), response.validator());
        let context = PageContext::new(&self.name, SourceKind::Acl, server_time);
        let (volumes, counts) = read_response(response, items, move |body, charset, sink| {
            volumes::parse(body, charset, &context, sink)
        })
        .await?;
        if let Some(newest) = volumes.newest {
            next.observe(newest, server_time);
        }
        next.set_validator(&file, validator);
        let counts = counts.out_of(volumes.records);
        Ok(self.summary(next, number, counts, ChangeStatus::Changed))
    }
}
