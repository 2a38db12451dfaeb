//! Clients, each with its own connection: most send abstracts as fast as they are answered, some send queries with pauses
//! between them, as people do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use proto::embedding::v1::embed_result::Outcome;
use proto::embedding::v1::embedding_service_client::EmbeddingServiceClient;
use proto::embedding::v1::{EmbedBatchRequest, EmbedRequest, TextInput, TextKind};
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

use crate::corpus::Corpus;
use crate::figures::cpu_of;
use crate::server::Server;

const BULK_CLIENTS: usize = 24;
const QUERY_CLIENTS: usize = 8;
/// Number of clients.
pub const COUNT: usize = BULK_CLIENTS + QUERY_CLIENTS;
const TEXTS_PER_CALL: usize = 4;
const PAUSE: Duration = Duration::from_millis(100);
const MAX_QUERIES: usize = 5_000;
const IDLE_QUERIES: usize = 100;

type Client = EmbeddingServiceClient<Channel>;

/// All clients.
pub struct LoadClients {
    bulk: Vec<Client>,
    queries: Vec<Client>,
}

/// The figures of a run.
pub struct ServiceRun {
    /// Abstracts embedded.
    pub papers: usize,
    /// Tokens of abstracts and queries.
    pub tokens: usize,
    /// Elapsed time.
    pub wall: Duration,
    /// CPU time of the service, if the system reports it.
    pub cpu: Option<Duration>,
    /// The latency of each query, measured by its client.
    pub queries: Vec<Duration>,
}

/// The figures of one client.
#[derive(Default)]
struct ClientTotals {
    tokens: usize,
    took: Vec<Duration>,
}

impl LoadClients {
    /// Clients of a service.
    pub fn connect(url: &str) -> anyhow::Result<Self> {
        let endpoint = Endpoint::from_shared(url.to_owned())?.tcp_nodelay(true);
        let clients = |count| (0..count).map(|_| Client::new(endpoint.connect_lazy())).collect();
        Ok(Self {
            bulk: clients(BULK_CLIENTS),
            queries: clients(QUERY_CLIENTS),
        })
    }

    /// Sends queries one after the other to a service without other load.
    pub async fn idle_latency(&self, corpus: &Corpus) -> anyhow::Result<Vec<Duration>> {
        let mut client = self.queries.first().context("there are clients")?.clone();
        let mut took = Vec::new();
        for text in corpus.queries.iter().take(IDLE_QUERIES) {
            let started = Instant::now();
            client.embed(query(text)).await?;
            took.push(started.elapsed());
        }
        Ok(took)
    }

    /// Sends all abstracts `repeats` times, and queries until the abstracts are answered.
    pub async fn run(&self, corpus: &Corpus, repeats: usize, server: &Server) -> anyhow::Result<ServiceRun> {
        let papers: Arc<[String]> = corpus.papers.clone().into();
        let texts: Arc<[String]> = corpus.queries.clone().into();
        let total = papers.len() * repeats;
        let (next, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let pid = server.pid.to_string();
        let (started, cpu) = (Instant::now(), cpu_of(&pid));
        let mut querying = JoinSet::new();
        for (number, client) in self.queries.iter().enumerate() {
            querying.spawn(send_queries(
                client.clone(),
                Arc::clone(&texts),
                number * 31,
                Arc::clone(&done),
            ));
        }
        let mut sending = JoinSet::new();
        for client in &self.bulk {
            sending.spawn(send_papers(
                client.clone(),
                Arc::clone(&papers),
                total,
                Arc::clone(&next),
            ));
        }
        let mut tokens = 0;
        while let Some(sent) = sending.join_next().await {
            tokens += sent??.tokens;
        }
        let wall = started.elapsed();
        let cpu = cpu_of(&pid)
            .zip(cpu)
            .map(|(after, before)| after.saturating_sub(before));
        done.store(true, Ordering::Relaxed);
        let mut queries = Vec::new();
        while let Some(client) = querying.join_next().await {
            let client = client??;
            tokens += client.tokens;
            queries.extend(client.took);
        }
        Ok(ServiceRun {
            papers: total,
            tokens,
            wall,
            cpu,
            queries,
        })
    }
}

async fn send_papers(
    mut client: Client,
    papers: Arc<[String]>,
    total: usize,
    next: Arc<AtomicUsize>,
) -> anyhow::Result<ClientTotals> {
    let mut totals = ClientTotals::default();
    loop {
        let first = next.fetch_add(TEXTS_PER_CALL, Ordering::Relaxed);
        if first >= total {
            return Ok(totals);
        }
        let input = |index: usize| TextInput {
            content: papers[index % papers.len()].clone(),
            kind: TextKind::Document.into(),
            ..TextInput::default()
        };
        let texts: Vec<TextInput> = (first..total.min(first + TEXTS_PER_CALL)).map(input).collect();
        let count = texts.len();
        let answer = client
            .embed_batch(EmbedBatchRequest {
                texts,
                ..EmbedBatchRequest::default()
            })
            .await?
            .into_inner();
        ensure!(
            answer.results.len() == count,
            "{} results of {count} texts",
            answer.results.len()
        );
        for result in answer.results {
            match result.outcome {
                Some(Outcome::Embedding(embedding)) => totals.tokens += embedding.tokens as usize,
                other => bail!("not an embedding: {other:?}"),
            }
        }
    }
}

async fn send_queries(
    mut client: Client,
    texts: Arc<[String]>,
    first: usize,
    done: Arc<AtomicBool>,
) -> anyhow::Result<ClientTotals> {
    let mut totals = ClientTotals::default();
    for number in 0..MAX_QUERIES {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let started = Instant::now();
        let request = query(&texts[(first + number) % texts.len()]);
        let answer = client.embed(request).await?.into_inner();
        totals.took.push(started.elapsed());
        totals.tokens += answer.embeddings.iter().map(|one| one.tokens as usize).sum::<usize>();
        tokio::time::sleep(PAUSE).await;
    }
    Ok(totals)
}

fn query(text: &str) -> EmbedRequest {
    EmbedRequest {
        texts: vec![text.to_owned()],
        kind: TextKind::Query.into(),
        ..EmbedRequest::default()
    }
}
