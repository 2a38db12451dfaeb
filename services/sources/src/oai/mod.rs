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

use serde::{Deserialize, Serialize};

use crate::config::{check_number, check_url};

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
