//! `demo`: papers from a file to an inbox, on a platform started for it.

use std::io::Write as _;
use std::path::PathBuf;

use common::clock::Clock;
use common::grpc::ServiceChannel;
use proto::subscriptions::v1::{Consent, Interest, SubscribeRequest};

use crate::StartArgs;
use crate::commands::ingest::IngestJob;
use crate::commands::{digest, ingest, search, subscribe, up};
use crate::error::CommandError;
use crate::platform::Platform;

const SAMPLE: &[u8] = include_bytes!("../../sample/papers.jsonl");
const READER: &str = "reader@example.org";
const INTEREST: &str = "learning from few labelled examples";
const QUERY: &str = "robust learning with little data";

/// Shows what the platform does.
pub async fn run(start: &StartArgs, papers: Option<PathBuf>, once: bool, clock: Clock) -> Result<(), CommandError> {
    let source = if papers.is_some() { "file" } else { "sample" };
    let mut sample = tempfile::NamedTempFile::new().map_err(CommandError::other)?;
    sample.write_all(SAMPLE).map_err(CommandError::other)?;
    let job = IngestJob::of_file(papers.unwrap_or_else(|| sample.path().to_owned()), source);
    println!("Starting the platform; the first start fetches servers and model …");
    // The command prints what happens; the log is for what goes wrong.
    let platform = Platform::start(start, "warn", clock.clone()).await?;
    up::announce(&platform);
    let channel = platform.channel()?;
    let result = show(channel, job, &clock).await;
    if once || result.is_err() {
        platform.stop.cancel();
    } else {
        println!("\nThe platform keeps running; try in another terminal:\n  broadsheet search \"your own words\"");
    }
    platform.until_stopped().await?;
    result
}

async fn show(channel: ServiceChannel, job: IngestJob, clock: &Clock) -> Result<(), CommandError> {
    let begun = clock.instant();
    let (report, ended) = ingest::submit(channel.clone(), job, clock).await;
    for refusal in report.refusals() {
        eprintln!("{refusal}");
    }
    ended?;
    let count = report.known();
    println!(
        "\n{count} papers can be found, {:.1} s after they were submitted.",
        clock.elapsed(begun).as_secs_f64()
    );

    println!("\nSearch: {QUERY}");
    search::print(
        &search::search(channel.clone(), QUERY, 5).await?,
        search::ResultDetail::Brief,
    );
    mail_digest(channel).await
}

/// Subscribes a reader, prints their digest and mails it.
async fn mail_digest(channel: ServiceChannel) -> Result<(), CommandError> {
    let request = SubscribeRequest {
        email: READER.to_owned(),
        interests: vec![Interest {
            text: INTEREST.to_owned(),
            ..Interest::default()
        }],
        paper_count: 5,
        consent: Consent::OnRecord.into(),
        ..SubscribeRequest::default()
    };
    subscribe::subscribe(channel.clone(), request).await?;
    let digest = digest::preview(channel.clone(), READER.to_owned()).await?;
    println!(
        "\nThe digest of {READER}, who follows “{INTEREST}”:\n\nSubject: {}\n\n{}",
        digest.subject, digest.text
    );
    for delivery in digest::deliver(channel, READER.to_owned()).await? {
        let before = if delivery.already_delivered {
            " already, in an earlier run"
        } else {
            ""
        };
        println!(
            "The mail is {}{before}: {}",
            digest::state(&delivery),
            delivery.message_id
        );
    }
    Ok(())
}
