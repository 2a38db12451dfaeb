//! The HTTP client that all sources share: polite, patient, bounded.
//!
//! It keeps the pauses and the connection limit of each host ([`gate`]), waits as servers ask it to, retries with growing
//! pauses, makes conditional requests, follows few redirects and never one to a weaker scheme, and passes a response on
//! while it arrives ([`body`]). It never holds a whole response and knows nothing of its content.

pub mod body;
mod client;
pub mod config;
mod connector;
mod gate;
mod response;

pub use client::{HttpError, SourceClient, SourceRequest};
pub use config::{HostRule, HttpConfig};
pub use response::SourceResponse;
