//! Rebuilds the index for another encoder: reads the current collection, embeds its papers again, fills the next one.
//!
//! Searches go on meanwhile, and [`Catalogue`] writes arriving papers to both collections. What the next collection has
//! already is left as it is, so a rebuild that was cut off goes on where it was. It never removes a collection.
//!
//! Collections are named after their encoder. The alias `current` names the one that searches use, `next` the one being
//! built; both switch atomically (a replaced file, or Qdrant's aliases), and every replica checks them every two seconds.
//!
//! `broadsheet index rebuild` points `next` to the new encoder's collection. From then on papers and withdrawals are written
//! to both. Once every replica does so, the rebuild copies what the next collection lacks, pass by pass, until a pass finds
//! nothing. What exists is never built again, so a rebuild that was killed resumes at the next start. `--switch`, or
//! `index switch`, moves `current`; running searches finish on the collection they began with, and the old collection stays
//! until `index drop`. Papers whose vectors come from another encoder are embedded again on arrival.
//!
//! If the model was replaced without `next_model`, nobody can embed queries for the old collection: searches use words only
//! and say so, and the index for the new model is built and switched to automatically.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::clock::Clock;
use common::tasks::{Tasks, contained};
use domain::{EncoderId, Paper, PaperId};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::catalogue::{Catalogue, OpenCollection, REFRESH, WriteError};
use crate::encoders::{EncoderOffer, EncodersError};
use crate::metrics::REBUILD_PAPERS;
use crate::store::{IndexedPaper, PaperRevision, StoreError};

/// Papers read, embedded and written together. Few, because queries go first and a caller wants to see progress.
const BATCH: usize = 64;
/// Its name among the tasks.
const JOB: &str = "rebuild of the index";
/// Between two tries at something that does not answer.
const PAUSE: Duration = Duration::from_secs(1);
/// Most passes over the catalogue. Each finds what the one before missed because it was being written at that moment.
const PASSES: usize = 5;

/// The status of a rebuild.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebuildStatus {
    /// It runs.
    Running,
    /// The next collection lacks nothing.
    Complete,
    /// The next collection lacks nothing and is now the current one.
    Switched,
    /// It was cancelled.
    Cancelled,
    /// It cannot go on.
    Failed,
}

/// How far a rebuild is.
#[derive(Debug, Clone)]
pub struct RebuildProgress {
    /// Its status.
    pub status: RebuildStatus,
    /// The collection it reads.
    pub from: String,
    /// The collection it fills.
    pub to: String,
    /// Papers and tombstones compared in this pass.
    pub done: u64,
    /// Papers embedded and written.
    pub embedded: u64,
    /// Papers and tombstones in the current collection when it began.
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
    #[error("no embedding service offers encoder {requested}; it offers {offered}")]
    NotOffered {
        /// The encoder.
        requested: String,
        /// The encoders that are offered.
        offered: String,
    },
    /// The embedding service or the store.
    #[error(transparent)]
    Failed(#[from] WriteError),
}

/// Runs one rebuild at a time.
pub struct RebuildRunner {
    catalogue: Arc<Catalogue>,
    clock: Clock,
    tasks: Tasks,
    /// The one that runs, or ran last.
    latest: Mutex<Option<RunningRebuild>>,
}

#[derive(Clone)]
struct RunningRebuild {
    encoder: EncoderId,
    progress: watch::Receiver<RebuildProgress>,
    cancel: CancellationToken,
    /// Whether to switch at the end; a later caller may ask for it.
    switch: watch::Sender<bool>,
}

struct RebuildJob {
    catalogue: Arc<Catalogue>,
    clock: Clock,
    from: OpenCollection,
    to: OpenCollection,
    progress: watch::Sender<RebuildProgress>,
    cancel: CancellationToken,
    switch: watch::Sender<bool>,
    began: Instant,
}

/// Why a rebuild ended early.
enum RebuildEnd {
    Cancelled,
    Failed(String),
}

impl RebuildRunner {
    /// None runs yet.
    pub fn new(catalogue: Arc<Catalogue>, clock: Clock, tasks: Tasks) -> Self {
        Self {
            catalogue,
            clock,
            tasks,
            latest: Mutex::new(None),
        }
    }

    /// The progress of the one that runs, or ran last.
    pub fn progress(&self) -> Option<RebuildProgress> {
        self.latest().map(|running| running.progress.borrow().clone())
    }

    /// Begins a rebuild, or joins the one that runs. Without an encoder: for the offered one that is not in use.
    pub async fn begin(
        &self,
        encoder: Option<EncoderId>,
        switch: bool,
    ) -> Result<watch::Receiver<RebuildProgress>, RebuildError> {
        let offer = self.choose(encoder).await?;
        if let Some(joined) = self.join(&offer.encoder, switch)? {
            return Ok(joined);
        }
        let from = self.catalogue.view().current.clone();
        let to = self.catalogue.begin_next(&offer).await.map_err(WriteError::from)?;
        let described = from.store.describe().await.map_err(WriteError::from)?;
        let (progress, watching) = watch::channel(RebuildProgress {
            status: RebuildStatus::Running,
            from: from.name(),
            to: to.name(),
            done: 0,
            embedded: 0,
            total: described.papers + described.withdrawn,
            started: self.clock.now(),
            remaining: None,
            problem: String::new(),
        });
        let job = RebuildJob {
            catalogue: Arc::clone(&self.catalogue),
            clock: self.clock.clone(),
            from,
            to,
            progress,
            cancel: self.tasks.stop().child_token(),
            switch: watch::Sender::new(switch),
            began: self.clock.instant(),
        };
        let running = RunningRebuild {
            encoder: offer.encoder,
            progress: watching.clone(),
            cancel: job.cancel.clone(),
            switch: job.switch.clone(),
        };
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = latest.as_ref().filter(|other| other.is_running()) {
            // Two callers at the same moment: the first one's job serves both.
            return Ok(other.progress.clone());
        }
        *latest = Some(running);
        drop(self.tasks.job(JOB, job.run()));
        Ok(watching)
    }

    /// Stops the one that runs and waits for its end. `None` when none runs.
    pub async fn cancel(&self) -> Option<RebuildProgress> {
        let running = self.latest().filter(RunningRebuild::is_running)?;
        running.cancel.cancel();
        let mut progress = running.progress.clone();
        let ended = progress
            .wait_for(|progress| progress.status != RebuildStatus::Running)
            .await;
        let last = ended.ok()?.clone();
        Some(last)
    }

    fn latest(&self) -> Option<RunningRebuild> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn join(
        &self,
        encoder: &EncoderId,
        switch: bool,
    ) -> Result<Option<watch::Receiver<RebuildProgress>>, RebuildError> {
        let Some(running) = self.latest().filter(RunningRebuild::is_running) else {
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

    async fn choose(&self, requested: Option<EncoderId>) -> Result<EncoderOffer, RebuildError> {
        let offers = self.catalogue.encoders.offered().await.map_err(WriteError::from)?;
        let current = self.catalogue.view().current.encoder.clone();
        if requested.as_ref() == Some(&current) {
            return Err(RebuildError::Nothing(format!(
                "the index in use is that of {current} already"
            )));
        }
        let names = || {
            let names: Vec<&str> = offers.iter().map(|offer| offer.encoder.as_str()).collect();
            names.join(", ")
        };
        let fits = |offer: &&EncoderOffer| {
            requested
                .as_ref()
                .map_or(offer.encoder != current, |requested| offer.encoder == *requested)
        };
        match (offers.iter().find(fits), requested) {
            (Some(offer), _) => Ok(offer.clone()),
            (None, Some(requested)) => Err(RebuildError::NotOffered {
                requested: requested.to_string(),
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

impl RunningRebuild {
    fn is_running(&self) -> bool {
        self.progress.borrow().status == RebuildStatus::Running
    }
}

impl RebuildJob {
    async fn run(self) {
        info!(from = %self.from.name(), to = %self.to.name(), "rebuild begins");
        let panicked = || Err(RebuildEnd::Failed("it panicked; the log has more".to_owned()));
        let outcome = contained(JOB, self.work()).await.unwrap_or_else(panicked);
        let status = match &outcome {
            Ok(status) => *status,
            Err(RebuildEnd::Cancelled) => RebuildStatus::Cancelled,
            Err(RebuildEnd::Failed(_)) => RebuildStatus::Failed,
        };
        if let Err(RebuildEnd::Failed(problem)) = &outcome {
            warn!(problem, to = %self.to.name(), "rebuild failed");
        } else {
            info!(?status, to = %self.to.name(), "rebuild ended");
        }
        self.progress.send_modify(|progress| {
            progress.status = status;
            progress.remaining = None;
            progress.problem = match outcome {
                Err(RebuildEnd::Failed(problem)) => problem,
                _ => String::new(),
            };
        });
    }

    async fn work(&self) -> Result<RebuildStatus, RebuildEnd> {
        // Until every replica writes to both collections, and earlier writes are done.
        self.pause(REFRESH * 2).await?;
        for _ in 0..PASSES {
            if self.pass().await? == 0 {
                break;
            }
        }
        if !*self.switch.borrow() {
            return Ok(RebuildStatus::Complete);
        }
        loop {
            match self.catalogue.switch(&self.to.encoder).await {
                Ok(_) => return Ok(RebuildStatus::Switched),
                Err(error) if error.is_transient() => self.wait_for(error.to_string()).await?,
                Err(error) => return Err(RebuildEnd::Failed(error.to_string())),
            }
        }
    }

    /// Compares every paper once and copies what the next collection lacks. Returns how many papers these were.
    async fn pass(&self) -> Result<u64, RebuildEnd> {
        let (mut after, mut copied) = (None, 0);
        self.progress.send_modify(|progress| progress.done = 0);
        loop {
            let page = self.retried(|| self.from.store.revisions(after.clone(), BATCH)).await?;
            let compared = page.entries.len() as u64;
            let lacking = self.lacking(page.entries).await?;
            copied += self.copy(lacking).await?;
            self.report(compared);
            after = page.next;
            if after.is_none() {
                return Ok(copied);
            }
        }
    }

    /// Those that the next collection does not have at this revision.
    async fn lacking(&self, revisions: Vec<PaperRevision>) -> Result<Vec<PaperRevision>, RebuildEnd> {
        let ids: Vec<PaperId> = revisions.iter().map(|one| one.id.clone()).collect();
        let held = self.retried(|| self.to.store.revisions_of(&ids)).await?;
        let held: HashMap<PaperId, PaperRevision> = held.into_iter().map(|one| (one.id.clone(), one)).collect();
        let lacks = |one: &PaperRevision| held.get(&one.id).is_none_or(|held| held.revision < one.revision);
        Ok(revisions.into_iter().filter(lacks).collect())
    }

    async fn copy(&self, revisions: Vec<PaperRevision>) -> Result<u64, RebuildEnd> {
        let copied = revisions.len() as u64;
        let (withdrawn, papers): (Vec<_>, Vec<_>) = revisions.into_iter().partition(|one| one.withdrawn);
        for one in withdrawn {
            self.retried(|| self.to.store.withdraw(&one.id, one.revision)).await?;
        }
        let ids: Vec<PaperId> = papers.into_iter().map(|one| one.id).collect();
        if ids.is_empty() {
            return Ok(copied);
        }
        let papers = self.retried(|| self.from.store.get_with_vectors(&ids)).await?;
        let embedded = self.embed(papers).await?;
        let count = embedded.len() as u64;
        self.retried(|| self.to.store.upsert(embedded.clone())).await?;
        REBUILD_PAPERS.inc_by(count);
        self.progress.send_modify(|progress| progress.embedded += count);
        Ok(copied)
    }

    /// A paper whose text the encoder refuses is found by its words alone, because no paper may be missing.
    async fn embed(&self, papers: Vec<IndexedPaper>) -> Result<Vec<IndexedPaper>, RebuildEnd> {
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
                Err(error) => return Err(RebuildEnd::Failed(error.to_string())),
            }
        };
        let mut fitted = Vec::with_capacity(papers.len());
        for (one, vectors) in papers.into_iter().zip(embedded) {
            let vectors = match vectors {
                Ok(vectors) => vectors,
                Err(error) => {
                    warn!(paper = %one.paper.id, %error, "the paper is found by its words alone");
                    self.to
                        .words_alone(one.vectors)
                        .map_err(|error| RebuildEnd::Failed(error.to_string()))?
                }
            };
            fitted.push(IndexedPaper {
                paper: one.paper,
                vectors,
            });
        }
        Ok(fitted)
    }

    fn report(&self, compared: u64) {
        let elapsed = self.clock.elapsed(self.began);
        self.progress.send_modify(|progress| {
            progress.done += compared;
            progress.problem.clear();
            let left = progress.total.saturating_sub(progress.done);
            let share = left as f64 / progress.done.max(1) as f64;
            progress.remaining = Duration::try_from_secs_f64(elapsed.as_secs_f64() * share).ok();
        });
    }

    /// Tries until it works; an error that does not pass ends the rebuild.
    async fn retried<T, F>(&self, call: impl Fn() -> F) -> Result<T, RebuildEnd>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        loop {
            if self.cancel.is_cancelled() {
                return Err(RebuildEnd::Cancelled);
            }
            match call().await {
                Ok(value) => return Ok(value),
                Err(error) if error.is_transient() => self.wait_for(error.to_string()).await?,
                Err(error) => return Err(RebuildEnd::Failed(error.to_string())),
            }
        }
    }

    async fn wait_for(&self, problem: String) -> Result<(), RebuildEnd> {
        self.progress.send_modify(|progress| progress.problem = problem);
        self.pause(PAUSE).await
    }

    async fn pause(&self, pause: Duration) -> Result<(), RebuildEnd> {
        tokio::select! {
            () = self.cancel.cancelled() => Err(RebuildEnd::Cancelled),
            () = self.clock.sleep(pause) => Ok(()),
        }
    }
}
