//! Watching papers become searchable: from now on, and on from where a watch ended, whatever happened in between.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proto::search::v1::{PaperFilter, WatchPapersRequest, WatchPapersResponse};
use serde_json::json;
use tests::PATIENCE;
use tonic::Streaming;

use super::{Library, list, name};

async fn watch(library: &Library, token: &str, filter: Option<PaperFilter>) -> Streaming<WatchPapersResponse> {
    let request = WatchPapersRequest {
        resume_token: token.to_owned(),
        filter,
    };
    library.client().watch_papers(request).await.unwrap().into_inner()
}

/// The name of the next paper, and the token behind it.
async fn next(watch: &mut Streaming<WatchPapersResponse>) -> (String, String) {
    let told = tokio::time::timeout(PATIENCE, watch.message())
        .await
        .expect("a paper in time");
    let told = told.unwrap().expect("the stream goes on");
    (name(&told.paper.unwrap()), told.resume_token)
}

async fn is_silent(watch: &mut Streaming<WatchPapersResponse>) -> bool {
    tokio::time::timeout(Duration::from_millis(300), watch.message())
        .await
        .is_err()
}

fn paper(id: &str, title: &str, category: &str) -> String {
    json!({"id": id, "title": title, "categories": [category], "published": "2026-01-01"}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_survives_a_disconnect_and_a_restart_exactly_once() {
    let library = Library::own();
    let mut watching = watch(&library, "", None).await;
    library.add(&paper("w1", "Watched one", "cs.CL"));
    let (first, after_first) = next(&mut watching).await;
    assert_eq!(first, "w1", "from now on, not from the beginning");
    drop(watching);
    library.add(
        &[
            paper("w2", "Watched two", "cs.CV"),
            paper("w3", "Watched three", "cs.CL"),
        ]
        .join("\n"),
    );
    let mut resumed = watch(&library, &after_first, None).await;
    let (second, after_second) = next(&mut resumed).await;
    let (third, _) = next(&mut resumed).await;
    let mut both = [second.clone(), third.clone()];
    both.sort();
    assert_eq!(both, ["w2", "w3"]);

    let library = library.restarted();
    library.add(&paper("w4", "Watched four", "cs.CL"));
    let mut resumed = watch(&library, &after_second, None).await;
    assert_eq!(next(&mut resumed).await.0, third);
    assert_eq!(next(&mut resumed).await.0, "w4");
    assert!(is_silent(&mut resumed).await, "nothing comes twice");

    let only = PaperFilter {
        categories: list(&["cs.CL"]),
        without_words: list(&["four"]),
        ..PaperFilter::default()
    };
    let mut filtered = watch(&library, &after_first, Some(only)).await;
    assert_eq!(next(&mut filtered).await.0, "w3");
    assert!(is_silent(&mut filtered).await);
    library.add(&paper("w5", "Watched five", "cs.CL"));
    assert_eq!(next(&mut filtered).await.0, "w5");
}

#[tokio::test]
async fn tokens_that_no_watch_gave_are_refused() {
    let library = Library::shared();
    let refused = async |token: &str| {
        let request = WatchPapersRequest {
            resume_token: token.to_owned(),
            filter: None,
        };
        library.client().watch_papers(request).await.unwrap_err()
    };
    let unsigned = URL_SAFE_NO_PAD.encode("papers 1");
    for token in ["x", "!", "AAAA", &unsigned] {
        super::refusals::blames(&refused(token).await, "resume_token", "a response to WatchPapers");
    }
    let filter = PaperFilter {
        sources: list(&[""]),
        ..PaperFilter::default()
    };
    let request = WatchPapersRequest {
        resume_token: String::new(),
        filter: Some(filter),
    };
    let status = library.client().watch_papers(request).await.unwrap_err();
    super::refusals::blames(&status, "filter.sources[0]", "is empty");
}
