//! Pages from templates, and the search page. Everything a template prints is escaped.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use proto::papers::v1::{LinkKind, Paper};
use proto::search::v1::{SearchPapersRequest, SearchResult};
use serde::{Deserialize, Serialize};
use tonic::{Code, Status};
use tracing::warn;

use crate::Front;

const MAX_QUERY_CHARS: usize = 2_000;
const RESULTS_PER_PAGE: i32 = 20;

/// The templates, parsed once.
pub struct Pages {
    environment: Environment<'static>,
}

impl Pages {
    /// Parses the compiled-in templates; a mistake in one shows in the first test run.
    pub fn new() -> Self {
        let mut environment = Environment::new();
        let templates = [
            ("frame.html", include_str!("templates/frame.html")),
            ("search.html", include_str!("templates/search.html")),
            ("message.html", include_str!("templates/message.html")),
            ("confirm.html", include_str!("templates/confirm.html")),
            ("unsubscribe.html", include_str!("templates/unsubscribe.html")),
            ("preferences.html", include_str!("templates/preferences.html")),
        ];
        for (name, source) in templates {
            environment
                .add_template(name, source)
                .unwrap_or_else(|error| panic!("template {name}: {error}"));
        }
        Self { environment }
    }

    /// Renders a template.
    pub fn render(&self, status: StatusCode, template: &str, context: Value) -> Response {
        let rendered = self
            .environment
            .get_template(template)
            .and_then(|template| template.render(context));
        match rendered {
            Ok(html) => (status, [(header::CACHE_CONTROL, "no-store")], Html(html)).into_response(),
            Err(error) => {
                tracing::error!(template, %error, "template does not render");
                (StatusCode::INTERNAL_SERVER_ERROR, "this page cannot be shown").into_response()
            }
        }
    }

    /// A page that says one thing.
    pub fn message(&self, status: StatusCode, title: &str, text: &str) -> Response {
        self.render(status, "message.html", context! { title, text })
    }

    /// The page for a call that failed: what to do, never why in our words for operators.
    pub fn failure(&self, error: &Status) -> Response {
        match error.code() {
            Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition | Code::PermissionDenied => {
                self.message(StatusCode::BAD_REQUEST, "That did not work", error.message())
            }
            _ => {
                warn!(code = ?error.code(), message = error.message(), "a page could not be served");
                let text = "A part of the service does not answer at the moment. Please try again in a minute.";
                self.message(StatusCode::SERVICE_UNAVAILABLE, "Not now", text)
            }
        }
    }
}

#[derive(Deserialize)]
pub struct SearchQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    page: String,
}

#[derive(Debug, Clone, Serialize)]
struct ShownPaper {
    title: String,
    url: Option<String>,
    authors: String,
    published: String,
    categories: String,
    abstract_text: String,
    why: String,
}

/// The search page, with results when there is a query.
pub async fn search(State(front): State<Arc<Front>>, Query(query): Query<SearchQuery>) -> Response {
    let text = query.q.trim().to_owned();
    if text.is_empty() {
        return front
            .pages
            .render(StatusCode::OK, "search.html", context! { query => "" });
    }
    if text.chars().count() > MAX_QUERY_CHARS {
        let problem = format!("The query is too long; at most {MAX_QUERY_CHARS} characters can be searched.");
        let context = context! { query => domain_shorten(&text), problem };
        return front.pages.render(StatusCode::BAD_REQUEST, "search.html", context);
    }
    let request = SearchPapersRequest {
        query: text.clone(),
        page_size: RESULTS_PER_PAGE,
        page_token: query.page,
        ..SearchPapersRequest::default()
    };
    let answer = front.search.clone().search_papers(request).await;
    match answer {
        Ok(answer) => {
            let answer = answer.into_inner();
            let papers: Vec<ShownPaper> = answer.results.into_iter().filter_map(shown).collect();
            let context =
                context! { query => text, searched => true, papers => Serde(papers), next => answer.next_page_token };
            front.pages.render(StatusCode::OK, "search.html", context)
        }
        Err(error) => front.pages.failure(&error),
    }
}

/// The style sheet.
pub async fn style() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "max-age=3600"),
    ];
    (headers, include_str!("templates/style.css"))
}

/// Any other address.
pub async fn not_found(State(front): State<Arc<Front>>) -> Response {
    front.pages.message(
        StatusCode::NOT_FOUND,
        "No such page",
        "There is nothing at this address. The search is one click away.",
    )
}

fn shown(result: SearchResult) -> Option<ShownPaper> {
    let paper = result.paper?;
    let legs: Vec<String> = result
        .parts
        .iter()
        .map(|part| format!("{} rank {}", part.name, part.rank))
        .collect();
    Some(ShownPaper {
        url: link(&paper),
        authors: authors(&paper),
        published: published(&paper),
        categories: paper.categories.join(", "),
        why: format!("score {:.4}: {}", result.score, legs.join(", ")),
        title: paper.title,
        abstract_text: paper.r#abstract,
    })
}

fn link(paper: &Paper) -> Option<String> {
    let of = |kind: LinkKind| {
        paper
            .links
            .iter()
            .find(|link| link.kind() == kind)
            .map(|link| link.url.clone())
    };
    let known = of(LinkKind::Abstract).or_else(|| of(LinkKind::Pdf));
    known.or_else(|| match paper.id.split_once(':')? {
        ("arxiv", id) => Some(format!("https://arxiv.org/abs/{id}")),
        ("doi", doi) => Some(format!("https://doi.org/{doi}")),
        _ => None,
    })
}

fn authors(paper: &Paper) -> String {
    const SHOWN: usize = 6;
    let names: Vec<&str> = paper
        .authors
        .iter()
        .take(SHOWN)
        .map(|author| author.name.as_str())
        .collect();
    let more = paper.authors.len().saturating_sub(SHOWN);
    if more == 0 {
        names.join(", ")
    } else {
        format!("{} and {more} more", names.join(", "))
    }
}

fn published(paper: &Paper) -> String {
    let time = paper
        .published_time
        .and_then(|time| proto::convert::from_wire_time("published_time", time).ok());
    time.map(|time| time.strftime("%-d %B %Y").to_string())
        .unwrap_or_default()
}

fn domain_shorten(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_part_of_the_search_page_renders() {
        let paper = ShownPaper {
            title: "T".to_owned(),
            url: Some("https://example.org/".to_owned()),
            authors: "A".to_owned(),
            published: "1 May 2026".to_owned(),
            categories: "cs.CL".to_owned(),
            abstract_text: "Text.".to_owned(),
            why: "score 1".to_owned(),
        };
        let context = context! {
            query => "a & b", searched => true, papers => Serde(vec![paper]), next => "x=1", problem => "none"
        };
        let response = Pages::new().render(StatusCode::OK, "search.html", context);
        assert_eq!(response.status(), StatusCode::OK);
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        let html = String::from_utf8(body.expect("a body").to_vec()).expect("text");
        assert!(html.contains("/?q=a%20%26%20b&amp;page=x%3D1"), "{html}");
    }

    #[tokio::test]
    async fn hostile_text_is_escaped() {
        let title = "<script>alert(1)</script>";
        let response = Pages::new().message(StatusCode::OK, title, "\"><img src=x>");
        let body = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .expect("a body");
        let html = String::from_utf8(body.to_vec()).expect("text");
        assert!(html.contains("&lt;script&gt;"), "{html}");
        assert!(!html.contains("<script>") && !html.contains("<img src=x>"), "{html}");
    }

    #[test]
    fn a_paper_without_links_is_linked_by_its_id() {
        let paper = |id: &str| Paper {
            id: id.to_owned(),
            ..Paper::default()
        };
        assert_eq!(
            link(&paper("arxiv:2402.14776")).as_deref(),
            Some("https://arxiv.org/abs/2402.14776")
        );
        assert_eq!(link(&paper("seed:1")), None);
    }
}
