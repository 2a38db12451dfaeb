//! `signals`: counts from other sites, taken in from a file, with a report of the lines that were refused.

mod reading;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use proto::attention::v1::attention_service_client::AttentionServiceClient;
use proto::attention::v1::{RecordSignalsRequest, SignalReport};
use serde_json::json;
use tokio::sync::mpsc;

use super::ingest::open;
use crate::failure::Failure;
use crate::{Place, client};

/// What to do.
#[derive(Subcommand)]
pub enum Signals {
    /// Take in how high counts on other sites are: up-votes, stars, citations, mentions. They make papers trend by what they grow
    ///
    /// FILE holds JSON lines, or comma-separated values under a header, with the fields paper, kind (upvotes, stars, citations or
    /// mentions), provider, count, time (when it was counted; now where it is absent) and since (since when there was something
    /// to count; optional).
    Import {
        /// File of counts; - reads standard input
        file: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Reports with the lines they are from.
type Batch = Vec<(u64, SignalReport)>;

/// Runs the command.
pub async fn run(place: &Place, command: Signals) -> Result<(), Failure> {
    let Signals::Import { file, json } = command;
    import(place, &file, json).await
}

async fn import(place: &Place, file: &Path, as_json: bool) -> Result<(), Failure> {
    let mut service = AttentionServiceClient::new(client::connect(place)?);
    let reader = open(file)?;
    let (batches, mut incoming) = mpsc::channel::<Batch>(2);
    let reading = tokio::task::spawn_blocking(move || reading::read(reader, &batches));
    let (mut taken, mut refused) = (0_u64, Vec::new());
    while let Some(batch) = incoming.recv().await {
        let (lines, reports): (Vec<u64>, Vec<SignalReport>) = batch.into_iter().unzip();
        let answer = service.record_signals(RecordSignalsRequest { reports }).await?;
        for (line, result) in lines.into_iter().zip(answer.into_inner().results) {
            if result.refusal.is_empty() {
                taken += 1;
            } else {
                refused.push((line, result.refusal));
            }
        }
    }
    refused.extend(reading.await.map_err(Failure::other)??);
    refused.sort();
    show(taken, &refused, as_json);
    if refused.is_empty() {
        return Ok(());
    }
    Err(Failure::data(format!(
        "{} lines were refused; the others were taken",
        refused.len()
    )))
}

fn show(taken: u64, refused: &[(u64, String)], as_json: bool) {
    if as_json {
        let refused = refused.iter();
        let refused: Vec<_> = refused
            .map(|(line, problem)| json!({ "line": line, "problem": problem }))
            .collect();
        println!("{}", json!({ "taken": taken, "refused": refused }));
        return;
    }
    for (line, problem) in refused {
        eprintln!("line {line}: {problem}");
    }
    println!("{taken} taken, {} refused", refused.len());
}
