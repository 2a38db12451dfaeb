//! arXiv's announcement feed: what is new today.
//!
//! One Atom document for all archives asked for, replaced once a day at midnight of the American east coast and empty on
//! days without announcement. It holds no list of revisions and no deletions; the harvest by OAI-PMH brings these.

use serde::{Deserialize, Serialize};

use crate::config::{check_some, check_url};

/// All archives of arXiv.
const ARCHIVES: [&str; 20] = [
    "astro-ph", "cond-mat", "cs", "econ", "eess", "gr-qc", "hep-ex", "hep-lat", "hep-ph", "hep-th", "math", "math-ph",
    "nlin", "nucl-ex", "nucl-th", "physics", "q-bio", "q-fin", "quant-ph", "stat",
];

/// Settings of kind `arxiv_announced`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address of the feeds; the categories follow behind a slash.
    pub url: String,
    /// Archives or categories that are asked for.
    pub categories: Vec<String>,
    /// Kinds of announcement to keep: `new`, `cross`, `replace`, `replace-cross`.
    pub announcements: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "https://rss.arxiv.org/atom".into(),
            categories: ARCHIVES.map(str::to_owned).to_vec(),
            announcements: ANNOUNCEMENTS.map(str::to_owned).to_vec(),
        }
    }
}

/// The kinds of announcement there are.
const ANNOUNCEMENTS: [&str; 4] = ["new", "cross", "replace", "replace-cross"];

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("url", &self.url)?;
        check_some("categories", &self.categories)?;
        for category in &self.categories {
            let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
            if category.is_empty() || !category.chars().all(sound) {
                return Err(format!("categories has {category:?}; they look like cs or cs.CL"));
            }
        }
        for kind in &self.announcements {
            if !ANNOUNCEMENTS.contains(&kind.as_str()) {
                return Err(format!(
                    "announcements has {kind:?}; allowed are {}",
                    ANNOUNCEMENTS.join(", ")
                ));
            }
        }
        check_some("announcements", &self.announcements)
    }
}
