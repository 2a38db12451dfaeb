//! Files: JSON Lines, BibTeX, or CSV with a header.
//!
//! Terms: yours. Cursor: the file and the byte where the next page begins; a file that has grown is read on from there.
//!
//! Fields: `mapping` says which column or key (`a.b` for nested ones) holds which field; what it leaves out is looked for
//! under its own name. BibTeX has names of its own. Authors may be a list, or one text parted by `;` or ` and `.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::{check_number, check_some};

/// Settings of kind `files`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Paths of the files. Required.
    pub paths: Vec<String>,
    /// `jsonl`, `bibtex`, `csv`, or `auto` to go by the ending of the name.
    pub format: String,
    /// Field of a paper to column or key.
    pub mapping: BTreeMap<String, String>,
    /// Records a page.
    pub page_size: u32,
}

/// The fields that a mapping may name.
pub const FIELDS: [&str; 13] = [
    "id",
    "title",
    "abstract",
    "authors",
    "categories",
    "published",
    "updated",
    "url",
    "pdf_url",
    "code_url",
    "language",
    "doi",
    "arxiv",
];

impl Default for Settings {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            format: "auto".into(),
            mapping: BTreeMap::new(),
            page_size: 1_000,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_some("paths", &self.paths)?;
        if !["auto", "jsonl", "bibtex", "csv"].contains(&self.format.as_str()) {
            return Err(format!(
                "format is {:?}; allowed are auto, jsonl, bibtex and csv",
                self.format
            ));
        }
        for field in self.mapping.keys() {
            if !FIELDS.contains(&field.as_str()) {
                return Err(format!("mapping has {field:?}; allowed are {}", FIELDS.join(", ")));
            }
        }
        check_number("page_size", self.page_size.into(), 1..=100_000)
    }
}
