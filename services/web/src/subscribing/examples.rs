//! Example papers that readers name by id, DOI or link.
//!
//! It says which paper is meant, not whether it exists here.

use std::collections::HashMap;
use std::time::Duration;

use domain::readable::readable_line;
use domain::{PaperId, pages, text};
use proto::search::v1::BatchGetPapersRequest;
use serde::Serialize;

use super::context::SubscriberContext;

/// How long a page waits for titles, which it works without.
const TITLES_TIMEOUT: Duration = Duration::from_secs(1);

/// A paper as it was typed, and its id.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExamplePaper {
    /// As typed.
    pub typed: String,
    /// The canonical id; empty if it is not valid.
    pub id: String,
    /// The title; empty if unknown.
    pub title: String,
    /// What is wrong with it; empty if nothing is.
    pub problem: String,
}

impl ExamplePaper {
    fn parse(typed: &str) -> Self {
        let (id, problem) = match paper_id(typed) {
            Ok(id) => (id.to_string(), String::new()),
            Err(problem) => (String::new(), problem),
        };
        Self {
            typed: text::shorten(typed),
            id,
            title: String::new(),
            problem,
        }
    }
}

/// The papers in a field, each once: one in a line, or separated by white space, or by commas that are not part of an id.
pub fn parse(field: &str) -> Vec<ExamplePaper> {
    const SEPARATORS: [char; 2] = [',', ';'];
    let mut papers: Vec<ExamplePaper> = Vec::new();
    let words = field.lines().flat_map(|line| match paper_id(line) {
        Ok(_) => vec![line.trim()],
        Err(_) => line.split_whitespace().collect(),
    });
    let words = words.map(|word| word.trim_matches(SEPARATORS));
    let words = words.flat_map(|word| {
        let parts = paper_id(word).is_err() && word.contains(SEPARATORS);
        let hashes: &[char] = if parts { &SEPARATORS } else { &[] };
        word.split(hashes)
    });
    for typed in words.filter(|word| !word.is_empty()) {
        let example = ExamplePaper::parse(typed);
        let known = papers
            .iter()
            .any(|one| !one.id.is_empty() && one.id == example.id || one.typed == example.typed);
        if !known {
            papers.push(example);
        }
    }
    papers
}

/// The id of the paper that a word names.
///
/// # Errors
/// What is wrong with it, as the predicate of a sentence.
pub fn paper_id(word: &str) -> Result<PaperId, String> {
    const EXPECTED: &str = "is not a paper id; use an arXiv id, a DOI or a link to a paper";
    pages::paper_of(word)
        .or_else(|| PaperId::parse(word).ok())
        .ok_or_else(|| EXPECTED.to_owned())
}

/// The titles of papers; none if they take too long, since pages work without them.
pub async fn titles(ctx: &SubscriberContext, ids: Vec<String>) -> HashMap<String, String> {
    if ids.is_empty() {
        return HashMap::new();
    }
    let request = BatchGetPapersRequest { paper_ids: ids };
    let mut search = ctx.app.search.clone();
    let answer = ctx
        .app
        .clock
        .timeout(TITLES_TIMEOUT, search.batch_get_papers(ctx.request(request)))
        .await;
    let papers = match answer {
        Some(Ok(answer)) => answer.into_inner().papers,
        _ => Vec::new(),
    };
    papers
        .into_iter()
        .map(|paper| (paper.id, readable_line(&paper.title)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_and_links_name_the_same_paper() {
        for word in [
            "2402.14776",
            "2402.14776v3",
            "arXiv:2402.14776",
            "https://arxiv.org/abs/2402.14776v2",
            "https://arxiv.org/pdf/2402.14776v2.pdf",
            "https://www.arxiv.org/html/2402.14776?x=y#S1",
            "arxiv.org/abs/2402.14776",
            "https://doi.org/10.48550/arXiv.2402.14776",
            "https://huggingface.co/papers/2402.14776",
            "http://localhost:7180/papers/arxiv:2402.14776",
            "https://example.org/papers/arxiv%3A2402.14776/",
        ] {
            assert_eq!(paper_id(word).expect(word).as_str(), "arxiv:2402.14776", "{word}");
        }
        let id = |word: &str| paper_id(word).expect(word).to_string();
        assert_eq!(id("10.1145/3292500.ABC"), "doi:10.1145/3292500.abc");
        assert_eq!(id("https://doi.org/10.1145/3-a_b"), "doi:10.1145/3-a_b");
        assert_eq!(id("hep-th/9901001v2"), "arxiv:hep-th/9901001");
        assert_eq!(id("https://arxiv.org/abs/hep-th/9901001"), "arxiv:hep-th/9901001");
        assert_eq!(id("seed:1+1"), "seed:1+1");
    }

    #[test]
    fn words_that_name_no_paper_are_reported() {
        let found = parse("2402.14776, cats\nhttps://example.org/ ;arxiv:12 2402.14776v1");
        let said: Vec<(&str, &str)> = found.iter().map(|one| (one.typed.as_str(), one.id.as_str())).collect();
        assert_eq!(
            said,
            [
                ("2402.14776", "arxiv:2402.14776"),
                ("cats", ""),
                ("https://example.org/", ""),
                ("arxiv:12", "")
            ]
        );
        let old = "doi:10.1002/(sici)1097-0258(19980815)17:15<1661::aid-sim968>3.0.co;2-2";
        assert_eq!(parse(old)[0].id, old, "marks that belong to an id");
        assert_eq!(parse("2402.14776,2402.14777;2402.14778").len(), 3);
        assert_eq!(parse("arXiv:2402.14776 [cs.CL]\n2402.14777 2402.14778").len(), 3);
        assert!(found[1].problem.contains("not a paper id") && found[0].problem.is_empty());
        assert!(paper_id(&"9".repeat(10_000)).is_err());
    }

    proptest! {
        #[test]
        fn an_example_is_an_id_or_a_problem(field in any::<String>()) {
            for one in parse(&field) {
                prop_assert_ne!(one.id.is_empty(), one.problem.is_empty());
                if !one.id.is_empty() {
                    prop_assert_eq!(paper_id(&one.id).map(|id| id.to_string()), Ok(one.id));
                }
            }
        }

        #[test]
        fn arxiv_links_of_any_number_are_read(month in 0..9999u32, number in 0..99999u32, version in 1..9u8) {
            let id = format!("{month:04}.{number:05}");
            let read = paper_id(&format!("https://arxiv.org/pdf/{id}v{version}")).map(|id| id.to_string());
            prop_assert_eq!(read, Ok(format!("arxiv:{id}")));
        }
    }
}
