//! The files that every page loads: style, script and sign. Their addresses carry a hash of their content, so that they may be
//! kept for ever and a new version is never missed.

use std::sync::LazyLock;

use axum::extract::RawQuery;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

const STYLE: &str = include_str!("../templates/style.css");
const SCRIPT: &str = include_str!("../templates/script.js");
const FAVICON: &str = include_str!("../templates/favicon.svg");

static STYLE_VERSION: LazyLock<String> = LazyLock::new(|| version(STYLE));
static SCRIPT_VERSION: LazyLock<String> = LazyLock::new(|| version(SCRIPT));

/// For whoever asks with the hash of this content.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// For whoever asks without, or with that of another version.
const A_WHILE: &str = "public, max-age=300";

/// Address of the style sheet.
pub fn style_url() -> String {
    format!("/style.css?{}", *STYLE_VERSION)
}

/// Address of the script.
pub fn script_url() -> String {
    format!("/script.js?{}", *SCRIPT_VERSION)
}

/// The style sheet.
pub async fn style(RawQuery(query): RawQuery) -> Response {
    file(STYLE, "text/css; charset=utf-8", kept(query, &STYLE_VERSION))
}

/// The script.
pub async fn script(RawQuery(query): RawQuery) -> Response {
    file(SCRIPT, "text/javascript; charset=utf-8", kept(query, &SCRIPT_VERSION))
}

/// The sign in the browser's tab.
pub async fn favicon() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, "public, max-age=86400"),
        // It styles itself for dark and light, which the policy of the pages would not let it do when opened by itself.
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'",
        ),
    ];
    (headers, FAVICON).into_response()
}

fn file(content: &'static str, kind: &'static str, keep: &'static str) -> Response {
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, keep)];
    (headers, content).into_response()
}

fn kept(asked: Option<String>, version: &str) -> &'static str {
    if asked.is_some_and(|asked| asked == version) {
        FOR_EVER
    } else {
        A_WHILE
    }
}

fn version(content: &str) -> String {
    let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, content.as_bytes())
        .simple()
        .to_string();
    format!("v={}", hash.get(..12).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_version_that_was_asked_for_is_kept_for_ever() {
        let kept = |response: Response| response.headers()[header::CACHE_CONTROL].clone();
        let own = style_url().split_once('?').map(|(_, query)| query.to_owned());
        assert_eq!(kept(style(RawQuery(own)).await), FOR_EVER);
        assert_eq!(kept(style(RawQuery(Some("v=0".to_owned()))).await), A_WHILE);
        assert_eq!(kept(script(RawQuery(None)).await), A_WHILE);
    }
}
