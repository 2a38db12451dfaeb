//! Crossref.
//!
//! Terms: metadata is free of rights, abstracts belong to publishers or authors; <https://api.crossref.org> asks callers to
//! name an address to write to (`mailto`, the contact of the client) and answers those from a better pool.
//!
//! Address: `/works?filter=from-index-date:…,until-index-date:…&cursor=*&rows=500`. Cursor: the date in `date_filter`, and
//! `next-cursor` within a pass; a page without items ends it.
//!
//! Fields: dates are `date-parts` of one to three numbers, or `[[null]]`; titles are lists and hold markup; abstracts are
//! JATS; `update-to` of type `retraction` or `withdrawal` withdraws the work it names; `is-referenced-by-count` is a signal.

use serde::{Deserialize, Serialize};

use crate::config::{check_number, check_url};

/// Settings of kind `crossref`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address of the works.
    pub url: String,
    /// Further filters in Crossref's own words, such as `type:journal-article,has-abstract:true`.
    pub filter: String,
    /// The date that is followed: `index`, `update`, `deposit`, `created` or `pub`.
    pub date_filter: String,
    /// Records a page, 1 to 1000.
    pub page_size: u32,
    /// How far the next pass goes back behind the newest datestamp, in hours.
    pub overlap_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "https://api.crossref.org/works".into(),
            filter: "type:journal-article,type:proceedings-article,type:posted-content".into(),
            date_filter: "created".into(),
            page_size: 500,
            overlap_hours: 24,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("url", &self.url)?;
        if !["index", "update", "deposit", "created", "pub"].contains(&self.date_filter.as_str()) {
            return Err(format!(
                "date_filter is {:?}; allowed are index, update, deposit, created and pub",
                self.date_filter
            ));
        }
        check_number("page_size", self.page_size.into(), 1..=1_000)?;
        check_number("overlap_hours", self.overlap_hours.into(), 0..=24 * 60)
    }
}
