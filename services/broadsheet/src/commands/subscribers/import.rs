//! Imports subscribers from CSV and reports the lines that were refused.

use std::io::{BufReader, Read};
use std::path::Path;

use common::tasks;
use proto::subscriptions::v1::{ImportSubscribersRequest, Interest, Schedule, SubscribeRequest, Webhook};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{SubscriptionsClient, webhook};
use crate::csv_lines::CsvColumns;
use crate::error::CommandError;
use crate::output::RefusedLines;
use crate::{json_lines, output};

const COLUMNS: [&str; 8] = [
    "email",
    "interests",
    "time",
    "time_zone",
    "papers",
    "webhook",
    "consent_source",
    "consent_time",
];
const REQUIRED_COLUMNS: [&str; 3] = ["email", "consent_source", "consent_time"];

/// Webhooks of imported subscribers, with the line and the secret of each.
type ImportedWebhooks = Vec<(u64, String, Webhook)>;

/// What became of the lines.
#[derive(Default)]
struct ImportReport {
    accepted: u64,
    refused: RefusedLines,
    webhooks: ImportedWebhooks,
}

/// Imports and reports.
pub async fn run(service: &mut SubscriptionsClient, file: &Path, as_json: bool) -> Result<(), CommandError> {
    let reader = json_lines::open(file)?;
    let (requests, outgoing) = mpsc::channel(256);
    let reading = tasks::blocking(move || read(reader, &requests));
    let (unreadable, mut report) = tokio::try_join!(reading, submit(service, outgoing))?;
    report.refused.extend(unreadable);
    report.refused.sort();
    print(&report, as_json);
    output::all_accepted(&report.refused)
}

async fn submit(
    service: &mut SubscriptionsClient,
    outgoing: mpsc::Receiver<ImportSubscribersRequest>,
) -> Result<ImportReport, CommandError> {
    let answers = service.import_subscribers(ReceiverStream::new(outgoing)).await?;
    let mut answers = answers.into_inner();
    let mut report = ImportReport::default();
    while let Some(answer) = answers.message().await? {
        let line = answer.reference.parse().unwrap_or(0);
        if answer.refusal.is_empty() {
            report.accepted += 1;
            let webhook = answer.webhook.map(|webhook| (line, answer.webhook_secret, webhook));
            report.webhooks.extend(webhook);
        } else {
            report.refused.push((line, answer.refusal));
        }
    }
    Ok(report)
}

fn print(report: &ImportReport, as_json: bool) {
    let ImportReport {
        accepted,
        refused,
        webhooks,
    } = report;
    if as_json {
        let webhooks: Vec<_> = webhooks
            .iter()
            .map(|(line, secret, hook)| {
                json!({ "line": line, "url": hook.url, "state": webhook::state(hook), "secret": secret })
            })
            .collect();
        let refused = output::refused_json(refused);
        println!(
            "{}",
            json!({ "accepted": accepted, "refused": refused, "webhooks": webhooks })
        );
        return;
    }
    for (line, secret, hook) in webhooks {
        println!("line {line}: webhook {} {} {secret}", hook.url, webhook::state(hook));
    }
    output::print_refused(refused);
    println!("{accepted} accepted, {} refused", refused.len());
}

/// Sends each line, and returns those that cannot be read.
fn read(
    reader: Box<dyn Read + Send>,
    requests: &mpsc::Sender<ImportSubscribersRequest>,
) -> Result<RefusedLines, CommandError> {
    let (mut reader, mut line, mut number) = (BufReader::new(reader), Vec::new(), 0);
    let mut columns: Option<CsvColumns> = None;
    let mut refused = RefusedLines::new();
    while json_lines::next(&mut reader, &mut line).map_err(CommandError::other)? {
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let text = String::from_utf8_lossy(&line);
        let Some(columns) = &columns else {
            let header = text.trim_start_matches('\u{feff}');
            columns = Some(CsvColumns::parse(header, &COLUMNS, &REQUIRED_COLUMNS)?);
            continue;
        };
        match request(number, columns, &text) {
            Ok(request) => {
                if requests.blocking_send(request).is_err() {
                    break; // the call ended; its own error says why
                }
            }
            Err(problem) => refused.push((number, problem)),
        }
    }
    Ok(refused)
}

fn request(number: u64, columns: &CsvColumns, line: &str) -> Result<ImportSubscribersRequest, String> {
    let record = columns.record(line)?;
    let value = |column: &str| record.get(column);
    let papers = match value("papers") {
        "" => 0,
        papers => papers
            .parse()
            .map_err(|_| format!("papers is {papers:?}; it must be a number from 1 to 50"))?,
    };
    let interests = value("interests")
        .split(';')
        .map(str::trim)
        .filter(|words| !words.is_empty());
    Ok(ImportSubscribersRequest {
        reference: number.to_string(),
        subscriber: Some(SubscribeRequest {
            email: value("email").to_owned(),
            interests: interests
                .map(|words| Interest {
                    text: words.to_owned(),
                    ..Interest::default()
                })
                .collect(),
            schedule: Some(Schedule {
                time: value("time").to_owned(),
                time_zone: value("time_zone").to_owned(),
                ..Schedule::default()
            }),
            paper_count: papers,
            webhook_url: value("webhook").to_owned(),
            ..SubscribeRequest::default()
        }),
        consent_source: value("consent_source").to_owned(),
        consent_time: json_lines::date("consent_time", value("consent_time"))?,
    })
}
