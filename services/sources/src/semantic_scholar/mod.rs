//! Semantic Scholar, by its bulk search.
//!
//! Terms: <https://www.semanticscholar.org/product/api/license>, attribution asked for; without a key all callers of the
//! world share one allowance and 429 is usual, with a key one request a second.
//!
//! Address: `/graph/v1/paper/search/bulk?query=…&publicationDateOrYear=from:until&fields=…`, a thousand records a page.
//! Cursor: days of publication, and `token` within a pass, which is left out at its end.
//!
//! Fields: `externalIds` holds `ArXiv`, `DOI`, `PubMed`, `ACL`; `data` is left out where nothing was found;
//! `citationCount` is a signal.

use serde::{Deserialize, Serialize};

use crate::config::{check_number, check_url};

/// Settings of kind `semantic_scholar`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address of the bulk search.
    pub url: String,
    /// What is asked for, in Semantic Scholar's query language. Required.
    pub query: String,
    /// Key, if there is one.
    pub api_key: String,
    /// How far the next pass goes back behind the newest datestamp, in hours. Papers appear days after their date.
    pub overlap_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "https://api.semanticscholar.org/graph/v1/paper/search/bulk".into(),
            query: String::new(),
            api_key: String::new(),
            overlap_hours: 336,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("url", &self.url)?;
        if self.query.trim().is_empty() {
            return Err("query is empty; Semantic Scholar gives no papers without one".into());
        }
        check_number("overlap_hours", self.overlap_hours.into(), 0..=24 * 120)
    }
}
