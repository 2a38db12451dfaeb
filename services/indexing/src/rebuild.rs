//! Rebuilds the index for another encoder: reads the current collection, embeds its papers again, fills the next one.
//!
//! Searches go on meanwhile, and papers that arrive are written to both by [`Catalogue`]. What is in the next collection
//! already is left as it is, so a rebuild that was cut off goes on where it was. It never removes a collection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{EncoderId, Paper, PaperId};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::catalogue::{Catalogue, Index, REFRESH, WriteError};
use crate::encoders::{EncodersError, Offer};
use crate::metrics::REBUILD_PAPERS;
use crate::store::{IndexedPaper, Mark};

/// Papers read, embedded and written together. Small: queries go first, and a caller sees progress.
const BATCH: usize = 64;
/// Between two tries at something that does not answer.
const PAUSE: Duration = Duration::from_secs(1);
/// Passes over the catalogue: each looks for what the one before missed because it was being written at that moment.
const PASSES: usize = 5;

/// Where a rebuild stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Running,
    /// The next collection lacks nothing.
    Complete,
    /// And is the current one.
    Switched,
    /// It was cancelled.
    Cancelled,
    /// It cannot go on.
    Failed,
}

/// How far a rebuild is.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Where it stands.
    pub state: State,
    /// The collection it reads.
    pub from: String,
    /// The collection it fills.
    pub to: String,
    /// Papers and marks looked at.
    pub done: u64,
    /// Papers embedded and written.
    pub embedded: u64,
    /// Papers and marks in the current collection when it began.
    pub total: u64,
    /// When it began.
    pub started: Timestamp,
    /// How long the rest takes at the pace so far.
    pub remaining: Option<Duration>,
    /// Why it failed, or what it waits for.
    pub problem: String,
}

/// A rebuild that cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// Another one runs.
    #[error("a rebuild into {0} is running; cancel it first, or wait for its end")]
    Busy(String),
    /// Nothing to do.
    #[error("{0}")]
    Nothing(String),
    /// Nobody offers the encoder.
    #[error("no embedding service offers encoder {asked}; it offers {offered}")]
    NotOffered {
        /// Which.
        asked: String,
        /// Those that are offered.
        offered: String,
    },
    /// The embedding service or the store.
    #[error(transparent)]
    Failed(#[from] WriteError),
}

/// Runs one rebuild at a time.
pub struct Rebuilds {
    catalogue: Arc<Catalogue>,
    stop: CancellationToken,
    running: Mutex<Option<Running>>,
}

#[derive(Clone)]
struct Running {
    encoder: EncoderId,
    progress: watch::Receiver<Progress>,
    cancel: CancellationToken,
    /// Whether to switch at the end; a later caller may ask for it.
    switch: watch::Sender<bool>,
}

struct Job {
    catalogue: Arc<Catalogue>,
    from: Index,
    to: Index,
    progress: watch::Sender<Progress>,
    cancel: CancellationToken,
    switch: watch::Sender<bool>,
    began: Instant,
}

/// Why a job ended before its end.
enum Ended {
    Cancelled,
    Failed(String),
}

impl Rebuilds {
    /// None runs yet.
    pub fn new(catalogue: Arc<Catalogue>, stop: CancellationToken) -> Self {
        Self {
            catalogue,
            stop,
            running: Mutex::new(None),
        }
    }

    /// The one that runs or ran last.
    pub fn progress(&self) -> Option<Progress> {
        self.known().map(|running| running.progress.borrow().clone())
    }

    /// Begins a rebuild, or joins the one that runs. Without an encoder: for the offered one that is not in use.
    pub async fn begin(
        &self,
        encoder: Option<EncoderId>,
        switch: bool,
    ) -> Result<watch::Receiver<Progress>, RebuildError> {
        let offer = self.choose(encoder).await?;
        if let Some(joined) = self.join(&offer.encoder, switch)? {
            return Ok(joined);
        }
        let from = self.catalogue.view().current.clone();
        let to = self.catalogue.begin_next(&offer).await.map_err(WriteError::from)?;
        let described = from.store.describe().await.map_err(WriteError::from)?;
        let (progress, watching) = watch::channel(Progress {
            state: State::Running,
            from: from.name(),
            to: to.name(),
            done: 0,
            embedded: 0,
            total: described.papers + described.withdrawn,
            started: Timestamp::now(),
            remaining: None,
            problem: String::new(),
        });
        let job = Job {
            catalogue: Arc::clone(&self.catalogue),
            from,
            to,
            progress,
            cancel: self.stop.child_token(),
            switch: watch::Sender::new(switch),
            began: Instant::now(),
        };
        let running = Running {
            encoder: offer.encoder,
            progress: watching.clone(),
            cancel: job.cancel.clone(),
            switch: job.switch.clone(),
        };
        let mut known = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = known.as_ref().filter(|other| other.is_running()) {
            // Two callers at the same moment: the first one's job serves both.
            return Ok(other.progress.clone());
        }
        *known = Some(running);
        tokio::spawn(job.run());
        Ok(watching)
    }

    /// Stops the one that runs and waits for its end. `None` when none runs.
    pub async fn cancel(&self) -> Option<Progress> {
        let running = self.known().filter(Running::is_running)?;
        running.cancel.cancel();
        let mut progress = running.progress.clone();
        let ended = progress.wait_for(|progress| progress.state != State::Running).await;
        let last = ended.ok()?.clone();
        Some(last)
    }

    fn known(&self) -> Option<Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn join(&self, encoder: &EncoderId, switch: bool) -> Result<Option<watch::Receiver<Progress>>, RebuildError> {
        let Some(running) = self.known().filter(Running::is_running) else {
            return Ok(None);
        };
        if running.encoder != *encoder {
            return Err(RebuildError::Busy(running.progress.borrow().to.clone()));
        }
        if switch {
            running.switch.send_replace(true);
        }
        Ok(Some(running.progress))
    }

    async fn choose(&self, asked: Option<EncoderId>) -> Result<Offer, RebuildError> {
        let offers = self.catalogue.encoders.offered().await.map_err(WriteError::from)?;
        let current = self.catalogue.view().current.encoder.clone();
        if asked.as_ref() == Some(&current) {
            return Err(RebuildError::Nothing(format!(
                "the index in use is that of {current} already"
            )));
        }
        let names = || {
            let names: Vec<&str> = offers.iter().map(|offer| offer.encoder.as_str()).collect();
            names.join(", ")
        };
        let fits = |offer: &&Offer| {
            asked
                .as_ref()
                .map_or(offer.encoder != current, |asked| offer.encoder == *asked)
        };
        match (offers.iter().find(fits), asked) {
            (Some(offer), _) => Ok(offer.clone()),
            (None, Some(asked)) => Err(RebuildError::NotOffered {
                asked: asked.to_string(),
                offered: names(),
            }),
            (None, None) => Err(RebuildError::Nothing(format!(
                "the embedding service offers {} alone, which the index in use is built for; name the new model in \
                 embedding.next_model",
                names()
            ))),
        }
    }
}

impl Running {
    fn is_running(&self) -> bool {
        self.progress.borrow().state == State::Running
    }
}

impl Job {
    async fn run(self) {
        info!(from = %self.from.name(), to = %self.to.name(), "rebuild begins");
        let outcome = self.work().await;
        let state = match &outcome {
            Ok(state) => *state,
            Err(Ended::Cancelled) => State::Cancelled,
            Err(Ended::Failed(_)) => State::Failed,
        };
        if let Err(Ended::Failed(problem)) = &outcome {
            warn!(problem, to = %self.to.name(), "rebuild failed");
        } else {
            info!(?state, to = %self.to.name(), "rebuild ended");
        }
        self.progress.send_modify(|progress| {
            progress.state = state;
            progress.remaining = None;
            progress.problem = match outcome {
                Err(Ended::Failed(problem)) => problem,
                _ => String::new(),
            };
        });
    }

    async fn work(&self) -> Result<State, Ended> {
        // Until every replica writes to both, and what was on its way before has arrived.
        self.rest(REFRESH * 2).await?;
        for _ in 0..PASSES {
            if self.pass().await? == 0 {
                break;
            }
        }
        if !*self.switch.borrow() {
            return Ok(State::Complete);
        }
        loop {
            match self.catalogue.switch(&self.to.encoder).await {
                Ok(_) => return Ok(State::Switched),
                Err(error) if error.is_transient() => self.wait_for(error.to_string()).await?,
                Err(error) => return Err(Ended::Failed(error.to_string())),
            }
        }
    }

    /// Looks at every paper once and brings over what the next collection lacks. Answers with how many these were.
    async fn pass(&self) -> Result<u64, Ended> {
        let (mut after, mut brought) = (None, 0);
        self.progress.send_modify(|progress| progress.done = 0);
        loop {
            let part = self.retried(|| self.from.store.marks(after.clone(), BATCH)).await?;
            let looked = part.entries.len() as u64;
            let lacking = self.lacking(part.entries).await?;
            brought += self.bring(lacking).await?;
            self.tell(looked);
            after = part.next;
            if after.is_none() {
                return Ok(brought);
            }
        }
    }

    /// Those that the next collection does not have at this revision.
    async fn lacking(&self, marks: Vec<Mark>) -> Result<Vec<Mark>, Ended> {
        let ids: Vec<PaperId> = marks.iter().map(|mark| mark.id.clone()).collect();
        let held = self.retried(|| self.to.store.marks_of(&ids)).await?;
        let held: HashMap<PaperId, Mark> = held.into_iter().map(|mark| (mark.id.clone(), mark)).collect();
        let lacks = |mark: &Mark| held.get(&mark.id).is_none_or(|held| held.revision < mark.revision);
        Ok(marks.into_iter().filter(lacks).collect())
    }

    async fn bring(&self, marks: Vec<Mark>) -> Result<u64, Ended> {
        let brought = marks.len() as u64;
        let (gone, there): (Vec<Mark>, Vec<Mark>) = marks.into_iter().partition(|mark| mark.withdrawn);
        for mark in gone {
            self.retried(|| self.to.store.withdraw(&mark.id, mark.revision)).await?;
        }
        let ids: Vec<PaperId> = there.into_iter().map(|mark| mark.id).collect();
        if ids.is_empty() {
            return Ok(brought);
        }
        let papers = self.retried(|| self.from.store.get_with_vectors(&ids)).await?;
        let embedded = self.embed(papers).await?;
        let count = embedded.len() as u64;
        self.retried(|| self.to.store.upsert(embedded.clone())).await?;
        REBUILD_PAPERS.inc_by(count);
        self.progress.send_modify(|progress| progress.embedded += count);
        Ok(brought)
    }

    /// A paper whose text the encoder refuses is found by its words alone: none may be missing.
    async fn embed(&self, papers: Vec<IndexedPaper>) -> Result<Vec<IndexedPaper>, Ended> {
        let texts: Vec<&Paper> = papers.iter().map(|one| &one.paper).collect();
        let embedded = loop {
            match self.catalogue.encoders.papers(&self.to.encoder, &texts).await {
                Ok(embedded) => match embedded
                    .iter()
                    .find_map(|one| one.as_ref().err().filter(|e| e.is_transient()))
                {
                    Some(error) => self.wait_for(error.to_string()).await?,
                    None => break embedded,
                },
                Err(error @ (EncodersError::Unavailable(_) | EncodersError::NotOffered(_))) => {
                    self.wait_for(error.to_string()).await?;
                }
                Err(error) => return Err(Ended::Failed(error.to_string())),
            }
        };
        let mut fitted = Vec::with_capacity(papers.len());
        for (one, vectors) in papers.into_iter().zip(embedded) {
            let vectors = match vectors {
                Ok(vectors) => vectors,
                Err(error) => {
                    warn!(paper = %one.paper.id, %error, "the paper is found by its words alone");
                    self.to
                        .without_meaning(one.vectors)
                        .map_err(|error| Ended::Failed(error.to_string()))?
                }
            };
            fitted.push(IndexedPaper {
                paper: one.paper,
                vectors,
            });
        }
        Ok(fitted)
    }

    fn tell(&self, looked: u64) {
        let elapsed = self.began.elapsed();
        self.progress.send_modify(|progress| {
            progress.done += looked;
            progress.problem.clear();
            let rest = progress.total.saturating_sub(progress.done);
            let share = rest as f64 / progress.done.max(1) as f64;
            progress.remaining = Duration::try_from_secs_f64(elapsed.as_secs_f64() * share).ok();
        });
    }

    /// Tries until it works; what cannot work ends the job.
    async fn retried<T, F>(&self, call: impl Fn() -> F) -> Result<T, Ended>
    where
        F: Future<Output = Result<T, crate::store::StoreError>>,
    {
        loop {
            if self.cancel.is_cancelled() {
                return Err(Ended::Cancelled);
            }
            match call().await {
                Ok(value) => return Ok(value),
                Err(error) if error.is_transient() => self.wait_for(error.to_string()).await?,
                Err(error) => return Err(Ended::Failed(error.to_string())),
            }
        }
    }

    async fn wait_for(&self, problem: String) -> Result<(), Ended> {
        self.progress.send_modify(|progress| progress.problem = problem);
        self.rest(PAUSE).await
    }

    async fn rest(&self, pause: Duration) -> Result<(), Ended> {
        tokio::select! {
            () = self.cancel.cancelled() => Err(Ended::Cancelled),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }
}
