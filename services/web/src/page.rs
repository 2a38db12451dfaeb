//! Pages from templates. Everything a template prints is escaped; nothing here knows what a page is about.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use minijinja::{Environment, Value, context};
use tonic::{Code, Status};
use tracing::warn;

use crate::{Front, formats, reading, subscribing};

/// A template: its name, and its text.
pub type Template = (&'static str, &'static str);

/// Those that every page may use.
const TEMPLATES: &[Template] = &[
    ("frame.html", include_str!("templates/frame.html")),
    ("message.html", include_str!("templates/message.html")),
];

/// The templates, parsed once.
pub struct Pages {
    environment: Environment<'static>,
}

impl Pages {
    /// Parses the compiled-in templates; a mistake in one shows in the first test run.
    pub fn new() -> Self {
        let mut environment = Environment::new();
        let groups = [
            TEMPLATES,
            reading::TEMPLATES,
            subscribing::TEMPLATES,
            formats::TEMPLATES,
        ];
        for (name, source) in groups.concat() {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
