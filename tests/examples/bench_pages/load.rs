//! Clients that ask one page after the other.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::task::JoinSet;

use crate::http::Connection;

/// So many clients for so long.
pub struct Load {
    pub web: String,
    pub connections: usize,
    pub length: Duration,
    /// What they are known by; nothing where they are not.
    pub cookie: &'static str,
}

/// What they met.
pub struct Run {
    pub per_second: f64,
    pub render_ms_p50: f64,
    requests: usize,
    p50_ms: f64,
    p99_ms: f64,
    kilobytes: f64,
}

/// Of one request: milliseconds until all of it was there, milliseconds of the server's own, and bytes.
struct Sample(f64, Option<f64>, usize);

impl Load {
    /// Asks for each page once, or for the first hundred.
    pub async fn warm(&self, paths: &[String]) -> anyhow::Result<()> {
        let mut connection = Connection::open(&self.web).await?.known_by(self.cookie);
        for path in paths.iter().take(100) {
            let answer = connection.get(path).await?;
            ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.text());
        }
        Ok(())
    }

    /// Asks for the pages in turn, from all connections at once.
    pub async fn run(&self, paths: &[String]) -> anyhow::Result<Run> {
        let paths: Arc<[String]> = paths.into();
        let next = Arc::new(AtomicUsize::new(0));
        let began = Instant::now();
        let mut clients = JoinSet::new();
        for _ in 0..self.connections {
            let connection = Connection::open(&self.web).await?.known_by(self.cookie);
            clients.spawn(client(
                connection,
                Arc::clone(&paths),
                Arc::clone(&next),
                began + self.length,
            ));
        }
        let mut samples = Vec::new();
        while let Some(of_client) = clients.join_next().await {
            samples.extend(of_client??);
        }
        Ok(Run::new(&samples, began.elapsed()))
    }
}

async fn client(
    mut connection: Connection,
    paths: Arc<[String]>,
    next: Arc<AtomicUsize>,
    deadline: Instant,
) -> anyhow::Result<Vec<Sample>> {
    let mut samples = Vec::new();
    while Instant::now() < deadline {
        let path = &paths[next.fetch_add(1, Ordering::Relaxed) % paths.len()];
        let asked = Instant::now();
        let answer = connection.get(path).await?;
        ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.text());
        let milliseconds = asked.elapsed().as_secs_f64() * 1_000.0;
        samples.push(Sample(milliseconds, answer.render_ms(), answer.body.len()));
    }
    Ok(samples)
}

impl Run {
    fn new(samples: &[Sample], took: Duration) -> Self {
        let waited = sorted(samples.iter().map(|sample| sample.0));
        let rendered = sorted(samples.iter().filter_map(|sample| sample.1));
        let bytes: usize = samples.iter().map(|sample| sample.2).sum();
        Self {
            per_second: samples.len() as f64 / took.as_secs_f64(),
            render_ms_p50: at(&rendered, 50),
            requests: samples.len(),
            p50_ms: at(&waited, 50),
            p99_ms: at(&waited, 99),
            kilobytes: bytes as f64 / samples.len().max(1) as f64 / 1_000.0,
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{:.0} requests/s over {} requests, p50 {:.1} ms, p99 {:.1} ms, of which the page itself {:.2} ms (p50), {:.1} kB each",
            self.per_second, self.requests, self.p50_ms, self.p99_ms, self.render_ms_p50, self.kilobytes
        )
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// A percentile of sorted values; not a number where there are none.
fn at(sorted: &[f64], percent: usize) -> f64 {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or(f64::NAN)
}
