//! Schedules texts onto the model: in which order, in which batches, on which threads, and which not at all.
//!
//! A text is admitted or refused, split into tokens on a tokenizer thread, queued by its priority, and computed in a
//! micro-batch by the next free compute thread. Nothing waits for a batch to fill. Callers wait asynchronously and may give up at any
//! time. The engine knows neither the bus nor gRPC.
//!
//! Scheduling: what waits for the encoder is bounded in tokens, separately for each priority: interactive (queries), bulk
//! (papers, and interests of subscribers) and best effort (texts of people whom nobody knows). Texts over gRPC that do not
//! fit, or would not be computed before their deadline, are refused with RESOURCE_EXHAUSTED and a time to retry, in the same
//! way for single calls, batches and streams. Papers from the stream are bounded by the pull and never refused.
//!
//! A tokeniser thread splits admitted texts into tokens, the most urgent first, and puts them into the queue of their
//! priority. The inference threads, one per core, take one micro-batch at a time, the most urgent first: at most 512 tokens,
//! 256 tokens of bulk work while queries arrive, and 128 tokens of best-effort work. Nothing waits for a batch to fill, so a
//! query waits for at most the current micro-batch; a single query on an idle machine is split over all cores. After eight
//! interactive batches in a row, waiting bulk work gets one, and after eight of those in a row best-effort work, which never
//! comes before a query and occupies at most half of the threads.
//!
//! Texts whose caller has gone away or whose deadline has passed are skipped and counted. A panic in the model fails only the
//! text that causes it.

mod admission;
mod computing;
mod context;
mod error;
mod pending_answer;
mod pending_request;
mod priority_queue;
mod query_cache;
mod threads;
mod throughput;
mod tokenizing;
mod work_queue;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::clock::Clock;
use domain::{DenseVector, EncoderId, PaperVectors, SparseVector};
use tokio::sync::oneshot;

pub use admission::{QueueCapacity, QueueFull};
pub use error::{EngineError, SubmitError, TextError};
pub use pending_answer::PendingAnswer;
pub use threads::ThreadFailure;

use crate::metrics::{CacheLookup, MetricFamilies};
use crate::priority::{ByPriority, Priority};
use admission::{Admission, QueuePermit};
use context::{EngineContext, RawText};
use encoder::{Model, ModelDescription, TextKind};
use pending_request::{PendingRequest, QueuedText};
use query_cache::QueryCache;
use threads::EngineThreads;
use tokenizing::estimated_tokens;

/// Best-effort texts that are cached, as a share of the queries.
const BEST_EFFORT_CACHE_SHARE: usize = 8;

/// How an engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineConfig {
    /// Threads that compute vectors.
    pub threads: usize,
    /// Threads that split texts into tokens.
    pub tokenizer_threads: usize,
    /// How many tokens may wait.
    pub capacity: QueueCapacity,
    /// Queries whose vectors are cached.
    pub query_cache: usize,
}

/// A text to embed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputText {
    /// Whether it is a query or a document.
    pub kind: TextKind,
    /// How urgent it is.
    pub priority: Priority,
    /// The text itself.
    pub content: String,
    /// The part of the content that is the title, whose terms weigh more; empty when there is none.
    pub title: String,
    /// What to do when it is too long.
    pub truncate: Truncate,
}

/// What to do with a text that is longer than the model reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truncate {
    /// Cut off its end and report that.
    Report,
    /// Refuse it.
    Refuse,
}

/// Both vectors of a text, and how long they took.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddedText {
    /// The dense vector; all zeros when the model cannot read the text.
    pub dense: DenseVector,
    /// The sparse vector of term weights.
    pub sparse: SparseVector,
    /// Tokens the model read.
    pub tokens: u32,
    /// True when the end of the text was cut off.
    pub truncated: bool,
    /// From its text until a compute thread took it.
    pub queue_time: Duration,
    /// How long its batch was computed.
    pub compute_time: Duration,
    /// True when the vectors came from the cache.
    pub cached: bool,
}

/// The engine; clones share it. Dropping the last clone finishes what waits and ends the threads.
#[derive(Clone)]
pub struct Engine(Arc<EngineCore>);

struct EngineCore {
    encoder: EncoderId,
    config: EngineConfig,
    admission: Arc<Admission>,
    cache: Arc<QueryCache>,
    /// The same for best-effort texts, so that those of strangers do not displace the queries of readers.
    best_effort_cache: Arc<QueryCache>,
    context: Arc<EngineContext>,
    threads: EngineThreads,
}

impl Engine {
    /// Starts the threads over a loaded model. The encoder's id is the model's name and the first twelve hex digits of
    /// its weights' SHA-256. Fails when that is not a valid id, or when the system refuses a thread.
    pub fn start(
        model: Arc<dyn Model>,
        config: EngineConfig,
        clock: Clock,
        families: &MetricFamilies,
    ) -> Result<Self, EngineError> {
        let description = model.description();
        let sha256 = &description.weights_sha256;
        let revision = sha256.get(..12).unwrap_or(sha256);
        let id = format!("{}@{revision}", description.name);
        let encoder = EncoderId::parse(&id).map_err(|source| EngineError::Name {
            name: domain::text::shorten(&description.name),
            source,
        })?;
        families.show_model(&id, revision, description.architecture, description.dtype);
        let metrics = families.of(&id);
        let admission = Admission::new(config.capacity, metrics.queue_gauges());
        let context = Arc::new(EngineContext::new(model, &config, clock, metrics)?);
        let threads = EngineThreads::start(&context, &config)?;
        Ok(Self(Arc::new(EngineCore {
            encoder,
            config,
            admission,
            cache: Arc::new(QueryCache::new(config.query_cache)),
            best_effort_cache: Arc::new(QueryCache::new(config.query_cache / BEST_EFFORT_CACHE_SHARE)),
            context,
            threads,
        })))
    }

    /// The model.
    pub fn description(&self) -> &ModelDescription {
        self.0.context.model.description()
    }

    /// The id of the encoder that makes the dense vectors.
    pub fn encoder(&self) -> &EncoderId {
        &self.0.encoder
    }

    /// How many tokens may wait.
    pub fn capacity(&self) -> QueueCapacity {
        self.0.config.capacity
    }

    /// Tokens that all threads together compute in a second; `None` before the first batch.
    pub fn tokens_per_second(&self) -> Option<f64> {
        let of_one_thread = self.0.context.throughput.tokens_per_second()?;
        Some(of_one_thread * self.0.config.threads as f64)
    }

    /// Returns when a thread of this engine has panicked, after which requests may stay unanswered. Otherwise it never
    /// returns, not even when the engine ends. It does not keep the engine alive.
    pub fn thread_failure(&self) -> impl Future<Output = ThreadFailure> + Send + use<> {
        self.0.threads.failure()
    }

    /// Queues texts, either all or none; the answers are awaited one by one. A text that was not computed by the deadline
    /// never is, so one that will not be is refused at once.
    pub fn submit(&self, texts: Vec<InputText>, deadline: Option<Instant>) -> Result<Vec<PendingAnswer>, SubmitError> {
        let submitted_texts = self.look_up(texts);
        let permits = ByPriority::try_new(|priority| {
            let cost = cost_of(&submitted_texts, priority);
            let permit = match self.too_late(priority, cost, deadline) {
                Some(full) => Err(full),
                None => self.0.admission.reserve(priority, cost),
            };
            permit.map_err(|full| self.refuse(full, &submitted_texts))
        })?;
        Ok(self.queue(submitted_texts, deadline, permits))
    }

    /// Queues texts however many wait, for a caller that limits their number itself.
    pub fn submit_unlimited(&self, texts: Vec<InputText>) -> Vec<PendingAnswer> {
        let submitted_texts = self.look_up(texts);
        let permits = ByPriority::new(|priority| {
            let cost = cost_of(&submitted_texts, priority);
            self.0.admission.reserve_unlimited(priority, cost)
        });
        self.queue(submitted_texts, None, permits)
    }

    /// More waits before texts of this priority than is computed until their deadline.
    fn too_late(&self, priority: Priority, cost: usize, deadline: Option<Instant>) -> Option<QueueFull> {
        let (deadline, tokens_per_second) = (deadline?, self.tokens_per_second()?);
        let more_urgent = Priority::ALL.iter().take_while(|one| **one != priority);
        let before = more_urgent.chain([&priority]).map(|one| self.0.admission.waiting(*one));
        let waiting: usize = before.sum();
        let left = deadline.saturating_duration_since(self.0.context.clock.instant());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive number, and a saturated one is as good"
        )]
        let capacity = (left.as_secs_f64() * tokens_per_second) as usize;
        (cost > 0 && waiting > capacity).then_some(QueueFull {
            priority,
            waiting,
            capacity,
        })
    }

    fn cache_of(&self, priority: Priority) -> &Arc<QueryCache> {
        match priority {
            Priority::BestEffort => &self.0.best_effort_cache,
            Priority::Interactive | Priority::Bulk => &self.0.cache,
        }
    }

    /// The vectors of a paper, from an embedded document.
    pub fn paper_vectors(&self, embedded: EmbeddedText) -> PaperVectors {
        PaperVectors {
            encoder: self.0.encoder.clone(),
            dense: embedded.dense,
            sparse: embedded.sparse,
            truncated: embedded.truncated,
        }
    }

    fn look_up(&self, texts: Vec<InputText>) -> Vec<SubmittedText> {
        let max_tokens = self.description().max_tokens;
        let mut submitted_texts = Vec::with_capacity(texts.len());
        for text in texts {
            let cost = estimated_tokens(text.content.len(), max_tokens);
            let cache = self.cache_of(text.priority);
            if !cache.accepts(text.kind, &text.content) {
                submitted_texts.push(SubmittedText::Queue(text, cost, CachePolicy::Skip));
                continue;
            }
            let found = cache.get(&text.content);
            let lookup = if found.is_some() {
                CacheLookup::Hit
            } else {
                CacheLookup::Miss
            };
            self.0.context.metrics.cache_lookup(lookup);
            submitted_texts.push(match found {
                Some(embedded) if embedded.truncated && text.truncate == Truncate::Refuse => {
                    SubmittedText::Ready(Err(TextError::TooLong { max_tokens }))
                }
                Some(embedded) => SubmittedText::Ready(Ok(embedded)),
                None => SubmittedText::Queue(text, cost, CachePolicy::Store),
            });
        }
        submitted_texts
    }

    fn queue(
        &self,
        submitted_texts: Vec<SubmittedText>,
        deadline: Option<Instant>,
        mut permits: ByPriority<QueuePermit>,
    ) -> Vec<PendingAnswer> {
        let submitted = self.0.context.clock.instant();
        let mut answers = Vec::with_capacity(submitted_texts.len());
        let mut queued = Vec::with_capacity(submitted_texts.len());
        for text in submitted_texts {
            let (text, cost, policy) = match text {
                SubmittedText::Ready(answer) => {
                    answers.push(PendingAnswer::ready(answer));
                    continue;
                }
                SubmittedText::Queue(text, cost, policy) => (text, cost, policy),
            };
            let cache = self.cache_of(text.priority);
            let cache = (policy == CachePolicy::Store).then(|| (Arc::clone(cache), text.content.clone()));
            let (reply, answer) = oneshot::channel();
            let until = deadline.map(|deadline| (self.0.context.clock.clone(), deadline));
            answers.push(PendingAnswer::waiting(answer, until, cache));
            let request = PendingRequest {
                kind: text.kind,
                priority: text.priority,
                deadline,
                submitted,
                permit: permits.of_mut(text.priority).split(cost),
                reply,
            };
            let payload = RawText {
                content: text.content,
                title: text.title,
                truncate: text.truncate,
            };
            queued.push((text.priority, cost, QueuedText { request, payload }));
        }
        self.0.context.raw.push(queued);
        answers
    }

    fn refuse(&self, full: QueueFull, submitted_texts: &[SubmittedText]) -> SubmitError {
        let texts = submitted_texts.iter().filter(|one| one.cost(full.priority) > 0).count();
        self.0.context.metrics.refused(full.priority, texts);
        let seconds = match self.tokens_per_second() {
            Some(tokens_per_second) => (full.waiting as f64 / tokens_per_second).clamp(0.1, 30.0),
            None => 1.0,
        };
        SubmitError {
            full,
            retry_after: Duration::from_secs_f64(seconds),
        }
    }
}

/// A submitted text after the cache lookup.
enum SubmittedText {
    /// Its answer is known.
    Ready(Result<EmbeddedText, TextError>),
    /// It must be computed, at an estimated cost in tokens.
    Queue(InputText, usize, CachePolicy),
}

/// Whether the answer is to be cached.
#[derive(PartialEq, Eq)]
enum CachePolicy {
    Store,
    Skip,
}

impl SubmittedText {
    fn cost(&self, priority: Priority) -> usize {
        match self {
            Self::Queue(text, cost, _) if text.priority == priority => *cost,
            _ => 0,
        }
    }
}

fn cost_of(submitted_texts: &[SubmittedText], priority: Priority) -> usize {
    submitted_texts.iter().map(|text| text.cost(priority)).sum()
}
