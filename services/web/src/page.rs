//! Pages from templates. Everything a template prints is escaped; nothing here knows what a page is about.

mod asked;
mod assets;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use jiff::Timestamp;
use minijinja::{AutoEscape, Environment, Value, context, escape_formatter};
use tonic::{Code, Status};
use tracing::warn;

pub use self::asked::{Asked, Posted};
pub use self::assets::{favicon, script, style};
use crate::paper::escape;
use crate::{Front, formats, reading, subscribing};

/// A template: its name, and its text.
pub type Template = (&'static str, &'static str);

/// Those that every page may use.
const TEMPLATES: &[Template] = &[
    ("frame.html", include_str!("templates/frame.html")),
    ("message.html", include_str!("templates/message.html")),
    ("papers.html", include_str!("templates/papers.html")),
];

/// What is said where a service does not answer.
pub const NOT_NOW: &str = "A part of the service does not answer at the moment. Please try again in a minute.";

/// The templates, parsed once.
pub struct Pages {
    environment: Environment<'static>,
}

impl Pages {
    /// Parses the compiled-in templates; a mistake in one shows in the first test run.
    pub fn new() -> Self {
        Self::at(Timestamp::now)
    }

    /// The same with a clock of the caller's, which the date line of every page shows.
    pub fn at(clock: fn() -> Timestamp) -> Self {
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
        environment.set_formatter(|out, state, value| match value.as_str() {
            // As the usual one does, but slashes stay: there are many of them, and they end nothing.
            Some(text) if matches!(state.auto_escape(), AutoEscape::Html) && !value.is_safe() => {
                out.write_str(&escape(text)).map_err(minijinja::Error::from)
            }
            _ => escape_formatter(out, state, value),
        });
        environment.add_global("style_url", assets::style_url());
        environment.add_global("script_url", assets::script_url());
        environment.add_filter("thousands", thousands);
        environment.add_function("today", move || {
            let now = clock();
            context! { iso => now.strftime("%F").to_string(), words => now.strftime("%A, %-d %B %Y").to_string() }
        });
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
        let went_wrong = status.is_client_error() || status.is_server_error();
        let role = if went_wrong { "alert" } else { "status" };
        self.render(status, "message.html", context! { title, text, role })
    }

    /// The page for a call that failed: what to do, never why in our words for operators.
    pub fn failure(&self, error: &Status) -> Response {
        match error.code() {
            Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition | Code::PermissionDenied => {
                self.message(StatusCode::BAD_REQUEST, "That did not work", error.message())
            }
            _ => {
                warn!(code = ?error.code(), message = error.message(), "a page could not be served");
                self.message(StatusCode::SERVICE_UNAVAILABLE, "Not now", NOT_NOW)
            }
        }
    }
}

/// A count with commas, as 74,728.
fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Any other address.
pub async fn not_found(State(front): State<Arc<Front>>) -> Response {
    front.pages.message(
        StatusCode::NOT_FOUND,
        "No such page",
        "There is nothing at this address. A paper may have been withdrawn, or the link may have been cut short.",
    )
}

/// An address that does not take this method.
pub async fn not_allowed(State(front): State<Arc<Front>>) -> Response {
    front.pages.message(
        StatusCode::METHOD_NOT_ALLOWED,
        "That is not how it works",
        "This address cannot be asked in this way. Go back and use the buttons of the page.",
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

    #[test]
    fn counts_are_read_in_threes() {
        assert_eq!(
            [0, 999, 1_000, 74_728, 1_234_567].map(thousands),
            ["0", "999", "1,000", "74,728", "1,234,567"]
        );
    }

    #[test]
    fn the_frame_names_its_files_by_their_content_and_shows_the_day() {
        let pages = Pages::at(|| Timestamp::from_second(1_795_824_000).expect("a moment"));
        let context = context! { title => "T", text => "x", role => "status", section => "/about" };
        let html = pages.fill("message.html", context).expect("a page");
        for expected in [
            "<time datetime=\"2026-11-28\">Saturday, 28 November 2026</time>",
            "href=\"/style.css?v=",
            "src=\"/script.js?v=",
            "<a href=\"/about\" aria-current=\"page\">",
            "<main id=\"main\"",
            "name=\"robots\" content=\"noindex\"",
        ] {
            assert!(html.contains(expected), "{expected}: {html}");
        }
    }
}
