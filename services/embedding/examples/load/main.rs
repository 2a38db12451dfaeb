//! Puts the service under load over gRPC and compares it with the bare encoder on the same texts, alternately.
//!
//! `cargo run --release -p embedding --example load -- [MODEL] [ROUNDS]` with the name of a model that can be
//! downloaded, or a folder in `BROADSHEET_MODEL_DIR`. The service runs in a separate process. Every run ends after a
//! number of texts fixed in advance. It only measures and judges nothing; a failing call ends it.

mod bare;
mod clients;
mod corpus;
mod figures;
mod server;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};

use bare::BareEncoder;
use clients::LoadClients;
use corpus::Corpus;
use figures::{LoadReport, print_line};
use server::Server;

const DEFAULT_MODEL: &str = "all-MiniLM-L6-v2";
const DEFAULT_ROUNDS: usize = 3;
/// How long the bare encoder should run in one round.
const ROUND: Duration = Duration::from_secs(6);
const MAX_REPEATS: usize = 400;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match arguments[..] {
        [server::ARGUMENT, folder] => runtime.block_on(server::serve(&PathBuf::from(folder))),
        [] => runtime.block_on(measure(DEFAULT_MODEL, DEFAULT_ROUNDS)),
        [model] => runtime.block_on(measure(model, DEFAULT_ROUNDS)),
        [model, rounds] => runtime.block_on(measure(model, rounds.parse().context("ROUNDS is a number")?)),
        _ => bail!("usage: load [MODEL] [ROUNDS]"),
    }
}

async fn measure(name: &str, rounds: usize) -> anyhow::Result<()> {
    let folder = match std::env::var_os("BROADSHEET_MODEL_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => standalone::Toolbox::from_env().model(name)?,
    };
    let corpus = Corpus::read()?;
    let bare = BareEncoder::new(encoder::load(&folder, &encoder::LoadOptions::default())?);
    let mut server = Server::start(&folder)?;
    let load = LoadClients::connect(&server.url)?;
    print_line(&format!(
        "{} {} {}, {} threads; ready after {} ms; {} papers, {} clients",
        bare.description().name,
        bare.description().architecture,
        bare.description().dtype,
        bare.threads(),
        server.ready_after.as_millis(),
        corpus.papers.len(),
        clients::COUNT
    ));
    // Warm up both: files are read, buffers grown, connections opened. The first run also shows how many queries there are
    // per paper.
    let once = bare.run(&corpus.mix(1, 0.0))?;
    let repeats = (ROUND.as_secs_f64() / once.wall.as_secs_f64()).ceil().max(1.0);
    let repeats = (1..=MAX_REPEATS).find(|n| *n as f64 >= repeats).unwrap_or(MAX_REPEATS);
    let mut loaded = load.run(&corpus, repeats, &server).await?;
    let mut report = LoadReport::default();
    figures::say_idle_latency(&mut load.idle_latency(&corpus).await?);
    for round in 1..=rounds {
        let mix = corpus.mix(repeats, loaded.queries.len() as f64 / loaded.papers as f64);
        let before = bare.run(&mix)?;
        loaded = load.run(&corpus, repeats, &server).await?;
        let after = bare.run(&mix)?;
        report.add(round, &[before, after], &loaded);
    }
    if let Some(megabytes) = server.peak_megabytes() {
        print_line(&format!("the service held at most {megabytes} MB"));
    }
    server.stop()?;
    report.end()
}
