//! Requests that cannot be answered: INVALID_ARGUMENT, and a BadRequest that names the field, what it is, and what is allowed.

use proto::search::v1::expression::Kind;
use proto::search::v1::{Expression, Operands, PaperFilter, QuerySyntax, Recency, SearchPapersRequest};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{Library, ask, list, only, within};

/// Checks that a status blames this field, with these words.
pub fn blames(status: &Status, field: &str, said: &str) {
    assert_eq!(status.code(), Code::InvalidArgument, "{field}: {status:?}");
    let details = status.get_error_details();
    let violations = &details
        .bad_request()
        .unwrap_or_else(|| panic!("{field}: {status:?}"))
        .field_violations;
    let found = violations.iter().find(|one| one.field == field);
    let found = found.unwrap_or_else(|| panic!("{field} is not blamed: {violations:?}"));
    assert!(
        found.description.contains(said),
        "{field}: {said:?} is not said: {found:?}"
    );
    assert!(found.description.chars().count() < 400, "{field}: {found:?}");
    assert!(
        !found.description.starts_with(field),
        "{field} is named twice: {found:?}"
    );
}

#[tokio::test]
async fn a_query_that_cannot_be_read_is_refused_at_its_place() {
    let library = Library::shared();
    for (query, said) in [
        ("graphs year:2025..2023", "at character 8"),
        ("year:2023 year:2024", "nothing can have been published"),
        ("year:20x3", "2023..2025"),
        ("date:2024-02-30", "a date that exists"),
        ("has:data", "has:code"),
        ("-lang:en graphs", "cannot be excluded"),
        ("like:nonsense:", "paper id"),
        ("-like:seed:absent", "add something to search for"),
        ("graphs OR cat:cs.CL", "OR needs"),
        ("()", "is empty"),
        ("like:seed:absent", "seed:absent, which is not in the catalogue"),
        ("hedgehogs -like:seed:absent", "seed:absent"),
        ("", "is empty"),
        (" \t ", "is empty"),
    ] {
        blames(&library.refused(ask(query)).await, "query", said);
    }
    let many = vec!["word"; 10_000].join(" ");
    let long = "x".repeat(8_001);
    for syntax in [QuerySyntax::Language, QuerySyntax::Plain] {
        let asked = |query: &str| SearchPapersRequest {
            syntax: syntax.into(),
            ..ask(query)
        };
        blames(
            &library.refused(asked(&many)).await,
            "query",
            "49999 characters; at most 8000",
        );
        blames(
            &library.refused(asked(&long)).await,
            "query",
            "8001 characters; at most 8000",
        );
        blames(&library.refused(asked(&"w ".repeat(257))).await, "query", "256");
        library.search(asked(&long[1..])).await;
    }
}

fn kind(kind: Kind) -> Expression {
    Expression { kind: Some(kind) }
}

#[tokio::test]
async fn an_expression_is_held_to_the_same() {
    let library = Library::shared();
    let words = |words: &str| kind(Kind::Words(words.to_owned()));
    let like = |id: &str| kind(Kind::Like(id.to_owned()));
    let all = |operands: Vec<Expression>| kind(Kind::All(Operands { operands }));
    let any = |operands: Vec<Expression>| kind(Kind::Any(Operands { operands }));
    let not = |inner: Expression| kind(Kind::Not(Box::new(inner)));
    let mut deep = words("x");
    for _ in 0..20 {
        deep = all(vec![deep, words("y")]);
    }
    for (expression, field, said) in [
        (Expression { kind: None }, "expression", "one of words, like"),
        (words(" "), "expression.words", "is empty"),
        (words(&"x".repeat(8_001)), "expression.words", "at most 8000"),
        (words(&"w ".repeat(257)), "expression", "257 words; at most 256"),
        (like("seed:absent"), "expression.like", "not in the catalogue"),
        (like("?"), "expression.like", "?"),
        (all(vec![words("x")]), "expression.all.operands", "at least 2"),
        (
            all(vec![words("x"), like("seed:absent")]),
            "expression.all.operands[1].like",
            "seed:absent",
        ),
        (
            all(vec![not(words("x")), not(words("y"))]),
            "expression.all",
            "one operand must",
        ),
        (
            any(vec![words("x"), not(words("y"))]),
            "expression.any",
            "inside `all` only",
        ),
        (not(words("x")), "expression.not", "stands alone"),
        (any(vec![words("x"); 17]), "expression.any.operands[16]", "more than 16"),
    ] {
        let request = SearchPapersRequest {
            expression: Some(expression),
            ..SearchPapersRequest::default()
        };
        blames(&library.refused(request).await, field, said);
    }
    let request = SearchPapersRequest {
        expression: Some(deep),
        ..SearchPapersRequest::default()
    };
    assert_eq!(library.refused(request).await.code(), Code::InvalidArgument);
    let both = SearchPapersRequest {
        expression: Some(words("x")),
        ..ask("y")
    };
    blames(&library.refused(both).await, "expression", "only one of both");
}

#[tokio::test]
async fn numbers_and_names_out_of_range_are_refused() {
    let library = Library::shared();
    let x = || ask("hedgehogs");
    let recency = |seconds: i64, weight: f64| SearchPapersRequest {
        recency: Some(Recency {
            half_life: Some(prost_types::Duration { seconds, nanos: 0 }),
            weight,
        }),
        ..x()
    };
    let structured = SearchPapersRequest {
        expression: Some(kind(Kind::Words("x".to_owned()))),
        syntax: 9,
        ..SearchPapersRequest::default()
    };
    for (request, field, said) in [
        (
            SearchPapersRequest { page_size: -1, ..x() },
            "page_size",
            "is -1; allowed are 1 to 100",
        ),
        (SearchPapersRequest { page_size: 101, ..x() }, "page_size", "is 101"),
        (
            SearchPapersRequest { mode: 4, ..x() },
            "mode",
            "is 4; allowed are HYBRID",
        ),
        (SearchPapersRequest { mode: -1, ..x() }, "mode", "is -1"),
        (
            SearchPapersRequest { order: 4, ..x() },
            "order",
            "is 4; allowed are RELEVANCE",
        ),
        (
            SearchPapersRequest { syntax: 3, ..x() },
            "syntax",
            "is 3; allowed are LANGUAGE",
        ),
        (structured, "syntax", "is 9"),
        (
            SearchPapersRequest {
                diversity: f64::NAN,
                ..x()
            },
            "diversity",
            "is NaN",
        ),
        (SearchPapersRequest { diversity: -0.1, ..x() }, "diversity", "0 to 1"),
        (SearchPapersRequest { diversity: 1.1, ..x() }, "diversity", "is 1.1"),
        (
            SearchPapersRequest {
                diversity: 0.5,
                order: 2,
                ..x()
            },
            "diversity",
            "NEWEST",
        ),
        (recency(86_400 * 30, f64::NAN), "recency.weight", "is NaN"),
        (recency(86_400 * 30, f64::INFINITY), "recency.weight", "is inf"),
        (recency(86_400 * 30, 0.0), "recency.weight", "above 0"),
        (recency(3_600, 0.5), "recency.half_life", "one day to ten years"),
        (recency(i64::MAX, 0.5), "recency.half_life", "one day to ten years"),
    ] {
        blames(&library.refused(request).await, field, said);
    }
}

#[tokio::test]
async fn filters_that_cannot_hold_are_refused() {
    let library = Library::shared();
    let time = |seconds: i64, nanos: i32| Some(prost_types::Timestamp { seconds, nanos });
    let filters = [
        (
            only(|it| it.categories = vec!["cs.CL".to_owned(); 101]),
            "filter.categories",
            "has 101 entries",
        ),
        (
            only(|it| it.without_words = vec!["x".to_owned(); 101]),
            "filter.without_words",
            "at most 100",
        ),
        (
            only(|it| it.sources = list(&["hal", ""])),
            "filter.sources[1]",
            "is empty",
        ),
        (
            only(|it| it.languages = list(&[" "])),
            "filter.languages[0]",
            "is empty",
        ),
        (
            only(|it| it.phrases = list(&["..."])),
            "filter.phrases[0]",
            "no letter or digit",
        ),
        (
            only(|it| it.authors = list(&["-"])),
            "filter.authors[0]",
            "no letter or digit",
        ),
        (
            only(|it| it.without_words = list(&["?"])),
            "filter.without_words[0]",
            "no letter or digit",
        ),
        (
            only(|it| it.published_after = time(i64::MAX, 0)),
            "filter.published_after",
            "is not a valid time",
        ),
        (
            only(|it| it.published_before = time(0, i32::MAX)),
            "filter.published_before",
            "is not a valid time",
        ),
        (
            only(|it| {
                it.published_after = time(100, 0);
                it.published_before = time(100, 0);
            }),
            "filter.published_before",
            "not after filter.published_after",
        ),
    ];
    for (filter, field, said) in filters {
        blames(&library.refused(within(filter)).await, field, said);
    }
    blames(
        &library.refused(within(PaperFilter::default())).await,
        "query",
        "give a filter",
    );
    let beside = |query: &str, filter: PaperFilter| SearchPapersRequest {
        filter: Some(filter),
        ..ask(query)
    };
    let other = beside("cat:cs.CL", only(|it| it.categories = list(&["cs.CV"])));
    blames(
        &library.refused(other).await,
        "filter.categories",
        "in one of both places",
    );
    let against = beside("has:code", only(|it| it.has_code = Some(false)));
    blames(
        &library.refused(against).await,
        "filter.has_code",
        "the query says true",
    );
}
