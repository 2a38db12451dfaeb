//! `ingest`: submits papers from files of any usual format and reports what became of them. `withdraw` takes a paper back.

mod pending;
mod progress_file;
mod reading;
mod report;
mod submission;
#[cfg(test)]
mod tests;
mod waiting;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use common::clock::Clock;
use common::grpc::ServiceChannel;
use proto::ingest::v1::WithdrawPaperRequest;
use proto::ingest::v1::ingest_service_client::IngestServiceClient;
use sources::files::inputs::FileInput;
use sources::files::{FileFormat, FileOptions, UnpackLimits};

use crate::error::CommandError;
use crate::{ConnectArgs, client};
use progress_file::ProgressFile;
use reading::FileReading;
pub use report::IngestReport;
use submission::PaperSubmitter;
use waiting::FoundPapers;
pub use waiting::{look_up, seen};

/// What is submitted.
#[derive(Args)]
#[command(after_help = FORMATS)]
pub struct IngestArgs {
    /// Files, folders (with all files in them but hidden ones) or http and https URLs; - for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    /// Format of all files, instead of going by their content
    #[arg(long, value_name = "NAME", value_parser = FileFormat::ALL.map(FileFormat::as_str))]
    format: Option<String>,
    /// Wait until every accepted paper can be found
    #[arg(long)]
    wait: bool,
    /// Longest time in seconds to wait for one more paper that can be found
    #[arg(long, value_name = "SECONDS", default_value_t = 120, requires = "wait")]
    wait_timeout: u64,
    /// Longest time in seconds in which the platform takes no paper at all, because it is too busy or cannot be reached
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
    /// Keep the progress in this file, and go on from there if it exists; it is removed when all is done
    #[arg(long, value_name = "PROGRESS")]
    resume: Option<PathBuf>,
    /// Source of papers that do not name one
    #[arg(long, value_name = "NAME", default_value = "file")]
    source: String,
    /// How often a packed file may unpack to its own size
    #[arg(long, value_name = "TIMES", default_value_t = UnpackLimits::default().ratio)]
    max_unpacked_ratio: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const FORMATS: &str = "Formats, told by content: JSON lines and JSON lists of papers, of the arXiv metadata snapshot, Semantic \
    Scholar, OpenAlex, Crossref, Hugging Face daily papers and CSL-JSON; BibTeX, RIS, MEDLINE, PubMed XML, CSV and TSV; each \
    plain or packed with gzip, zstd or xz. Submitting a paper again does no harm: with --resume, a run that was killed goes on \
    where it was; without, it begins anew and finds most papers unchanged.";

/// Papers to submit, and how.
pub struct IngestJob {
    /// What is read, in order.
    pub inputs: Vec<FileInput>,
    /// How it is read.
    pub options: FileOptions,
    /// Source of papers that do not name one.
    pub source: String,
    /// Whether to wait until all can be found, and how long for each.
    pub wait: Option<Duration>,
    /// How long the platform may take no paper.
    pub patience: Duration,
    /// Where the progress is kept.
    pub progress: Option<ProgressFile>,
}

impl IngestJob {
    /// One file, whose papers are waited for.
    pub fn of_file(file: PathBuf, source: &str) -> Self {
        Self {
            inputs: vec![FileInput::Named(file)],
            options: FileOptions {
                own_source: true,
                ..FileOptions::default()
            },
            source: source.to_owned(),
            wait: Some(Duration::from_mins(2)),
            patience: Duration::from_mins(1),
            progress: None,
        }
    }
}

/// Submits and reports.
pub async fn run(connect: &ConnectArgs, args: IngestArgs, clock: &Clock) -> Result<(), CommandError> {
    let channel = client::connect(connect)?;
    let as_json = args.json;
    let (report, ended) = submit(channel, job(args)?, clock).await;
    report.show(as_json);
    ended?;
    report.check()
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

fn job(args: IngestArgs) -> Result<IngestJob, CommandError> {
    let mut inputs = Vec::new();
    for name in &args.files {
        let found = FileInput::of(name).map_err(|error| CommandError::other(format!("{name}: {error}")))?;
        if found.is_empty() {
            return Err(CommandError::data(format!(
                "{name}: the folder holds no file but hidden ones"
            )));
        }
        inputs.extend(found);
    }
    // A name that was mistyped is said before anything is submitted.
    for input in &inputs {
        if let FileInput::Named(path) = input {
            std::fs::File::open(path).map_err(|error| CommandError::other(format!("{}: {error}", path.display())))?;
        }
    }
    let options = FileOptions {
        format: args.format.as_deref().and_then(FileFormat::parse),
        limits: UnpackLimits {
            ratio: args.max_unpacked_ratio,
            ..UnpackLimits::default()
        },
        own_source: true,
        ..FileOptions::default()
    };
    let progress = args.resume.map(|path| ProgressFile::open(path, &inputs)).transpose()?;
    Ok(IngestJob {
        inputs,
        options,
        source: args.source,
        wait: args.wait.then(|| Duration::from_secs(args.wait_timeout)),
        patience: Duration::from_secs(args.patience),
        progress,
    })
}

/// Submits every paper of a job. The report holds what was done even if that broke off in the middle.
pub async fn submit(
    channel: ServiceChannel,
    mut job: IngestJob,
    clock: &Clock,
) -> (IngestReport, Result<(), CommandError>) {
    let mut report = IngestReport::new(&job.inputs);
    let found = match job.wait {
        Some(limit) => match FoundPapers::watch(channel.clone(), limit, clock).await {
            Ok(found) => Some(found),
            Err(error) => return (report, Err(error)),
        },
        None => None,
    };
    let begin = job.progress.as_ref().map(ProgressFile::position).unwrap_or_default();
    let reading = FileReading::start(&job, begin, clock);
    let mut submission = PaperSubmitter::new(channel, &job, found, clock);
    let ended = submission.run(reading, job.progress.as_mut(), &mut report).await;
    let ended = match (ended, job.progress) {
        (Ok(()), Some(progress)) => progress.finish(),
        (Err(error), Some(progress)) => Err(error.and(&format!(
            "run the same command again to go on from {}",
            progress.path().display()
        ))),
        (Err(error), None) if report.settled() > 0 => Err(error.and(
            "what was answered so far is safe; run the same command again, or with --resume PROGRESS to make it resumable",
        )),
        (ended, _) => ended,
    };
    (report, ended)
}
