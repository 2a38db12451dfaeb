mod properties;

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
    for spelling in [
        "https://arxiv.org/pdf/2402.14776v1.pdf",
        "arXiv:2402.14776",
        "\"arXiv:2402.14776 [cs.CL]\"",
    ] {
        assert_eq!(expression(&format!("like:{spelling}")), like("arxiv:2402.14776"));
    }
    assert!(matches!(kind("like:nope"), QueryErrorKind::BadId(_)));
}

#[test]
fn a_query_of_nothing_but_an_id_names_a_paper() {
    let named = |text: &str| {
        read(text)
            .named()
            .map(|named| (named.ids[0].to_string(), named.is_certain))
    };
    for (text, id) in [
        ("arxiv:2402.14776", "arxiv:2402.14776"),
        (" 2402.14776v2 ", "arxiv:2402.14776"),
        ("arXiv:2402.14776 [cs.CL]", "arxiv:2402.14776"),
        ("(arXiv:2402.14776)", "arxiv:2402.14776"),
        ("https://arxiv.org/abs/2402.14776v1", "arxiv:2402.14776"),
        ("math.GT/0309136", "arxiv:math/0309136"),
        (
            "DOI: 10.1016/S0140-6736(20)30183-5",
            "doi:10.1016/s0140-6736(20)30183-5",
        ),
        ("https://dl.acm.org/doi/10.1145/3292500", "doi:10.1145/3292500"),
        ("https://papers.example/papers/seed%3A12", "seed:12"),
    ] {
        assert_eq!(named(text), Some((id.to_owned(), true)), "{text}");
    }
    for (text, id) in [("seed:12", "seed:12"), ("C:N", "C:N"), ("P19-1001", "acl:P19-1001")] {
        assert_eq!(named(text), Some((id.to_owned(), false)), "{text}");
    }
    for text in [
        "",
        "graphs",
        "a: b",
        "https://example.org/",
        "Attention is all you need. arXiv:1706.03762",
        "2402.14776 cat:cs.CL",
        "\"2402.14776\"",
        "like:2402.14776",
    ] {
        assert_eq!(named(text), None, "{text}");
    }
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
    assert_eq!(kind("a NOT cat:cs.CL"), QueryErrorKind::NotBeforeRestriction);
    assert_eq!(kind("a NOT -like:x:y"), QueryErrorKind::NotBeforeRestriction);
    for bad in ["a OR cat:cs.CL", "cat:cs.CL OR a"] {
        assert_eq!(kind(bad), QueryErrorKind::OrBesideRestriction, "{bad}");
    }
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
        "title: subtitle",
        "C:N",
        "foo:bar",
        "arXiv:nope",
        "doi:10.1145/3292500",
        "at -40 degrees",
        "~20% * + ^ | ! ?",
        "+x",
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
    for (text, plain) in [
        ("O(n log n) bounds", "O n log n bounds"),
        ("a - b --c", "a b c"),
        ("12\" pipes and 15\" pipes", "12 pipes and 15 pipes"),
        ("größe \"x", "größe x"),
        ("sad :( happy :)", "sad : happy :"),
        ("(a", "a"),
        ("a)", "a"),
        ("a ( ) \"\" \" \" -\"\" b", "a b"),
        ("(a (b", "a b"),
        ("-(a b", "a b"),
        ("foo\"-bar", "foo bar"),
        (
            "Attention is all you need. arXiv:1706.03762, 2017",
            "Attention is all you need. arXiv:1706.03762, 2017",
        ),
    ] {
        assert_eq!(read(text), read(plain), "{text}");
        assert_eq!(expression(text), words(plain), "{text}");
    }
    assert_eq!(expression("f in (-x, -\"y z\")"), expression("f in AND (x, y z)"));
}

#[test]
fn an_operator_without_its_operands_is_a_word() {
    for (text, plain) in [
        ("DEEP LEARNING AND NOT WHAT", "DEEP LEARNING and not WHAT"),
        ("TO BE OR NOT TO BE", "TO BE or not TO BE"),
        ("AND a", "and a"),
        ("a AND", "a and"),
        ("OR a", "or a"),
        ("a OR", "a or"),
        ("a NOT", "a not"),
        ("NOT a", "not a"),
        ("NOT NOT a", "not not a"),
        ("-(a)", "a"),
    ] {
        assert_eq!(expression(text), words(plain), "{text}");
    }
    assert_eq!(expression("a AND AND b"), expression("a and AND b"));
    assert_eq!(expression("a OR OR b"), expression("a OR or b"));
    assert_eq!(expression("a OR NOT b"), expression("a OR not b"));
    assert_eq!(expression("a AND (NOT b)"), expression("a AND (not b)"));
    assert_eq!(read("pro OR -con"), read("pro or -con"));
    assert_eq!(
        expression("GAN AND x"),
        QueryExpression::All(vec![words("GAN"), words("x")])
    );
    assert_eq!(
        expression("量子 AND 计算"),
        QueryExpression::All(vec![words("量子"), words("计算")])
    );
}

#[test]
fn errors_say_what_where_and_what_to_do() {
    let error = parse("größe has:pdf").expect_err("no such value");
    assert_eq!(
        error.to_string(),
        "at character 7: has: cannot be \"pdf\"; write has:code or -has:code"
    );
    assert_eq!((error.position, error.characters), (8..15, 6..13));
    for bad in [
        "-like:arxiv:2402.14776",
        "NOT like:arxiv:2402.14776",
        "-like:x:y NOT like:x:z",
    ] {
        assert_eq!(kind(bad), QueryErrorKind::OnlyNegations, "{bad}");
    }
    for bad in ["cat:", "author:\"\"", "author:!", "author: lovelace"] {
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
    for depth in [16, 17, 3_999] {
        assert_eq!(expression(&nested(depth)), words("a"), "{depth}");
    }
    assert_eq!(kind(&"NOT ".repeat(2_000)), QueryErrorKind::TooManyOperands);
    assert_eq!(kind(&"AND ".repeat(2_000)), QueryErrorKind::TooManyWords);
    assert!(parse(&["a"; 16].join(" OR ")).is_ok());
    assert_eq!(kind(&["a"; 17].join(" OR ")), QueryErrorKind::TooManyOperands);
    let categories: Vec<String> = (0..101).map(|n| format!("cat:c{n}")).collect();
    assert_eq!(kind(&categories.join(" ")), QueryErrorKind::TooManyRestrictions);
}
