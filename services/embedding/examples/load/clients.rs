//! Clients, each with a connection of its own: most send abstracts as fast as they are answered, some ask queries with
//! a pause between, as people do.

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
/// Clients together.
pub const COUNT: usize = BULK_CLIENTS + QUERY_CLIENTS;
const TEXTS_PER_CALL: usize = 4;
const PAUSE: Duration = Duration::from_millis(100);
const MOST_QUERIES: usize = 5_000;
const LONE_QUERIES: usize = 100;

type Client = EmbeddingServiceClient<Channel>;

/// All clients.
pub struct Load {
    bulk: Vec<Client>,
    queries: Vec<Client>,
}

/// What a run took.
pub struct Served {
    /// Abstracts.
    pub papers: usize,
    /// Tokens of abstracts and queries.
    pub tokens: usize,
    /// By the clock.
    pub wall: Duration,
    /// Processor time of the service, where the system says.
    pub cpu: Option<Duration>,
    /// How long each query took, as its client saw it.
    pub queries: Vec<Duration>,
}

/// What one client got.
#[derive(Default)]
struct Got {
    tokens: usize,
    took: Vec<Duration>,
}

impl Load {
    /// To a service.
    pub fn connect(url: &str) -> anyhow::Result<Self> {
        let endpoint = Endpoint::from_shared(url.to_owned())?.tcp_nodelay(true);
        let clients = |count| (0..count).map(|_| Client::new(endpoint.connect_lazy())).collect();
        Ok(Self {
            bulk: clients(BULK_CLIENTS),
            queries: clients(QUERY_CLIENTS),
        })
    }

    /// Asks queries one after the other, when nobody else asks anything.
    pub async fn lone(&self, corpus: &Corpus) -> anyhow::Result<Vec<Duration>> {
        let mut client = self.queries.first().context("there are clients")?.clone();
        let mut took = Vec::new();
        for text in corpus.queries.iter().take(LONE_QUERIES) {
            let begun = Instant::now();
            client.embed(query(text)).await?;
            took.push(begun.elapsed());
        }
        Ok(took)
    }

    /// Sends all abstracts so many times, and queries until they are answered.
    pub async fn run(&self, corpus: &Corpus, repeats: usize, server: &Server) -> anyhow::Result<Served> {
        let papers: Arc<[String]> = corpus.papers.clone().into();
        let texts: Arc<[String]> = corpus.queries.clone().into();
        let total = papers.len() * repeats;
        let (next, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let pid = server.pid.to_string();
        let (begun, cpu) = (Instant::now(), cpu_of(&pid));
        let mut asking = JoinSet::new();
        for (number, client) in self.queries.iter().enumerate() {
            asking.spawn(ask(client.clone(), Arc::clone(&texts), number * 31, Arc::clone(&done)));
        }
        let mut sending = JoinSet::new();
        for client in &self.bulk {
            sending.spawn(send(client.clone(), Arc::clone(&papers), total, Arc::clone(&next)));
        }
        let mut tokens = 0;
        while let Some(sent) = sending.join_next().await {
            tokens += sent??.tokens;
        }
        let wall = begun.elapsed();
        let cpu = cpu_of(&pid)
            .zip(cpu)
            .map(|(after, before)| after.saturating_sub(before));
        done.store(true, Ordering::Relaxed);
        let mut queries = Vec::new();
        while let Some(asked) = asking.join_next().await {
            let asked = asked??;
            tokens += asked.tokens;
            queries.extend(asked.took);
        }
        Ok(Served {
            papers: total,
            tokens,
            wall,
            cpu,
            queries,
        })
    }
}

async fn send(mut client: Client, papers: Arc<[String]>, total: usize, next: Arc<AtomicUsize>) -> anyhow::Result<Got> {
    let mut got = Got::default();
    loop {
        let first = next.fetch_add(TEXTS_PER_CALL, Ordering::Relaxed);
        if first >= total {
            return Ok(got);
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
                Some(Outcome::Embedding(embedding)) => got.tokens += embedding.tokens as usize,
                other => bail!("not an embedding: {other:?}"),
            }
        }
    }
}

async fn ask(mut client: Client, texts: Arc<[String]>, first: usize, done: Arc<AtomicBool>) -> anyhow::Result<Got> {
    let mut got = Got::default();
    for number in 0..MOST_QUERIES {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let begun = Instant::now();
        let request = query(&texts[(first + number) % texts.len()]);
        let answer = client.embed(request).await?.into_inner();
        got.took.push(begun.elapsed());
        got.tokens += answer.embeddings.iter().map(|one| one.tokens as usize).sum::<usize>();
        tokio::time::sleep(PAUSE).await;
    }
    Ok(got)
}

fn query(text: &str) -> EmbedRequest {
    EmbedRequest {
        texts: vec![text.to_owned()],
        kind: TextKind::Query.into(),
        ..EmbedRequest::default()
    }
}
