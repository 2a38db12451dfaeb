//! The start of the service: learns the encoders, opens the catalogue, and then runs everything that needs it.
//!
//! Services start in any order, so one that does not answer yet is called again. It is a warning only when it takes long.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::admin::NotReady;
use common::bus::Bus;
use common::clock::Clock;
use common::service::ServiceError;
use common::stage;
use common::tasks::Tasks;
use domain::EncoderId;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::catalogue::Catalogue;
use crate::config::IndexingConfig;
use crate::encoders::{EncoderOffer, Encoders};
use crate::pipeline::{IndexStage, WithdrawStage};
use crate::rebuild::RebuildRunner;
use crate::search::{HybridSearch, LegWeights};
use crate::state::{IndexingCell, IndexingState};
use crate::trending::TrendingPapers;
use crate::verify::RegistryClient;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// From then on, what does not answer is worth a warning, and another each time as much has passed.
const WARN_AFTER: Duration = Duration::from_secs(30);

/// What opening the catalogue needs.
pub struct Opening {
    pub config: IndexingConfig,
    pub encoders: Encoders,
    pub registry: RegistryClient,
    pub trending: Arc<TrendingPapers>,
    pub cell: IndexingCell,
    pub bus: Bus,
    pub clock: Clock,
    pub tasks: Tasks,
}

impl Opening {
    /// Opens the catalogue, drops the ticket, and starts the parts that need the catalogue. Returns at the stop.
    pub async fn run(self, not_ready: NotReady) -> Result<(), ServiceError> {
        let stop = self.tasks.stop().clone();
        let Some(offers) = self.ask_encoders().await else {
            return Ok(());
        };
        let Some(catalogue) = self.open(&offers).await? else {
            return Ok(());
        };
        let rebuilds = RebuildRunner::new(Arc::clone(&catalogue), self.clock.clone(), self.tasks.clone());
        let rebuilds = Arc::new(rebuilds);
        self.start_stages(&catalogue);
        let resumption = resume_rebuild(Arc::clone(&catalogue), Arc::clone(&rebuilds), offers);
        drop(self.tasks.job("resumption of a rebuild", resumption));
        let state = IndexingState {
            search: HybridSearch::new(
                Arc::clone(&catalogue),
                Arc::clone(&self.trending),
                LegWeights::new(self.config.dense_weight),
                self.clock.clone(),
            ),
            catalogue,
            trending: self.trending,
            rebuilds,
            registry: self.registry,
        };
        // Nobody else fills the cell.
        let _ = self.cell.set(state);
        drop(not_ready);
        stop.cancelled().await;
        Ok(())
    }

    fn start_stages(&self, catalogue: &Arc<Catalogue>) {
        let stop = self.tasks.stop();
        let index = Arc::new(IndexStage {
            catalogue: Arc::clone(catalogue),
            clock: self.clock.clone(),
        });
        let withdraw = Arc::new(WithdrawStage(Arc::clone(catalogue)));
        self.tasks
            .run("indexing of papers", stage::run(self.bus.clone(), index, stop.clone()));
        self.tasks.run(
            "withdrawal of papers",
            stage::run(self.bus.clone(), withdraw, stop.clone()),
        );
        let (catalogue, clock, stop) = (Arc::clone(catalogue), self.clock.clone(), stop.clone());
        self.tasks.run_infallible(
            "refresh of aliases",
            async move { catalogue.follow(&clock, &stop).await },
        );
    }

    /// Asks until there is an answer. `None` when the stop came first.
    async fn ask_encoders(&self) -> Option<Vec<EncoderOffer>> {
        let mut wait = StartupWait::new(&self.clock, self.tasks.stop());
        loop {
            match self.encoders.offered().await {
                Ok(offers) => return Some(offers),
                Err(error) if !wait.pause("the embedding service", &error).await => return None,
                Err(_) => {}
            }
        }
    }

    /// Opens the catalogue. A server that does not answer yet is called again; `None` when the stop came first.
    async fn open(&self, offers: &[EncoderOffer]) -> Result<Option<Arc<Catalogue>>, ServiceError> {
        let Some(papers) = offers.first() else {
            return Err(ServiceError::start(
                crate::NAME,
                "the embedding service offers no encoder",
            ));
        };
        let mut wait = StartupWait::new(&self.clock, self.tasks.stop());
        loop {
            let opening = async {
                let collections = self.config.location.open(&self.clock).await?;
                Catalogue::open(collections, self.encoders.clone(), papers).await
            };
            match opening.await {
                Ok(catalogue) => return Ok(Some(Arc::new(catalogue))),
                Err(error) if !error.is_transient() => return Err(ServiceError::start(crate::NAME, error)),
                Err(error) if !wait.pause("the store", &error).await => return Ok(None),
                Err(_) => {}
            }
        }
    }
}

/// Goes on with a rebuild that was cut off. And where the model was replaced outright, builds the index for the new one and
/// switches to it; until then searches go by words alone.
async fn resume_rebuild(catalogue: Arc<Catalogue>, rebuilds: Arc<RebuildRunner>, offers: Vec<EncoderOffer>) {
    let view = catalogue.view();
    let offered = |encoder: &EncoderId| offers.iter().any(|offer| offer.encoder == *encoder);
    let replaced = !offered(&view.current.encoder);
    let unfinished = view.next.as_ref().map(|next| next.encoder.clone()).filter(offered);
    let wanted = match unfinished {
        Some(encoder) => Some(encoder),
        None if replaced => offers.first().map(|offer| offer.encoder.clone()),
        None => None,
    };
    let Some(encoder) = wanted else { return };
    if replaced {
        warn!(
            current = %view.current.encoder, new = %encoder,
            "the model of the index is not offered any more: searching by words alone until the index for the new model is \
             built"
        );
    }
    if let Err(error) = rebuilds.begin(Some(encoder), replaced).await {
        warn!(%error, "the rebuild does not begin; `broadsheet index rebuild` tries again");
    }
}

/// Waits for something that starts beside this service.
struct StartupWait<'a> {
    clock: &'a Clock,
    stop: &'a CancellationToken,
    silent_since: Instant,
}

impl<'a> StartupWait<'a> {
    fn new(clock: &'a Clock, stop: &'a CancellationToken) -> Self {
        Self {
            clock,
            stop,
            silent_since: clock.instant(),
        }
    }

    /// Waits until the next try; false when the stop came.
    async fn pause(&mut self, what: &str, problem: &impl Display) -> bool {
        if self.clock.elapsed(self.silent_since) < WARN_AFTER {
            debug!(%problem, "{what} does not answer yet");
        } else {
            warn!(%problem, "{what} still does not answer; trying again");
            self.silent_since = self.clock.instant();
        }
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = self.clock.sleep(PAUSE) => true,
        }
    }
}
