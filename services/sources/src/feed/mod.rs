//! Any RSS 2.0, RSS 1.0 or Atom feed.
//!
//! Terms: those of the feed. It is asked for conditionally, and no more often than it allows (`ttl`, `Cache-Control`).
//!
//! Address: the URLs of the settings, one a page. Cursor: the number of the URL, and what each server gave to ask "has it
//! changed since". A feed has no history: what fell off its end between two visits is not seen, so no span can be asked.
//!
//! Fields: titles and texts may be HTML, escaped once or twice; authors are `author`, `dc:creator` or `itunes`-like, one
//! or many in one; `guid`, `id`, `link`, `dc:identifier` and `prism:doi` are searched for a DOI and an arXiv id.

use serde::{Deserialize, Serialize};

use crate::config::{check_some, check_url};

/// Settings of kind `feed`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Addresses of the feeds. Required.
    pub urls: Vec<String>,
    /// Categories that every paper gets, before those that the feed gives.
    pub categories: Vec<String>,
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_some("urls", &self.urls)?;
        self.urls.iter().try_for_each(|url| check_url("urls", url))
    }
}
