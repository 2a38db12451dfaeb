//! Brings what is trending into the window, every few minutes.
//!
//! It scores nothing: that is the index's work. While the index does not answer, the last scores stay for an hour, and are
//! dropped then.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use common::clock::Clock;
use common::grpc::{ServiceChannel, channel};
use domain::PaperId;
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::search::v1::{ListTrendingPapersRequest, TrendingWindow};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::window::SharedWindow;

/// As many as the index lists.
const MAX_PAPERS: i32 = 1_000;
/// A failure is followed by another try so soon: at the start the index may not be open yet.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// From then on no answer is worth a warning: at the start the index takes a moment to open.
const WARN_AFTER: Duration = Duration::from_mins(1);
/// Older scores are dropped.
const MAX_AGE: Duration = Duration::from_hours(1);

/// Says what is trending.
#[async_trait]
pub trait TrendingSource: Send + Sync {
    /// The papers that are trending, with their scores.
    async fn scores(&self) -> Result<HashMap<PaperId, f32>, String>;
}

/// The index, which counts what readers look at.
pub struct TrendingIndex(SearchServiceClient<ServiceChannel>);

impl TrendingIndex {
    /// At an address.
    pub fn new(url: &str, key: Option<&str>) -> Result<Self, String> {
        let channel = channel(url, key).map_err(|error| error.to_string())?;
        Ok(Self(SearchServiceClient::new(channel)))
    }
}

#[async_trait]
impl TrendingSource for TrendingIndex {
    async fn scores(&self) -> Result<HashMap<PaperId, f32>, String> {
        let request = ListTrendingPapersRequest {
            window: TrendingWindow::Day.into(),
            page_size: MAX_PAPERS,
            ..ListTrendingPapersRequest::default()
        };
        let response = self.0.clone().list_trending_papers(request).await;
        let papers = response
            .map_err(|status| status.message().to_owned())?
            .into_inner()
            .papers;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "scores are compared with one another, not summed"
        )]
        let scored = papers.into_iter().map(|one| {
            let paper = one
                .paper
                .ok_or("the index lists a trending paper without saying which")?;
            let id = PaperId::parse(&paper.id).map_err(|error| error.to_string())?;
            Ok((id, one.score as f32))
        });
        scored.collect()
    }
}

/// For installations without an index.
pub struct NothingTrending;

#[async_trait]
impl TrendingSource for NothingTrending {
    async fn scores(&self) -> Result<HashMap<PaperId, f32>, String> {
        Ok(HashMap::new())
    }
}

/// Keeps the window's scores up to date until the stop.
pub async fn follow(
    source: Arc<dyn TrendingSource>,
    window: SharedWindow,
    period: Duration,
    clock: Clock,
    stop: CancellationToken,
) {
    let mut follower = Follower {
        source,
        window,
        answered: clock.instant(),
        clock,
    };
    while !stop.is_cancelled() {
        let pause = if follower.refresh().await {
            period
        } else {
            period.min(RETRY_PAUSE)
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = follower.clock.sleep(pause) => {}
        }
    }
}

struct Follower {
    source: Arc<dyn TrendingSource>,
    window: SharedWindow,
    /// When the source last answered.
    answered: Instant,
    clock: Clock,
}

impl Follower {
    /// Replaces the window's scores. False where the source did not answer.
    async fn refresh(&mut self) -> bool {
        let problem = match self.source.scores().await {
            Ok(scores) => {
                self.answered = self.clock.instant();
                self.window.write().set_trending(scores);
                return true;
            }
            Err(problem) => problem,
        };
        let silence = self.clock.elapsed(self.answered);
        if silence < WARN_AFTER {
            debug!(problem, "what is trending cannot be read yet");
        } else {
            warn!(problem, "what is trending cannot be read");
        }
        if silence > MAX_AGE {
            self.window.write().set_trending(HashMap::new());
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use jiff::Timestamp;

    use super::*;
    use crate::testing::{entry, until};

    /// Answers once.
    #[derive(Default)]
    struct OneAnswer {
        requests: AtomicUsize,
    }

    #[async_trait]
    impl TrendingSource for OneAnswer {
        async fn scores(&self) -> Result<HashMap<PaperId, f32>, String> {
            match self.requests.fetch_add(1, Ordering::Relaxed) {
                0 => Ok(HashMap::from([(PaperId::parse("x:a").expect("an id"), 2.0)])),
                _ => Err("gone".to_owned()),
            }
        }
    }

    #[tokio::test]
    async fn scores_survive_a_short_silence_but_not_a_long_one() {
        let window = SharedWindow::default();
        let paper = entry("x:a", "on cats", "test@1");
        let encoder = paper.vectors.encoder.clone();
        window.write().add(paper);
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let mut follower = Follower {
            source: Arc::new(OneAnswer::default()),
            window: window.clone(),
            answered: clock.instant(),
            clock,
        };
        for (minutes, is_trending) in [(0, true), (5, true), (55, true), (1, false)] {
            hand.advance(Duration::from_mins(minutes));
            follower.refresh().await;
            let score = window.write().snapshot(&encoder).expect("one dimension").trending[0];
            assert_eq!(score > 0.0, is_trending, "{minutes} minutes later");
        }
    }

    #[tokio::test]
    async fn a_silent_source_is_asked_again_soon() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let (source, stop) = (Arc::new(OneAnswer::default()), CancellationToken::new());
        let following = follow(
            Arc::clone(&source) as Arc<dyn TrendingSource>,
            SharedWindow::default(),
            Duration::from_mins(5),
            clock,
            stop.clone(),
        );
        let moving = async {
            for (pause, requests) in [(Duration::from_mins(5), 1), (RETRY_PAUSE, 2), (RETRY_PAUSE, 3)] {
                let is_waiting = || source.requests.load(Ordering::Relaxed) == requests && hand.sleepers() == 1;
                until(is_waiting).await;
                hand.advance(pause);
            }
            stop.cancel();
        };
        tokio::join!(following, moving);
    }
}
