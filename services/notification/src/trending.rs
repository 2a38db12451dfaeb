//! What is trending, brought into the window now and then.
//!
//! It scores nothing: that is indexing's work. Where nobody can say what is trending the last answer stays for an hour,
//! after that nothing is.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use common::grpc::{ServiceChannel, channel};
use domain::PaperId;
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::search::v1::{ListTrendingPapersRequest, TrendingWindow};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::window::Window;

/// As many as the index names.
const MOST: i32 = 1_000;
/// After a failure it is asked again so soon: at the start the index may not be open yet.
const AGAIN: Duration = Duration::from_secs(5);
const STALE: Duration = Duration::from_hours(1);

/// Says what is trending.
#[async_trait]
pub trait Trending: Send + Sync {
    /// Papers that are, with how much.
    async fn scores(&self) -> Result<HashMap<PaperId, f32>, String>;
}

/// The index, which knows who looked at what.
pub struct Index(SearchServiceClient<ServiceChannel>);

impl Index {
    /// At an address.
    pub fn new(url: &str, token: Option<&str>) -> Result<Self, String> {
        let channel = channel(url, token).map_err(|error| error.to_string())?;
        Ok(Self(SearchServiceClient::new(channel)))
    }
}

#[async_trait]
impl Trending for Index {
    async fn scores(&self) -> Result<HashMap<PaperId, f32>, String> {
        let request = ListTrendingPapersRequest {
            window: TrendingWindow::Day.into(),
            page_size: MOST,
            ..ListTrendingPapersRequest::default()
        };
        let answer = self.0.clone().list_trending_papers(request).await;
        let papers = answer
            .map_err(|status| status.message().to_owned())?
            .into_inner()
            .papers;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "scores are compared with one another, not summed"
        )]
        let scored = papers.into_iter().filter_map(|one| {
            let id = PaperId::parse(&one.paper?.id).ok()?;
            Some((id, one.score as f32))
        });
        Ok(scored.collect())
    }
}

/// For installations in which nobody says what is trending.
pub struct Nothing;

#[async_trait]
impl Trending for Nothing {
    async fn scores(&self) -> Result<HashMap<PaperId, f32>, String> {
        Ok(HashMap::new())
    }
}

/// Keeps the window's scores fresh until the stop.
pub async fn follow(
    trending: Arc<dyn Trending>,
    window: Arc<RwLock<Window>>,
    period: Duration,
    stop: CancellationToken,
) {
    let mut answered = Instant::now();
    loop {
        let now = Instant::now();
        refresh(&*trending, &window, &mut answered, now).await;
        let pause = if answered == now { period } else { period.min(AGAIN) };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn refresh(trending: &dyn Trending, window: &RwLock<Window>, answered: &mut Instant, now: Instant) {
    let scores = match trending.scores().await {
        Ok(scores) => {
            *answered = now;
            scores
        }
        Err(problem) => {
            warn!(problem, "what is trending cannot be read");
            if now.duration_since(*answered) <= STALE {
                return;
            }
            HashMap::new()
        }
    };
    let mut window = window.write().unwrap_or_else(PoisonError::into_inner);
    window.set_trending(scores);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::testing::entry;

    struct Once(AtomicUsize);

    #[async_trait]
    impl Trending for Once {
        async fn scores(&self) -> Result<HashMap<PaperId, f32>, String> {
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0 => Ok(HashMap::from([(PaperId::parse("x:a").expect("an id"), 2.0)])),
                _ => Err("gone".to_owned()),
            }
        }
    }

    #[tokio::test]
    async fn scores_stay_through_a_short_silence_and_go_in_a_long_one() {
        let window = RwLock::new(Window::default());
        let paper = entry("x:a", "on cats", "test@1");
        let encoder = paper.vectors.encoder.clone();
        window.write().expect("unpoisoned").add(paper);
        let (trending, start) = (Once(AtomicUsize::new(0)), Instant::now());
        let mut answered = start;
        for (minutes, there) in [(0, true), (5, true), (60, true), (61, false)] {
            let now = start + Duration::from_mins(minutes);
            refresh(&trending, &window, &mut answered, now).await;
            let heat = window
                .write()
                .expect("unpoisoned")
                .snapshot(&encoder)
                .expect("one dimension")
                .trending[0];
            assert_eq!(heat > 0.0, there, "{minutes} minutes later");
        }
    }
}
