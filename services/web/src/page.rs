//! Renders pages from templates. Everything a template prints is escaped; nothing here knows what a page is about.

mod assets;
mod extract;
mod templates;

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use common::clock::Clock;
use minijinja::{AutoEscape, Environment, Value, context, escape_formatter};
use tonic::{Code, Status};
use tracing::warn;

pub use self::assets::{favicon, script, style};
pub use self::extract::{PageForm, PageQuery};
use crate::paper::escape;

/// Shown when another service does not answer.
pub const UNAVAILABLE: &str = "Part of the service is not responding. Please try again in a minute.";

/// The templates, parsed once.
pub struct PageRenderer {
    environment: Environment<'static>,
}

impl PageRenderer {
    /// Parses the compiled-in templates; a mistake in one fails every test. The clock tells the date on every page.
    pub fn new(clock: Clock) -> Self {
        let mut environment = Environment::new();
        for (name, source) in templates::ALL {
            environment
                .add_template(name, source)
                .unwrap_or_else(|error| panic!("template {name}: {error}"));
        }
        environment.set_formatter(|out, state, value| match value.as_str() {
            // Like the default formatter, but without escaping slashes, which are many and harmless.
            Some(text) if matches!(state.auto_escape(), AutoEscape::Html) && !value.is_safe() => {
                out.write_str(&escape(text)).map_err(minijinja::Error::from)
            }
            _ => escape_formatter(out, state, value),
        });
        environment.add_global("style_url", assets::style_url());
        environment.add_global("script_url", assets::script_url());
        environment.add_filter("thousands", thousands);
        environment.add_function("today", move || {
            let now = clock.now();
            context! { iso => now.strftime("%F").to_string(), words => now.strftime("%A, %-d %B %Y").to_string() }
        });
        Self { environment }
    }

    /// Renders a template as an HTML response.
    pub fn render(&self, status: StatusCode, template: &str, context: Value) -> Response {
        match self.fill(template, context) {
            Ok(html) => (status, [(header::CACHE_CONTROL, "no-store")], Html(html)).into_response(),
            Err(answer) => *answer,
        }
    }

    /// Renders a template as text.
    ///
    /// # Errors
    /// The response to send if it does not render.
    pub fn fill(&self, template: &str, context: Value) -> Result<String, Box<Response>> {
        let filled = self.environment.get_template(template);
        let filled = filled.and_then(|template| template.render(context));
        filled.map_err(|error| {
            tracing::error!(template, %error, "cannot render a template");
            Box::new((StatusCode::INTERNAL_SERVER_ERROR, "this page cannot be shown").into_response())
        })
    }

    /// A page with a single message.
    pub fn message(&self, status: StatusCode, title: &str, text: &str) -> Response {
        let went_wrong = status.is_client_error() || status.is_server_error();
        let role = if went_wrong { "alert" } else { "status" };
        self.render(status, "message.html", context! { title, text, role })
    }

    /// The page for a failed call: what the reader can do, never internal details.
    pub fn failure(&self, error: &Status) -> Response {
        match error.code() {
            Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition | Code::PermissionDenied => {
                self.message(StatusCode::BAD_REQUEST, "That did not work", error.message())
            }
            _ => {
                warn!(code = ?error.code(), message = error.message(), "cannot serve a page");
                self.message(StatusCode::SERVICE_UNAVAILABLE, "Temporarily unavailable", UNAVAILABLE)
            }
        }
    }
}

/// A number with thousands separators, such as 74,728.
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn renderer(seconds: i64) -> PageRenderer {
        PageRenderer::new(Clock::manual(Timestamp::from_second(seconds).expect("in range")).0)
    }

    #[tokio::test]
    async fn hostile_text_is_escaped() {
        let title = "<script>alert(1)</script>";
        let response = renderer(0).message(StatusCode::OK, title, "\"><img src=x>");
        let body = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .expect("a body");
        let html = String::from_utf8(body.to_vec()).expect("text");
        assert!(html.contains("&lt;script&gt;"), "{html}");
        assert!(!html.contains("<script>") && !html.contains("<img src=x>"), "{html}");
    }

    #[test]
    fn large_numbers_have_separators() {
        assert_eq!(
            [0, 999, 1_000, 74_728, 1_234_567].map(thousands),
            ["0", "999", "1,000", "74,728", "1,234,567"]
        );
    }

    #[test]
    fn the_frame_shows_the_date_and_versions_its_files() {
        let pages = renderer(1_795_824_000);
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
