//! Papers like others, by id, as lists, and counted.

use std::collections::BTreeMap;

use proto::search::v1::{
    BatchGetPapersRequest, CountFacetsRequest, FacetField, ListPapersRequest, ListSimilarPapersRequest,
    ListSimilarPapersResponse, PaperFilter,
};
use serde_json::Value;

use super::refusals::blames;
use super::{Library, list, name, words, written};

async fn similar(library: &Library, positive: &[&str], negative: &[&str]) -> ListSimilarPapersResponse {
    let request = ListSimilarPapersRequest {
        positive_ids: list(positive),
        negative_ids: list(negative),
        page_size: 100,
        ..ListSimilarPapersRequest::default()
    };
    library
        .client()
        .list_similar_papers(request)
        .await
        .unwrap()
        .into_inner()
}

#[tokio::test]
async fn similar_papers_are_found_without_the_examples() {
    let library = Library::shared();
    for (positive, negative) in [
        (&["biorxiv:hedgehog-sleep"][..], &[][..]),
        (&["biorxiv:hedgehog-sleep", "seed:sleepy"], &[]),
        (
            &["biorxiv:hedgehog-night", "biorxiv:hedgehog-sleep"],
            &["biorxiv:hedgehog-roads"],
        ),
        (&["seed:protein-fold"], &["seed:gnn-molecules", "biorxiv:drug-new"]),
    ] {
        let answer = similar(&library, positive, negative).await;
        assert!(
            (1..20).contains(&answer.results.len()),
            "those that are alike, of 40: {positive:?} {negative:?}"
        );
        for result in &answer.results {
            let id = &result.paper.as_ref().unwrap().id;
            assert!(
                !positive.contains(&id.as_str()) && !negative.contains(&id.as_str()),
                "{id}"
            );
            let sum: f64 = result.parts.iter().map(|part| part.value).sum();
            assert!((sum - result.score).abs() < 1e-3, "{result:?}");
        }
    }
    let best = similar(&library, &["biorxiv:hedgehog-night"], &[]).await.results;
    assert!(
        best[0].paper.as_ref().unwrap().r#abstract.contains("hedgehog"),
        "{best:?}"
    );
    let both = similar(&library, &["seed:sleepy", "seed:translate"], &[]).await.results;
    let both: Vec<String> = both[..4].iter().map(|one| name(one.paper.as_ref().unwrap())).collect();
    assert!(
        both.contains(&"translate-speech".to_owned()),
        "either example will do: {both:?}"
    );
    assert!(both.iter().any(|one| one == "paxos" || one == "election"), "{both:?}");
}

#[tokio::test]
async fn an_example_that_is_not_there_is_named_with_its_field() {
    let library = Library::shared();
    let refused = async |positive: &[&str], negative: &[&str]| {
        let request = ListSimilarPapersRequest {
            positive_ids: list(positive),
            negative_ids: list(negative),
            ..ListSimilarPapersRequest::default()
        };
        library.client().list_similar_papers(request).await.unwrap_err()
    };
    blames(
        &refused(&["seed:sleepy", "seed:absent"], &[]).await,
        "positive_ids[1]",
        "seed:absent",
    );
    blames(
        &refused(&["seed:sleepy"], &["seed:absent"]).await,
        "negative_ids[0]",
        "seed:absent",
    );
    blames(
        &refused(&["seed:sleepy", "no id"], &[]).await,
        "positive_ids[1]",
        "no id",
    );
    blames(&refused(&[], &[]).await, "positive_ids", "1 to 20");
    blames(&refused(&["seed:sleepy"; 21], &[]).await, "positive_ids", "has 21");
}

#[tokio::test]
async fn many_papers_are_looked_up_in_the_order_of_the_request() {
    let library = Library::shared();
    let get = async |ids: Vec<String>| {
        let request = BatchGetPapersRequest { paper_ids: ids };
        library.client().batch_get_papers(request).await
    };
    let asked = list(&["seed:sleepy", "seed:absent", "biorxiv:twin-b", "hal:francais"]);
    let found = get(asked).await.unwrap().into_inner().papers;
    assert_eq!(
        found.iter().map(name).collect::<Vec<_>>(),
        ["sleepy", "twin-b", "francais"]
    );
    assert_eq!(found[2].language, "fr");
    blames(&get(Vec::new()).await.unwrap_err(), "paper_ids", "1 to 1000");
    blames(
        &get(vec!["seed:sleepy".to_owned(); 1_001]).await.unwrap_err(),
        "paper_ids",
        "has 1001",
    );
    blames(&get(list(&["seed:sleepy", ""])).await.unwrap_err(), "paper_ids[1]", "");
}

#[tokio::test]
async fn papers_are_listed_newest_first_under_a_filter() {
    let library = Library::shared();
    let filter = PaperFilter {
        authors: list(&["Paul Erdős", "Tanaka"]),
        without_words: list(&["quantum"]),
        phrases: list(&["graphs"]),
        ..PaperFilter::default()
    };
    let (mut papers, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListPapersRequest {
            filter: Some(filter.clone()),
            page_size: 1,
            page_token: token,
        };
        let answer = library.client().list_papers(request).await.unwrap().into_inner();
        assert!(answer.papers.len() <= 1);
        papers.extend(answer.papers);
        token = answer.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let found: Vec<String> = papers.iter().map(name).collect();
    assert_eq!(found, ["protein-graph", "gnn-traffic", "erdos-ramsey", "erdos-graphs"]);
}

/// What a field of a paper counts under.
fn values(paper: &Value, field: FacetField) -> Vec<String> {
    match field {
        FacetField::Category => words(&paper["categories"]).into_iter().map(str::to_owned).collect(),
        FacetField::Author => words(&paper["authors"]).into_iter().map(str::to_owned).collect(),
        FacetField::Year => vec![paper["published"].as_str().unwrap()[..4].to_owned()],
        FacetField::Source => vec![paper["source"].as_str().unwrap().to_owned()],
        _ => vec![paper["language"].as_str().unwrap().to_owned()],
    }
}

#[tokio::test]
async fn facets_count_what_was_written() {
    let library = Library::shared();
    let fields = [
        FacetField::Author,
        FacetField::Year,
        FacetField::Category,
        FacetField::Language,
        FacetField::Source,
    ];
    let code = PaperFilter {
        has_code: Some(true),
        ..PaperFilter::default()
    };
    for (filter, query, passing) in [
        (None, "", written()),
        (None, "hedgehogs lang:en", kept(|one| one["language"] == "en")),
        (
            Some(code),
            "-cat:cs.CV",
            kept(|one| one["code_url"].is_string() && !words(&one["categories"]).contains(&"cs.CV")),
        ),
    ] {
        for limit in [100, 2] {
            let request = CountFacetsRequest {
                filter: filter.clone(),
                fields: fields.iter().map(|field| (*field).into()).collect(),
                limit,
                query: query.to_owned(),
            };
            let answer = library.client().count_facets(request).await.unwrap().into_inner();
            assert_eq!(
                (answer.total_size, answer.total_is_estimate),
                (passing.len() as u64, false),
                "{query}"
            );
            for (facet, field) in answer.facets.iter().zip(fields) {
                assert_eq!(facet.field(), field);
                let mut counts: BTreeMap<String, u64> = BTreeMap::new();
                for value in passing.iter().flat_map(|paper| values(paper, field)) {
                    *counts.entry(value).or_default() += 1;
                }
                let mut expected: Vec<(String, u64)> = counts.into_iter().collect();
                expected.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
                expected.truncate(usize::try_from(limit).unwrap());
                let found = facet.values.iter().map(|one| (one.value.clone(), one.papers));
                assert_eq!(found.collect::<Vec<_>>(), expected, "{query} by {field:?}");
            }
        }
    }
}

fn kept(wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    written().into_iter().filter(wanted).collect()
}

#[tokio::test]
async fn facets_that_cannot_be_counted_are_refused() {
    let library = Library::shared();
    let refused = async |fields: Vec<i32>, limit: i32, query: &str| {
        let request = CountFacetsRequest {
            filter: None,
            fields,
            limit,
            query: query.to_owned(),
        };
        library.client().count_facets(request).await.unwrap_err()
    };
    blames(&refused(vec![], 0, "").await, "fields", "1 to 5");
    blames(&refused(vec![1, 0], 0, "").await, "fields[1]", "is 0");
    blames(&refused(vec![99], 0, "").await, "fields[0]", "is 99");
    blames(&refused(vec![1, 1], 0, "").await, "fields[1]", "second");
    blames(&refused(vec![1], 1_001, "").await, "limit", "1 to 1000");
    blames(&refused(vec![1], 0, "cat:").await, "query", "at character 1");
}
