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
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::{Kind, check_number, check_url};
use crate::cursor::{Cursor, CursorError, Span};
use crate::draft::Context;
use crate::error::SourceError;
use crate::http::Client;
use crate::source::{Outlet, Page, Source};
use dublin_core::DublinCore;
use harvest::{Granularity, Harvest};

/// Settings of kind `oai`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address of the server. Required.
    pub url: String,
    /// Set; empty for all.
    pub set: String,
    /// `day` or `second`: how exactly the server takes dates (`Identify` says so).
    pub granularity: String,
    /// How far the next pass goes back behind the newest datestamp, in hours.
    pub overlap_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: String::new(),
            set: String::new(),
            granularity: "second".into(),
            overlap_hours: 24,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("url", &self.url)?;
        if !["day", "second"].contains(&self.granularity.as_str()) {
            return Err(format!(
                "granularity is {:?}; allowed are day and second",
                self.granularity
            ));
        }
        check_number("overlap_hours", self.overlap_hours.into(), 0..=24 * 60)
    }
}

/// A server of OAI-PMH.
pub struct Oai {
    name: String,
    settings: Settings,
    client: Client,
}

impl Oai {
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
impl Source for Oai {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Oai
    }

    fn begin(&self, span: Span) -> Result<Cursor, CursorError> {
        Cursor::start(Kind::Oai, span)
    }

    async fn fetch(&self, cursor: &Cursor, outlet: Outlet) -> Result<Page, SourceError> {
        cursor.expect(Kind::Oai)?;
        let harvest = Harvest {
            client: &self.client,
            url: &self.settings.url,
            prefix: "oai_dc",
            set: &self.settings.set,
            granularity: if self.settings.granularity == "day" {
                Granularity::Day
            } else {
                Granularity::Second
            },
            overlap: SignedDuration::from_hours(self.settings.overlap_hours.into()),
            context: Context {
                source: self.name.clone(),
                provider: Kind::Oai.provider(),
                now: Timestamp::now(),
            },
        };
        harvest.fetch(cursor, outlet, DublinCore::default()).await
    }
}
