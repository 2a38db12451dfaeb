use proptest::prelude::*;

use super::*;

fn read(text: &str) -> ParsedQuery {
    parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn kind(text: &str) -> QueryErrorKind {
    parse(text).expect_err(text).kind
}

fn words(text: &str) -> QueryExpression {
    QueryExpression::Words(text.to_owned())
}

fn like(id: &str) -> QueryExpression {
    QueryExpression::Like(PaperId::parse(id).expect("an id"))
}

fn not(expression: QueryExpression) -> QueryExpression {
    QueryExpression::Not(Box::new(expression))
}

fn expression(text: &str) -> QueryExpression {
    read(text).expression.expect("a expression")
}

fn time(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

#[test]
fn words_side_by_side_are_one_operand() {
    assert_eq!(expression(" graph \t networks and so"), words("graph networks and so"));
    assert_eq!(parse(""), Ok(ParsedQuery::default()));
    assert_eq!(parse(" - -- "), Ok(ParsedQuery::default()));
}

#[test]
fn and_binds_tighter_than_or_and_not_leaves_out() {
    assert_eq!(
        expression("graph networks AND (drug discovery OR like:arxiv:2402.14776) NOT proteins"),
        QueryExpression::All(vec![
            words("graph networks"),
            QueryExpression::Any(vec![words("drug discovery"), like("arxiv:2402.14776")]),
            not(words("proteins")),
        ])
    );
    assert_eq!(
        expression("a OR b AND c"),
        QueryExpression::Any(vec![words("a"), QueryExpression::All(vec![words("b"), words("c")])])
    );
    assert_eq!(expression("a AND NOT b"), expression("a NOT b"));
    assert_eq!(expression("a -(b OR c)"), expression("a NOT(b OR c)"));
    assert_eq!(expression("NOT b AND a"), expression("a NOT b"));
    assert_eq!(expression("((a AND b)) AND c"), expression("a AND b AND c"));
}

#[test]
fn papers_beside_words_must_both_fit() {
    assert_eq!(
        expression("graphs like:2402.14776v2 -like:doi:10.1016/S0140-6736(20)30183-5"),
        QueryExpression::All(vec![
            words("graphs"),
            like("arxiv:2402.14776"),
            not(like("doi:10.1016/s0140-6736(20)30183-5")),
        ])
    );
    assert_eq!(expression("arxiv:2402.14776"), like("arxiv:2402.14776"));
    assert_eq!(
        expression("https://arxiv.org/abs/2402.14776v1"),
        like("arxiv:2402.14776")
    );
    assert!(matches!(kind("like:nope"), QueryErrorKind::BadId(_)));
    assert!(matches!(kind("arxiv:nope"), QueryErrorKind::BadId(_)));
}

#[test]
fn phrases_restrict_where_every_result_must_fit_them() {
    let query = read("deep “graph networks” AND \"C++ code\" NOT \"two words\"");
    assert_eq!(query.restrictions.phrases, ["graph networks", "C++ code"]);
    assert_eq!(query.words(), "deep graph networks C++ code");
    assert!(read("\"a b\" OR c").restrictions.is_empty());
    assert!(read("(\"a b\") c").restrictions.is_empty());
    assert_eq!(
        expression("\"AND\" OR \"cat:x (y)\""),
        QueryExpression::Any(vec![words("and"), words("cat x y")])
    );
}

#[test]
fn restrictions_stand_anywhere_and_part_no_words() {
    let query = read(
        "graph cat:cs.CL networks -proteins -\"drug discovery\" cat:cs.LG -cat:math.CO author:\"Ada Lovelace\" \
         -author:x source:arXiv -source:api lang:en has:code -GPT-4 AND year:2024",
    );
    assert_eq!(query.expression, Some(words("graph networks")));
    let found = query.restrictions;
    assert_eq!(found.categories, ["cs.CL", "cs.LG"]);
    assert_eq!(found.without_categories, ["math.CO"]);
    assert_eq!(found.without_words, ["proteins", "GPT-4"]);
    assert_eq!(found.without_phrases, ["drug discovery"]);
    assert_eq!(
        (found.authors, found.without_authors),
        (vec!["Ada Lovelace".into()], vec!["x".into()])
    );
    assert_eq!(
        (found.sources, found.without_sources),
        (vec!["arxiv".into()], vec!["api".into()])
    );
    assert_eq!((found.languages, found.has_code), (vec!["en".into()], Some(true)));
    assert_eq!(kind("a (b cat:cs.CL)"), QueryErrorKind::RestrictionInside);
    assert_eq!(kind("a (b -c)"), QueryErrorKind::RestrictionInside);
    assert_eq!(kind("a NOT cat:cs.CL"), QueryErrorKind::NotBeforeRestriction);
    assert!(matches!(kind("a OR cat:cs.CL"), QueryErrorKind::NoOperand("OR", _)));
}

#[test]
fn dates_are_ranges_whose_end_is_outside() {
    let range = |text: &str| {
        let found = read(text).restrictions;
        (found.published_after, found.published_before)
    };
    let new_year = |year: &str| Some(time(&format!("{year}-01-01T00:00:00Z")));
    assert_eq!(range("year:2025"), (new_year("2025"), new_year("2026")));
    assert_eq!(range("year:2023..2025"), (new_year("2023"), new_year("2026")));
    assert_eq!(range("year:2023.."), (new_year("2023"), None));
    assert_eq!(range("year:..2020"), (None, new_year("2021")));
    assert_eq!(range("year:2023.. year:..2025"), (new_year("2023"), new_year("2026")));
    assert_eq!(range("year:9999"), (new_year("9999"), None));
    assert_eq!(
        range("date:2024-02..2024-02-29"),
        (Some(time("2024-02-01T00:00:00Z")), Some(time("2024-03-01T00:00:00Z")))
    );
    for bad in ["year:2025..2023", "date:2024-05-02..2024-05-01", "year:2020 year:2022"] {
        assert_eq!(kind(bad), QueryErrorKind::EmptyRange, "{bad}");
    }
    for bad in [
        "year:0999",
        "year:24",
        "year:..",
        "year:2024-05",
        "date:2023-02-29",
        "date:2024-13",
        "year:+123",
    ] {
        assert!(matches!(kind(bad), QueryErrorKind::BadValue { .. }), "{bad}");
    }
}

#[test]
fn text_that_merely_looks_odd_is_text() {
    for text in [
        "C++",
        "state-of-the-art",
        "GPT-4",
        "10:30",
        "e.g.",
        "$\\alpha$-divergence",
        "Erdős–Rényi",
        "http://a.b/c?d",
        "a -> b",
        "std::vector",
        "Transformers: a survey",
        "O(n)",
        "p(y|x)",
        "don't",
        "@x #y",
        "A/B",
        "Source: none",
    ] {
        assert_eq!(
            read(text),
            ParsedQuery {
                expression: Some(words(text)),
                ..ParsedQuery::default()
            },
            "{text}"
        );
    }
    assert_eq!(expression("O(n log n) bounds"), words("O n log n bounds"));
    assert_eq!(expression("a - b --c"), words("a b c"));
}

#[test]
fn errors_say_what_where_and_what_to_do() {
    assert_eq!(
        parse("größe foo:bar").expect_err("no field").to_string(),
        "at character 7: there is no field foo; fields are cat, author, source, lang, has, year, date and like. Put the \
         text in quotes to search for it as it is"
    );
    let error = parse("größe \"x").expect_err("open");
    assert_eq!((error.position, error.characters), (8..9, 6..7));
    assert_eq!(kind("(a"), QueryErrorKind::OpenParenthesis);
    assert_eq!(kind("a)"), QueryErrorKind::StrayParenthesis);
    assert_eq!(kind("a ( )"), QueryErrorKind::EmptyParentheses);
    for bad in [
        "AND a",
        "a AND",
        "a AND AND b",
        "a OR",
        "OR a",
        "a OR OR b",
        "a AND OR b",
        "a NOT",
        "NOT NOT a",
    ] {
        assert!(matches!(kind(bad), QueryErrorKind::NoOperand(..)), "{bad}");
    }
    for bad in ["NOT a", "-like:arxiv:2402.14776", "a OR NOT b", "a AND (NOT b)"] {
        assert_eq!(kind(bad), QueryErrorKind::OnlyNegations, "{bad}");
    }
    for bad in ["cat:", "author:\"\"", "\"\"", "a -\" \"", "author:!"] {
        assert!(matches!(kind(bad), QueryErrorKind::EmptyValue(..)), "{bad}");
    }
    assert!(matches!(kind("has:pdf"), QueryErrorKind::BadValue { .. }));
    assert_eq!(kind("has:code -has:code"), QueryErrorKind::Contradiction);
    assert_eq!(kind("-lang:en"), QueryErrorKind::NotExcludable("lang"));
}

#[test]
fn limits_hold() {
    assert_eq!(kind(&"a".repeat(8_001)), QueryErrorKind::TooLong(8_001));
    assert!(parse(&"a ".repeat(256)).is_ok());
    assert_eq!(kind(&"a ".repeat(257)), QueryErrorKind::TooManyWords);
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(16)).is_ok());
    assert_eq!(kind(&nested(17)), QueryErrorKind::TooDeep);
    assert_eq!(kind(&nested(4_000)[..8_000]), QueryErrorKind::OpenParenthesis);
    assert!(parse(&["a"; 16].join(" OR ")).is_ok());
    assert_eq!(kind(&["a"; 17].join(" OR ")), QueryErrorKind::TooManyOperands);
    let categories: Vec<String> = (0..101).map(|n| format!("cat:c{n}")).collect();
    assert_eq!(kind(&categories.join(" ")), QueryErrorKind::TooManyRestrictions);
}

/// Pieces that mean something to the language, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "graph",
        "AND",
        "OR",
        "NOT",
        "(",
        ")",
        "-",
        "\"",
        "\"two words\"",
        "\"AND\"",
        "\"-x (y cat:z\"",
        "-x",
        "f(x)",
        "like:arxiv:2402.14776",
        "-like:seed:1",
        "doi:10.1/x",
        "cat:cs.CL",
        "-cat:x",
        "author:\"A (B\"",
        "year:2024",
        "date:2024-05..",
        "has:code",
        "foo:",
        "C++",
        "->",
        "“",
        "f(",
        "é",
        "\u{200b}",
        ":",
        "-(",
        "AND(",
        "two",
        "words",
    ]);
    prop::collection::vec((piece, prop::sample::select(vec![" ", " ", " ", ""])), 0..14)
        .prop_map(|pieces| pieces.into_iter().flat_map(|(piece, gap)| [piece, gap]).collect())
}

/// Queries that are well formed.
fn queries() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "graph networks",
        "\"two words\" two",
        "two \"two words\"",
        "like:arxiv:2402.14776",
        "proteins",
        "O(n log n)",
        "\"NOT\"",
    ])
    .prop_map(str::to_owned);
    let expression = leaf.prop_recursive(3, 10, 3, |inner| {
        let many = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            many.clone().prop_map(|all| all.join(" AND ")),
            many.prop_map(|any| format!("({})", any.join(" OR "))),
            (inner.clone(), inner).prop_map(|(one, other)| format!("({one} NOT ({other}))")),
        ]
    });
    let restriction = prop::sample::select(vec![
        "-word",
        "-\"a b\"",
        "cat:cs.CL",
        "author:\"Ada L\"",
        "year:1999..2004",
        "date:2001-05..",
        "-has:code",
        "-source:x",
        "",
    ]);
    (restriction.clone(), expression, restriction)
        .prop_map(|(one, expression, other)| format!("{one} {expression} {other}"))
}

fn holds(text: &str) -> Result<(), TestCaseError> {
    match parse(text) {
        Ok(query) => {
            let written = query.to_string();
            prop_assert_eq!(parse(&written), Ok(query), "{}", written);
        }
        Err(error) => {
            prop_assert!(text.get(error.position.clone()).is_some(), "{:?}", error);
            prop_assert!(!error.position.is_empty(), "{:?}", error);
            prop_assert_eq!(text[error.position.clone()].chars().count(), error.characters.len());
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_at_a_place(text in "\\PC*|[ -~]{0,40}|[\"()A-z:\\- .ANDOR]{0,30}") {
        holds(&text)?;
    }

    #[test]
    fn any_pieces_are_read_or_refused_at_a_place(text in pieces()) {
        holds(&text)?;
    }

    #[test]
    fn well_formed_queries_are_read_and_written_back(text in queries()) {
        match parse(&text) {
            Ok(_) => holds(&text)?,
            Err(error) => prop_assert!(error.kind == QueryErrorKind::TooManyOperands, "{text}: {error}"),
        }
    }
}
