//! Sources: what feeds of papers say, and how to ask them for their next page.
//!
//! [`Source`] is the port: fetch a page from a [`Cursor`], get its items one by one while it arrives, then the next
//! cursor and when to come back. There is one folder per kind of source, with its terms of use, its address, what its
//! cursor means and how its fields are read. Parsers are pure functions over readers.
//!
//! It knows no queue, register or schedule: whoever harvests keeps cursors, decides when to ask, and what becomes of the
//! papers.

pub mod config;
pub mod cursor;
pub mod error;
pub mod http;
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

mod dates;
mod draft;
mod encoding;
mod fetching;
mod json;
mod listing;
mod markup;
mod names;
mod page;
mod registry;
mod xml;

pub use config::{DEFAULTS, Kind, SourceConfig};
pub use cursor::{Cursor, CursorError, Position, Span};
pub use error::{Remedy, SourceError};
pub use http::{Client, HostRule, HttpConfig, HttpError};
pub use record::{Item, Record, SetAside, Signal, SignalKind, Withdrawal};
pub use registry::build;
pub use source::{ComeBack, Counts, Freshness, LookUp, Outlet, Page, Reading, Source};
