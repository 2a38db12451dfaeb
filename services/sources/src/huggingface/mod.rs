//! Hugging Face daily papers, with their up-votes.
//!
//! Terms: <https://huggingface.co/terms-of-service>; the API is public, and papers and abstracts are arXiv's. Anonymous
//! callers have a few hundred requests in five minutes; we ask once in two seconds.
//!
//! Address: `/api/daily_papers?date=2026-03-01&limit=100&p=0`. Cursor: the day and its page. Each pass takes the last days
//! again, because votes go on for days; a page with fewer records than asked for ends a day.
//!
//! Fields: `paper.id` is the arXiv id; `paper.upvotes` (the pages show the same), `numComments` and `githubStars` are
//! signals.

use serde::{Deserialize, Serialize};

use crate::config::{check_number, check_url};

/// Settings of kind `huggingface`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address of the daily papers.
    pub url: String,
    /// Records a page, 1 to 100.
    pub page_size: u32,
    /// Days that each pass takes again, for votes that came later.
    pub days_again: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "https://huggingface.co/api/daily_papers".into(),
            page_size: 100,
            days_again: 3,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("url", &self.url)?;
        check_number("page_size", self.page_size.into(), 1..=100)?;
        check_number("days_again", self.days_again.into(), 0..=60)
    }
}
