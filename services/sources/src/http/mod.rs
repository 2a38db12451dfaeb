//! The client that all sources share: polite, patient, bounded.
//!
//! It keeps the pauses and the number of connections that a host is due ([`gate`]), waits as servers ask it to, tries
//! again with growing pauses, asks only for what has changed, follows few redirects and none to a lesser scheme, and hands
//! an answer on while it arrives ([`body`]). It never holds a whole answer, and it knows nothing of what is in one.

mod answer;
pub mod body;
mod client;
pub mod config;
mod connector;
mod gate;

pub use answer::Answer;
pub use client::{Client, HttpError, Request};
pub use config::{HostRule, HttpConfig};
