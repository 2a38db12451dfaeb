//! Pages from templates, and the search page. Everything a template prints is escaped.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use common::grpc::ServiceChannel;
use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use proto::papers::v1::{LinkKind, Paper};
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::search::v1::{
    CountFacetsRequest, FacetField, SearchOrder, SearchPapersRequest, SearchPapersResponse, SearchResult, TextSpan,
};
use serde::{Deserialize, Serialize};
use tonic::{Code, Status};
use tracing::warn;

use crate::Front;

/// Values of a facet that are shown.
const FACET_VALUES: i32 = 10;
/// A sort that is asked for in the address.
const NEWEST: &str = "newest";
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
            ("reaction.html", include_str!("templates/reaction.html")),
            ("digest.atom.xml", include_str!("templates/digest.atom.xml")),
        ];
        for (name, source) in templates {
            environment
                .add_template(name, source)
                .unwrap_or_else(|error| panic!("template {name}: {error}"));
        }
        Self { environment }
    }

    /// Renders a template as a page.
    pub fn render(&self, status: StatusCode, template: &str, context: Value) -> Response {
        match self.fill(template, context) {
            Ok(html) => (status, [(header::CACHE_CONTROL, "no-store")], Html(html)).into_response(),
            Err(answer) => *answer,
        }
    }

    /// Fills a template.
    ///
    /// # Errors
    /// What to answer where it does not render.
    pub fn fill(&self, template: &str, context: Value) -> Result<String, Box<Response>> {
        let filled = self.environment.get_template(template);
        let filled = filled.and_then(|template| template.render(context));
        filled.map_err(|error| {
            tracing::error!(template, %error, "template does not render");
            Box::new((StatusCode::INTERNAL_SERVER_ERROR, "this page cannot be shown").into_response())
        })
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
    #[serde(default)]
    sort: String,
}

/// A stretch of text, which fits the query or not.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Stretch {
    text: String,
    fits: bool,
}

#[derive(Debug, Clone, Serialize)]
struct ShownPaper {
    title: Vec<Stretch>,
    sentence: Vec<Stretch>,
    /// A query for papers like this one.
    similar: String,
    url: Option<String>,
    authors: String,
    published: String,
    categories: String,
    abstract_text: String,
    why: String,
}

/// A way to narrow a search.
#[derive(Debug, Clone, Serialize)]
struct Narrowing {
    value: String,
    papers: u64,
    /// The query that is narrowed so.
    query: String,
}

#[derive(Debug, Clone, Default, Serialize)]
struct Narrowings {
    categories: Vec<Narrowing>,
    years: Vec<Narrowing>,
}

/// The search page, with results when there is a query.
pub async fn search(State(front): State<Arc<Front>>, Query(asked): Query<SearchQuery>) -> Response {
    let query = asked.q.trim().to_owned();
    if query.is_empty() {
        let context = context! { query => "" };
        return front.pages.render(StatusCode::OK, "search.html", context);
    }
    let newest = asked.sort == NEWEST;
    let order = if newest {
        SearchOrder::Newest
    } else {
        SearchOrder::Relevance
    };
    let request = SearchPapersRequest {
        query: query.clone(),
        page_size: RESULTS_PER_PAGE,
        page_token: asked.page,
        order: order.into(),
        ..SearchPapersRequest::default()
    };
    let (mut client, counting) = (front.search.clone(), front.search.clone());
    // Where papers cannot be counted, the page does without.
    let (answer, narrowings) = tokio::join!(client.search_papers(request), narrowings(counting, &query));
    match answer {
        Ok(answer) => found(&front.pages, &query, newest, answer.into_inner(), narrowings),
        Err(error) if error.code() == Code::InvalidArgument => {
            let context = context! { query, problem => error.message() };
            front.pages.render(StatusCode::BAD_REQUEST, "search.html", context)
        }
        Err(error) => front.pages.failure(&error),
    }
}

fn found(pages: &Pages, query: &str, newest: bool, answer: SearchPapersResponse, narrowings: Narrowings) -> Response {
    let papers: Vec<ShownPaper> = answer.results.into_iter().filter_map(shown).collect();
    let context = context! {
        query, newest, papers => Serde(papers), narrowings => Serde(narrowings),
        searched => true,
        total => answer.total_size,
        total_is_estimate => answer.total_is_estimate,
        notice => answer.notice,
        next => answer.next_page_token,
    };
    pages.render(StatusCode::OK, "search.html", context)
}

/// The categories and years of the papers that pass the query's restrictions.
async fn narrowings(mut client: SearchServiceClient<ServiceChannel>, query: &str) -> Narrowings {
    let mut narrowings = Narrowings::default();
    let request = CountFacetsRequest {
        fields: vec![FacetField::Category.into(), FacetField::Year.into()],
        limit: FACET_VALUES,
        query: query.to_owned(),
        ..CountFacetsRequest::default()
    };
    let Ok(answer) = client.count_facets(request).await else {
        return narrowings;
    };
    for facet in answer.into_inner().facets {
        let (field, list) = match facet.field() {
            FacetField::Category => ("cat", &mut narrowings.categories),
            _ => ("year", &mut narrowings.years),
        };
        // Beside a category a second one would widen the search, and beside a year it would find nothing.
        if query
            .split_whitespace()
            .any(|word| word.starts_with(&format!("{field}:")))
        {
            continue;
        }
        list.extend(facet.values.into_iter().map(|one| Narrowing {
            query: format!("{query} {field}:{}", quoted(&one.value)),
            value: one.value,
            papers: one.papers,
        }));
    }
    narrowings
}

/// An id as `like:` takes it: colons and slashes end no word, white space, quotes and parentheses may.
fn quoted_id(id: &str) -> String {
    if id.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '(' | ')')) {
        return format!("\"{}\"", id.replace('"', " "));
    }
    id.to_owned()
}

/// A value as the query language takes it.
fn quoted(value: &str) -> String {
    let is_plain = value
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if is_plain {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('"', " "))
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
    let highlight = result.highlight.unwrap_or_default();
    Some(ShownPaper {
        title: stretches(&paper.title, &highlight.title_spans),
        sentence: stretches(&highlight.sentence, &highlight.sentence_spans),
        similar: format!("like:{}", quoted_id(&paper.id)),
        url: url_of(&paper),
        authors: authors(&paper),
        published: published(&paper),
        categories: paper.categories.join(", "),
        why: format!("score {:.4}: {}", result.score, legs.join(", ")),
        abstract_text: paper.r#abstract,
    })
}

/// Where a paper can be read.
pub fn url_of(paper: &Paper) -> Option<String> {
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

/// A text cut at its spans. Spans that do not fit it are passed over.
fn stretches(text: &str, spans: &[TextSpan]) -> Vec<Stretch> {
    let mut cut = Vec::new();
    let mut push = |text: &str, fits| {
        if !text.is_empty() {
            cut.push(Stretch {
                text: text.to_owned(),
                fits,
            });
        }
    };
    let mut end = 0;
    for span in spans {
        let (start, stop) = (span.start as usize, span.end as usize);
        let (Some(before), Some(word)) = (text.get(end..start), text.get(start..stop)) else {
            continue;
        };
        push(before, false);
        push(word, true);
        end = stop;
    }
    push(text.get(end..).unwrap_or_default(), false);
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn html(response: Response) -> String {
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        String::from_utf8(body.expect("a body").to_vec()).expect("text")
    }

    #[tokio::test]
    async fn every_part_of_the_search_page_renders_and_is_escaped() {
        let span = |start, end| TextSpan { start, end };
        let paper = ShownPaper {
            title: stretches("<b>Owls</b>", &[span(3, 7)]),
            sentence: stretches("Owls & mice.", &[span(0, 4)]),
            similar: "like:x:\"<i>\"".to_owned(),
            url: Some("https://example.org/".to_owned()),
            authors: "A".to_owned(),
            published: "1 May 2026".to_owned(),
            categories: "cs.CL".to_owned(),
            abstract_text: "Text.".to_owned(),
            why: "score 1".to_owned(),
        };
        let narrowings = Narrowings {
            categories: vec![Narrowing {
                value: "<u>".to_owned(),
                papers: 2,
                query: "a & b cat:\"<u>\"".to_owned(),
            }],
            years: Vec::new(),
        };
        let context = context! {
            query => "a & b", searched => true, papers => Serde(vec![paper]), next => "x=1", problem => "<s>",
            narrowings => Serde(narrowings), total => 3, notice => "<em>", newest => true
        };
        let html = html(Pages::new().render(StatusCode::OK, "search.html", context)).await;
        for expected in [
            "/?q=a%20%26%20b&amp;sort=newest&amp;page=x%3D1",
            "&lt;b&gt;<mark>Owls</mark>",
            "<mark>Owls</mark> &amp; mice.",
            "/?q=like%3Ax%3A%22%3Ci%3E%22",
            "cat%3A%22%3Cu%3E%22",
            "3 papers",
        ] {
            assert!(html.contains(expected), "{expected}: {html}");
        }
        for hostile in ["<b>", "<i>", "<u>", "<s>", "<em>"] {
            assert!(!html.contains(hostile), "{hostile}: {html}");
        }
    }

    #[test]
    fn a_text_is_cut_at_its_spans_and_loses_nothing() {
        let span = |start, end| TextSpan { start, end };
        let cut = stretches("Bäume at night", &[span(0, 6), span(1, 2), span(10, 15), span(90, 99)]);
        let texts: Vec<(&str, bool)> = cut.iter().map(|one| (one.text.as_str(), one.fits)).collect();
        assert_eq!(texts, [("Bäume", true), (" at ", false), ("night", true)]);
        assert_eq!(stretches("", &[]), []);
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
            url_of(&paper("arxiv:2402.14776")).as_deref(),
            Some("https://arxiv.org/abs/2402.14776")
        );
        assert_eq!(url_of(&paper("seed:1")), None);
    }
}
