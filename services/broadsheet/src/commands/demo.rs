//! `demo`: papers from a file to an inbox, on a platform started for it.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use common::clock::Clock;
use common::config::Secret;
use common::grpc::{ServiceChannel, channel};
use proto::subscriptions::v1::{Consent, Interest, SubscribeRequest};

use crate::commands::{digest, ingest, search, subscribe, up};
use crate::error::CommandError;
use crate::platform::Platform;
use crate::{StartArgs, output};

const SAMPLE: &[u8] = include_bytes!("../../sample/papers.jsonl");
const READER: &str = "reader@example.org";
const INTEREST: &str = "learning from few labelled examples";
const QUERY: &str = "robust learning with little data";

/// Shows what the platform does.
pub async fn run(start: &StartArgs, papers: Option<PathBuf>, once: bool, clock: Clock) -> Result<(), CommandError> {
    let reader: Box<dyn Read + Send> = match &papers {
        Some(file) => ingest::open(file)?,
        None => Box::new(SAMPLE),
    };
    println!("Starting the platform; the first start fetches servers and model …");
    // The command prints what happens; the log is for what goes wrong.
    let platform = Platform::start(start, "warn", clock.clone()).await?;
    up::announce(&platform);
    let channel =
        channel(&platform.endpoint.grpc, platform.key.as_ref().map(Secret::expose)).map_err(CommandError::other)?;
    let source = if papers.is_some() { "file" } else { "sample" };
    let result = show(channel, reader, source, &clock).await;
    if once || result.is_err() {
        platform.stop.cancel();
    } else {
        println!("\nThe platform keeps running; try in another terminal:\n  broadsheet search \"your own words\"");
    }
    platform.until_stopped().await?;
    result
}

async fn show(
    channel: ServiceChannel,
    reader: Box<dyn Read + Send>,
    source: &str,
    clock: &Clock,
) -> Result<(), CommandError> {
    let begun = clock.instant();
    let watch = ingest::watch(channel.clone()).await?;
    let report = ingest::submit(channel.clone(), reader, source).await?;
    output::print_refused(&report.refused);
    ingest::wait(channel.clone(), watch, &report, Duration::from_mins(2), clock).await?;
    let count = report.accepted.len() + report.unchanged.len();
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
