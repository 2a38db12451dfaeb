//! `eval`: how well searches rank, measured on a judged set of documents and queries.
//!
//! It starts a platform of its own in a temporary folder, fills it and searches it over gRPC, so it measures what a reader
//! gets. It never touches another platform, and has no search of its own.

mod baseline;
mod dataset;
mod loading;
mod ranking;
mod report;

use std::path::PathBuf;

use clap::Args;
use common::clock::Clock;
use common::config::Secret;
use common::grpc::{ServiceChannel, channel};
use proto::embedding::v1::GetModelRequest;
use proto::embedding::v1::embedding_service_client::EmbeddingServiceClient;

use crate::error::CommandError;
use crate::platform::Platform;
use crate::{InstallArgs, StartArgs};
use dataset::DataSet;
use report::EvaluationReport;

/// What is measured.
#[derive(Args)]
pub struct EvalArgs {
    /// Folder of a judged data set: corpus.jsonl, queries.jsonl (either may end in .gz), and qrels.txt or qrels/test.tsv
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// File of earlier figures; the command fails if one has fallen by more than its tolerance
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write the figures into the file of --baseline instead of comparing them
    #[arg(long, requires = "baseline")]
    update_baseline: bool,
    /// Ask only the first N queries
    #[arg(long, value_name = "N", conflicts_with = "baseline", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// TOML file that overrides the defaults, such as another embedding.model
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    install: InstallArgs,
}

/// Measures, prints, and compares.
pub async fn run(args: EvalArgs, clock: Clock) -> Result<(), CommandError> {
    let mut set = dataset::read(&args.folder)?;
    if let Some(limit) = args.limit {
        set.queries.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    let folder = tempfile::tempdir().map_err(CommandError::other)?;
    eprintln!("starting a platform for {} in {}", set.name, folder.path().display());
    let start = StartArgs {
        data: Some(folder.path().to_owned()),
        config: args.config,
        install: args.install,
    };
    let platform = Platform::start_isolated(&start, "warn", clock.clone()).await?;
    let report = match channel(&platform.endpoint.grpc, platform.key.as_ref().map(Secret::expose)) {
        Ok(channel) => measure(channel, &set, &clock).await,
        Err(error) => Err(CommandError::other(error)),
    };
    platform.stop.cancel();
    platform.until_stopped().await?;
    let report = report?;
    if args.json {
        println!("{}", report.as_json());
    } else {
        print!("{}", report.as_table());
    }
    match args.baseline {
        Some(file) if args.update_baseline => baseline::update(&file, &report),
        Some(file) => baseline::compare(&file, &report),
        None => Ok(()),
    }
}

async fn measure(channel: ServiceChannel, set: &DataSet, clock: &Clock) -> Result<EvaluationReport, CommandError> {
    let model = EmbeddingServiceClient::new(channel.clone())
        .get_model(GetModelRequest::default())
        .await?;
    let corpus = loading::load(channel.clone(), set.corpus.clone(), clock).await?;
    let (queries, left_out) = ranking::judged_queries(set, &corpus.papers);
    if queries.is_empty() {
        return Err(CommandError::data(format!(
            "{}: none of its queries has a relevant document; check its queries and qrels",
            set.name
        )));
    }
    let mut methods = Vec::new();
    for method in ranking::METHODS {
        let rankings = ranking::rank(channel.clone(), &queries, method).await?;
        methods.push(report::figures(method.name, &queries, &rankings));
    }
    Ok(EvaluationReport {
        data_set: set.name.clone(),
        encoder_id: model.into_inner().encoder_id,
        queries: queries.len(),
        left_out,
        corpus,
        methods,
    })
}

/// How progress is shown.
const BAR: &str = "{bar:40} {pos} of {len} {msg}, {eta} to go";
