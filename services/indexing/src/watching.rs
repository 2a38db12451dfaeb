//! Watching papers become searchable: one reader of the stream for all watchers of a process.
//!
//! Watchers cost the bus nothing while they follow: what the one reader reads is kept for a moment and handed to each of them.
//! One that falls behind, or stops taking papers, is ended with a status and goes on later with its last resume token. Only what
//! a watcher missed is read for it alone, by a few at a time and for a bounded time. How many watch, in all and for one
//! client, is bounded too.

mod resume_tokens;
mod slots;
mod watcher;

pub use resume_tokens::{ResumePosition, ResumeTokenError, ResumeTokens};
pub use slots::WatcherLimits;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use common::bus::{Bus, BusError};
use common::clock::Clock;
use common::replay::{self, FollowedMessage};
use common::status;
use common::tasks::Tasks;
use domain::Paper;
use futures::StreamExt as _;
use jiff::Timestamp;
use proto::convert::from_wire_time;
use proto::papers::v1::PaperIndexed;
use proto::search::v1::WatchPapersResponse;
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};
use tonic::Status;
use tracing::{error, warn};

use self::slots::WatcherSlots;
use self::watcher::Watcher;
use crate::scope::SearchScope;

/// Papers that are kept for watchers that have not taken them yet.
const BUFFERED: usize = 1_024;
/// Answers to one watcher that are under way.
const UNDER_WAY: usize = 16;
/// How many watchers read what they missed at a time.
const REPLAYS: usize = 4;
/// How long a watch waits for the reader to be there.
const START_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two attempts to read the stream.
const PAUSE: Duration = Duration::from_secs(1);
/// When a watcher that was refused may try again.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// A paper that became searchable.
#[derive(Debug)]
struct WatchedPaper {
    /// Its sequence in the stream.
    sequence: u64,
    /// When it became searchable.
    indexed: Timestamp,
    paper: Paper,
}

/// What the reader hands to the watchers.
#[derive(Debug, Clone)]
enum FeedItem {
    Paper(Arc<WatchedPaper>),
    /// Papers may be missing here, because the reader lost the stream.
    Interruption,
}

/// The reader of the stream and its watchers.
pub struct PaperWatches {
    bus: Bus,
    clock: Clock,
    tasks: Tasks,
    tokens: ResumeTokens,
    slots: Arc<WatcherSlots>,
    replays: Arc<Semaphore>,
    feed: broadcast::Sender<FeedItem>,
    is_reading: watch::Sender<bool>,
}

/// The papers of one watch, and its status where it ends with one.
pub struct WatchedPapers {
    /// The papers.
    pub papers: mpsc::Receiver<WatchPapersResponse>,
    /// Why it ended; nothing at the stop.
    pub end: oneshot::Receiver<Status>,
}

impl PaperWatches {
    /// With nobody watching.
    pub fn new(bus: Bus, clock: Clock, tasks: Tasks, tokens: ResumeTokens, limits: WatcherLimits) -> Arc<Self> {
        Arc::new(Self {
            bus,
            clock,
            tasks,
            tokens,
            slots: WatcherSlots::new(limits),
            replays: Arc::new(Semaphore::new(REPLAYS)),
            feed: broadcast::Sender::new(BUFFERED),
            is_reading: watch::Sender::new(false),
        })
    }

    /// Reads the stream until the stop, and again after each interruption.
    pub async fn read(self: Arc<Self>) {
        let stop = self.tasks.stop().clone();
        let reading = async {
            loop {
                if let Err(error) = self.read_once().await {
                    warn!(%error, "papers that become searchable cannot be read for watchers; trying again");
                }
                self.is_reading.send_replace(false);
                // Nobody may be watching.
                let _ = self.feed.send(FeedItem::Interruption);
                self.clock.sleep(PAUSE).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = reading => {}
        }
    }

    async fn read_once(&self) -> Result<(), BusError> {
        let mut messages = replay::follow::<PaperIndexed>(&self.bus).await?;
        self.is_reading.send_replace(true);
        while let Some(message) = messages.next().await {
            if let Some(paper) = read_paper(message, self.clock.now()) {
                // Nobody may be watching.
                let _ = self.feed.send(FeedItem::Paper(Arc::new(paper)));
            }
        }
        Ok(())
    }

    /// Starts a watch of a client; none is known for callers on this machine, who have no limit of their own.
    pub async fn watch(
        self: &Arc<Self>,
        client: Option<IpAddr>,
        resume_token: &str,
        scope: SearchScope,
    ) -> Result<WatchedPapers, Status> {
        let after = match resume_token {
            "" => None,
            token => Some(self.tokens.check(token, self.clock.now()).map_err(bad_token)?),
        };
        let slot = self.slots.take(client).map_err(|limit| {
            let problem = format!("{limit}; end one, or try again later");
            status::exhausted(problem, RETRY_AFTER)
        })?;
        // In this order nothing is missed: the reader hands out what comes behind the newest message, or an interruption.
        let feed = self.feed.subscribe();
        self.until_reading().await?;
        let newest = replay::newest(&self.bus).await.map_err(status::unavailable)?;
        let missed = match after {
            Some(ResumePosition { sequence, .. }) => Some(self.missed(sequence).await?),
            None => None,
        };
        let (sender, papers) = mpsc::channel(UNDER_WAY);
        let (ended, end) = oneshot::channel();
        let watcher = Watcher {
            scope,
            tokens: self.tokens.clone(),
            clock: self.clock.clone(),
            papers: sender,
        };
        let stop = self.tasks.stop().clone();
        let watching = async move {
            watcher.run(missed, feed, newest, stop, ended).await;
            drop(slot);
        };
        // It ends with its caller, and nobody waits for it.
        drop(self.tasks.job("watcher", watching));
        Ok(WatchedPapers { papers, end })
    }

    async fn until_reading(&self) -> Result<(), Status> {
        let mut is_reading = self.is_reading.subscribe();
        let reading = self.clock.timeout(START_TIMEOUT, is_reading.wait_for(|is| *is)).await;
        match reading {
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) | None => Err(status::unavailable("the stream of papers cannot be read at the moment")),
        }
    }

    /// What came behind a sequence until now.
    async fn missed(&self, after: u64) -> Result<watcher::MissedPapers, Status> {
        let permit = Arc::clone(&self.replays).try_acquire_owned().map_err(|_| {
            let problem = format!("{REPLAYS} watches are reading what they missed, and no more may; try again later");
            status::exhausted(problem, RETRY_AFTER)
        })?;
        let messages = replay::behind::<PaperIndexed>(&self.bus, after).await;
        let messages = messages.map_err(|error| match error {
            BusError::Forgotten { .. } => too_old(),
            error => status::unavailable(error),
        })?;
        let now = self.clock.now();
        let papers = messages.filter_map(move |message| futures::future::ready(read_paper(message, now)));
        Ok(watcher::MissedPapers {
            papers: papers.boxed(),
            permit,
        })
    }
}

fn bad_token(error: ResumeTokenError) -> Status {
    match error {
        ResumeTokenError::Forged => status::invalid("resume_token", "is not one that a response to WatchPapers gave"),
        ResumeTokenError::TooOld => too_old(),
    }
}

fn too_old() -> Status {
    Status::out_of_range(
        "resume_token lies further back than papers are watched; list the papers and watch from now on",
    )
}

/// The paper of a message. One that holds none was published by a broken indexing service: it is an error in the log, and
/// watchers go on behind it.
fn read_paper(message: FollowedMessage<PaperIndexed>, now: Timestamp) -> Option<WatchedPaper> {
    let FollowedMessage { message, sequence } = message;
    let paper = Paper::try_from(message.paper.unwrap_or_default())
        .inspect_err(|problem| error!(sequence, %problem, "a message of papers.indexed holds no paper"))
        .ok()?;
    let indexed = message
        .indexed_time
        .and_then(|time| from_wire_time("indexed_time", time).ok());
    Some(WatchedPaper {
        sequence,
        indexed: indexed.unwrap_or(now),
        paper,
    })
}
