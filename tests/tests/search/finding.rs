//! Ranking: legs, orders, recency, diversity, and the account a result gives of itself.

use prost::Message as _;
use proto::search::v1::{Recency, SearchMode, SearchOrder, SearchPapersRequest, SearchResult};

use super::{Library, ask, name, names};

const QUERIES: [&str; 14] = [
    "hedgehogs at night",
    "graph neural networks",
    "graphs AND proteins",
    "graphs OR rivers",
    "hedgehogs NOT roads",
    "(graphs OR ice) AND robots -(quantum)",
    "like:seed:gnn-depth",
    "consensus like:seed:sleepy",
    "night -like:biorxiv:hedgehog-roads",
    "\"drug discovery\" drugs",
    "cat:cs.CL",
    "the of and",
    "GPT-4 pre-training C++",
    "Igel im Garten",
];

fn part<'a>(result: &'a SearchResult, name: &str) -> Option<&'a proto::search::v1::ScorePart> {
    result.parts.iter().find(|part| part.name == name)
}

/// Parts sum to the score, and terms to what the sparse leg says. True when there were terms.
fn account(query: &str, result: &SearchResult) -> bool {
    let sum: f64 = result.parts.iter().map(|part| part.value).sum();
    assert!(
        (sum - result.score).abs() < 1e-3,
        "{query}: {sum} is not the score of {result:?}"
    );
    let mut explained = false;
    for part in &result.parts {
        let terms: f64 = part.terms.iter().map(|term| term.weight).sum();
        if !part.terms.is_empty() {
            explained = true;
            assert_eq!(part.name, "sparse", "{query}: {result:?}");
            assert!((terms - part.raw).abs() < 1e-3, "{query}: {terms} is not {part:?}");
            assert!(part.terms.iter().all(|term| !term.term.is_empty()), "{query}: {part:?}");
        } else if part.name == "sparse" && !query.contains("like:") {
            assert!(part.raw.abs() < 1e-9, "{query}: unexplained {part:?}");
        }
    }
    explained
}

#[tokio::test]
async fn scores_are_the_sums_of_their_parts_and_terms() {
    let library = Library::shared();
    for query in QUERIES {
        let mut explained = false;
        for mode in [SearchMode::Hybrid, SearchMode::Dense, SearchMode::Sparse] {
            for (weight, diversity) in [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.3, 1.0)] {
                let recency = Recency {
                    half_life: Some(prost_types::Duration {
                        seconds: 86_400 * 365,
                        nanos: 0,
                    }),
                    weight,
                };
                let request = SearchPapersRequest {
                    mode: mode.into(),
                    recency: (weight > 0.0).then_some(recency),
                    diversity,
                    explain: true,
                    page_size: 100,
                    ..ask(query)
                };
                for result in library.search(request).await.results {
                    explained |= account(query, &result);
                }
            }
        }
        let wordless = query.starts_with("like:") || query.starts_with("cat:") || query == "the of and";
        assert_eq!(explained, !wordless, "{query}");
    }
}

#[tokio::test]
async fn each_mode_asks_its_legs() {
    let library = Library::shared();
    let legs = async |mode: SearchMode| {
        let request = SearchPapersRequest {
            mode: mode.into(),
            page_size: 100,
            ..ask("hedgehogs at night")
        };
        let mut legs: Vec<String> = Vec::new();
        let answer = library.search(request).await;
        for result in &answer.results {
            legs.extend(result.parts.iter().map(|part| part.name.clone()));
        }
        legs.sort();
        legs.dedup();
        (legs, answer.results.len())
    };
    assert_eq!(legs(SearchMode::Dense).await, (super::list(&["dense"]), 40));
    let (sparse, found) = legs(SearchMode::Sparse).await;
    assert_eq!(sparse, ["sparse"]);
    assert!(
        (4..15).contains(&found),
        "only papers with a word of the query: {found}"
    );
    assert_eq!(
        legs(SearchMode::Hybrid).await,
        (super::list(&["dense", "feedback", "sparse"]), 40)
    );
    assert_eq!(legs(SearchMode::Unspecified).await, legs(SearchMode::Hybrid).await);
}

#[tokio::test]
async fn equal_scores_are_ordered_by_id_and_answers_repeat() {
    let library = Library::shared();
    let tied = SearchPapersRequest {
        mode: SearchMode::Sparse.into(),
        ..ask("gardens small animals")
    };
    let answer = library.search(tied).await;
    assert_eq!(&names(&answer)[..2], ["twin-a", "twin-b"]);
    assert!((answer.results[0].score - answer.results[1].score).abs() < 1e-12);
    assert_eq!(answer.results[0].parts[0].rank, answer.results[1].parts[0].rank);
    for query in QUERIES {
        let request = SearchPapersRequest {
            explain: true,
            ..ask(query)
        };
        let first = library.search(request.clone()).await.encode_to_vec();
        for _ in 1..10 {
            assert_eq!(first, library.search(request.clone()).await.encode_to_vec(), "{query}");
        }
    }
}

#[tokio::test]
async fn the_newest_come_first_on_request_or_without_a_ranking() {
    let library = Library::shared();
    for query in ["hedgehogs", "cat:cs.LG", "lang:en"] {
        let order = if query == "hedgehogs" {
            SearchOrder::Newest
        } else {
            SearchOrder::Relevance
        };
        let request = SearchPapersRequest {
            order: order.into(),
            page_size: 100,
            ..ask(query)
        };
        let answer = library.search(request).await;
        let keys: Vec<(i64, String)> = answer
            .results
            .iter()
            .map(|result| {
                let paper = result.paper.as_ref().unwrap();
                (-paper.published_time.unwrap().seconds, paper.id.clone())
            })
            .collect();
        assert!(keys.len() >= 5 && keys.is_sorted(), "{query}: {keys:?}");
    }
}

#[tokio::test]
async fn the_newest_are_those_that_fit() {
    let library = Library::shared();
    let newest = SearchPapersRequest {
        order: SearchOrder::Newest.into(),
        page_size: 100,
        ..ask("hedgehogs")
    };
    let expected = [
        "robots-garden",
        "hedgehog-drone",
        "hedgehog-roads",
        "hedgehog-sleep",
        "hedgehog-night",
    ];
    assert_eq!(names(&library.search(newest.clone()).await), expected);
    let nothing = SearchPapersRequest {
        query: "monetary policy and inflation".to_owned(),
        ..newest
    };
    assert_eq!(names(&library.search(nothing).await), [""; 0]);
    let like = library.found(ask("like:seed:paxos")).await;
    assert_eq!(like[..2], ["sleepy", "election"], "papers alike come first");
    assert!(like.len() < 8, "and few of the other forty: {like:?}");
}

#[tokio::test]
async fn words_that_the_model_cannot_read_are_searched_alone() {
    let library = Library::shared();
    for query in ["ёжики ночью", "刺猬"] {
        let answer = library.search(ask(query)).await;
        assert!(answer.notice.contains("words alone"), "{query}: {}", answer.notice);
        assert_eq!((answer.results.len(), answer.total_size), (0, 0), "{query}");
    }
    let by_words = SearchPapersRequest {
        mode: SearchMode::Sparse.into(),
        ..ask("hedgehog")
    };
    let answer = library.search(by_words).await;
    assert_eq!(
        (answer.results.len(), answer.total_size),
        (5, 5),
        "those that hold the word"
    );
}

/// Days since the epoch.
fn today() -> f64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64() / 86_400.0
}

#[tokio::test]
async fn recency_lifts_the_new_and_diversity_parts_twins() {
    let library = Library::shared();
    let (query, half_life) = ("random graphs with a threshold", 86_400 * 1_000);
    let recency = Recency {
        half_life: Some(prost_types::Duration {
            seconds: half_life,
            nanos: 0,
        }),
        weight: 1.0,
    };
    let plain = library
        .search(SearchPapersRequest {
            page_size: 100,
            ..ask(query)
        })
        .await;
    let newer = SearchPapersRequest {
        recency: Some(recency),
        page_size: 100,
        ..ask(query)
    };
    let newer = library.search(newer).await;
    assert_eq!(names(&plain)[0], "erdos-graphs", "of 1999");
    assert_ne!(names(&newer), names(&plain));
    for result in &newer.results {
        let bonus = part(result, "recency").unwrap();
        let expected = plain.results[0].score * (-bonus.raw * 86_400.0 / half_life as f64).exp2();
        assert!((bonus.value - expected).abs() < 1e-9, "{bonus:?} is not {expected}");
        let published = result.paper.as_ref().unwrap().published_time.unwrap().seconds;
        let age = today() - published as f64 / 86_400.0;
        assert!((age - bonus.raw).abs() < 0.1, "{age} days: {bonus:?}");
    }
    let place = |names: &[String], name: &str| names.iter().position(|one| one == name);

    let twins = |diversity| SearchPapersRequest {
        diversity,
        page_size: 100,
        ..ask("a garden feeds small animals")
    };
    assert_eq!(&library.found(twins(0.0)).await[..2], ["twin-a", "twin-b"]);
    let apart = library.search(twins(0.6)).await;
    let names = super::names(&apart);
    assert_eq!(names[0], "twin-a");
    assert!(place(&names, "twin-b") > Some(2), "{names:?}");
    assert!(apart.results.iter().all(|result| part(result, "diversity").is_some()));
}

#[tokio::test]
async fn highlights_lie_on_the_words_of_a_sentence_of_the_abstract() {
    let library = Library::shared();
    let stem = |word: &str| word.to_lowercase().trim_end_matches('s').to_owned();
    let query = "hedgehog nights Graphs n\\log";
    for result in library
        .search(SearchPapersRequest {
            page_size: 100,
            ..ask(query)
        })
        .await
        .results
    {
        let paper = result.paper.unwrap();
        let shown = result.highlight.unwrap();
        assert!(
            paper.r#abstract.contains(&shown.sentence),
            "{}: {}",
            paper.id,
            shown.sentence
        );
        assert_eq!(shown.sentence.is_empty(), paper.r#abstract.is_empty(), "{}", paper.id);
        for (text, spans) in [
            (&shown.sentence, &shown.sentence_spans),
            (&paper.title, &shown.title_spans),
        ] {
            let mut end = 0;
            for span in spans {
                assert!(span.start >= end && span.end > span.start, "{}: {spans:?}", paper.id);
                end = span.end;
                let word = &text[span.start as usize..span.end as usize];
                let known = ["hedgehog", "night", "graph", "n"].contains(&stem(word).as_str()) || word.contains("log");
                assert!(known, "{}: {word:?}", name(&paper));
            }
        }
        if paper.id == "biorxiv:hedgehog-night" {
            assert_eq!(shown.sentence, "Hedgehogs walk far at night.");
            assert_eq!((shown.sentence_spans.len(), shown.title_spans.len()), (2, 2));
        }
    }
}
