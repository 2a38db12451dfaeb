//! arXiv.
//!
//! Terms: metadata is CC0; <https://info.arxiv.org/help/api/tou.html> asks for one request every three seconds over one
//! connection, from all machines of an operator together, and for a way to be reached. The client keeps to that for every
//! host of arxiv.org, whatever the settings say of other hosts.
//!
//! | what | address | for |
//! |---|---|---|
//! | OAI-PMH, `metadataPrefix=arXiv` ([`harvest`]) | `https://oaipmh.arxiv.org/oai` | everything: new, revised, deleted; back-fill |
//! | Atom API ([`lookup`]) | `https://export.arxiv.org/api/query?id_list=` | single papers, when somebody wants one now |
//! | announcement feed ([`announced`]) | `https://rss.arxiv.org/atom/cs+math` | what is new today, hours before OAI-PMH has it |
//!
//! Cursor: days of the OAI datestamp (arXiv's granularity is a day), an overlap of two days, and the resumption token
//! within a pass. Tokens expire at the end of the day; the pass then starts anew.
//!
//! Fields: `keyname` and `forenames` make an author, the first of `categories` is the primary one, `created` is the date of
//! the first version and `updated` of the last. A withdrawn paper stays listed with a comment that says so: it is taken
//! as withdrawn when its comment or abstract says that it has been withdrawn.

pub mod announced;

use serde::{Deserialize, Serialize};

use crate::config::{check_number, check_url};

/// Settings of kind `arxiv`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address of OAI-PMH.
    pub oai_url: String,
    /// Address of the Atom API.
    pub api_url: String,
    /// OAI set, such as `cs` or `physics:hep-th`; empty for all.
    pub set: String,
    /// Categories to keep, each with what lies below it: `cs` keeps `cs.CL`. Empty for all.
    pub categories: Vec<String>,
    /// How far the next pass goes back behind the newest datestamp, in hours.
    pub overlap_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            oai_url: "https://oaipmh.arxiv.org/oai".into(),
            api_url: "https://export.arxiv.org/api/query".into(),
            set: String::new(),
            categories: Vec::new(),
            overlap_hours: 48,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("oai_url", &self.oai_url)?;
        check_url("api_url", &self.api_url)?;
        check_number("overlap_hours", self.overlap_hours.into(), 0..=24 * 60)
    }
}
