//! OpenAlex.
//!
//! Terms: CC0, <https://docs.openalex.org/>; ten requests a second and 100,000 a day for callers who name an address to
//! write to (`mailto`, the contact of the client). Dates of change may be asked for with a paid key only.
//!
//! Address: `/works?filter=…&cursor=*&per-page=200`. Cursor: days of the date in `date_filter`, and `next_cursor` within a
//! pass, which is empty at its end.
//!
//! Fields: the abstract comes as an inverted index (word to places) and is put together again; `ids` holds DOI, PubMed and
//! OpenAlex; `cited_by_count` is a signal; `is_retracted` withdraws.

use serde::{Deserialize, Serialize};

use crate::config::{check_number, check_url};

/// Settings of kind `openalex`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address of the works.
    pub url: String,
    /// Further filters in OpenAlex's own words, such as `type:article,language:en`.
    pub filter: String,
    /// The date that is followed: `publication_date`, or with a paid key `created_date` or `updated_date`.
    pub date_filter: String,
    /// Key, if there is one.
    pub api_key: String,
    /// Records a page, 1 to 200.
    pub page_size: u32,
    /// How far the next pass goes back behind the newest datestamp, in hours. Works appear days after their date.
    pub overlap_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "https://api.openalex.org/works".into(),
            filter: "type:article|preprint".into(),
            date_filter: "publication_date".into(),
            api_key: String::new(),
            page_size: 200,
            overlap_hours: 336,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("url", &self.url)?;
        if !["publication_date", "created_date", "updated_date"].contains(&self.date_filter.as_str()) {
            return Err(format!(
                "date_filter is {:?}; allowed are publication_date, created_date and updated_date",
                self.date_filter
            ));
        }
        check_number("page_size", self.page_size.into(), 1..=200)?;
        check_number("overlap_hours", self.overlap_hours.into(), 0..=24 * 120)
    }
}
