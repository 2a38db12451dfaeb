//! Sources: reads feeds and APIs of papers, page by page.
//!
//! [`Source`] is the port: fetch a page from a [`Cursor`], with its items one by one while it arrives, then the next cursor
//! and when to go on. Each kind of source has a module with its terms of use, its address, what its cursor means and how
//! its fields are read. Parsers are pure functions over readers.
//!
//! It knows no queue, registry or schedule: the harvester stores cursors, decides when to fetch, and what becomes of the
//! papers.

pub mod config;
pub mod cursor;
pub mod error;
pub mod http;
pub mod kind;
pub mod parsing;
pub mod record;
pub mod source;

pub mod acl;
pub mod arxiv;
pub mod biorxiv;
pub mod crossref;
pub mod feed;
pub mod files;
pub mod huggingface;
pub mod oai;
pub mod openalex;
pub mod semantic_scholar;

mod checks;
mod dates;
mod draft;
mod encoding;
mod fetching;
mod interpretation;
mod json;
mod list_api;
mod markup;
mod registry;
mod text_format;
mod xml;

pub use config::{DEFAULTS, KindSettings, SourceConfig, SourceConfigError};
pub use cursor::{Cursor, CursorError, CursorPosition, DateRange};
pub use draft::PageContext;
pub use error::{Remedy, SourceError};
pub use http::{HostRule, HttpConfig, HttpError, SourceClient};
pub use kind::SourceKind;
pub use record::{PageItem, QuarantinedRecord, RecordLocation, Signal, SignalKind, Withdrawal};
pub use registry::build;
pub use source::{
    ChangeStatus, ItemReader, ItemSender, NextFetch, PageSummary, RecordCounts, Source, look_up, read_page,
};
