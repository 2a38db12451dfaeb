//! `signals`: imports counts of other sites from a file and reports the lines that were refused.

mod parsing;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use common::grpc::ServiceChannel;
use common::tasks;
use proto::attention::v1::attention_service_client::AttentionServiceClient;
use proto::attention::v1::{RecordSignalsRequest, SignalReport};
use serde_json::json;
use tokio::sync::mpsc;

use crate::error::CommandError;
use crate::output::RefusedLines;
use crate::{ConnectArgs, client, json_lines, output};

/// What to do with signals.
#[derive(Subcommand)]
pub enum SignalsCommand {
    /// Import counts of other sites: up-votes, stars, citations, mentions. Their growth makes papers trend
    ///
    /// FILE holds JSON lines, or comma-separated values with a header. Fields: paper, kind (upvotes, stars, citations or
    /// mentions), provider, count, time (when it was counted; default: now) and since (when counting began; optional).
    Import {
        /// File of counts; - for standard input
        file: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Reports with the lines they come from.
type SignalBatch = Vec<(u64, SignalReport)>;

/// Runs the command.
pub async fn run(connect: &ConnectArgs, command: SignalsCommand) -> Result<(), CommandError> {
    let SignalsCommand::Import { file, json } = command;
    import(connect, &file, json).await
}

async fn import(connect: &ConnectArgs, file: &Path, as_json: bool) -> Result<(), CommandError> {
    let service = AttentionServiceClient::new(client::connect(connect)?);
    let reader = json_lines::open(file)?;
    let (batches, incoming) = mpsc::channel(2);
    let reading = tasks::blocking(move || parsing::read(reader, &batches));
    let (mut refused, (accepted, refused_by_service)) = tokio::try_join!(reading, record(service, incoming))?;
    refused.extend(refused_by_service);
    refused.sort();
    if as_json {
        println!(
            "{}",
            json!({ "accepted": accepted, "refused": output::refused_json(&refused) })
        );
    } else {
        output::print_refused(&refused);
        println!("{accepted} accepted, {} refused", refused.len());
    }
    output::all_accepted(&refused)
}

/// Sends the batches. Returns how many reports were accepted, and the lines of the others.
async fn record(
    mut service: AttentionServiceClient<ServiceChannel>,
    mut incoming: mpsc::Receiver<SignalBatch>,
) -> Result<(u64, RefusedLines), CommandError> {
    let (mut accepted, mut refused) = (0, RefusedLines::new());
    while let Some(batch) = incoming.recv().await {
        let (lines, reports): (Vec<u64>, Vec<SignalReport>) = batch.into_iter().unzip();
        let answer = service.record_signals(RecordSignalsRequest { reports }).await?;
        for (line, result) in lines.into_iter().zip(answer.into_inner().results) {
            if result.refusal.is_empty() {
                accepted += 1;
            } else {
                refused.push((line, result.refusal));
            }
        }
    }
    Ok((accepted, refused))
}
