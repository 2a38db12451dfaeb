//! Pages: together they are the list, whatever happens between them, and a token serves its own request only.

use proto::search::v1::{ListPapersRequest, ListSimilarPapersRequest, PaperFilter, SearchPapersRequest};
use serde_json::json;

use super::{Library, ask, list, name, names};

async fn pages(library: &Library, request: SearchPapersRequest, between: impl Fn(usize)) -> Vec<String> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let page = SearchPapersRequest {
            page_size: 7,
            page_token: token,
            ..request.clone()
        };
        let answer = library.search(page).await;
        all.extend(names(&answer));
        token = answer.next_page_token;
        if token.is_empty() {
            return all;
        }
        between(all.len());
    }
}

#[tokio::test]
async fn all_pages_together_are_the_list() {
    let library = Library::shared();
    for request in [
        ask("hedgehogs at night"),
        ask("lang:en"),
        ask("graph -\"random graphs\""),
        SearchPapersRequest {
            diversity: 0.4,
            ..ask("graphs AND networks")
        },
    ] {
        let whole = library.found(request.clone()).await;
        assert!(whole.len() > 7, "{request:?}");
        assert_eq!(pages(&library, request, |_| ()).await, whole);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn papers_that_come_between_two_pages_move_nothing() {
    let library = Library::own();
    let whole = library.found(ask("hedgehogs at night")).await;
    let paged = pages(&library, ask("hedgehogs at night"), |shown| {
        let title = format!("Hedgehogs at night, part {shown}");
        library.add(&json!({"id": format!("new-{shown}"), "title": title, "published": "2026-01-01"}).to_string());
    })
    .await;
    assert_eq!(paged, whole);
    let again = library.found(ask("hedgehogs at night")).await;
    assert_eq!(again.len(), whole.len() + 5, "asked anew, they are there: {again:?}");
    let mut listed = Vec::new();
    let mut request = ListPapersRequest {
        page_size: 9,
        ..ListPapersRequest::default()
    };
    loop {
        let answer = library
            .client()
            .list_papers(request.clone())
            .await
            .unwrap()
            .into_inner();
        listed.extend(answer.papers.iter().map(name));
        if answer.next_page_token.is_empty() {
            break;
        }
        request.page_token = answer.next_page_token;
        let number = listed.len();
        let line =
            json!({"id": format!("later-{number}"), "title": format!("Later {number}"), "published": "2026-02-02"});
        library.add(&line.to_string());
    }
    let mut once = listed.clone();
    once.sort();
    once.dedup();
    assert_eq!(
        (once.len(), listed.len()),
        (45, 45),
        "neither lost nor doubled: {listed:?}"
    );
}

#[tokio::test]
async fn a_token_of_another_request_or_a_forged_one_is_refused() {
    let library = Library::shared();
    let first = |query: &str| SearchPapersRequest {
        page_size: 3,
        ..ask(query)
    };
    let token = library.search(first("hedgehogs")).await.next_page_token;
    let with = |request: SearchPapersRequest, token: &str| SearchPapersRequest {
        page_token: token.to_owned(),
        ..request
    };
    let refused = [
        with(first("robots"), &token),
        with(
            SearchPapersRequest {
                diversity: 0.5,
                ..first("hedgehogs")
            },
            &token,
        ),
        with(first("hedgehogs"), &token[1..]),
        with(first("hedgehogs"), "bm90IGEgdG9rZW4"),
        with(first("hedgehogs"), "\u{1f994}"),
    ];
    for request in refused {
        super::refusals::blames(
            &library.refused(request).await,
            "page_token",
            "a response to this request",
        );
    }
    let larger = with(
        SearchPapersRequest {
            page_size: 50,
            ..ask("hedgehogs")
        },
        &token,
    );
    assert_eq!(
        library.search(larger).await.results.len(),
        37,
        "the size of pages may change between them"
    );

    let similar = |id: &str, page_token: &str| ListSimilarPapersRequest {
        positive_ids: list(&[id]),
        page_size: 3,
        page_token: page_token.to_owned(),
        ..ListSimilarPapersRequest::default()
    };
    let of_traffic = library
        .client()
        .list_similar_papers(similar("seed:gnn-traffic", ""))
        .await
        .unwrap();
    let token = of_traffic.into_inner().next_page_token;
    let other = library
        .client()
        .list_similar_papers(similar("seed:paxos", &token))
        .await;
    super::refusals::blames(&other.unwrap_err(), "page_token", "a response to this request");

    let code = |has_code, page_token: String| ListPapersRequest {
        filter: Some(PaperFilter {
            has_code: Some(has_code),
            ..PaperFilter::default()
        }),
        page_size: 3,
        page_token,
    };
    let token = library
        .client()
        .list_papers(code(true, String::new()))
        .await
        .unwrap()
        .into_inner()
        .next_page_token;
    let other = library.client().list_papers(code(false, token)).await;
    super::refusals::blames(&other.unwrap_err(), "page_token", "a response to this request");
}
