//! The rules of Broadsheet: what a paper is, when two are the same, how results are fused, what a digest holds.
//!
//! Pure functions and types that cannot hold an invalid value. Nothing here does I/O, awaits, reads a clock or draws a
//! random number; callers pass those in.

pub mod bm25;
pub mod document;
pub mod email;
pub mod evaluation;
pub mod freshness;
pub mod fusion;
pub mod highlight;
pub mod identity;
pub mod matching;
pub mod merging;
pub mod names;
pub mod pages;
pub mod paper;
pub mod preferences;
pub mod query;
pub mod ranking;
pub mod readable;
pub mod relevance;
pub mod schedule;
pub mod selection;
pub mod submission;
pub mod tex;
pub mod text;
pub mod trending;
pub mod vectors;

pub use email::EmailAddress;
pub use identity::PaperId;
pub use names::AuthorName;
pub use paper::{Link, LinkKind, Paper};
pub use preferences::{Exclusions, Interest, Preferences};
pub use submission::{Submission, Violation};
pub use vectors::{DenseVector, EncoderId, Int8Vector, PaperVectors, SparseVector};
