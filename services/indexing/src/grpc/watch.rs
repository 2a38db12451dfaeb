//! WatchPapers: papers that a filter lets pass, as they become searchable.
//!
//! `WatchPapers` follows `papers.indexed` in the stream. Its resume token is a position there, so a watcher misses nothing
//! over restarts of either side, as far back as the stream reaches.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::bus::BusError;
use common::{replay, status};
use domain::Paper;
use futures::StreamExt as _;
use proto::papers::v1::PaperIndexed;
use proto::search::v1::{WatchPapersRequest, WatchPapersResponse};
use tonic::Status;
use tracing::error;

use super::{ResponseStream, SearchHandler};
use crate::scope::SearchScope;

/// Names the reader in dead letters.
const READER: &str = "indexing-watch";

/// Follows the stream from the resume token, or from now on.
pub async fn watch(
    handler: &SearchHandler,
    request: WatchPapersRequest,
) -> Result<ResponseStream<WatchPapersResponse>, Status> {
    let after = match request.resume_token.as_str() {
        "" => None,
        token => Some(
            sequence(token)
                .ok_or_else(|| status::invalid("resume_token", "is not one that a response to WatchPapers gave"))?,
        ),
    };
    let scope = SearchScope::read(request.filter)?;
    let followed = replay::follow::<PaperIndexed>(&handler.bus, READER, after).await;
    let followed = followed.map_err(|error| match error {
        BusError::Forgotten { .. } => Status::out_of_range(
            "resume_token lies further back than the platform remembers; list the papers and watch from now on",
        ),
        error => status::unavailable(error),
    })?;
    let responses = followed.filter_map(move |followed| {
        let response = response(followed.message, followed.sequence, &scope);
        futures::future::ready(response.map(Ok))
    });
    Ok(responses.take_until(handler.stop.clone().cancelled_owned()).boxed())
}

/// The response for a paper in the scope. A message that holds no paper was published by a broken indexing service: it is an
/// error in the log, and the watcher goes on behind it.
fn response(indexed: PaperIndexed, sequence: u64, scope: &SearchScope) -> Option<WatchPapersResponse> {
    let paper = Paper::try_from(indexed.paper.unwrap_or_default())
        .inspect_err(|problem| error!(sequence, %problem, "a message of papers.indexed holds no paper"))
        .ok()?;
    scope.lets_pass(&paper).then(|| WatchPapersResponse {
        paper: Some((&paper).into()),
        resume_token: URL_SAFE_NO_PAD.encode(format!("papers {sequence}")),
    })
}

fn sequence(token: &str) -> Option<u64> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    text.strip_prefix("papers ")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resume_tokens_of_other_calls_are_refused() {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        assert_eq!(sequence(&encode("papers 12")), Some(12));
        for wrong in ["", "AAAA", &encode("papers x"), &encode("12")] {
            assert_eq!(sequence(wrong), None, "{wrong}");
        }
    }
}
