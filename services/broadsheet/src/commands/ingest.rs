//! `ingest`: papers from JSON lines, with progress, and a report of the lines that were refused. `withdraw` undoes one.

use std::collections::HashMap;
use std::io::{BufReader, IsTerminal as _, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use common::grpc::ServiceChannel;
use indicatif::{ProgressBar, ProgressStyle};
use proto::ingest::v1::ingest_service_client::IngestServiceClient;
use proto::ingest::v1::{SubmissionStatus, SubmitPapersRequest, SubmitPapersResponse, WithdrawPaperRequest};
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::search::v1::{BatchGetPapersRequest, WatchPapersRequest, WatchPapersResponse};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::failure::Failure;
use crate::{Place, client, lines};

/// What is submitted.
#[derive(Args)]
pub struct Options {
    /// File of papers, one JSON object a line; - reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Return when every accepted paper can be found
    #[arg(long)]
    wait: bool,
    /// Longest wait in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, requires = "wait")]
    wait_timeout: u64,
    /// Source of papers that name none
    #[arg(long, value_name = "NAME", default_value = "file")]
    source: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What became of the lines.
#[derive(Default)]
pub struct Report {
    /// Papers that were new or changed, with their revisions.
    pub accepted: HashMap<String, u64>,
    /// Papers known already, with their revisions.
    pub unchanged: HashMap<String, u64>,
    /// Lines whose text is known under another id.
    pub duplicates: u64,
    /// Line number and what is wrong with it.
    pub refused: Vec<(u64, String)>,
}

/// Submits and reports.
pub async fn run(place: &Place, options: Options) -> Result<(), Failure> {
    let channel = client::connect(place)?;
    let reader = open(&options.file)?;
    let watch = if options.wait {
        Some(watch(channel.clone()).await?)
    } else {
        None
    };
    let report = submit(channel.clone(), reader, &options.source).await?;
    if let Some(watch) = watch {
        let deadline = Duration::from_secs(options.wait_timeout);
        wait(channel, watch, &report, deadline).await?;
    }
    show(&report, options.json);
    if report.refused.is_empty() {
        return Ok(());
    }
    Err(Failure::data(format!(
        "{} lines were refused; the others were taken",
        report.refused.len()
    )))
}

/// Withdraws one paper.
pub async fn withdraw(place: &Place, paper_id: String, reason: String) -> Result<(), Failure> {
    let request = WithdrawPaperRequest { paper_id, reason };
    let answer = IngestServiceClient::new(client::connect(place)?)
        .withdraw_paper(request)
        .await?
        .into_inner();
    println!("{} is withdrawn (revision {})", answer.paper_id, answer.revision);
    Ok(())
}

/// Opens a file, or standard input for `-`.
pub fn open(file: &Path) -> Result<Box<dyn Read + Send>, Failure> {
    if file == Path::new("-") {
        return Ok(Box::new(std::io::stdin()));
    }
    match std::fs::File::open(file) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(Failure::other(format!("{}: {error}", file.display()))),
    }
}

/// Begins to watch for papers; what is indexed from now on is seen.
pub async fn watch(channel: ServiceChannel) -> Result<Streaming<WatchPapersResponse>, Failure> {
    Ok(SearchServiceClient::new(channel)
        .watch_papers(WatchPapersRequest::default())
        .await?
        .into_inner())
}

/// Submits every line. Lines that cannot be read are reported beside those that ingest refuses.
pub async fn submit(channel: ServiceChannel, reader: Box<dyn Read + Send>, source: &str) -> Result<Report, Failure> {
    let (papers, outgoing) = mpsc::channel(256);
    let source = source.to_owned();
    let reading = tokio::task::spawn_blocking(move || read_lines(reader, &source, &papers));
    let mut results = IngestServiceClient::new(channel)
        .submit_papers(ReceiverStream::new(outgoing))
        .await?
        .into_inner();
    let bar = progress_bar("{spinner} {pos} papers submitted, {per_sec}");
    let mut report = Report::default();
    while let Some(result) = results.message().await? {
        bar.inc(1);
        note(&mut report, result);
    }
    bar.finish_and_clear();
    let unreadable = reading.await.map_err(Failure::other)?.map_err(Failure::other)?;
    report.refused.extend(unreadable);
    report.refused.sort();
    Ok(report)
}

/// Waits until everything accepted can be found.
pub async fn wait(
    channel: ServiceChannel,
    mut watch: Streaming<WatchPapersResponse>,
    report: &Report,
    deadline: Duration,
) -> Result<(), Failure> {
    let mut waiting: HashMap<String, u64> = report
        .accepted
        .iter()
        .chain(&report.unchanged)
        .map(|(id, revision)| (id.clone(), *revision))
        .collect();
    let mut search = SearchServiceClient::new(channel);
    let bar = progress_bar("{bar:40} {pos} of {len} papers can be found, {eta} to go");
    bar.set_length(waiting.len() as u64);
    let found = |waiting: &HashMap<String, u64>| bar.set_position(bar.length().unwrap_or(0) - waiting.len() as u64);
    let all = async {
        // What was indexed before the watch began is not in it.
        let ids: Vec<String> = waiting.keys().cloned().collect();
        for paper_ids in ids.chunks(1_000) {
            let request = BatchGetPapersRequest {
                paper_ids: paper_ids.to_vec(),
            };
            for paper in search.batch_get_papers(request).await?.into_inner().papers {
                seen(&mut waiting, &paper);
            }
            found(&waiting);
        }
        while !waiting.is_empty() {
            let Some(news) = watch.message().await? else {
                return Err(Failure::unavailable(
                    "the platform stopped before every paper could be found",
                ));
            };
            seen(&mut waiting, &news.paper.unwrap_or_default());
            found(&waiting);
        }
        Ok(())
    };
    let ended = tokio::time::timeout(deadline, all).await;
    bar.finish_and_clear();
    match ended {
        Ok(result) => result,
        Err(_) => Err(Failure::other(format!(
            "{} papers cannot be found after {} s; see broadsheet status and broadsheet dead-letters list",
            waiting.len(),
            deadline.as_secs()
        ))),
    }
}

fn seen(waiting: &mut HashMap<String, u64>, paper: &proto::papers::v1::Paper) {
    if waiting
        .get(&paper.id)
        .is_some_and(|revision| paper.revision >= *revision)
    {
        waiting.remove(&paper.id);
    }
}

fn read_lines(
    reader: Box<dyn Read + Send>,
    source: &str,
    papers: &mpsc::Sender<SubmitPapersRequest>,
) -> std::io::Result<Vec<(u64, String)>> {
    let mut refused = Vec::new();
    let (mut reader, mut line, mut number) = (BufReader::new(reader), Vec::new(), 0);
    while lines::next(&mut reader, &mut line)? {
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        match lines::parse(&line) {
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

fn note(report: &mut Report, response: SubmitPapersResponse) {
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
                format!("not taken because of a fault of the platform: {}", result.error),
            ));
        }
    }
}

fn show(report: &Report, as_json: bool) {
    if as_json {
        let refused: Vec<_> = report
            .refused
            .iter()
            .map(|(line, problem)| json!({ "line": line, "problem": problem }))
            .collect();
        println!(
            "{}",
            json!({
                "accepted": report.accepted.len(),
                "unchanged": report.unchanged.len(),
                "duplicates": report.duplicates,
                "refused": refused,
            })
        );
        return;
    }
    for (line, problem) in &report.refused {
        eprintln!("line {line}: {problem}");
    }
    println!(
        "{} accepted, {} unchanged, {} duplicates, {} refused",
        report.accepted.len(),
        report.unchanged.len(),
        report.duplicates,
        report.refused.len()
    );
}

fn progress_bar(template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template);
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}
