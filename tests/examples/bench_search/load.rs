//! Clients that search over gRPC, and the queries they ask.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use common::tls::ClientTls;
use proto::index::v1::GetIndexStatusRequest;
use proto::index::v1::index_admin_service_client::IndexAdminServiceClient;
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::search::v1::{ListPapersRequest, QuerySyntax, SearchMode, SearchPapersRequest};
use tonic::transport::Channel;

pub struct Load {
    channel: Channel,
}

/// What a number of clients got.
pub struct Run {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Of each search, in seconds.
    pub times: Vec<f64>,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            per_second,
            p50_ms,
            p99_ms,
            ..
        } = self;
        write!(f, "{per_second:.0} searches/s, p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms")
    }
}

impl Run {
    /// Of the times of single searches and of all of them.
    pub fn of(mut times: Vec<f64>, seconds: f64) -> Self {
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| times[(times.len() - 1) * percent / 100] * 1_000.0;
        Self {
            per_second: times.len() as f64 / seconds,
            p50_ms: at(50),
            p99_ms: at(99),
            times,
        }
    }
}

impl Load {
    /// Connects when it first asks, as services do.
    pub fn to(url: &str, tls: &ClientTls) -> anyhow::Result<Self> {
        let channel = tls.channel(url, None)?.channel;
        Ok(Self { channel })
    }

    pub async fn papers(&mut self) -> anyhow::Result<u64> {
        let mut admin = IndexAdminServiceClient::new(self.channel.clone());
        Ok(admin
            .get_index_status(GetIndexStatusRequest {})
            .await?
            .into_inner()
            .papers)
    }

    /// Each query once, by so many clients.
    pub async fn run(&self, queries: Vec<String>, clients: usize) -> anyhow::Result<Run> {
        let (queries, next) = (Arc::new(queries), Arc::new(AtomicUsize::new(0)));
        let began = Instant::now();
        let client = |_| {
            let (queries, next) = (Arc::clone(&queries), Arc::clone(&next));
            let mut search = SearchServiceClient::new(self.channel.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                while let Some(query) = queries.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let asked = Instant::now();
                    search.search_papers(request(query, SearchMode::Hybrid)).await?;
                    times.push(asked.elapsed().as_secs_f64());
                }
                Ok::<_, tonic::Status>(times)
            })
        };
        let running: Vec<_> = (0..clients).map(client).collect();
        let mut times = Vec::new();
        for one in running {
            times.extend(one.await??);
        }
        Ok(Run::of(times, began.elapsed().as_secs_f64()))
    }

    /// The ten best by meaning alone, for comparing with exact ones.
    pub async fn dense(&self, queries: &[String]) -> anyhow::Result<Vec<(String, Vec<String>)>> {
        let mut search = SearchServiceClient::new(self.channel.clone());
        let mut answers = Vec::with_capacity(queries.len());
        for query in queries {
            let mut request = request(query, SearchMode::Dense);
            request.page_size = 10;
            let results = search.search_papers(request).await?.into_inner().results;
            let ids = results.into_iter().filter_map(|result| Some(result.paper?.id));
            answers.push((query.clone(), ids.collect()));
        }
        Ok(answers)
    }
}

fn request(query: &str, mode: SearchMode) -> SearchPapersRequest {
    SearchPapersRequest {
        query: query.to_owned(),
        mode: mode.into(),
        syntax: QuerySyntax::Plain.into(),
        ..SearchPapersRequest::default()
    }
}

/// Different queries: those of the judged sets, and as many titles as are wanted besides, which are like what readers paste.
pub async fn queries(load: &mut Load, count: usize) -> anyhow::Result<Vec<String>> {
    let mut queries = Vec::new();
    for set in ["autoscholar-ml", "scifact", "cranfield"] {
        let Some(file) = tests::data::find(&format!("{set}/queries.jsonl")) else {
            continue;
        };
        for line in std::fs::read_to_string(file)?.lines() {
            let line: serde_json::Value = serde_json::from_str(line)?;
            queries.push(line["text"].as_str().context("a query has a text")?.to_owned());
        }
    }
    let mut search = SearchServiceClient::new(load.channel.clone());
    let mut page_token = String::new();
    while queries.len() < count {
        let request = ListPapersRequest {
            page_size: 1_000,
            page_token,
            ..ListPapersRequest::default()
        };
        let page = search.list_papers(request).await?.into_inner();
        queries.extend(page.papers.into_iter().map(|paper| paper.title));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    // Mixed the same way every time: long and short ones, from every set.
    let step = (queries.len() * 618 / 1_000) | 1;
    Ok((0..queries.len())
        .map(|place| queries[place * step % queries.len()].clone())
        .collect())
}
