//! What is wrong with a query, and where.

use domain::query::QueryError;
use serde::Serialize;

/// How much of a long query is shown on each side of the mistake, in characters.
const AROUND: usize = 60;

/// A mistake in a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueryProblem {
    /// What is wrong and what to do.
    text: String,
    /// The query up to the mistake.
    before: String,
    /// The mistake; empty if it has no position.
    wrong: String,
    /// The rest.
    after: String,
}

impl QueryProblem {
    /// A mistake without a position.
    pub fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            before: String::new(),
            wrong: String::new(),
            after: String::new(),
        }
    }

    /// A mistake at a position in a query.
    pub fn located(query: &str, error: &QueryError) -> Self {
        let at = |range: std::ops::Range<usize>| query.get(range).unwrap_or_default();
        let wrong = at(error.position.clone());
        Self {
            text: error.to_string(),
            before: last(at(0..error.position.start)),
            // A mistake at the very end has no characters of its own.
            wrong: if wrong.is_empty() {
                "…".to_owned()
            } else {
                first(wrong)
            },
            after: first(at(error.position.end..query.len())),
        }
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

    fn problem(query: &str) -> QueryProblem {
        QueryProblem::located(query, &domain::query::parse(query).expect_err("a mistake"))
    }

    #[test]
    fn a_mistake_is_shown_in_its_place() {
        let problem = problem("hedgehogs year:20x4 owls");
        assert_eq!(
            (problem.before.as_str(), problem.wrong.as_str(), problem.after.as_str()),
            ("hedgehogs ", "year:20x4", " owls")
        );
        assert!(problem.text.contains("at character 11"), "{problem:?}");
    }

    #[test]
    fn a_long_query_is_cut_around_the_mistake() {
        let problem = problem(&format!("{} has:pdf", "ü ".repeat(200)));
        assert!(
            problem.before.starts_with('…') && problem.before.chars().count() <= AROUND + 1,
            "{problem:?}"
        );
    }
}
