//! Any server of OAI-PMH 2.0, in the format that all of them speak (`oai_dc`).
//!
//! Terms: those of the server; `Identify` names an address of its administrator. One connection, one request a second,
//! unless the client's settings say otherwise for its host.
//!
//! Address: `{url}?verb=ListRecords&metadataPrefix=oai_dc&from=…`. Cursor: the OAI datestamp, in days or seconds as the
//! settings say, an overlap, and the resumption token within a pass. `badResumptionToken` starts the pass anew,
//! `noRecordsMatch` is an empty page, the other errors of the protocol stop the source.
//!
//! Fields: each may come many times and in any order. Titles, creators, subjects; of the descriptions the longest is the
//! abstract; identifiers and relations are searched for a DOI, an arXiv id and links.

pub mod dublin_core;
pub mod envelope;
pub mod harvest;

use async_trait::async_trait;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::checks::{MAX_OVERLAP_HOURS, check_choice, check_number, check_url};
use crate::cursor::{Cursor, CursorError, DateRange};
use crate::error::SourceError;
use crate::http::SourceClient;
use crate::kind::SourceKind;
use crate::source::{ItemSender, PageSummary, Source};
use dublin_core::DublinCore;
use harvest::{DateGranularity, OaiHarvest};

/// Settings of kind `oai`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OaiSettings {
    /// Address of the server. Required.
    pub url: String,
    /// Set; empty for all.
    pub set: String,
    /// `day` or `second`: the precision of dates that the server accepts (`Identify` says so).
    pub granularity: String,
    /// How far the next pass goes back before the newest datestamp, in hours.
    pub overlap_hours: u32,
}

impl Default for OaiSettings {
    fn default() -> Self {
        Self {
            url: String::new(),
            set: String::new(),
            granularity: "second".into(),
            overlap_hours: 24,
        }
    }
}

impl OaiSettings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("url", &self.url)?;
        check_choice("granularity", &self.granularity, &["day", "second"])?;
        check_number("overlap_hours", self.overlap_hours, 0..=MAX_OVERLAP_HOURS)
    }
}

/// A server of OAI-PMH.
pub struct OaiSource {
    name: String,
    settings: OaiSettings,
    client: SourceClient,
}

impl OaiSource {
    /// By its settings.
    pub fn new(name: &str, settings: &OaiSettings, client: &SourceClient) -> Self {
        Self {
            name: name.to_owned(),
            settings: settings.clone(),
            client: client.clone(),
        }
    }
}

#[async_trait]
impl Source for OaiSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> SourceKind {
        SourceKind::Oai
    }

    fn begin(&self, range: DateRange) -> Result<Cursor, CursorError> {
        Cursor::start(SourceKind::Oai, range)
    }

    async fn fetch(&self, cursor: &Cursor, items: ItemSender) -> Result<PageSummary, SourceError> {
        cursor.expect(SourceKind::Oai)?;
        let harvest = OaiHarvest {
            client: &self.client,
            name: &self.name,
            kind: SourceKind::Oai,
            url: &self.settings.url,
            prefix: "oai_dc",
            set: &self.settings.set,
            granularity: if self.settings.granularity == "day" {
                DateGranularity::Day
            } else {
                DateGranularity::Second
            },
            overlap: SignedDuration::from_hours(self.settings.overlap_hours.into()),
        };
        harvest.fetch(cursor, items, DublinCore::default()).await
    }
}
