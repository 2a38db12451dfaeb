//! What readers do makes papers trend: over gRPC, from the command line, and in the order of a search.

use proto::attention::v1::attention_service_client::AttentionServiceClient;
use proto::attention::v1::{AttentionKind, RecordAttentionRequest};
use proto::search::v1::{
    ListTrendingPapersRequest, ListTrendingPapersResponse, PaperFilter, SearchOrder, SearchPapersRequest,
    TrendingWindow,
};
use tests::eventually;
use tonic::Status;

use super::refusals::blames;
use super::{Library, ask, list, name, names, only, within};

impl Library {
    async fn attention(&self, reader: &str, paper: &str, kind: AttentionKind, event: &str) {
        let channel = common::grpc::channel(&self.platform.endpoint("grpc"), None).unwrap();
        let request = RecordAttentionRequest {
            event_id: event.to_owned(),
            paper_id: paper.to_owned(),
            kind: kind.into(),
            reader_id: reader.to_owned(),
        };
        let mut client = AttentionServiceClient::new(channel);
        client.record_attention(request).await.unwrap();
    }

    async fn trending(&self, request: ListTrendingPapersRequest) -> Result<ListTrendingPapersResponse, Status> {
        Ok(self.client().list_trending_papers(request).await?.into_inner())
    }

    /// What trends in a window, within a filter.
    async fn trend(&self, window: TrendingWindow, filter: PaperFilter) -> Vec<String> {
        let request = ListTrendingPapersRequest {
            window: window.into(),
            filter: Some(filter),
            ..ListTrendingPapersRequest::default()
        };
        trending_names(&self.trending(request).await.unwrap())
    }

    /// Waits until a paper is at a place of the day's list. Acts are read in order, so all before its last one are read.
    async fn until_trends(&self, paper: &str, place: usize) {
        eventually(&format!("{paper} at place {place}"), || async {
            let names = self.trend(TrendingWindow::Day, PaperFilter::default()).await;
            (names.get(place).map(String::as_str) == Some(paper)).then_some(())
        })
        .await;
    }

    /// Five readers vote for one paper, three read another, one clicks a third.
    async fn looked_at(&self) {
        for reader in 0..5 {
            let reader = format!("voter-{reader}");
            self.attention(&reader, "biorxiv:hedgehog-night", AttentionKind::Vote, "")
                .await;
        }
        // Once more with ids of their own: the same readers count once, however often.
        for repeat in 0..4 {
            let event = format!("again-{repeat}");
            self.attention("voter-0", "biorxiv:hedgehog-night", AttentionKind::Vote, &event)
                .await;
        }
        for reader in 0..3 {
            let reader = format!("reader-{reader}");
            self.attention(&reader, "biorxiv:hedgehog-sleep", AttentionKind::Read, "")
                .await;
            self.attention(&reader, "seed:not-in-the-catalogue", AttentionKind::Vote, "")
                .await;
        }
        self.attention("reader-0", "seed:hedgehog-drone", AttentionKind::Click, "")
            .await;
        self.until_trends("hedgehog-drone", 2).await;
    }
}

fn trending_names(answer: &ListTrendingPapersResponse) -> Vec<String> {
    let papers = answer.papers.iter().map(|one| name(one.paper.as_ref().unwrap()));
    papers.collect()
}

fn readers(answer: &ListTrendingPapersResponse) -> Vec<Vec<(String, u32)>> {
    let of = |part: &proto::search::v1::TrendingPart| (part.name.clone(), part.readers);
    let papers = answer.papers.iter();
    papers.map(|one| one.parts.iter().map(of).collect()).collect()
}

const ORDER: [&str; 3] = ["hedgehog-night", "hedgehog-sleep", "hedgehog-drone"];

#[tokio::test(flavor = "multi_thread")]
async fn attention_makes_papers_trend_and_a_restart_changes_nothing() {
    let library = Library::own();
    assert!(
        library
            .trend(TrendingWindow::Day, PaperFilter::default())
            .await
            .is_empty()
    );
    library.looked_at().await;

    let whole = library.trending(ListTrendingPapersRequest::default()).await.unwrap();
    assert_eq!(trending_names(&whole), ORDER);
    for one in &whole.papers {
        let sum: f64 = one.parts.iter().map(|part| part.value).sum();
        assert!((sum - one.score).abs() < 1e-6, "{one:?}");
        let score: f64 = one
            .parts
            .iter()
            .filter(|part| part.name != "topic")
            .map(|part| part.attention_score)
            .sum();
        assert!((score - one.attention_score).abs() < 1e-6, "{one:?}");
        assert_eq!(one.parts.last().unwrap().name, "topic");
    }
    let expected = [("votes", 5), ("reads", 3), ("clicks", 1)]
        .map(|(kind, readers)| vec![(kind.to_owned(), readers), ("topic".to_owned(), 0)]);
    assert_eq!(readers(&whole), expected);
    for window in [TrendingWindow::Week, TrendingWindow::Month] {
        assert_eq!(library.trend(window, PaperFilter::default()).await, ORDER);
    }

    let library = library.restarted();
    let again = library.trending(ListTrendingPapersRequest::default()).await.unwrap();
    assert_eq!(
        (trending_names(&again), readers(&again)),
        (list(&ORDER), readers(&whole))
    );
    for (before, after) in whole.papers.iter().zip(&again.papers) {
        assert!(
            (before.attention_score - after.attention_score).abs() < 0.02 * before.attention_score,
            "{before:?} {after:?}"
        );
    }
    // And it goes on from there.
    for reader in 0..12 {
        let reader = format!("late-{reader}");
        library
            .attention(&reader, "biorxiv:hedgehog-sleep", AttentionKind::Vote, "")
            .await;
    }
    library.until_trends("hedgehog-sleep", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trending_is_filtered_paged_and_told_by_the_command_line() {
    let library = Library::own();
    library.looked_at().await;
    let day = TrendingWindow::Day;
    let of = |category: &str| only(|filter| filter.categories = list(&[category]));
    assert_eq!(library.trend(day, of("q-bio.PE")).await, ORDER);
    assert_eq!(library.trend(day, of("q-bio.NC")).await, ORDER[1..2]);
    assert!(library.trend(day, of("cs.CC")).await.is_empty());
    let phrase = only(|filter| filter.phrases = list(&["small radio tags"]));
    assert_eq!(library.trend(day, phrase).await, ORDER[..1]);

    let (mut paged, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListTrendingPapersRequest {
            page_size: 1,
            page_token: token,
            ..ListTrendingPapersRequest::default()
        };
        let page = library.trending(request).await.unwrap();
        paged.extend(trending_names(&page));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
        // What comes between two pages moves nothing.
        let reader = format!("between-{}", paged.len());
        library
            .attention(&reader, "seed:hedgehog-drone", AttentionKind::Vote, "")
            .await;
    }
    assert_eq!(paged, ORDER);

    let told = library
        .platform
        .must(&["trending", "--window", "week", "--category", "q-bio.NC", "--json"]);
    let told = told.json();
    assert_eq!(told["papers"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(told["papers"][0]["id"], "biorxiv:hedgehog-sleep");
    assert_eq!(told["papers"][0]["parts"][0]["readers"], 3);
    let told = library.platform.must(&["trending", "--explain", "--limit", "1"]).out;
    assert!(
        told.contains("5 votes") && told.contains("usual attention for its topic"),
        "{told}"
    );

    library.platform.must(&["withdraw", "biorxiv:hedgehog-night"]);
    eventually("a withdrawn paper does not trend", || async {
        let names = library.trend(day, PaperFilter::default()).await;
        (!names.contains(&"hedgehog-night".to_owned())).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ordering_by_trending_moves_only_trending_papers() {
    let library = Library::own();
    library.looked_at().await;
    let by_trending = |request: SearchPapersRequest| SearchPapersRequest {
        order: SearchOrder::Trending.into(),
        ..request
    };
    let best = library.found(ask("hedgehogs roads")).await;
    assert_ne!(best[..3], ORDER, "or there is nothing to see");
    let trending = library.found(by_trending(ask("hedgehogs roads"))).await;
    assert_eq!(trending[..3], ORDER);
    let rest: Vec<&String> = best.iter().filter(|name| !ORDER.contains(&name.as_str())).collect();
    assert_eq!(trending[3..].iter().collect::<Vec<_>>(), rest);

    let newest = library
        .found(within(only(|filter| filter.languages = list(&["en"]))))
        .await;
    let trending = by_trending(within(only(|filter| filter.languages = list(&["en"]))));
    let page = SearchPapersRequest {
        page_size: 5,
        ..trending.clone()
    };
    assert_eq!(names(&library.search(page).await)[..3], ORDER);
    let trending = library.found(trending).await;
    let rest: Vec<&String> = newest.iter().filter(|name| !ORDER.contains(&name.as_str())).collect();
    assert_eq!(trending[3..].iter().collect::<Vec<_>>(), rest);
    let told = library
        .platform
        .must(&["search", "hedgehogs roads", "--order", "trending", "--json"])
        .json();
    assert_eq!(told["results"][0]["id"], "biorxiv:hedgehog-night");
}

#[tokio::test]
async fn trending_that_cannot_be_asked_for_is_refused_at_its_place() {
    let library = Library::shared();
    let request = ListTrendingPapersRequest::default;
    for (request, field, said) in [
        (
            ListTrendingPapersRequest { window: 9, ..request() },
            "window",
            "is 9; allowed are DAY (1), WEEK (2) and MONTH (3)",
        ),
        (
            ListTrendingPapersRequest {
                page_size: -1,
                ..request()
            },
            "page_size",
            "1 to 1000",
        ),
        (
            ListTrendingPapersRequest {
                page_token: "forged".to_owned(),
                ..request()
            },
            "page_token",
            "is not one",
        ),
        (
            ListTrendingPapersRequest {
                filter: Some(only(|filter| filter.categories = list(&["cs.CL", " "]))),
                ..request()
            },
            "filter.categories[1]",
            "is empty",
        ),
    ] {
        blames(&library.trending(request).await.unwrap_err(), field, said);
    }
    let diverse = SearchPapersRequest {
        order: SearchOrder::Trending.into(),
        diversity: 0.5,
        ..ask("hedgehogs")
    };
    blames(&library.refused(diverse).await, "diversity", "TRENDING");
    let unknown = SearchPapersRequest {
        order: 9,
        ..ask("hedgehogs")
    };
    blames(&library.refused(unknown).await, "order", "TRENDING (3)");
}
