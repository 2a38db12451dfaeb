//! The commands, one file each.

pub mod dead_letters;
pub mod demo;
pub mod digest;
pub mod eval;
pub mod fetch;
pub mod index;
pub mod ingest;
pub mod search;
pub mod signals;
pub mod sources;
pub mod status;
pub mod subscribe;
pub mod subscribers;
pub mod trending;
pub mod up;
