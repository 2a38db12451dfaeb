//! The query language and the typed fields: which papers pass, against what was written into them.

use proto::convert::to_wire_time;
use proto::search::v1::expression::Kind;
use proto::search::v1::{Expression, Operands, PaperFilter, QuerySyntax, SearchPapersRequest};
use serde_json::Value;

use super::{Library, ask, list, only, those, within, words};

fn time(text: &str) -> prost_types::Timestamp {
    to_wire_time(text.parse().unwrap())
}

fn has(field: &'static str, value: &'static str) -> impl Fn(&Value) -> bool {
    move |paper| match &paper[field] {
        Value::String(text) => text == value,
        list => words(list).contains(&value),
    }
}

fn published(from: &'static str, before: &'static str) -> impl Fn(&Value) -> bool {
    move |paper| (from..before).contains(&paper["published"].as_str().unwrap())
}

/// Each form of the language beside its typed form, and the papers both must give.
fn pairs() -> Vec<(&'static str, PaperFilter, Vec<String>)> {
    vec![
        (
            "cat:cs.CL",
            only(|it| it.categories = list(&["cs.CL"])),
            those(has("categories", "cs.CL")),
        ),
        (
            "cat:cs.CL cat:cs.CV",
            only(|it| it.categories = list(&["cs.CL", "cs.CV"])),
            those(|one| has("categories", "cs.CL")(one) || has("categories", "cs.CV")(one)),
        ),
        (
            "-cat:q-bio.PE",
            only(|it| it.without_categories = list(&["q-bio.PE"])),
            those(|one| !has("categories", "q-bio.PE")(one)),
        ),
        (
            "author:lovelace",
            only(|it| it.authors = list(&["LOVELACE"])),
            those(has("authors", "Ada K. Lovelace")),
        ),
        (
            "author:\"Ada Lovelace\"",
            only(|it| it.authors = list(&["Ada Lovelace"])),
            those(has("authors", "Ada K. Lovelace")),
        ),
        (
            "author:\"paul erdos\"",
            only(|it| it.authors = list(&["Paul Erdős"])),
            those(has("authors", "Paul Erdős")),
        ),
        (
            "-author:erdős",
            only(|it| it.without_authors = list(&["erdos"])),
            those(|one| !has("authors", "Paul Erdős")(one)),
        ),
        (
            "source:HAL",
            only(|it| it.sources = list(&["hal"])),
            those(has("source", "hal")),
        ),
        (
            "-source:seed",
            only(|it| it.without_sources = list(&["seed"])),
            those(|one| !has("source", "seed")(one)),
        ),
        (
            "lang:fr",
            only(|it| it.languages = list(&["fr"])),
            those(has("language", "fr")),
        ),
        (
            "has:code",
            only(|it| it.has_code = Some(true)),
            those(|one| one["code_url"].is_string()),
        ),
        (
            "-has:code",
            only(|it| it.has_code = Some(false)),
            those(|one| one["code_url"].is_null()),
        ),
    ]
}

/// The same for dates and words.
fn more_pairs() -> Vec<(&'static str, PaperFilter, Vec<String>)> {
    vec![
        (
            "year:2023",
            only(|it| {
                it.published_after = Some(time("2023-01-01T00:00:00Z"));
                it.published_before = Some(time("2024-01-01T00:00:00Z"));
            }),
            those(published("2023-01-01", "2024-01-01")),
        ),
        (
            "date:2024-05..2024-06-30",
            only(|it| {
                it.published_after = Some(time("2024-05-01T00:00:00Z"));
                it.published_before = Some(time("2024-07-01T00:00:00Z"));
            }),
            those(published("2024-05-01", "2024-07-01")),
        ),
        (
            "year:..2001",
            only(|it| it.published_before = Some(time("2002-01-01T00:00:00Z"))),
            those(published("0000", "2002")),
        ),
        (
            "-hedgehogs cat:q-bio.PE",
            only(|it| {
                it.without_words = list(&["hedgehogs"]);
                it.categories = list(&["q-bio.PE"]);
            }),
            list(&["deutsch-igel", "francais-herisson", "twin-a", "twin-b"]),
        ),
        (
            "-\"neural networks\" cat:cs.LG year:2024",
            only(|it| {
                it.without_words = list(&["neural networks"]);
                it.categories = list(&["cs.LG"]);
                it.published_after = Some(time("2024-01-01T00:00:00Z"));
                it.published_before = Some(time("2025-01-01T00:00:00Z"));
            }),
            list(&["climate-rain", "protein-graph"]),
        ),
    ]
}

#[tokio::test]
async fn language_and_typed_fields_filter_papers() {
    let library = Library::shared();
    for (query, filter, mut expected) in pairs().into_iter().chain(more_pairs()) {
        expected.sort();
        assert!(!expected.is_empty(), "{query} tests nothing");
        let answer = library
            .search(SearchPapersRequest {
                page_size: 100,
                ..ask(query)
            })
            .await;
        let mut found = super::names(&answer);
        assert_eq!(
            found,
            library.found(within(filter)).await,
            "{query}: both forms in the same order"
        );
        found.sort();
        assert_eq!(found, expected, "{query}");
        if !answer.total_is_estimate {
            assert_eq!(answer.total_size, expected.len() as u64, "{query}");
        }
        assert_eq!(
            answer.total_is_estimate,
            query.contains("-\""),
            "{query}: only texts are not counted"
        );
        // Beside words, which rank and restrict nothing.
        assert_eq!(library.set(&format!("night {query}")).await, expected, "night {query}");
    }
}

#[tokio::test]
async fn a_phrase_is_held_word_by_word_and_in_the_order_of_its_words() {
    let library = Library::shared();
    for (query, expected) in [
        ("\"drug discovery\"", list(&["drug-discovery"])),
        ("\"Graph Neural  networks\"", list(&["gnn-molecules"])),
        ("\"discovery drug\"", list(&[])),
        ("\"graph net\"", list(&[])),
        ("\"pre training\"", list(&["pretraining"])),
        ("\"pre-training\"", list(&["pretraining"])),
        ("\"back-translation\"", list(&["translate"])),
        ("\"bound for diagonal ramsey\"", list(&["erdos-ramsey"])),
        ("\"reseaux de neurones\"", list(&["francais"])),
        ("\"leader election\" -rings", list(&["sleepy"])),
        ("\"AND\"", library.set("\"and\"").await),
    ] {
        assert_eq!(library.set(query).await, expected, "{query}");
        let phrase = query.trim_matches('"');
        if query == format!("\"{phrase}\"") {
            let filter = PaperFilter {
                phrases: list(&[phrase]),
                ..PaperFilter::default()
            };
            let mut typed = library.found(within(filter)).await;
            typed.sort();
            assert_eq!(typed, expected, "{query} as a field");
        }
    }
    let apart = library.found(ask("discovery of drugs")).await;
    assert!(
        apart.contains(&"drug-new".to_owned()) && apart.len() > 10,
        "words alone restrict nothing"
    );
}

#[tokio::test]
async fn a_word_is_left_out_in_all_its_forms() {
    let library = Library::shared();
    for query in [
        "garden night -hedgehog",
        "garden night -hedgehogs",
        "garden night -Hedgehogs",
    ] {
        let found = library.set(query).await;
        let expected = those(|one| {
            let text = format!("{} {}", one["title"], one["abstract"]).to_lowercase();
            !text.contains("hedgehog")
        });
        assert_eq!(found, expected, "{query}");
    }
    let found = library.set("language models -GPT4").await;
    assert!(!found.contains(&"pretraining".to_owned()), "GPT-4 is GPT4: {found:?}");
}

fn node(kind: Kind) -> Expression {
    Expression { kind: Some(kind) }
}

fn about(words: &str) -> Expression {
    node(Kind::Words(words.to_owned()))
}

fn all(operands: &[Expression]) -> Expression {
    node(Kind::All(Operands {
        operands: operands.to_vec(),
    }))
}

fn any(operands: &[Expression]) -> Expression {
    node(Kind::Any(Operands {
        operands: operands.to_vec(),
    }))
}

fn not(operand: Expression) -> Expression {
    node(Kind::Not(Box::new(operand)))
}

#[tokio::test]
async fn operators_mean_the_same_as_text_and_as_structure() {
    let library = Library::shared();
    let like = node(Kind::Like("biorxiv:hedgehog-roads".to_owned()));
    let forms = [
        ("graphs AND proteins", all(&[about("graphs"), about("proteins")])),
        ("graphs OR hedgehogs", any(&[about("graphs"), about("hedgehogs")])),
        ("graphs NOT proteins", all(&[about("graphs"), not(about("proteins"))])),
        (
            "hedgehogs like:biorxiv:hedgehog-roads",
            all(&[about("hedgehogs"), like.clone()]),
        ),
        ("like:biorxiv:hedgehog-roads", like.clone()),
        ("night -like:biorxiv:hedgehog-roads", all(&[about("night"), not(like)])),
        (
            "(graphs OR rivers) AND forecast -(traffic)",
            all(&[
                any(&[about("graphs"), about("rivers")]),
                about("forecast"),
                not(about("traffic")),
            ]),
        ),
    ];
    for (query, expression) in forms {
        let structured = SearchPapersRequest {
            expression: Some(expression),
            explain: true,
            ..SearchPapersRequest::default()
        };
        let written = library
            .search(SearchPapersRequest {
                explain: true,
                ..ask(query)
            })
            .await;
        let structured = library.search(structured).await;
        assert_eq!(written.results, structured.results, "{query}");
        assert_eq!(written.total_size, structured.total_size, "{query}");
    }
    let first = async |query: &str| library.found(ask(query)).await.remove(0);
    assert_eq!(first("graphs AND proteins").await, "protein-graph");
    assert_eq!(first("forecast AND rivers NOT rain").await, "climate-river");
    let either = library.found(ask("\"sleepy consensus\" OR hedgehogs")).await;
    assert!(either.len() > 10, "a phrase under OR restricts nothing: {either:?}");
    let unlike = library.found(ask("hedgehogs NOT roads")).await;
    let place = |name: &str| unlike.iter().position(|one| one == name);
    assert!(place("hedgehog-roads") > place("hedgehog-sleep"), "{unlike:?}");
    let likes = library.found(ask("like:biorxiv:hedgehog-roads")).await;
    assert!(
        !likes.contains(&"hedgehog-roads".to_owned()),
        "an example is no result: {likes:?}"
    );
}

#[tokio::test]
async fn plain_text_is_words_and_nothing_else() {
    let library = Library::shared();
    let plain = SearchPapersRequest {
        syntax: QuerySyntax::Plain.into(),
        ..ask("hedgehogs cat:cs.CL -night \"at")
    };
    let found = library.found(plain).await;
    assert!(found[0].starts_with("hedgehog"), "{found:?}");
    assert!(found.len() > 10, "{found:?}");
}

#[tokio::test]
async fn restrictions_of_query_and_filter_both_hold() {
    let library = Library::shared();
    let request = |query: &str, filter: PaperFilter| SearchPapersRequest {
        filter: Some(filter),
        ..ask(query)
    };
    let cl = || PaperFilter {
        categories: list(&["cs.CL"]),
        ..PaperFilter::default()
    };
    let both = library.found(request("has:code year:2024", cl())).await;
    assert_eq!(both, ["translate"]);
    let narrower = library.found(request("cat:cs.CL cat:cs.CV", cl())).await;
    assert_eq!(
        narrower,
        library.found(within(cl())).await,
        "the shorter list holds where the longer has all of it"
    );
    let nothing = library
        .search(request("cat:cs.CL author:plato", PaperFilter::default()))
        .await;
    assert_eq!((nothing.results.len(), nothing.total_size), (0, 0));
    let nowhere = library
        .search(request("hedgehogs cat:no.such", PaperFilter::default()))
        .await;
    assert_eq!((nowhere.results.len(), nowhere.total_size), (0, 0));
    assert_eq!(nowhere.next_page_token, "");
}
