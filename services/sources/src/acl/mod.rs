//! The ACL Anthology, by the XML of its volumes.
//!
//! Terms: metadata is CC BY 4.0, <https://aclanthology.org/info/development/>; the files lie in a public repository and
//! are fetched conditionally, so that a volume that has not changed costs one short answer.
//!
//! Address: `{url}/{year}.{venue}.xml`, one file for all volumes of a venue in a year. Cursor: the number of the file in
//! the list of years and venues that the span gives; a file that is not there yet (404) is an empty page.
//!
//! Fields: titles and abstracts hold markup (`<fixed-case>`, `<tex-math>`, `<i>`); `<author>` has `<first>` and `<last>`;
//! the id is `{year}.{venue}-{volume}.{paper}`; `<retracted>` withdraws. There is no date of change and often only a year
//! of publication, so everything that changed comes with the whole file.

use serde::{Deserialize, Serialize};

use crate::config::{check_number, check_some, check_url};

/// Settings of kind `acl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Folder of the XML files.
    pub url: String,
    /// Venues that are followed.
    pub venues: Vec<String>,
    /// Years that are followed, this year and those before it, where the span does not begin earlier.
    pub years: u32,
}

impl Default for Settings {
    fn default() -> Self {
        let venues = [
            "acl", "naacl", "eacl", "emnlp", "findings", "aacl", "coling", "lrec", "conll", "tacl", "cl",
        ];
        Self {
            url: "https://raw.githubusercontent.com/acl-org/acl-anthology/master/data/xml".into(),
            venues: venues.map(str::to_owned).to_vec(),
            years: 2,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("url", &self.url)?;
        check_some("venues", &self.venues)?;
        for venue in &self.venues {
            if venue.is_empty() || !venue.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return Err(format!("venues has {venue:?}; they look like acl or emnlp"));
            }
        }
        check_number("years", self.years.into(), 1..=80)
    }
}
