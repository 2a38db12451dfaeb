//! Runs every query of a judged data set with every search method, as deep as the measures look.

use std::collections::HashMap;

use common::grpc::ServiceChannel;
use domain::evaluation::Grades;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::search::v1::{ListSimilarPapersRequest, QuerySyntax, SearchMode, SearchPapersRequest, SearchResult};

use super::BAR;
use super::dataset::DataSet;
use crate::error::CommandError;
use crate::output;

/// Results of a query that the measures take into account.
pub const DEPTH: usize = 100;
/// Results of one page.
const PAGE_SIZE: i32 = 100;
/// Queries that run at the same time.
const CONCURRENCY: usize = 4;

/// A search method.
#[derive(Debug, Clone, Copy)]
pub struct SearchMethod {
    /// Its name in reports.
    pub name: &'static str,
    mode: SearchMode,
}

/// All methods.
pub const METHODS: [SearchMethod; 3] = [
    SearchMethod {
        name: "bm25",
        mode: SearchMode::Sparse,
    },
    SearchMethod {
        name: "dense",
        mode: SearchMode::Dense,
    },
    SearchMethod {
        name: "hybrid",
        mode: SearchMode::Hybrid,
    },
];

/// A query to run, and the papers that are relevant to it.
#[derive(Debug)]
pub struct QueryRun {
    input: QueryInput,
    /// The relevant papers by id.
    pub grades: Grades,
}

#[derive(Debug)]
enum QueryInput {
    Words(String),
    /// Papers similar to this one.
    Like(String),
}

/// The queries that can be judged, and the ids of those that cannot: those without a relevant document, and those that ask
/// for papers similar to a rejected document. A relevant document that was rejected stays in the judgments and counts as
/// not found.
pub fn judged_queries(set: &DataSet, papers: &HashMap<String, String>) -> (Vec<QueryRun>, Vec<String>) {
    let (mut judged, mut left_out) = (Vec::new(), Vec::new());
    for query in &set.queries {
        let input = match &query.paper_id {
            Some(document) => papers.get(document).cloned().map(QueryInput::Like),
            None => Some(QueryInput::Words(query.text.clone())),
        };
        let mut grades = Grades::new();
        for (document, grade) in set.judgments.get(&query.id).into_iter().flatten() {
            let paper = papers.get(document).unwrap_or(document);
            let highest = grades.entry(paper.clone()).or_default();
            *highest = (*highest).max(*grade);
        }
        if let Some(QueryInput::Like(paper)) = &input {
            grades.remove(paper);
        }
        match input {
            Some(input) if grades.values().any(|grade| *grade > 0) => judged.push(QueryRun { input, grades }),
            _ => left_out.push(query.id.clone()),
        }
    }
    (judged, left_out)
}

/// The ids of the papers that each query finds, best first.
pub async fn rank(
    channel: ServiceChannel,
    queries: &[QueryRun],
    method: SearchMethod,
) -> Result<Vec<Vec<String>>, CommandError> {
    eprintln!("running {} queries, {}", queries.len(), method.name);
    let bar = output::progress_bar(queries.len() as u64, BAR).with_message(method.name);
    let rankings = stream::iter(queries).map(|one| {
        let (channel, bar) = (channel.clone(), bar.clone());
        async move {
            let ranking = run_query(channel, &one.input, method).await;
            bar.inc(1);
            ranking
        }
    });
    let rankings = rankings.buffered(CONCURRENCY).try_collect().await;
    bar.finish_and_clear();
    rankings
}

async fn run_query(
    channel: ServiceChannel,
    input: &QueryInput,
    method: SearchMethod,
) -> Result<Vec<String>, CommandError> {
    let mut search = SearchServiceClient::new(channel);
    let (mut ranking, mut page_token) = (Vec::new(), String::new());
    loop {
        let (results, next) = match input {
            QueryInput::Words(words) => {
                let request = SearchPapersRequest {
                    query: words.clone(),
                    syntax: QuerySyntax::Plain.into(),
                    mode: method.mode.into(),
                    page_size: PAGE_SIZE,
                    page_token,
                    ..SearchPapersRequest::default()
                };
                let page = search.search_papers(request).await?.into_inner();
                // A ranking by words alone would be taken for one of the model.
                if !page.notice.is_empty() {
                    return Err(CommandError::unavailable(page.notice));
                }
                (page.results, page.next_page_token)
            }
            QueryInput::Like(paper) => {
                let request = ListSimilarPapersRequest {
                    positive_ids: vec![paper.clone()],
                    mode: method.mode.into(),
                    page_size: PAGE_SIZE,
                    page_token,
                    ..ListSimilarPapersRequest::default()
                };
                let page = search.list_similar_papers(request).await?.into_inner();
                (page.results, page.next_page_token)
            }
        };
        ranking.extend(results.into_iter().map(id_of));
        if next.is_empty() || ranking.len() >= DEPTH {
            ranking.truncate(DEPTH);
            return Ok(ranking);
        }
        page_token = next;
    }
}

fn id_of(result: SearchResult) -> String {
    result.paper.unwrap_or_default().id
}

#[cfg(test)]
mod tests {
    use domain::evaluation::Judgments;

    use super::super::dataset::JudgedQuery;
    use super::*;

    #[test]
    fn judgments_are_carried_over_to_papers() {
        let query = |id: &str, paper_id: Option<&str>| JudgedQuery {
            id: id.to_owned(),
            text: "words".to_owned(),
            paper_id: paper_id.map(str::to_owned),
        };
        let grades =
            |pairs: &[(&str, u32)]| -> Grades { pairs.iter().map(|(id, grade)| ((*id).to_owned(), *grade)).collect() };
        let set = DataSet {
            name: "set".to_owned(),
            corpus: "corpus.jsonl".into(),
            queries: vec![
                query("words", None),
                query("like", Some("1")),
                query("nothing", None),
                query("unjudged", None),
                query("like-none", Some("rejected")),
            ],
            judgments: Judgments::from([
                ("words".to_owned(), grades(&[("1", 1), ("twin", 3), ("rejected", 2)])),
                ("like".to_owned(), grades(&[("1", 3), ("2", 1)])),
                ("nothing".to_owned(), grades(&[("1", 0)])),
                ("like-none".to_owned(), grades(&[("1", 1)])),
            ]),
        };
        let papers = [("1", "eval:1"), ("2", "eval:2"), ("twin", "eval:1")];
        let papers = papers.map(|(document, paper)| (document.to_owned(), paper.to_owned()));
        let (judged, left_out) = judged_queries(&set, &papers.into());
        assert_eq!(left_out, ["nothing", "unjudged", "like-none"]);
        // Of two documents that are one paper the higher grade counts; what cannot be found counts as well.
        assert_eq!(judged[0].grades, grades(&[("eval:1", 3), ("rejected", 2)]));
        // A paper is not similar to itself.
        assert_eq!(judged[1].grades, grades(&[("eval:2", 1)]));
    }
}
