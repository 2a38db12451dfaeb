//! Pages that only tell: what this is, and how queries are written.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use minijinja::context;

use crate::Front;
use crate::client::Client;

/// What this is, and how programs use it.
pub async fn about(State(front): State<Arc<Front>>, client: Client) -> Response {
    let context = context! { section => "/about", base => client.base() };
    front.pages.render(StatusCode::OK, "about.html", context)
}

/// The query language.
pub async fn help(State(front): State<Arc<Front>>) -> Response {
    front.pages.render(StatusCode::OK, "help.html", context! {})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::Pages;

    #[test]
    fn every_example_of_the_help_page_is_a_query() {
        let html = Pages::new().fill("help.html", context! {}).expect("a page");
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
