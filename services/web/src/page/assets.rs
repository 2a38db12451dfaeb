//! The files that every page loads: style sheet, script and icon. The first two have a hash of their content in their
//! addresses, so that browsers may cache them forever and still get every new version.

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

/// For requests with the hash of this content.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// For requests without a hash, or with that of another version.
const BRIEFLY: &str = "public, max-age=300";

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
    file(STYLE, "text/css; charset=utf-8", cache_control(query, &STYLE_VERSION))
}

/// The script.
pub async fn script(RawQuery(query): RawQuery) -> Response {
    file(
        SCRIPT,
        "text/javascript; charset=utf-8",
        cache_control(query, &SCRIPT_VERSION),
    )
}

/// The icon in the browser's tab.
pub async fn favicon() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, "public, max-age=86400"),
        // It has styles for dark and light mode, which the policy of the pages would forbid when it is opened alone.
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'",
        ),
    ];
    (headers, FAVICON).into_response()
}

fn file(content: &'static str, kind: &'static str, cache_control: &'static str) -> Response {
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, cache_control)];
    (headers, content).into_response()
}

fn cache_control(query: Option<String>, version: &str) -> &'static str {
    if query.is_some_and(|query| query == version) {
        FOREVER
    } else {
        BRIEFLY
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
    async fn only_the_requested_version_is_cached_forever() {
        let cache_control = |response: Response| response.headers()[header::CACHE_CONTROL].clone();
        let own = style_url().split_once('?').map(|(_, query)| query.to_owned());
        assert_eq!(cache_control(style(RawQuery(own)).await), FOREVER);
        assert_eq!(cache_control(style(RawQuery(Some("v=0".to_owned()))).await), BRIEFLY);
        assert_eq!(cache_control(script(RawQuery(None)).await), BRIEFLY);
    }
}
