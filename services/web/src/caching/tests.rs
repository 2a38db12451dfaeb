use axum::body::Body;
use axum::http::{HeaderName, StatusCode};
use axum::response::IntoResponse as _;

use super::*;

fn conditions(headers: &[(HeaderName, &str)]) -> RequestConditions {
    let mut request = Request::builder().uri("/");
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    RequestConditions::new(&request.body(Body::empty()).expect("a request"))
}

async fn stored(kind: &'static str, body: &str) -> StoredResponse {
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")];
    let response = (headers, body.to_owned()).into_response();
    StoredResponse::read(response, Some("public, max-age=10"), None).await
}

async fn body(response: Response) -> Vec<u8> {
    axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .expect("a body")
        .to_vec()
}

fn header_of<'a>(response: &'a Response, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().expect("text"))
}

#[tokio::test]
async fn a_tag_saves_the_body_in_either_form() {
    let stored = stored("text/html", &"words ".repeat(1_000)).await;
    let plain = stored.answer(&conditions(&[]));
    let compressed = stored.answer(&conditions(&[(header::ACCEPT_ENCODING, "br, gzip")]));
    let (tag, other) = (
        header_of(&plain, "etag").to_owned(),
        header_of(&compressed, "etag").to_owned(),
    );
    assert_ne!(tag, other, "strong tags of different bytes differ");
    assert_eq!(header_of(&compressed, "content-encoding"), "gzip");
    assert_eq!(header_of(&plain, "cache-control"), "public, max-age=10");
    assert!(header_of(&plain, "vary").contains("cookie"));
    let mut text = String::new();
    let compressed = body(compressed).await;
    assert!(compressed.len() < 200, "{}", compressed.len());
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(compressed.as_slice()), &mut text).expect("gzip");
    assert_eq!(text.as_bytes(), body(plain).await);
    for known in [
        tag.as_str(),
        other.as_str(),
        &format!("W/{tag}"),
        &format!("\"x\", {tag}"),
        "*",
    ] {
        let again = stored.answer(&conditions(&[(header::IF_NONE_MATCH, known)]));
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(header_of(&again, "cache-control"), "public, max-age=10");
        assert!(body(again).await.is_empty());
    }
    assert_eq!(
        stored.answer(&conditions(&[(header::IF_NONE_MATCH, "\"x\"")])).status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn what_is_short_or_no_text_is_not_compressed() {
    let gzip = conditions(&[(header::ACCEPT_ENCODING, "gzip")]);
    assert_eq!(
        header_of(&stored("text/html", "short").await.answer(&gzip), "content-encoding"),
        ""
    );
    assert_eq!(
        header_of(
            &stored("image/png", &"x".repeat(5_000)).await.answer(&gzip),
            "content-encoding"
        ),
        ""
    );
    let refusing = conditions(&[(header::ACCEPT_ENCODING, "gzip;q=0, identity")]);
    assert_eq!(
        header_of(
            &stored("text/html", &"x".repeat(5_000)).await.answer(&refusing),
            "content-encoding"
        ),
        ""
    );
}

#[tokio::test]
async fn only_successes_are_cached() {
    for (status, cookie) in [(StatusCode::NOT_FOUND, false), (StatusCode::OK, true)] {
        let mut response = (status, "text").into_response();
        if cookie {
            response
                .headers_mut()
                .insert(header::SET_COOKIE, HeaderValue::from_static("reader=x"));
        }
        let stored = StoredResponse::read(response, Some("public, max-age=10"), None).await;
        assert!(!stored.is_success());
        assert_eq!(header_of(&stored.answer(&conditions(&[])), "cache-control"), "no-store");
    }
}

#[tokio::test]
async fn a_stale_page_says_so() {
    let page = stored(
        "text/html; charset=utf-8",
        "<body><main id=\"main\" tabindex=\"-1\"><h1>Today</h1></main>",
    )
    .await;
    let fresh = page.answer(&conditions(&[]));
    let stale = page.stale(Duration::from_mins(3)).answer(&conditions(&[]));
    assert_ne!(header_of(&fresh, "etag"), header_of(&stale, "etag"));
    assert_eq!(
        (header_of(&stale, "age"), header_of(&stale, "cache-control")),
        ("180", "no-cache")
    );
    let text = String::from_utf8(body(stale).await).expect("text");
    assert!(
        text.contains("3 minutes ago") && text.contains("<h1>Today</h1>"),
        "{text}"
    );
}

#[tokio::test]
async fn head_has_the_headers_of_get() {
    let stored = stored("text/html", &"words ".repeat(1_000)).await;
    let mut head = conditions(&[]);
    head.method = Method::HEAD;
    let response = stored.answer(&head);
    assert_eq!(header_of(&response, "content-length"), "6000");
    assert_eq!(
        header_of(&response, "etag"),
        header_of(&stored.answer(&conditions(&[])), "etag")
    );
    assert!(body(response).await.is_empty());
}
