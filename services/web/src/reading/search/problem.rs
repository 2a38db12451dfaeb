//! What is wrong with a query, shown where it stands.

use domain::query::QueryError;
use serde::Serialize;

/// How much of a long query is shown on each side of the mistake, in characters.
const AROUND: usize = 60;

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// In words, with the way out.
    text: String,
    /// The query up to the mistake.
    before: String,
    /// The mistake; empty where it has no place.
    wrong: String,
    /// The rest.
    after: String,
}

/// A mistake that has a place.
pub fn of(query: &str, error: &QueryError) -> Problem {
    let at = |range: std::ops::Range<usize>| query.get(range).unwrap_or_default();
    let wrong = at(error.position.clone());
    Problem {
        text: error.to_string(),
        before: last(at(0..error.position.start)),
        // A mistake at the very end has no letters of its own.
        wrong: if wrong.is_empty() {
            "…".to_owned()
        } else {
            first(wrong)
        },
        after: first(at(error.position.end..query.len())),
    }
}

/// A mistake that is only told.
pub fn said(text: &str) -> Problem {
    Problem {
        text: text.to_owned(),
        before: String::new(),
        wrong: String::new(),
        after: String::new(),
    }
}

fn first(text: &str) -> String {
    match text.char_indices().nth(AROUND) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn last(text: &str) -> String {
    match text.char_indices().rev().nth(AROUND) {
        Some((start, c)) => format!("…{}", text.get(start + c.len_utf8()..).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(query: &str) -> Problem {
        of(query, &domain::query::parse(query).expect_err("a mistake"))
    }

    #[test]
    fn a_mistake_is_shown_where_it_stands() {
        let problem = problem("hedgehogs year:20x4 owls");
        assert_eq!(
            (problem.before.as_str(), problem.wrong.as_str(), problem.after.as_str()),
            ("hedgehogs ", "year:20x4", " owls")
        );
        assert!(problem.text.contains("at character 11"), "{problem:?}");
    }

    #[test]
    fn a_long_query_is_cut_around_the_mistake() {
        let problem = problem(&format!("{} \"open", "ü ".repeat(200)));
        assert!(
            problem.before.starts_with('…') && problem.before.chars().count() <= AROUND + 1,
            "{problem:?}"
        );
    }
}
