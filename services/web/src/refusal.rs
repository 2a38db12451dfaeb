//! Refusals in the form that the caller reads: a page for people, JSON for programs.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use common::status::{blamed_field, retry_delay};
use serde_json::json;
use tonic::{Code, Status};
use tracing::warn;

use crate::Front;

/// When to come back while a service is down.
const RETRY_SECONDS: u64 = 5;

/// Who reads an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Somebody at a browser.
    Person,
    /// A program that reads JSON.
    Program,
    /// A program that reads feeds and the like, and shows plain text at best.
    Feed,
}

impl Reader {
    /// By the path alone, since what is refused may have no route.
    pub fn of(path: &str) -> Self {
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

/// A refusal: what is the matter, and what to do.
pub fn refuse(front: &Front, reader: Reader, status: StatusCode, title: &str, text: &str) -> Response {
    match reader {
        Reader::Person => front.pages.message(status, title, text),
        Reader::Program => json_error(status, text, None),
        Reader::Feed => plain_error(status, text),
    }
}

/// The answer to a program whose call another service refused or could not answer.
pub fn failed(reader: Reader, error: &Status) -> Response {
    let (status, text) = told(error);
    let field = blamed_field(error);
    let mut response = match reader {
        Reader::Feed => plain_error(status, &text),
        Reader::Person | Reader::Program => json_error(status, &text, field.as_deref()),
    };
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        let seconds = retry_delay(error).map_or(RETRY_SECONDS, |delay| delay.as_secs().max(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// What a program may be told of a failed call, and with which status.
pub fn told(error: &Status) -> (StatusCode, String) {
    match error.code() {
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => {
            (StatusCode::BAD_REQUEST, error.message().to_owned())
        }
        Code::PermissionDenied => (StatusCode::FORBIDDEN, error.message().to_owned()),
        Code::NotFound => (StatusCode::NOT_FOUND, error.message().to_owned()),
        code => {
            warn!(?code, message = error.message(), "an answer could not be given");
            let text = "a part of the service does not answer at the moment; try again in a few seconds";
            (StatusCode::SERVICE_UNAVAILABLE, text.to_owned())
        }
    }
}

/// `{"error": …}` as clients of the API read it.
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
