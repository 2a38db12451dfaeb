//! Asks every query of a judged set in every way of searching, as deep as the measures look.

use std::collections::HashMap;

use common::grpc::ServiceChannel;
use domain::evaluation::Grades;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::search::v1::{ListSimilarPapersRequest, QuerySyntax, SearchMode, SearchPapersRequest, SearchResult};

use super::dataset::DataSet;
use super::progress_bar;
use crate::failure::Failure;

/// Results of a query that are looked at.
pub const DEPTH: usize = 100;
/// Results of one page.
const PAGE: i32 = 100;
/// Queries that are asked at the same time.
const AT_ONCE: usize = 4;

/// A way of searching.
#[derive(Debug, Clone, Copy)]
pub struct Method {
    /// What reports call it.
    pub name: &'static str,
    mode: SearchMode,
}

/// All of them.
pub const METHODS: [Method; 3] = [
    Method {
        name: "bm25",
        mode: SearchMode::Sparse,
    },
    Method {
        name: "dense",
        mode: SearchMode::Dense,
    },
    Method {
        name: "hybrid",
        mode: SearchMode::Hybrid,
    },
];

/// A query with what is relevant to it, by paper id.
#[derive(Debug)]
pub struct Judged {
    ask: Ask,
    /// What is relevant.
    pub grades: Grades,
}

#[derive(Debug)]
enum Ask {
    Words(String),
    Like(String),
}

/// The queries that can be judged, and the ids of those that cannot: without a relevant document, or like a document that
/// is no paper. A relevant document that is no paper stays in the judgments, so that it counts as not found.
pub fn judged(set: &DataSet, papers: &HashMap<String, String>) -> (Vec<Judged>, Vec<String>) {
    let (mut judged, mut left_out) = (Vec::new(), Vec::new());
    for query in &set.queries {
        let ask = match &query.paper_id {
            Some(document) => papers.get(document).cloned().map(Ask::Like),
            None => Some(Ask::Words(query.text.clone())),
        };
        let mut grades = Grades::new();
        for (document, grade) in set.judgments.get(&query.id).into_iter().flatten() {
            let paper = papers.get(document).unwrap_or(document);
            let stands = grades.entry(paper.clone()).or_default();
            *stands = (*stands).max(*grade);
        }
        if let Some(Ask::Like(paper)) = &ask {
            grades.remove(paper);
        }
        match ask {
            Some(ask) if grades.values().any(|grade| *grade > 0) => judged.push(Judged { ask, grades }),
            _ => left_out.push(query.id.clone()),
        }
    }
    (judged, left_out)
}

/// The ids of the papers that each query finds, best first.
pub async fn rank(channel: ServiceChannel, judged: &[Judged], method: Method) -> Result<Vec<Vec<String>>, Failure> {
    eprintln!("asking {} queries, {}", judged.len(), method.name);
    let bar = progress_bar(judged.len() as u64, method.name);
    let rankings = stream::iter(judged).map(|one| {
        let (channel, bar) = (channel.clone(), bar.clone());
        async move {
            let ranking = ask(channel, &one.ask, method).await;
            bar.inc(1);
            ranking
        }
    });
    let rankings = rankings.buffered(AT_ONCE).try_collect().await;
    bar.finish_and_clear();
    rankings
}

async fn ask(channel: ServiceChannel, ask: &Ask, method: Method) -> Result<Vec<String>, Failure> {
    let mut search = SearchServiceClient::new(channel);
    let (mut ranking, mut page_token) = (Vec::new(), String::new());
    loop {
        let (results, next) = match ask {
            Ask::Words(words) => {
                let request = SearchPapersRequest {
                    query: words.clone(),
                    syntax: QuerySyntax::Plain.into(),
                    mode: method.mode.into(),
                    page_size: PAGE,
                    page_token,
                    ..SearchPapersRequest::default()
                };
                let page = search.search_papers(request).await?.into_inner();
                (page.results, page.next_page_token)
            }
            Ask::Like(paper) => {
                let request = ListSimilarPapersRequest {
                    positive_ids: vec![paper.clone()],
                    mode: method.mode.into(),
                    page_size: PAGE,
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

    use super::super::dataset::Query;
    use super::*;

    #[test]
    fn judgments_are_carried_over_to_papers() {
        let query = |id: &str, paper_id: Option<&str>| Query {
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
        let (judged, left_out) = judged(&set, &papers.into());
        assert_eq!(left_out, ["nothing", "unjudged", "like-none"]);
        // The higher grade of two documents that are one paper stands; what cannot be found still counts.
        assert_eq!(judged[0].grades, grades(&[("eval:1", 3), ("rejected", 2)]));
        // The paper itself is no answer to what is like it.
        assert_eq!(judged[1].grades, grades(&[("eval:2", 1)]));
    }
}
