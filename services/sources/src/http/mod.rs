//! The client that all sources share: polite, patient, bounded.

pub mod config;

pub use config::{HostRule, HttpConfig};
