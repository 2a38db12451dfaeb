//! `demo`: the main job from a file to an inbox, on a platform started for it.

use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::grpc::{ServiceChannel, channel};
use proto::subscriptions::v1::{Consent, Interest, SubscribeRequest};

use crate::Start;
use crate::commands::{digest, ingest, search, subscribe, up};
use crate::failure::Failure;
use crate::platform::Platform;

const SAMPLE: &[u8] = include_bytes!("../../sample/papers.jsonl");
const READER: &str = "reader@example.org";
const INTEREST: &str = "learning from few labelled examples";
const QUERY: &str = "robust learning with little data";

/// Shows the main job.
pub async fn run(start: &Start, papers: Option<PathBuf>, once: bool) -> Result<(), Failure> {
    let reader: Box<dyn Read + Send> = match &papers {
        Some(file) => ingest::open(file)?,
        None => Box::new(SAMPLE),
    };
    println!("Starting the platform; the first time, servers and model are fetched …");
    // What happens is shown here; the log is for what goes wrong.
    let platform = Platform::start(start, "warn").await?;
    up::announce(&platform);
    let token = std::env::var("BROADSHEET_GRPC__TOKEN").ok();
    let channel = channel(&platform.endpoint.grpc, token.as_deref()).map_err(Failure::other)?;
    let shown = show(channel, reader, if papers.is_some() { "file" } else { "sample" }).await;
    if once || shown.is_err() {
        platform.stop.cancel();
    } else {
        println!("\nThe platform stays up; try in another terminal:\n  broadsheet search \"your own words\"");
    }
    platform.until_stopped().await?;
    shown
}

async fn show(channel: ServiceChannel, reader: Box<dyn Read + Send>, source: &str) -> Result<(), Failure> {
    let begun = Instant::now();
    let watch = ingest::watch(channel.clone()).await?;
    let report = ingest::submit(channel.clone(), reader, source).await?;
    for (line, problem) in &report.refused {
        eprintln!("line {line}: {problem}");
    }
    ingest::wait(channel.clone(), watch, &report, Duration::from_mins(2)).await?;
    let count = report.accepted.len() + report.unchanged.len();
    println!(
        "\n{count} papers can be found, {:.1} s after they were submitted.",
        begun.elapsed().as_secs_f64()
    );

    println!("\nSearch: {QUERY}");
    search::print(&search::search(channel.clone(), QUERY, 5).await?, search::Detail::Brief);

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
    let edition = digest::preview(channel.clone(), READER.to_owned()).await?;
    println!(
        "\nThe digest of {READER}, who follows “{INTEREST}”:\n\nSubject: {}\n\n{}",
        edition.subject, edition.text
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
