//! `eval`: how well searches rank, measured on a judged set of documents and queries.
//!
//! A platform of its own is started in a folder that is thrown away, filled over gRPC, and asked over gRPC, so what is
//! measured is what a reader gets. It never touches another platform, and has no search of its own.

mod baseline;
mod dataset;
mod filling;
mod ranking;
mod report;

use std::path::PathBuf;

use clap::Args;
use common::grpc::{ServiceChannel, channel};
use indicatif::{ProgressBar, ProgressStyle};
use proto::embedding::v1::GetModelRequest;
use proto::embedding::v1::embedding_service_client::EmbeddingServiceClient;

use crate::failure::Failure;
use crate::platform::Platform;
use dataset::DataSet;
use report::Report;

/// What is measured.
#[derive(Args)]
pub struct Options {
    /// Folder of a judged set: corpus.jsonl, queries.jsonl (either may end in .gz), and qrels.txt or qrels/test.tsv
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// File of figures to compare with; fails where one has fallen by more than its tolerance
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write the figures into the file of --baseline instead of comparing with it
    #[arg(long, requires = "baseline")]
    update_baseline: bool,
    /// Ask only so many queries, the first ones
    #[arg(long, value_name = "N", conflicts_with = "baseline", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// TOML file that overrides the defaults, such as another embedding.model
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Measures, shows, and compares.
pub async fn run(options: Options) -> Result<(), Failure> {
    let mut set = dataset::read(&options.folder)?;
    if let Some(limit) = options.limit {
        set.queries.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    let folder = tempfile::tempdir().map_err(Failure::other)?;
    eprintln!("starting a platform for {} in {}", set.name, folder.path().display());
    let platform = Platform::start_aside(folder.path(), options.config, "warn").await?;
    let token = std::env::var("BROADSHEET_GRPC__TOKEN").ok();
    let report = match channel(&platform.endpoint.grpc, token.as_deref()) {
        Ok(channel) => measure(channel, &set).await,
        Err(error) => Err(Failure::other(error)),
    };
    platform.stop.cancel();
    platform.until_stopped().await?;
    let report = report?;
    if options.json {
        println!("{}", report.as_json());
    } else {
        print!("{}", report.as_table());
    }
    match options.baseline {
        Some(file) if options.update_baseline => baseline::update(&file, &report),
        Some(file) => baseline::compare(&file, &report),
        None => Ok(()),
    }
}

async fn measure(channel: ServiceChannel, set: &DataSet) -> Result<Report, Failure> {
    let model = EmbeddingServiceClient::new(channel.clone())
        .get_model(GetModelRequest::default())
        .await?;
    let filled = filling::fill(channel.clone(), set.corpus.clone()).await?;
    let (judged, left_out) = ranking::judged(set, &filled.papers);
    if judged.is_empty() {
        return Err(Failure::data(format!(
            "{}: none of its queries has a relevant document; see queries and qrels",
            set.name
        )));
    }
    let mut methods = Vec::new();
    for method in ranking::METHODS {
        let rankings = ranking::rank(channel.clone(), &judged, method).await?;
        methods.push(report::measured(method.name, &judged, &rankings));
    }
    Ok(Report {
        data_set: set.name.clone(),
        encoder_id: model.into_inner().encoder_id,
        queries: judged.len(),
        left_out,
        filled,
        methods,
    })
}

/// Progress on standard error: a bar for people, nothing where nobody looks.
fn progress_bar(length: u64, what: &str) -> ProgressBar {
    use std::io::IsTerminal as _;
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} {msg}, {eta} to go");
    ProgressBar::new(length)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(what.to_owned())
}
