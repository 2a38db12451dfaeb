//! An accepted paper.
//!
//! It never validates submissions; [`crate::submission`] does.

use jiff::Timestamp;

use crate::{AuthorName, PaperId};

/// A research paper: identified, normalised, at a revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Paper {
    /// Canonical id.
    pub id: PaperId,
    /// Title on one line.
    pub title: String,
    /// Abstract, one paragraph per line; may be empty.
    pub abstract_text: String,
    /// Authors in the order of the title page.
    pub authors: Vec<AuthorName>,
    /// Categories, the primary one first.
    pub categories: Vec<String>,
    /// When the first version was published, as far as a source says; `None` where nobody knows.
    pub published: Option<Timestamp>,
    /// When its text was last changed at its source.
    pub updated: Option<Timestamp>,
    /// Where it can be read.
    pub links: Vec<Link>,
    /// The feed it came from.
    pub source: String,
    /// Revision of the content, from 1. The higher of two revisions is valid.
    pub revision: u64,
    /// Hex SHA-256 of the normalised content.
    pub content_hash: String,
    /// BCP 47 tag; empty when unknown.
    pub language: String,
    /// When the platform first learned of it. Revisions keep it.
    pub accepted: Timestamp,
    /// When this revision was accepted.
    pub revised: Timestamp,
}

impl Paper {
    /// The first link of a kind.
    pub fn link(&self, kind: LinkKind) -> Option<&str> {
        self.links
            .iter()
            .find(|link| link.kind == kind)
            .map(|link| link.url.as_str())
    }
}

/// A place where a paper can be read or used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What is behind it.
    pub kind: LinkKind,
    /// Absolute http or https URL.
    pub url: String,
}

/// What a link leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// The landing page.
    Abstract,
    /// The paper as PDF.
    Pdf,
    /// Source code that belongs to it.
    Code,
}
