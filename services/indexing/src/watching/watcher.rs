//! One watcher: what it missed, then what the reader hands out, until its caller goes away or takes too long.

use std::time::Duration;

use common::clock::Clock;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use proto::search::v1::WatchPapersResponse;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{FeedItem, ResumePosition, ResumeTokens, WatchedPaper};
use crate::scope::SearchScope;

/// How long a caller may take nothing.
const STALLED: Duration = Duration::from_secs(30);
/// How long it may take to read what it missed.
const MISSED: Duration = Duration::from_mins(2);

/// What a watcher missed, with the permit to read it.
pub struct MissedPapers {
    pub papers: BoxStream<'static, WatchedPaper>,
    pub permit: OwnedSemaphorePermit,
}

/// A watcher.
pub struct Watcher {
    pub scope: SearchScope,
    pub tokens: ResumeTokens,
    pub clock: Clock,
    pub papers: mpsc::Sender<WatchPapersResponse>,
}

impl Watcher {
    /// Hands out papers until the stop, or until the caller goes away. `newest` is the sequence up to which a watch from now
    /// on leaves everything out.
    pub async fn run(
        self,
        missed: Option<MissedPapers>,
        feed: broadcast::Receiver<FeedItem>,
        newest: u64,
        stop: CancellationToken,
        end: oneshot::Sender<Status>,
    ) {
        let gone = self.papers.clone();
        let ended = tokio::select! {
            status = self.hand_out(missed, feed, newest) => status,
            () = gone.closed() => return,
            () = stop.cancelled() => return,
        };
        // The caller may have gone away meanwhile.
        let _ = end.send(ended);
    }

    async fn hand_out(
        &self,
        missed: Option<MissedPapers>,
        mut feed: broadcast::Receiver<FeedItem>,
        newest: u64,
    ) -> Status {
        let mut last = newest;
        if let Some(missed) = missed {
            match self.clock.timeout(MISSED, self.hand_out_missed(missed)).await {
                Some(Ok(sequence)) => last = last.max(sequence),
                Some(Err(status)) => return status,
                None => return too_slow(),
            }
        }
        loop {
            match feed.recv().await {
                Ok(FeedItem::Paper(paper)) if paper.sequence > last => {
                    if let Err(status) = self.send(&paper).await {
                        return status;
                    }
                }
                Ok(FeedItem::Paper(_)) => {}
                Ok(FeedItem::Interruption) | Err(RecvError::Closed) => {
                    return Status::unavailable(
                        "the stream of papers was interrupted; watch again with the last resume_token",
                    );
                }
                Err(RecvError::Lagged(_)) => return too_slow(),
            }
        }
    }

    /// Hands out what was missed; the sequence of the last of it. The permit is given back before the watcher follows.
    async fn hand_out_missed(&self, missed: MissedPapers) -> Result<u64, Status> {
        let MissedPapers { mut papers, permit } = missed;
        let mut last = 0;
        while let Some(paper) = papers.next().await {
            last = paper.sequence;
            self.send(&paper).await?;
        }
        drop(permit);
        Ok(last)
    }

    async fn send(&self, paper: &WatchedPaper) -> Result<(), Status> {
        if !self.scope.lets_pass(&paper.paper) {
            return Ok(());
        }
        let response = WatchPapersResponse {
            paper: Some((&paper.paper).into()),
            resume_token: self.tokens.issue(ResumePosition {
                sequence: paper.sequence,
                indexed: paper.indexed,
            }),
        };
        match self.clock.timeout(STALLED, self.papers.send(response)).await {
            Some(_) => Ok(()),
            None => Err(too_slow()),
        }
    }
}

fn too_slow() -> Status {
    Status::aborted("this watch takes papers more slowly than they come; watch again with the last resume_token")
}
