//! `ingest`: submits papers from JSON lines and reports the lines that were refused. `withdraw` takes a paper back.

use std::collections::HashMap;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use common::clock::Clock;
use common::grpc::ServiceChannel;
use common::tasks;
use indicatif::ProgressBar;
use proto::ingest::v1::ingest_service_client::IngestServiceClient;
use proto::ingest::v1::{SubmissionStatus, SubmitPapersRequest, SubmitPapersResponse, WithdrawPaperRequest};
use proto::papers::v1::Paper;
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::search::v1::{BatchGetPapersRequest, WatchPapersRequest, WatchPapersResponse};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::error::CommandError;
use crate::output::RefusedLines;
use crate::{ConnectArgs, client, json_lines, output};

/// What is submitted.
#[derive(Args)]
pub struct IngestArgs {
    /// File of papers, one JSON object per line; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Wait until every accepted paper can be found
    #[arg(long)]
    wait: bool,
    /// Longest wait in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, requires = "wait")]
    wait_timeout: u64,
    /// Source of papers that do not name one
    #[arg(long, value_name = "NAME", default_value = "file")]
    source: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What became of the lines.
#[derive(Default)]
pub struct IngestReport {
    /// Papers that were new or changed, with their revisions.
    pub accepted: HashMap<String, u64>,
    /// Papers that were known before, with their revisions.
    pub unchanged: HashMap<String, u64>,
    /// Lines whose text is known under another id.
    pub duplicates: u64,
    /// Line number and what is wrong with it.
    pub refused: RefusedLines,
}

/// Submits and reports.
pub async fn run(connect: &ConnectArgs, args: IngestArgs, clock: &Clock) -> Result<(), CommandError> {
    let channel = client::connect(connect)?;
    let reader = open(&args.file)?;
    let watch = if args.wait {
        Some(watch(channel.clone()).await?)
    } else {
        None
    };
    let report = submit(channel.clone(), reader, &args.source).await?;
    if let Some(watch) = watch {
        let deadline = Duration::from_secs(args.wait_timeout);
        wait(channel, watch, &report, deadline, clock).await?;
    }
    show(&report, args.json);
    output::all_accepted(&report.refused)
}

/// Withdraws one paper.
pub async fn withdraw(connect: &ConnectArgs, paper_id: String, reason: String) -> Result<(), CommandError> {
    let request = WithdrawPaperRequest { paper_id, reason };
    let answer = IngestServiceClient::new(client::connect(connect)?)
        .withdraw_paper(request)
        .await?
        .into_inner();
    println!("{} was withdrawn (revision {})", answer.paper_id, answer.revision);
    Ok(())
}

/// Opens a file, or standard input for `-`.
pub fn open(file: &Path) -> Result<Box<dyn Read + Send>, CommandError> {
    if file == Path::new("-") {
        return Ok(Box::new(std::io::stdin()));
    }
    match std::fs::File::open(file) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(CommandError::other(format!("{}: {error}", file.display()))),
    }
}

/// Begins to watch for papers; what is indexed from now on is seen.
pub async fn watch(channel: ServiceChannel) -> Result<Streaming<WatchPapersResponse>, CommandError> {
    Ok(SearchServiceClient::new(channel)
        .watch_papers(WatchPapersRequest::default())
        .await?
        .into_inner())
}

/// Submits every line. Lines that cannot be read are reported beside those that ingest refuses.
pub async fn submit(
    channel: ServiceChannel,
    reader: Box<dyn Read + Send>,
    source: &str,
) -> Result<IngestReport, CommandError> {
    let (papers, outgoing) = mpsc::channel(256);
    let source = source.to_owned();
    let reading = async {
        let read = tasks::blocking(move || read_lines(reader, &source, &papers)).await;
        read.map_err(CommandError::other)
    };
    let (unreadable, mut report) = tokio::try_join!(reading, call(channel, outgoing))?;
    report.refused.extend(unreadable);
    report.refused.sort();
    Ok(report)
}

async fn call(
    channel: ServiceChannel,
    outgoing: mpsc::Receiver<SubmitPapersRequest>,
) -> Result<IngestReport, CommandError> {
    let mut results = IngestServiceClient::new(channel)
        .submit_papers(ReceiverStream::new(outgoing))
        .await?
        .into_inner();
    let bar = output::progress_bar(0, "{spinner} {pos} papers submitted, {per_sec}");
    let mut report = IngestReport::default();
    while let Some(result) = results.message().await? {
        bar.inc(1);
        note(&mut report, result);
    }
    bar.finish_and_clear();
    Ok(report)
}

/// Waits until everything accepted can be found.
pub async fn wait(
    channel: ServiceChannel,
    watch: Streaming<WatchPapersResponse>,
    report: &IngestReport,
    limit: Duration,
    clock: &Clock,
) -> Result<(), CommandError> {
    let known = report.accepted.iter().chain(&report.unchanged);
    let mut waiting: HashMap<String, u64> = known.map(|(id, revision)| (id.clone(), *revision)).collect();
    let total = waiting.len() as u64;
    let bar = output::progress_bar(total, "{bar:40} {pos} of {len} papers can be found, {eta} to go");
    let all = until_found(channel, watch, &mut waiting, &bar);
    let ended = clock.timeout(limit, all).await;
    bar.finish_and_clear();
    ended.unwrap_or_else(|| {
        Err(CommandError::other(format!(
            "{} papers cannot be found after {} s; see broadsheet status and broadsheet dead-letters list",
            waiting.len(),
            limit.as_secs()
        )))
    })
}

/// Returns when nothing is waited for any more.
async fn until_found(
    channel: ServiceChannel,
    mut watch: Streaming<WatchPapersResponse>,
    waiting: &mut HashMap<String, u64>,
    bar: &ProgressBar,
) -> Result<(), CommandError> {
    // What was indexed before the watch began is not in it.
    look_up(channel, waiting, bar).await?;
    while !waiting.is_empty() {
        let Some(news) = watch.message().await? else {
            return Err(CommandError::unavailable(
                "the platform stopped before every paper could be found",
            ));
        };
        seen(waiting, &news.paper.unwrap_or_default(), bar);
    }
    Ok(())
}

/// Notes which of the papers waited for are searchable already.
pub async fn look_up(
    channel: ServiceChannel,
    waiting: &mut HashMap<String, u64>,
    bar: &ProgressBar,
) -> Result<(), CommandError> {
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

/// Notes that a paper can be found, unless only an older revision can.
pub fn seen(waiting: &mut HashMap<String, u64>, paper: &Paper, bar: &ProgressBar) {
    let awaited = waiting.get(&paper.id);
    if awaited.is_some_and(|revision| paper.revision >= *revision) {
        waiting.remove(&paper.id);
        bar.inc(1);
    }
}

fn read_lines(
    reader: Box<dyn Read + Send>,
    source: &str,
    papers: &mpsc::Sender<SubmitPapersRequest>,
) -> std::io::Result<RefusedLines> {
    let mut refused = RefusedLines::new();
    let (mut reader, mut line, mut number) = (BufReader::new(reader), Vec::new(), 0);
    while json_lines::next(&mut reader, &mut line)? {
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        match json_lines::parse(&line) {
            Ok(mut paper) => {
                if paper.source.is_empty() {
                    source.clone_into(&mut paper.source);
                }
                let request = SubmitPapersRequest {
                    reference: number.to_string(),
                    paper: Some(paper),
                };
                if papers.blocking_send(request).is_err() {
                    break; // the call ended; its own error says why
                }
            }
            Err(problem) => refused.push((number, problem)),
        }
    }
    Ok(refused)
}

fn note(report: &mut IngestReport, response: SubmitPapersResponse) {
    let line = response.reference.parse().unwrap_or(0);
    let result = response.result.unwrap_or_default();
    match result.status() {
        SubmissionStatus::Accepted => {
            report.accepted.insert(result.paper_id, result.revision);
        }
        SubmissionStatus::Unchanged => {
            report.unchanged.insert(result.paper_id, result.revision);
        }
        SubmissionStatus::Duplicate => report.duplicates += 1,
        SubmissionStatus::Rejected => {
            let problems: Vec<String> = result
                .violations
                .iter()
                .map(|v| format!("{} {}", v.field, v.description))
                .collect();
            report.refused.push((line, problems.join("; ")));
        }
        SubmissionStatus::Failed | SubmissionStatus::Unspecified => {
            report.refused.push((
                line,
                format!("was not accepted because of a fault of the platform: {}", result.error),
            ));
        }
    }
}

fn show(report: &IngestReport, as_json: bool) {
    let IngestReport {
        accepted,
        unchanged,
        duplicates,
        refused,
    } = report;
    if as_json {
        let report = json!({
            "accepted": accepted.len(),
            "unchanged": unchanged.len(),
            "duplicates": duplicates,
            "refused": output::refused_json(refused),
        });
        println!("{report}");
        return;
    }
    output::print_refused(refused);
    println!(
        "{} accepted, {} unchanged, {duplicates} duplicates, {} refused",
        accepted.len(),
        unchanged.len(),
        refused.len()
    );
}
