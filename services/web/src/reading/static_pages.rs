//! Static pages: about this site, and help on the query language.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use minijinja::context;

use crate::caller::Caller;
use crate::state::AppState;

/// About this site, and how programs use it.
pub async fn about(State(app): State<Arc<AppState>>, caller: Caller) -> Response {
    let context = context! { section => "/about", base => caller.base() };
    app.pages.render(StatusCode::OK, "about.html", context)
}

/// The query language.
pub async fn search_help(State(app): State<Arc<AppState>>) -> Response {
    app.pages.render(StatusCode::OK, "help.html", context! {})
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::clock::Clock;
    use jiff::Timestamp;

    use crate::page::PageRenderer;

    #[test]
    fn every_example_of_the_help_page_is_a_query() {
        let html = PageRenderer::new(Clock::manual(Timestamp::UNIX_EPOCH).0)
            .fill("help.html", context! {})
            .expect("a page");
        let mut examples = 0;
        for (at, _) in html.match_indices("href=\"/search?q=") {
            let query = html[at + 16..].split('"').next().expect("an end");
            let query = percent_encoding::percent_decode_str(query).decode_utf8().expect("text");
            domain::query::parse(&query.replace("&amp;", "&")).unwrap_or_else(|error| panic!("{query}: {error}"));
            examples += 1;
        }
        assert!(examples >= 16, "{examples}");
    }
}
