//! The same content for programs: feeds and machine-readable answers.

mod digest;
pub mod paper;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::Front;
use crate::page::Template;

/// Templates of these answers.
pub const TEMPLATES: &[Template] = &[("digest.atom.xml", include_str!("templates/digest.atom.xml"))];

/// Routes whose series exist from the start.
pub const ROUTES: &[&str] = &["/feeds/digest.atom"];

/// The routes of these answers.
pub fn routes() -> Router<Arc<Front>> {
    Router::new().route("/feeds/digest.atom", get(digest::digest))
}
