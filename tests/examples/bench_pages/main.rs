//! Puts the pages under load, with the last few thousand papers of `arxiv-daily` behind them, and weighs them.
//!
//! `just bench-pages` runs it. The platform is the release binary over a throw-away folder with the static model; papers are
//! dated as if the last day of the data were today. `PAPERS` takes another number of them, `SECONDS` another length of each
//! load, `CONNECTIONS` another number of clients. It measures; it never judges.
#![expect(clippy::print_stdout, reason = "figures are what it is for")]

mod http;
mod load;
mod papers;
mod platform;
mod weight;

use std::time::Duration;

use anyhow::Context as _;

use self::load::Load;
use self::papers::Papers;
use self::platform::Platform;

/// What a reader is known by who has voted or saved before.
const READER: &str = "reader=0123456789abcdef0123456789abcdef";
/// Votes, each of another reader, so that something is trending.
const VOTES: usize = 60;

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure())
}

async fn measure() -> anyhow::Result<()> {
    let Some(papers) = Papers::read(number("PAPERS", 3_000)?)? else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let platform = Platform::start(&folder.path().join("platform"))?;
    platform.ingest(&papers.write(folder.path())?)?;
    vote(&platform.web(), &papers).await?;
    println!("{} papers, {VOTES} votes", papers.len());

    let strangers = Load {
        web: platform.web(),
        connections: number("CONNECTIONS", 16)?,
        length: Duration::from_secs(number("SECONDS", 6)? as u64),
        cookie: "",
    };
    let readers = Load {
        web: platform.web(),
        cookie: READER,
        ..strangers
    };
    println!("for readers who are known, each page made anew:");
    let (per_second, render_ms_p50) = run(&readers, &papers).await?;
    println!("for everybody else, for whom pages are kept a moment:");
    run(&strangers, &papers).await?;
    let mut heaviest = 0;
    for (name, paths) in papers.pages() {
        let mut most = 0;
        for path in paths.iter().take(20) {
            most = most.max(weight::of_page(&platform.web(), path).await?);
        }
        println!(
            "{name:>16}: {:.1} kB at most, with all that belongs to it",
            most as f64 / 1_000.0
        );
        heaviest = heaviest.max(most);
    }
    println!("the platform takes {} MB", platform.rss_mb()?);
    platform.stop()?;
    println!(
        "pages: rps={per_second:.0} render_ms_p50={render_ms_p50:.2} kb_max={:.1}",
        heaviest as f64 / 1_000.0
    );
    Ok(())
}

/// Loads every kind of page; how many pages of today there were a second, and the slowest kind's rendering.
async fn run(load: &Load, papers: &Papers) -> anyhow::Result<(f64, f64)> {
    let (mut today_per_second, mut render_ms_p50) = (f64::NAN, 0.0_f64);
    for (name, paths) in papers.pages() {
        // What is made for the first time is not what is measured.
        load.warm(&paths).await?;
        let run = load.run(&paths).await.with_context(|| name.to_owned())?;
        println!("{name:>16}: {run}");
        render_ms_p50 = render_ms_p50.max(run.render_ms_p50);
        if name == "today" {
            today_per_second = run.per_second;
        }
    }
    Ok((today_per_second, render_ms_p50))
}

async fn vote(web: &str, papers: &Papers) -> anyhow::Result<()> {
    for paper in papers.ids().take(VOTES) {
        // Without a cookie each vote is one of a new reader.
        let answer = http::Connection::open(web)
            .await?
            .post("/vote", &format!("paper={paper}"))
            .await?;
        anyhow::ensure!(
            answer.status < 400,
            "a vote was refused: {} {}",
            answer.status,
            answer.text()
        );
    }
    Ok(())
}

fn number(name: &str, otherwise: usize) -> anyhow::Result<usize> {
    let Ok(said) = std::env::var(name) else {
        return Ok(otherwise);
    };
    said.parse()
        .with_context(|| format!("{name} is a number, not {said:?}"))
}
