//! Puts search under load with the papers of `arxiv-daily` (74,728 of them) through the front door, and compares it with the bare
//! store and encoder.
//!
//! `just bench-search` runs it. The platform is the release binary over a throw-away folder with all-MiniLM-L6-v2, or with the
//! static model where `MODEL=static`. The first run embeds every paper, which takes half an hour on two cores (two minutes with
//! the static model), and keeps a backup in the user's cache; later runs restore it. `PAPERS` takes the first so many.
//! `QDRANT_URL` measures over that server instead of the embedded store. It measures; it never judges.
#![expect(clippy::print_stdout, reason = "figures are what it is for")]

mod bare;
mod load;
mod mtls;
mod platform;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use common::tls::ClientTls;

use self::load::Load;
use self::platform::Platform;

/// Searches of the lone client; the others have more.
const QUERIES: usize = 600;
const CLIENTS: [usize; 3] = [1, 8, 32];

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure())
}

async fn measure() -> anyhow::Result<()> {
    let Some(papers) = tests::data::find("arxiv-daily/papers.jsonl.zst") else {
        return Ok(());
    };
    let most = std::env::var("PAPERS")
        .ok()
        .map(|most| most.parse())
        .transpose()
        .context("PAPERS is a number")?;
    let folder = tempfile::tempdir()?;
    let model = std::env::var("MODEL").unwrap_or_else(|_| "minilm".to_owned());
    let backup = backup_of(&papers, &model, most, folder.path())?;
    let platform = Platform::start(folder.path().join("searched"), &model)?;
    let began = Instant::now();
    platform.run(&["index", "restore", &backup.display().to_string()])?;
    println!("restored in {:.1} s", began.elapsed().as_secs_f64());
    let stopped = platform.stop()?;
    let began = Instant::now();
    let platform = Platform::start(stopped, &model)?;
    let ready_ms = began.elapsed().as_millis();
    let mut load = Load::to(&platform.grpc(), &ClientTls::default())?;
    let count = load.papers().await?;
    println!(
        "{count} papers; ready after {ready_ms} ms with its servers and its model; {} MB before the first search",
        platform.rss_mb()?
    );

    let queries = load::queries(&mut load, QUERIES * (1 + CLIENTS.len() * 2)).await?;
    let mut at = queries.iter().cycle();
    let mut some = |count: usize| -> Vec<String> { at.by_ref().take(count).cloned().collect() };
    // What is read for the first time is not what is measured.
    load.run(some(64), 4).await?;
    let mut figures = Vec::new();
    for clients in CLIENTS {
        let run = load
            .run(some(if clients == 1 { QUERIES } else { QUERIES * 2 }), clients)
            .await?;
        println!("{clients:>2} clients: {run}");
        figures.push(run);
    }
    let rss = platform.rss_mb()?;
    let dense = load.dense(&queries[..100.min(queries.len())]).await?;
    platform.print_parts();
    let folder_of_platform = platform.stop()?;

    let embedded = std::env::var("QDRANT_URL").map_or(true, |url| url.is_empty());
    let (mut of_bare, mut recall) = (f64::NAN, f64::NAN);
    if embedded {
        let bare = bare::Bare::open(folder_of_platform.clone(), &model).await?;
        recall = bare.recall(&dense).await?;
        let run = bare.run(some(QUERIES * 2), 8).await?;
        println!("bare store and encoder, 8 threads: {run}");
        of_bare = figures[1].per_second / run.per_second;
    }
    let mtls_p50_ratio = mtls::ratio(&folder_of_platform, &model, some(QUERIES)).await?;
    println!(
        "search: p50_ms={:.1} p99_ms={:.1} qps8={:.0} of_bare={of_bare:.2} recall={recall:.4} rss_mb={rss} papers={count} \
         mtls_p50_ratio={mtls_p50_ratio:.3}",
        figures[0].p50_ms, figures[0].p99_ms, figures[1].per_second
    );
    Ok(())
}

/// The papers with their vectors; made by a platform of its own where it is not kept yet.
fn backup_of(papers: &Path, model: &str, most: Option<usize>, folder: &Path) -> anyhow::Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = cache.or_else(home).context("neither XDG_CACHE_HOME nor HOME is set")?;
    let name = most.map_or_else(|| "all".to_owned(), |most| most.to_string());
    let backup = cache.join(format!("broadsheet/bench-search/arxiv-daily-{model}-{name}.backup"));
    if backup.exists() {
        return Ok(backup);
    }
    std::fs::create_dir_all(backup.parent().context("a folder")?)?;
    println!("embedding the papers once; they are kept in {}", backup.display());
    let lines = folder.join("papers.jsonl");
    platform::unpack(papers, &lines, most)?;
    let platform = Platform::start(folder.join("building"), model)?;
    let began = Instant::now();
    platform.run(&[
        "ingest",
        &lines.display().to_string(),
        "--wait",
        "--wait-timeout",
        "7200",
    ])?;
    println!(
        "accepted, embedded and indexed in {:.0} s",
        began.elapsed().as_secs_f64()
    );
    platform.run(&["index", "backup", &backup.display().to_string()])?;
    let built = platform.stop()?;
    std::fs::remove_dir_all(built)?;
    Ok(backup)
}
