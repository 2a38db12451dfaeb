//! Sends one digest to each of many subscribers through the release binary into a server that only counts, and says how
//! fast, in how much memory, and whose time it took.
//!
//! `just bench-mail` runs it. Every subscriber has one interest, a title of a paper, and all are due at the same minute.
//! `SUBSCRIBERS` (20,000) and `PAPERS` (1,200) say how many, `WAYS` how the digests go: as mails that are signed in one way or
//! another (`none,ed25519,rsa,both`; the keys are made by openssl), or to webhooks of one host (`webhook`). Numbers hold for
//! everything between a slot and the sink: claiming, matching, composing, signing, handing over, recording. It measures; it
//! never judges.
#![expect(clippy::print_stdout, reason = "figures are what it is for")]

mod platform;
mod sink;
mod subscribers;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use self::platform::{Cpu, Platform};
use self::sink::{Protocol, Sink};

/// No digest for so long, and a run is over however many are missing.
const SILENCE: Duration = Duration::from_mins(2);
/// Without a digest for so long it is asked whether the others had none to get.
const PAUSE: Duration = Duration::from_secs(1);

struct Measured {
    per_s: f64,
    rss_mb: u64,
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let Some(papers) = tests::data::find("arxiv-daily/papers.jsonl.zst") else {
        return Ok(());
    };
    let (subscribers, most) = (number("SUBSCRIBERS", 20_000)?, number("PAPERS", 1_200)?);
    let folder = tempfile::tempdir()?;
    let lines = folder.path().join("papers.jsonl");
    let titles = platform::unpack(&papers, &lines, most)?;
    println!(
        "{subscribers} subscribers with one interest each, {} papers, {} cores",
        titles.len(),
        cores()
    );
    println!(
        "| way | digests | seconds | per s | kB each | connections | RSS MB | platform ms each | stores ms each | sink ms each |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let ways = std::env::var("WAYS").unwrap_or_else(|_| "none,ed25519,rsa,both,webhook".to_owned());
    let (mut best, mut rss, mut rsa, mut webhook) = (0.0_f64, 0, f64::NAN, f64::NAN);
    for way in ways.split(',') {
        let protocol = if way == "webhook" {
            Protocol::Http
        } else {
            Protocol::Smtp
        };
        let sink = runtime.block_on(Sink::start(protocol))?;
        let environment = settings(way, folder.path(), &sink.url())?;
        let platform = Platform::start(&folder.path().join(way), &environment)?;
        platform.run(&["ingest", &lines.display().to_string(), "--wait"])?;
        let measured = runtime.block_on(measure(way, &platform, &sink, &titles, subscribers))?;
        platform.stop()?;
        rss = rss.max(measured.rss_mb);
        match way {
            "rsa" => rsa = measured.per_s,
            "webhook" => webhook = measured.per_s,
            _ => best = best.max(measured.per_s),
        }
    }
    println!("webhook: per_s={webhook:.0}");
    println!("mail: per_s={best:.0} rss_mb={rss} rsa_per_s={rsa:.0}");
    Ok(())
}

async fn measure(
    way: &str,
    platform: &Platform,
    sink: &Sink,
    titles: &[String],
    subscribers: usize,
) -> anyhow::Result<Measured> {
    let url = (way == "webhook").then(|| sink.url());
    let slot = subscribers::subscribe(&platform.grpc(), titles, subscribers, url.as_deref()).await?;
    ensure!(
        sink.digests() == 0,
        "digests went out before their slot; the machine is too slow for so many subscribers"
    );
    let before = platform.cpu()?;
    tokio::time::sleep(slot).await;
    let (began, ended) = wait_for(sink, platform, subscribers).await?;
    let seconds = ended.duration_since(began).as_secs_f64();
    let digests = sink.digests();
    let (cpu, rss_mb) = (platform.cpu()?.since(&before), platform.rss_mb()?);
    let per_s = digests as f64 / seconds;
    let each = |seconds: f64| 1_000.0 * seconds / digests as f64;
    let Cpu { own, stores, here } = cpu;
    println!(
        "| {way} | {digests} | {seconds:.1} | {per_s:.0} | {:.1} | {} | {rss_mb} | {:.3} | {:.3} | {:.3} |",
        sink.bytes() as f64 / digests as f64 / 1_000.0,
        sink.most_connections(),
        each(own),
        each(stores),
        each(here),
    );
    let empty = platform.empty();
    ensure!(
        digests + empty >= subscribers,
        "{} digests are missing",
        subscribers - digests - empty
    );
    if empty > 0 {
        println!("{empty} readers had nothing to read: no paper fits their interest well enough");
    }
    Ok(Measured { per_s, rss_mb })
}

/// From the first digest to the last.
async fn wait_for(sink: &Sink, platform: &Platform, subscribers: usize) -> anyhow::Result<(Instant, Instant)> {
    let mut began = None;
    let (mut last, mut at) = (0, Instant::now());
    loop {
        let digests = sink.digests();
        if digests > last {
            began.get_or_insert_with(Instant::now);
            (last, at) = (digests, Instant::now());
        }
        let all = digests >= subscribers || at.elapsed() > PAUSE && digests + platform.empty() >= subscribers;
        if all || at.elapsed() > SILENCE {
            return Ok((began.context("no digest came")?, at));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Settings of a way.
fn settings(way: &str, folder: &Path, sink: &str) -> anyhow::Result<Vec<(&'static str, String)>> {
    if way == "webhook" {
        // As many to the one host there is as there are connections to a mail server.
        return Ok(vec![
            ("BROADSHEET_NOTIFICATION__WEBHOOK_NETWORKS", "127.0.0.0/8".to_owned()),
            ("BROADSHEET_NOTIFICATION__WEBHOOKS_AT_ONCE_PER_HOST", "32".to_owned()),
        ]);
    }
    let mut settings = vec![("BROADSHEET_NOTIFICATION__SMTP_URL", sink.to_owned())];
    let (rsa, ed25519) = match way {
        "none" => (false, false),
        "ed25519" => (false, true),
        "rsa" => (true, false),
        "both" => (true, true),
        other => anyhow::bail!("WAYS holds {other}; allowed are none, ed25519, rsa, both and webhook"),
    };
    if rsa {
        let file = key(folder, &["-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:2048"])?;
        settings.push(("BROADSHEET_NOTIFICATION__DKIM_RSA_KEY_FILE", file));
        settings.push(("BROADSHEET_NOTIFICATION__DKIM_RSA_SELECTOR", "bench-rsa".to_owned()));
    }
    if ed25519 {
        let file = key(folder, &["-algorithm", "ed25519"])?;
        settings.push(("BROADSHEET_NOTIFICATION__DKIM_ED25519_KEY_FILE", file));
        settings.push((
            "BROADSHEET_NOTIFICATION__DKIM_ED25519_SELECTOR",
            "bench-ed25519".to_owned(),
        ));
    }
    Ok(settings)
}

/// A new private key.
fn key(folder: &Path, algorithm: &[&str]) -> anyhow::Result<String> {
    let file = folder.join(format!("{}.pem", algorithm[1]));
    let made = Command::new("openssl")
        .arg("genpkey")
        .args(algorithm)
        .arg("-quiet")
        .arg("-out")
        .arg(&file)
        .status();
    ensure!(
        made.context("openssl, which makes the keys")?.success(),
        "openssl made no key"
    );
    Ok(file.display().to_string())
}

fn number(name: &str, default: usize) -> anyhow::Result<usize> {
    match std::env::var(name) {
        Ok(value) => value
            .parse()
            .with_context(|| format!("{name} is {value}; it is a number")),
        Err(_) => Ok(default),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
