use axum::body::Body;
use axum::http::{HeaderName, StatusCode};
use axum::response::IntoResponse as _;

use super::*;

fn asked(headers: &[(HeaderName, &str)]) -> Asked {
    let mut request = Request::builder().uri("/");
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    Asked::of(&request.body(Body::empty()).expect("a request"))
}

async fn kept(kind: &'static str, body: &str) -> Kept {
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")];
    let response = (headers, body.to_owned()).into_response();
    Kept::of(response, Some("public, max-age=10"), None).await
}

async fn body(response: Response) -> Vec<u8> {
    axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .expect("a body")
        .to_vec()
}

fn of<'a>(response: &'a Response, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().expect("text"))
}

#[tokio::test]
async fn a_tag_saves_the_body_in_either_form() {
    let kept = kept("text/html", &"words ".repeat(1_000)).await;
    let plain = kept.answer(&asked(&[]));
    let packed = kept.answer(&asked(&[(header::ACCEPT_ENCODING, "br, gzip")]));
    let (tag, other) = (of(&plain, "etag").to_owned(), of(&packed, "etag").to_owned());
    assert_ne!(tag, other, "strong tags of different bytes differ");
    assert_eq!(of(&packed, "content-encoding"), "gzip");
    assert_eq!(of(&plain, "cache-control"), "public, max-age=10");
    assert!(of(&plain, "vary").contains("cookie"));
    let mut text = String::new();
    let packed = body(packed).await;
    assert!(packed.len() < 200, "{}", packed.len());
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(packed.as_slice()), &mut text).expect("gzip");
    assert_eq!(text.as_bytes(), body(plain).await);
    for known in [
        tag.as_str(),
        other.as_str(),
        &format!("W/{tag}"),
        &format!("\"x\", {tag}"),
        "*",
    ] {
        let again = kept.answer(&asked(&[(header::IF_NONE_MATCH, known)]));
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(of(&again, "cache-control"), "public, max-age=10");
        assert!(body(again).await.is_empty());
    }
    assert_eq!(
        kept.answer(&asked(&[(header::IF_NONE_MATCH, "\"x\"")])).status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn what_is_short_or_no_text_is_not_packed() {
    let gzip = asked(&[(header::ACCEPT_ENCODING, "gzip")]);
    assert_eq!(
        of(&kept("text/html", "short").await.answer(&gzip), "content-encoding"),
        ""
    );
    assert_eq!(
        of(
            &kept("image/png", &"x".repeat(5_000)).await.answer(&gzip),
            "content-encoding"
        ),
        ""
    );
    let refusing = asked(&[(header::ACCEPT_ENCODING, "gzip;q=0, identity")]);
    assert_eq!(
        of(
            &kept("text/html", &"x".repeat(5_000)).await.answer(&refusing),
            "content-encoding"
        ),
        ""
    );
}

#[tokio::test]
async fn what_is_no_success_is_kept_by_nobody() {
    for (status, cookie) in [(StatusCode::NOT_FOUND, false), (StatusCode::OK, true)] {
        let mut response = (status, "text").into_response();
        if cookie {
            response
                .headers_mut()
                .insert(header::SET_COOKIE, HeaderValue::from_static("reader=x"));
        }
        let kept = Kept::of(response, Some("public, max-age=10"), None).await;
        assert!(!kept.is_success());
        assert_eq!(of(&kept.answer(&asked(&[])), "cache-control"), "no-store");
    }
}

#[tokio::test]
async fn an_older_page_says_so() {
    let page = kept(
        "text/html; charset=utf-8",
        "<body><main id=\"main\" tabindex=\"-1\"><h1>Today</h1></main>",
    )
    .await;
    let fresh = page.answer(&asked(&[]));
    let stale = page.stale(Duration::from_mins(3)).answer(&asked(&[]));
    assert_ne!(of(&fresh, "etag"), of(&stale, "etag"));
    assert_eq!((of(&stale, "age"), of(&stale, "cache-control")), ("180", "no-cache"));
    let text = String::from_utf8(body(stale).await).expect("text");
    assert!(
        text.contains("3 minutes ago") && text.contains("<h1>Today</h1>"),
        "{text}"
    );
}

#[tokio::test]
async fn head_has_the_headers_of_get() {
    let kept = kept("text/html", &"words ".repeat(1_000)).await;
    let mut head = asked(&[]);
    head.method = Method::HEAD;
    let response = kept.answer(&head);
    assert_eq!(of(&response, "content-length"), "6000");
    assert_eq!(of(&response, "etag"), of(&kept.answer(&asked(&[])), "etag"));
    assert!(body(response).await.is_empty());
}
