//! Subscribers from CSV, with a report of the lines that were refused.

use std::io::{BufReader, Read};
use std::path::Path;

use proto::subscriptions::v1::{ImportSubscribersRequest, Interest, Schedule, SubscribeRequest, Webhook};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{Client, webhook};
use crate::commands::ingest::open;
use crate::failure::Failure;
use crate::{csv, lines};

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

/// Imports and reports.
pub async fn run(service: &mut Client, file: &Path, as_json: bool) -> Result<(), Failure> {
    let reader = open(file)?;
    let (requests, outgoing) = mpsc::channel(256);
    let reading = tokio::task::spawn_blocking(move || read(reader, &requests));
    let mut answers = service
        .import_subscribers(ReceiverStream::new(outgoing))
        .await?
        .into_inner();
    let mut accepted = 0_u64;
    let mut refused: Vec<(u64, String)> = Vec::new();
    let mut webhooks: Vec<(u64, String, Webhook)> = Vec::new();
    while let Some(answer) = answers.message().await? {
        let line = answer.reference.parse().unwrap_or(0);
        if answer.refusal.is_empty() {
            accepted += 1;
            webhooks.extend(answer.webhook.map(|webhook| (line, answer.webhook_secret, webhook)));
        } else {
            refused.push((line, answer.refusal));
        }
    }
    let unreadable = reading.await.map_err(Failure::other)?;
    refused.extend(unreadable?);
    refused.sort();
    if as_json {
        let refused: Vec<_> = refused
            .iter()
            .map(|(line, problem)| json!({ "line": line, "problem": problem }))
            .collect();
        let webhooks: Vec<_> = webhooks
            .iter()
            .map(|(line, secret, hook)| {
                json!({ "line": line, "url": hook.url, "state": webhook::state(hook), "secret": secret })
            })
            .collect();
        println!(
            "{}",
            json!({ "accepted": accepted, "refused": refused, "webhooks": webhooks })
        );
    } else {
        for (line, secret, hook) in &webhooks {
            println!("line {line}: webhook {} {} {secret}", hook.url, webhook::state(hook));
        }
        for (line, problem) in &refused {
            eprintln!("line {line}: {problem}");
        }
        println!("{accepted} accepted, {} refused", refused.len());
    }
    if refused.is_empty() {
        return Ok(());
    }
    Err(Failure::data(format!("{} lines were refused", refused.len())))
}

/// Sends each line on its way; answers those that cannot be read.
fn read(
    reader: Box<dyn Read + Send>,
    requests: &mpsc::Sender<ImportSubscribersRequest>,
) -> Result<Vec<(u64, String)>, Failure> {
    let (mut reader, mut line, mut number) = (BufReader::new(reader), Vec::new(), 0);
    let mut columns: Option<Vec<String>> = None;
    let mut refused = Vec::new();
    while lines::next(&mut reader, &mut line).map_err(Failure::other)? {
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let text = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
        let Some(columns) = &columns else {
            columns = Some(header(text.trim_start_matches('\u{feff}'))?);
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

fn header(line: &str) -> Result<Vec<String>, Failure> {
    let wrong = |problem: String| Failure::data(format!("the header {problem}; it may name {}", COLUMNS.join(", ")));
    let columns = csv::values(line).map_err(wrong)?;
    if let Some(unknown) = columns.iter().find(|column| !COLUMNS.contains(&column.as_str())) {
        return Err(wrong(format!("names {unknown:?}")));
    }
    for required in ["email", "consent_source", "consent_time"] {
        if !columns.iter().any(|column| column == required) {
            return Err(wrong(format!("does not name {required}")));
        }
    }
    Ok(columns)
}

fn request(number: u64, columns: &[String], line: &str) -> Result<ImportSubscribersRequest, String> {
    let values = csv::values(line)?;
    if values.len() != columns.len() {
        return Err(format!("has {} values; the header has {}", values.len(), columns.len()));
    }
    let value = |name: &str| {
        let place = columns.iter().position(|column| column == name);
        place.map_or("", |place| values[place].as_str())
    };
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
        consent_time: lines::date("consent_time", value("consent_time"))?,
    })
}
