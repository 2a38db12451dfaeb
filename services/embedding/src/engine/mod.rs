//! Schedules texts onto the model: what comes first, what is computed together, on which thread, and what not at all.
//!
//! A text is admitted (or refused), split into tokens on a thread for that, queued by its kind, and computed in a
//! micro-batch by whichever inference thread is free first. Nothing lingers for a batch to fill. Callers wait in async
//! code and may go away at any time. The engine knows neither the bus nor gRPC.

mod admission;
mod computing;
mod errand;
mod error;
mod lanes;
mod pending;
mod query_cache;
mod shared;
mod tokenizing;
mod work_queue;

#[cfg(test)]
pub mod fake;
#[cfg(test)]
pub mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{DenseVector, EncoderId, PaperVectors, SparseVector};
use tokio::sync::oneshot;

pub use admission::{Capacity, Full};
pub use error::{EngineError, Refused, TextError};
pub use pending::Pending;

use crate::metrics::{Families, Lookup};
use admission::{Admission, Permit};
use encoder::{Description, Model, TextKind};
use errand::{Errand, Item};
use query_cache::QueryCache;
use shared::{Raw, Shared, Threads};
use tokenizing::estimated_tokens;

/// How an engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineConfig {
    /// Threads that compute.
    pub threads: usize,
    /// Threads that split texts into tokens.
    pub tokenizer_threads: usize,
    /// What may wait.
    pub capacity: Capacity,
    /// Queries whose vectors are remembered.
    pub query_cache: usize,
}

/// A text to embed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// What it is.
    pub kind: TextKind,
    /// The text itself.
    pub content: String,
    /// The part of the content that is the title, whose terms weigh more; empty where nobody told.
    pub title: String,
    /// What to do when it is too long.
    pub truncate: Truncate,
}

/// What to do with a text that is longer than the model reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truncate {
    /// Leave out its end and say so.
    Report,
    /// Refuse it.
    Refuse,
}

/// Both vectors of one text, and what making them took.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// By meaning; all zeros when the model knows no token of the text.
    pub dense: DenseVector,
    /// By words.
    pub sparse: SparseVector,
    /// Tokens the model read.
    pub tokens: u32,
    /// True when the end of the text was left out.
    pub truncated: bool,
    /// From its arrival until a thread took it.
    pub queue_time: Duration,
    /// For how long its batch was computed.
    pub compute_time: Duration,
    /// True when the vectors were remembered.
    pub cached: bool,
}

/// The engine; clones share it. Dropping the last one finishes what waits and ends its threads.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    encoder: EncoderId,
    config: EngineConfig,
    admission: Arc<Admission>,
    cache: Arc<QueryCache>,
    shared: Arc<Shared>,
    _threads: Threads,
}

impl Engine {
    /// Starts the threads over a loaded model. The encoder's id is the model's name and the first twelve hex digits of
    /// its weights' SHA-256.
    pub fn start(model: Arc<dyn Model>, config: EngineConfig, families: &Families) -> Result<Self, EngineError> {
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
        let shared = Arc::new(Shared::new(model, &config, metrics)?);
        let threads = Threads::start(&shared, &config)?;
        Ok(Self(Arc::new(Inner {
            encoder,
            config,
            admission,
            cache: Arc::new(QueryCache::new(config.query_cache)),
            shared,
            _threads: threads,
        })))
    }

    /// The model.
    pub fn description(&self) -> &Description {
        self.0.shared.model.description()
    }

    /// Which encoder makes the dense vectors.
    pub fn encoder(&self) -> &EncoderId {
        &self.0.encoder
    }

    /// What may wait.
    pub fn capacity(&self) -> Capacity {
        self.0.config.capacity
    }

    /// Tokens that all threads together compute in a second; `None` before the first batch.
    pub fn tokens_per_second(&self) -> Option<f64> {
        let pace = self.0.shared.pace.tokens_per_second()?;
        Some(pace * self.0.config.threads as f64)
    }

    /// Queues texts, all of them or none; the answers are waited for one by one. A text not yet computed at the deadline
    /// never is.
    pub fn submit(&self, texts: Vec<Text>, deadline: Option<Instant>) -> Result<Vec<Pending>, Refused> {
        let slots = self.look_up(texts);
        let reserve = |kind| {
            let permit = self.0.admission.reserve(kind, cost_of(&slots, kind));
            permit.map_err(|full| self.refused(full, &slots))
        };
        let room = Room {
            queries: reserve(TextKind::Query)?,
            documents: reserve(TextKind::Document)?,
        };
        Ok(self.queue(slots, deadline, room))
    }

    /// Queues texts however many wait, for a caller whose own rules bound how many there are.
    pub fn submit_anyway(&self, texts: Vec<Text>) -> Vec<Pending> {
        let slots = self.look_up(texts);
        let reserve = |kind| self.0.admission.reserve_anyway(kind, cost_of(&slots, kind));
        let room = Room {
            queries: reserve(TextKind::Query),
            documents: reserve(TextKind::Document),
        };
        self.queue(slots, None, room)
    }

    /// The vectors of a paper, from an embedded document.
    pub fn paper_vectors(&self, embedded: Embedded) -> PaperVectors {
        PaperVectors {
            encoder: self.0.encoder.clone(),
            dense: embedded.dense,
            sparse: embedded.sparse,
            truncated: embedded.truncated,
        }
    }

    fn look_up(&self, texts: Vec<Text>) -> Vec<Slot> {
        let max_tokens = self.description().max_tokens;
        let mut slots = Vec::with_capacity(texts.len());
        for text in texts {
            let cost = estimated_tokens(text.content.len(), max_tokens);
            if !self.0.cache.takes(text.kind, &text.content) {
                slots.push(Slot::Queue(text, cost, Remember::No));
                continue;
            }
            let found = self.0.cache.get(&text.content);
            let lookup = if found.is_some() { Lookup::Hit } else { Lookup::Miss };
            self.0.shared.metrics.looked_up(lookup);
            slots.push(match found {
                Some(embedded) if embedded.truncated && text.truncate == Truncate::Refuse => {
                    Slot::Ready(Err(TextError::TooLong { max_tokens }))
                }
                Some(embedded) => Slot::Ready(Ok(embedded)),
                None => Slot::Queue(text, cost, Remember::Yes),
            });
        }
        slots
    }

    fn queue(&self, slots: Vec<Slot>, deadline: Option<Instant>, mut room: Room) -> Vec<Pending> {
        let submitted = Instant::now();
        let mut answers = Vec::with_capacity(slots.len());
        let mut items = Vec::with_capacity(slots.len());
        for slot in slots {
            let (text, cost, remember) = match slot {
                Slot::Ready(answer) => {
                    answers.push(Pending::ready(answer));
                    continue;
                }
                Slot::Queue(text, cost, remember) => (text, cost, remember),
            };
            let cache = (remember == Remember::Yes).then(|| (Arc::clone(&self.0.cache), text.content.clone()));
            let (reply, answer) = oneshot::channel();
            answers.push(Pending::waiting(answer, deadline, cache));
            let errand = Errand {
                kind: text.kind,
                deadline,
                submitted,
                permit: room.for_one(text.kind, cost),
                reply,
            };
            let payload = Raw {
                content: text.content,
                title: text.title,
                truncate: text.truncate,
            };
            items.push((text.kind, cost, Item { errand, payload }));
        }
        self.0.shared.raw.push(items);
        answers
    }

    fn refused(&self, full: Full, slots: &[Slot]) -> Refused {
        let texts = slots.iter().filter(|slot| slot.cost(full.kind) > 0).count();
        self.0.shared.metrics.refused(full.kind, texts);
        let seconds = match self.tokens_per_second() {
            Some(pace) => (full.waiting as f64 / pace).clamp(0.1, 30.0),
            None => 1.0,
        };
        Refused {
            full,
            retry_after: Duration::from_secs_f64(seconds),
        }
    }
}

/// A text on its way into the queue.
enum Slot {
    /// Its answer is there already.
    Ready(Result<Embedded, TextError>),
    /// It has to be computed and costs about so many tokens.
    Queue(Text, usize, Remember),
}

/// Whether an answer is to be remembered.
#[derive(PartialEq, Eq)]
enum Remember {
    Yes,
    No,
}

impl Slot {
    fn cost(&self, kind: TextKind) -> usize {
        match self {
            Self::Queue(text, cost, _) if text.kind == kind => *cost,
            _ => 0,
        }
    }
}

fn cost_of(slots: &[Slot], kind: TextKind) -> usize {
    slots.iter().map(|slot| slot.cost(kind)).sum()
}

/// Room for texts that are queued together.
struct Room {
    queries: Permit,
    documents: Permit,
}

impl Room {
    fn for_one(&mut self, kind: TextKind, tokens: usize) -> Permit {
        let room = match kind {
            TextKind::Query => &mut self.queries,
            TextKind::Document => &mut self.documents,
        };
        room.split(tokens)
    }
}
