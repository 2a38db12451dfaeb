//! Submits a corpus and waits until all of it can be found.
//!
//! It goes by what the platform says: the result of each submission, and the watch for what becomes searchable.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::grpc::ServiceChannel;
use indicatif::ProgressBar;
use proto::ingest::v1::ingest_service_client::IngestServiceClient;
use proto::ingest::v1::{SubmissionResult, SubmissionStatus, SubmitPapersRequest};
use proto::papers::v1::Paper;
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::search::v1::{BatchGetPapersRequest, WatchPapersRequest};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{dataset, progress_bar};
use crate::failure::Failure;
use crate::lines;

/// Source of the papers of a judged set; their ids begin with it.
const SOURCE: &str = "eval";
/// Without news for this long, what is missing is looked up.
const LOOK_UP_AFTER: Duration = Duration::from_secs(10);
/// Without progress for this long, the platform is given up.
const PATIENCE: Duration = Duration::from_mins(3);

/// What became of a corpus.
pub struct Filled {
    /// Paper ids by document id. Documents with the same text share a paper.
    pub papers: HashMap<String, String>,
    /// Documents that were no papers, and why; none of them can be found.
    pub rejected: Vec<Rejected>,
}

/// A document that is no paper.
pub struct Rejected {
    /// Its id, or the line that could not be read.
    pub document: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Filled {
    /// Papers that can be found.
    pub fn paper_count(&self) -> usize {
        let mut papers: Vec<&String> = self.papers.values().collect();
        papers.sort_unstable();
        papers.dedup();
        papers.len()
    }
}

/// Submits every document of a file and returns when each that is a paper can be found.
pub async fn fill(channel: ServiceChannel, corpus: PathBuf) -> Result<Filled, Failure> {
    let news = watch(channel.clone()).await?;
    let (papers, outgoing) = mpsc::channel(256);
    let reading = tokio::task::spawn_blocking(move || read(&corpus, &papers));
    let mut results = IngestServiceClient::new(channel.clone())
        .submit_papers(ReceiverStream::new(outgoing))
        .await?
        .into_inner();
    let mut filled = Filled {
        papers: HashMap::new(),
        rejected: Vec::new(),
    };
    let mut waiting = HashMap::new();
    while let Some(response) = results.message().await? {
        let result = response.result.unwrap_or_default();
        note(&mut filled, &mut waiting, response.reference, result)?;
    }
    // What is wrong with the file says more than that the stream ended early.
    filled.rejected.extend(reading.await.map_err(Failure::other)??);
    filled.rejected.sort_by(|a, b| a.document.cmp(&b.document));
    eprintln!(
        "{} documents submitted, {} rejected",
        filled.papers.len(),
        filled.rejected.len()
    );
    wait(channel, news, waiting).await?;
    Ok(filled)
}

/// Lines that cannot be read are given back.
fn read(corpus: &Path, papers: &mpsc::Sender<SubmitPapersRequest>) -> Result<Vec<Rejected>, Failure> {
    let (mut reader, mut line, mut number) = (dataset::open(corpus)?, Vec::new(), 0);
    let mut rejected = Vec::new();
    let unreadable = |error: std::io::Error| Failure::data(format!("{}: {error}", corpus.display()));
    while lines::next(&mut reader, &mut line).map_err(unreadable)? {
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        match dataset::document(&line, SOURCE) {
            Ok(document) => {
                let request = SubmitPapersRequest {
                    reference: document.id,
                    paper: Some(document.paper),
                };
                if papers.blocking_send(request).is_err() {
                    break; // the call ended; its own error says why
                }
            }
            Err(problem) => rejected.push(Rejected {
                document: format!("line {number}"),
                problem,
            }),
        }
    }
    Ok(rejected)
}

fn note(
    filled: &mut Filled,
    waiting: &mut HashMap<String, u64>,
    document: String,
    result: SubmissionResult,
) -> Result<(), Failure> {
    match result.status() {
        SubmissionStatus::Accepted | SubmissionStatus::Unchanged | SubmissionStatus::Duplicate => {
            let revision = waiting.entry(result.paper_id.clone()).or_default();
            *revision = result.revision.max(*revision);
            filled.papers.insert(document, result.paper_id);
        }
        SubmissionStatus::Rejected => {
            let problems = result
                .violations
                .iter()
                .map(|one| format!("{} {}", one.field, one.description));
            filled.rejected.push(Rejected {
                document,
                problem: problems.collect::<Vec<_>>().join("; "),
            });
        }
        SubmissionStatus::Failed | SubmissionStatus::Unspecified => {
            return Err(Failure::unavailable(format!(
                "document {document} was not taken because of a fault of the platform: {}",
                result.error
            )));
        }
    }
    Ok(())
}

/// Begins to watch. What comes is kept until it is waited for, so that the watch never falls behind.
async fn watch(channel: ServiceChannel) -> Result<mpsc::UnboundedReceiver<Paper>, Failure> {
    let mut watch = SearchServiceClient::new(channel)
        .watch_papers(WatchPapersRequest::default())
        .await?
        .into_inner();
    let (news, coming) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok(Some(response)) = watch.message().await {
            let paper = response.paper.unwrap_or_default();
            let seen = Paper {
                id: paper.id,
                revision: paper.revision,
                ..Paper::default()
            };
            if news.send(seen).is_err() {
                break;
            }
        }
    });
    Ok(coming)
}

async fn wait(
    channel: ServiceChannel,
    mut news: mpsc::UnboundedReceiver<Paper>,
    mut waiting: HashMap<String, u64>,
) -> Result<(), Failure> {
    let bar = progress_bar(waiting.len() as u64, "papers can be found");
    let mut last_progress = tokio::time::Instant::now();
    while !waiting.is_empty() {
        let before = waiting.len();
        match tokio::time::timeout(LOOK_UP_AFTER, news.recv()).await {
            Ok(Some(paper)) => seen(&mut waiting, &paper, &bar),
            Ok(None) => {
                return Err(Failure::unavailable(
                    "the platform stopped before every paper could be found",
                ));
            }
            Err(_) => look_up(channel.clone(), &mut waiting, &bar).await?,
        }
        if waiting.len() < before {
            last_progress = tokio::time::Instant::now();
        } else if last_progress.elapsed() > PATIENCE {
            let left = waiting.len();
            let minutes = PATIENCE.as_secs() / 60;
            return Err(Failure::other(format!(
                "{left} papers cannot be found, and none was added for {minutes} min; such as {}",
                waiting.keys().next().map_or("", String::as_str)
            )));
        }
    }
    bar.finish_and_clear();
    Ok(())
}

async fn look_up(
    channel: ServiceChannel,
    waiting: &mut HashMap<String, u64>,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let mut search = SearchServiceClient::new(channel);
    let ids: Vec<String> = waiting.keys().cloned().collect();
    for paper_ids in ids.chunks(1_000) {
        let request = BatchGetPapersRequest {
            paper_ids: paper_ids.to_vec(),
        };
        for paper in search.batch_get_papers(request).await?.into_inner().papers {
            seen(waiting, &paper, bar);
        }
    }
    Ok(())
}

fn seen(waiting: &mut HashMap<String, u64>, paper: &Paper, bar: &ProgressBar) {
    let wanted = waiting.get(&paper.id);
    if wanted.is_some_and(|revision| paper.revision >= *revision) {
        waiting.remove(&paper.id);
        bar.inc(1);
    }
}
