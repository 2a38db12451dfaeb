//! Errors in the form that the caller understands: a page for people, JSON for programs, plain text for feed readers.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use common::status::{blamed_field, retry_delay};
use serde_json::json;
use tonic::{Code, Status};
use tracing::warn;

use crate::page::PageRenderer;

/// When to try again while a service is down, if it does not say.
const RETRY_SECONDS: u64 = 5;

/// Who reads a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Someone using a browser.
    Person,
    /// A program that reads JSON.
    Program,
    /// A feed reader or the like, which shows plain text at best.
    Feed,
}

impl Audience {
    /// By the path alone, since a refused request may have no route.
    pub fn of_path(path: &str) -> Self {
        if path.starts_with("/api/") || path == "/mcp" {
            return Self::Program;
        }
        let feeds = ["/feeds/", "/sitemap", "/robots.txt", "/opensearch.xml"];
        if feeds.iter().any(|prefix| path.starts_with(prefix)) {
            return Self::Feed;
        }
        Self::Person
    }
}

/// A refusal: what is wrong, and what to do.
pub fn refuse(pages: &PageRenderer, audience: Audience, status: StatusCode, title: &str, text: &str) -> Response {
    match audience {
        Audience::Person => pages.message(status, title, text),
        Audience::Program => json_error(status, text, None),
        Audience::Feed => plain_error(status, text),
    }
}

/// The response to a program when another service refused the call or did not answer.
pub fn call_failed(audience: Audience, error: &Status) -> Response {
    let (status, text) = public_error(error);
    let field = blamed_field(error);
    let mut response = match audience {
        Audience::Feed => plain_error(status, &text),
        Audience::Person | Audience::Program => json_error(status, &text, field.as_deref()),
    };
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        let seconds = retry_delay(error).map_or(RETRY_SECONDS, |delay| delay.as_secs().max(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// Status and text of a failed call, without internal details.
pub fn public_error(error: &Status) -> (StatusCode, String) {
    match error.code() {
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => {
            (StatusCode::BAD_REQUEST, error.message().to_owned())
        }
        Code::PermissionDenied => (StatusCode::FORBIDDEN, error.message().to_owned()),
        Code::NotFound => (StatusCode::NOT_FOUND, error.message().to_owned()),
        code => {
            warn!(?code, message = error.message(), "another service cannot answer");
            let text = "part of the service is not responding; try again in a few seconds";
            (StatusCode::SERVICE_UNAVAILABLE, text.to_owned())
        }
    }
}

/// `{"error": …}`, as clients of the API expect it.
pub fn json_error(status: StatusCode, text: &str, field: Option<&str>) -> Response {
    let mut body = json!({ "error": text, "status": status.as_u16() });
    if let Some(field) = field {
        body["field"] = json!(field);
    }
    let headers = [
        (header::CONTENT_TYPE, "application/json; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (status, headers, format!("{body}\n")).into_response()
}

fn plain_error(status: StatusCode, text: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, format!("{text}\n")).into_response()
}
