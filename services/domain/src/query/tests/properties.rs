//! What must hold for any text.

use proptest::prelude::*;

use super::super::*;

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

/// What the documentation of [`QueryExpression`] says of its operands.
fn is_sound(expression: &QueryExpression) -> bool {
    let is_not = |operand: &QueryExpression| matches!(operand, QueryExpression::Not(_));
    match expression {
        QueryExpression::Words(words) => !words.is_empty() && *words == crate::text::one_line(words),
        QueryExpression::Like(_) => true,
        QueryExpression::Not(operand) => !is_not(operand) && is_sound(operand),
        QueryExpression::All(operands) => {
            operands.len() > 1
                && !is_not(&operands[0])
                && operands.is_sorted_by_key(is_not)
                && operands
                    .iter()
                    .all(|one| !matches!(one, QueryExpression::All(_)) && is_sound(one))
        }
        QueryExpression::Any(operands) => {
            operands.len() > 1
                && operands
                    .iter()
                    .all(|one| !is_not(one) && !matches!(one, QueryExpression::Any(_)) && is_sound(one))
        }
    }
}

fn holds(text: &str) -> Result<(), TestCaseError> {
    match parse(text) {
        Ok(query) => {
            let top = query.expression.as_ref();
            let sound = top.is_none_or(|one| !matches!(one, QueryExpression::Not(_)) && is_sound(one));
            prop_assert!(sound, "{:?}", query);
        }
        Err(error) => {
            prop_assert!(text.get(error.position.clone()).is_some(), "{:?}", error);
            prop_assert!(!error.position.is_empty(), "{:?}", error);
            prop_assert_eq!(text[error.position.clone()].chars().count(), error.characters.len());
        }
    }
    Ok(())
}

/// Whether a text holds what may be the name of a field.
fn has_field(text: &str) -> bool {
    let lower = text.to_lowercase();
    ["cat:", "author:", "source:", "lang:", "has:", "year:", "date:", "like:"]
        .into_iter()
        .any(|field| lower.contains(field))
}

/// Every word of a query, wherever it went, in the form in which words are compared.
fn kept(query: &ParsedQuery) -> Vec<String> {
    fn all(expression: &QueryExpression, found: &mut String) {
        match expression {
            QueryExpression::Words(words) => found.extend([" ", words]),
            QueryExpression::Like(_) => {}
            QueryExpression::Not(operand) => all(operand, found),
            QueryExpression::All(operands) | QueryExpression::Any(operands) => {
                for operand in operands {
                    all(operand, found);
                }
            }
        }
    }
    let mut found = String::new();
    query
        .expression
        .iter()
        .for_each(|expression| all(expression, &mut found));
    let without = &query.restrictions;
    for word in without.without_words.iter().chain(&without.without_phrases) {
        found.extend([" ", word]);
    }
    folded(&found)
}

fn folded(text: &str) -> Vec<String> {
    let fold = crate::text::fold(text);
    let mut words: Vec<String> = fold
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    // AND, OR and NOT may have become operators.
    words.retain(|word| !matches!(word.as_str(), "and" | "or" | "not"));
    words.sort();
    words.dedup();
    words
}

proptest! {
    #[test]
    fn any_text_without_a_field_searches_for_all_its_words(
        text in "[ -~]{0,60}|([A-Z]{1,6}|[a-z]{1,6}|AND|OR|NOT|[\"():*~+/-]| ){0,40}|\\PC{0,60}"
    ) {
        prop_assume!(!has_field(&text));
        match parse(&text) {
            Ok(query) => prop_assert_eq!(kept(&query), folded(&text), "{:?}", query),
            Err(error) => prop_assert!(error.kind == QueryErrorKind::TooManyOperands, "{text}: {error}"),
        }
    }

    #[test]
    fn any_text_is_read_or_refused_at_a_place(text in "\\PC*|[ -~]{0,40}|[\"()A-z:\\- .ANDOR]{0,30}") {
        holds(&text)?;
    }

    #[test]
    fn any_pieces_are_read_or_refused_at_a_place(text in pieces()) {
        holds(&text)?;
    }

    #[test]
    fn well_formed_queries_are_read(text in queries()) {
        match parse(&text) {
            Ok(_) => holds(&text)?,
            Err(error) => prop_assert!(error.kind == QueryErrorKind::TooManyOperands, "{text}: {error}"),
        }
    }
}
