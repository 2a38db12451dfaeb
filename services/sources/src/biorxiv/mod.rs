//! bioRxiv and medRxiv, by their API.
//!
//! Terms: <https://api.biorxiv.org/> gives metadata freely; abstracts and texts belong to their authors under the licence
//! that each record names. No limit is published; we ask once a second over one connection.
//!
//! Address: `/details/{server}/{from}/{until}/{number}`, a hundred records a page. Cursor: days of posting (every revision
//! is posted anew under its own day) and the number of the first record of the page.
//!
//! Fields: `authors` is `Last, F.; Last, F.`; `version` counts from 1; `published` is the DOI of the journal's version, or
//! `NA`; `type` says `WITHDRAWN` or `withdrawn` for what was taken back.

use serde::{Deserialize, Serialize};

use crate::config::{check_number, check_url};

/// Settings of kind `biorxiv`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address of the API.
    pub url: String,
    /// `biorxiv` or `medrxiv`.
    pub server: String,
    /// How far the next pass goes back behind the newest datestamp, in hours.
    pub overlap_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "https://api.biorxiv.org/details".into(),
            server: "biorxiv".into(),
            overlap_hours: 48,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("url", &self.url)?;
        if !["biorxiv", "medrxiv"].contains(&self.server.as_str()) {
            return Err(format!("server is {:?}; allowed are biorxiv and medrxiv", self.server));
        }
        check_number("overlap_hours", self.overlap_hours.into(), 0..=24 * 60)
    }
}
