//! Waits until accepted papers can be found, while others are still submitted.
//!
//! Only the ids of papers that are still waited for are held, up to a bound at which submission has to wait, too.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use common::clock::Clock;
use common::grpc::ServiceChannel;
use proto::papers::v1::Paper;
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::search::v1::{BatchGetPapersRequest, WatchPapersRequest, WatchPapersResponse};
use tonic::{Code, Status, Streaming};

use crate::error::CommandError;

/// Papers that are waited for at the same time.
const MAX_WAITING: usize = 50_000;
/// After this long without news, those that are missing are looked up: news may have come before the answer, or never.
const LOOK_UP_AFTER: Duration = Duration::from_secs(5);
/// Ids of one look-up.
const LOOKED_UP: usize = 1_000;

/// The papers that are waited for.
pub struct FoundPapers {
    channel: ServiceChannel,
    watch: Option<Streaming<WatchPapersResponse>>,
    waiting: HashMap<String, u64>,
    limit: Duration,
    clock: Clock,
    last_found: Instant,
}

impl FoundPapers {
    /// Begins to watch for papers; what is indexed from now on is seen. `limit` is how long one more paper may take.
    pub async fn watch(channel: ServiceChannel, limit: Duration, clock: &Clock) -> Result<Self, CommandError> {
        let watch = watch(channel.clone()).await.map_err(|status| match status.code() {
            Code::Unimplemented => CommandError::other(
                "--wait asks whether papers can be found, which the service at this address does not answer; name the \
                 address of the whole platform, or leave --wait out",
            ),
            _ => status.into(),
        })?;
        Ok(Self {
            channel,
            watch: Some(watch),
            waiting: HashMap::new(),
            limit,
            clock: clock.clone(),
            last_found: clock.instant(),
        })
    }

    /// Waits for a paper, too.
    pub fn add(&mut self, id: String, revision: u64) {
        if self.waiting.is_empty() {
            self.last_found = self.clock.instant();
        }
        self.waiting.insert(id, revision);
    }

    /// Whether no more papers may be waited for.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_WAITING
    }

    /// Whether any paper is waited for.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many papers are waited for.
    pub fn count(&self) -> usize {
        self.waiting.len()
    }

    /// Reads the next news, or looks up what is missing if there are none for a while. Can be dropped at any time.
    ///
    /// # Errors
    /// No paper was found for longer than the limit.
    pub async fn next(&mut self) -> Result<(), CommandError> {
        let before = self.waiting.len();
        let news = if let Some(watch) = &mut self.watch {
            self.clock.timeout(LOOK_UP_AFTER, watch.message()).await
        } else {
            self.clock.sleep(LOOK_UP_AFTER).await;
            None
        };
        match news {
            Some(Ok(Some(news))) => seen(&mut self.waiting, &news.paper.unwrap_or_default()),
            Some(Ok(None) | Err(_)) => self.watch = None,
            None => {
                if self.watch.is_none() {
                    self.watch = watch(self.channel.clone()).await.ok();
                }
                // Whoever does not answer now is asked again.
                let _ = look_up(self.channel.clone(), &mut self.waiting).await;
            }
        }
        if self.waiting.len() < before {
            self.last_found = self.clock.instant();
        } else if self.is_waiting() && self.clock.elapsed(self.last_found) > self.limit {
            return Err(CommandError::other(format!(
                "{} papers cannot be found, and none more was for {} s; see broadsheet status and broadsheet dead-letters list",
                self.waiting.len(),
                self.limit.as_secs()
            )));
        }
        Ok(())
    }

    /// Looks up everything that is waited for.
    pub async fn look_up(&mut self) -> Result<(), CommandError> {
        self.last_found = self.clock.instant();
        look_up(self.channel.clone(), &mut self.waiting).await
    }
}

async fn watch(channel: ServiceChannel) -> Result<Streaming<WatchPapersResponse>, Status> {
    let mut search = SearchServiceClient::new(channel);
    Ok(search.watch_papers(WatchPapersRequest::default()).await?.into_inner())
}

/// Notes which of the papers waited for are searchable already.
pub async fn look_up(channel: ServiceChannel, waiting: &mut HashMap<String, u64>) -> Result<(), CommandError> {
    let mut search = SearchServiceClient::new(channel);
    let ids: Vec<String> = waiting.keys().cloned().collect();
    for paper_ids in ids.chunks(LOOKED_UP) {
        let request = BatchGetPapersRequest {
            paper_ids: paper_ids.to_vec(),
        };
        for paper in search.batch_get_papers(request).await?.into_inner().papers {
            seen(waiting, &paper);
        }
    }
    Ok(())
}

/// Notes that a paper can be found, unless only an older revision can.
pub fn seen(waiting: &mut HashMap<String, u64>, paper: &Paper) {
    let awaited = waiting.get(&paper.id);
    if awaited.is_some_and(|revision| paper.revision >= *revision) {
        waiting.remove(&paper.id);
    }
}
