//! Submits a corpus and waits until all of it can be found.
//!
//! It relies on the result of each submission and on the watch for papers that become searchable.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::clock::Clock;
use common::grpc::ServiceChannel;
use common::tasks;
use proto::ingest::v1::ingest_service_client::IngestServiceClient;
use proto::ingest::v1::{SubmissionResult, SubmissionStatus, SubmitPapersRequest};
use proto::papers::v1::Paper;
use proto::search::v1::WatchPapersRequest;
use proto::search::v1::search_service_client::SearchServiceClient;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{BAR, dataset};
use crate::commands::ingest::{look_up, seen};
use crate::error::CommandError;
use crate::{json_lines, output};

/// Source of the papers of a judged data set; their ids begin with it.
const SOURCE: &str = "eval";
/// After this long without news, missing papers are looked up.
const LOOK_UP_AFTER: Duration = Duration::from_secs(10);
/// After this long without progress, the command fails.
const PATIENCE: Duration = Duration::from_mins(3);

/// What became of a corpus.
pub struct LoadedCorpus {
    /// Paper ids by document id. Documents with the same text share a paper.
    pub papers: HashMap<String, String>,
    /// Documents that were rejected, and why; none of them can be found.
    pub rejected: Vec<RejectedDocument>,
}

/// A document that was rejected.
pub struct RejectedDocument {
    /// Its id, or the line that could not be read.
    pub document: String,
    /// What is wrong with it.
    pub problem: String,
}

impl LoadedCorpus {
    /// Papers that can be found.
    pub fn paper_count(&self) -> usize {
        let mut papers: Vec<&String> = self.papers.values().collect();
        papers.sort_unstable();
        papers.dedup();
        papers.len()
    }
}

/// Submits every document of a file and returns when each that was accepted can be found.
pub async fn load(channel: ServiceChannel, file: PathBuf, clock: &Clock) -> Result<LoadedCorpus, CommandError> {
    let watch = PaperWatch::start(channel.clone()).await?;
    let (papers, outgoing) = mpsc::channel(256);
    let reading = tasks::blocking(move || read(&file, &papers));
    let (unreadable, submitted) = tokio::join!(reading, submit(channel.clone(), outgoing));
    // What is wrong with the file says more than that the stream ended early.
    let unreadable = unreadable?;
    let (mut corpus, waiting) = submitted?;
    corpus.rejected.extend(unreadable);
    corpus.rejected.sort_by(|a, b| a.document.cmp(&b.document));
    eprintln!(
        "{} documents submitted, {} rejected",
        corpus.papers.len(),
        corpus.rejected.len()
    );
    wait(channel, watch, waiting, clock).await?;
    Ok(corpus)
}

/// Submits what is read. Returns what became of it, and the papers to wait for with their revisions.
async fn submit(
    channel: ServiceChannel,
    outgoing: mpsc::Receiver<SubmitPapersRequest>,
) -> Result<(LoadedCorpus, HashMap<String, u64>), CommandError> {
    let mut results = IngestServiceClient::new(channel)
        .submit_papers(ReceiverStream::new(outgoing))
        .await?
        .into_inner();
    let mut corpus = LoadedCorpus {
        papers: HashMap::new(),
        rejected: Vec::new(),
    };
    let mut waiting = HashMap::new();
    while let Some(response) = results.message().await? {
        let result = response.result.unwrap_or_default();
        note(&mut corpus, &mut waiting, response.reference, result)?;
    }
    Ok((corpus, waiting))
}

/// Sends each document, and returns those that cannot be read.
fn read(corpus: &Path, papers: &mpsc::Sender<SubmitPapersRequest>) -> Result<Vec<RejectedDocument>, CommandError> {
    let (mut reader, mut line, mut number) = (dataset::open(corpus)?, Vec::new(), 0);
    let mut rejected = Vec::new();
    let unreadable = |error: std::io::Error| CommandError::data(format!("{}: {error}", corpus.display()));
    while json_lines::next(&mut reader, &mut line).map_err(unreadable)? {
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
            Err(problem) => rejected.push(RejectedDocument {
                document: format!("line {number}"),
                problem,
            }),
        }
    }
    Ok(rejected)
}

fn note(
    corpus: &mut LoadedCorpus,
    waiting: &mut HashMap<String, u64>,
    document: String,
    result: SubmissionResult,
) -> Result<(), CommandError> {
    match result.status() {
        SubmissionStatus::Accepted | SubmissionStatus::Unchanged | SubmissionStatus::Duplicate => {
            let revision = waiting.entry(result.paper_id.clone()).or_default();
            *revision = result.revision.max(*revision);
            corpus.papers.insert(document, result.paper_id);
        }
        SubmissionStatus::Rejected => {
            let problems = result
                .violations
                .iter()
                .map(|one| format!("{} {}", one.field, one.description));
            corpus.rejected.push(RejectedDocument {
                document,
                problem: problems.collect::<Vec<_>>().join("; "),
            });
        }
        SubmissionStatus::Failed | SubmissionStatus::Unspecified => {
            return Err(CommandError::unavailable(format!(
                "document {document} was not accepted because of a fault of the platform: {}",
                result.error
            )));
        }
    }
    Ok(())
}

/// The papers that become searchable. They are kept until they are waited for, so that the watch never falls behind.
struct PaperWatch {
    news: mpsc::UnboundedReceiver<Paper>,
    reading: JoinSet<Result<(), Status>>,
}

impl PaperWatch {
    async fn start(channel: ServiceChannel) -> Result<Self, CommandError> {
        let mut watch = SearchServiceClient::new(channel)
            .watch_papers(WatchPapersRequest::default())
            .await?
            .into_inner();
        let (sender, news) = mpsc::unbounded_channel();
        let mut reading = JoinSet::new();
        reading.spawn(async move {
            while let Some(response) = watch.message().await? {
                let paper = response.paper.unwrap_or_default();
                let seen = Paper {
                    id: paper.id,
                    revision: paper.revision,
                    ..Paper::default()
                };
                if sender.send(seen).is_err() {
                    break;
                }
            }
            Ok(())
        });
        Ok(Self { news, reading })
    }

    /// The next paper.
    async fn next(&mut self) -> Result<Paper, CommandError> {
        if let Some(paper) = self.news.recv().await {
            return Ok(paper);
        }
        if let Some(ended) = self.reading.join_next().await {
            ended.map_err(CommandError::other)??;
        }
        Err(CommandError::unavailable(
            "the platform stopped before every paper could be found",
        ))
    }
}

async fn wait(
    channel: ServiceChannel,
    mut watch: PaperWatch,
    mut waiting: HashMap<String, u64>,
    clock: &Clock,
) -> Result<(), CommandError> {
    let bar = output::progress_bar(waiting.len() as u64, BAR).with_message("papers can be found");
    let mut last_progress = clock.instant();
    while !waiting.is_empty() {
        let before = waiting.len();
        match clock.timeout(LOOK_UP_AFTER, watch.next()).await {
            Some(paper) => seen(&mut waiting, &paper?),
            None => look_up(channel.clone(), &mut waiting).await?,
        }
        bar.inc((before - waiting.len()) as u64);
        if waiting.len() < before {
            last_progress = clock.instant();
        } else if clock.elapsed(last_progress) > PATIENCE {
            let left = waiting.len();
            let minutes = PATIENCE.as_secs() / 60;
            let example = waiting.keys().next().map_or("", String::as_str);
            return Err(CommandError::other(format!(
                "{left} papers cannot be found, and none was added for {minutes} min; one of them is {example}"
            )));
        }
    }
    bar.finish_and_clear();
    Ok(())
}
