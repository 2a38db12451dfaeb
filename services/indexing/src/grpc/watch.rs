//! WatchPapers: papers that a filter lets pass, as they become searchable; see [`crate::watching`].

use std::net::IpAddr;

use futures::{FutureExt as _, StreamExt as _};
use proto::search::v1::{WatchPapersRequest, WatchPapersResponse};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status};

use super::{ResponseStream, SearchHandler};
use crate::scope::SearchScope;
use crate::watching::WatchedPapers;

/// Follows the papers from the resume token, or from now on.
pub async fn watch(
    handler: &SearchHandler,
    request: Request<WatchPapersRequest>,
) -> Result<ResponseStream<WatchPapersResponse>, Status> {
    let client = client(&request);
    let WatchPapersRequest { resume_token, filter } = request.into_inner();
    let scope = SearchScope::read(filter)?;
    let WatchedPapers { papers, end } = handler.watches.watch(client, &resume_token, scope).await?;
    let end = end.into_stream().filter_map(|end| async { end.ok().map(Err) });
    Ok(ReceiverStream::new(papers).map(Ok).chain(end).boxed())
}

/// From where a call comes; none for this machine itself. What a proxy on this machine says about its caller counts.
fn client<T>(request: &Request<T>) -> Option<IpAddr> {
    let peer = request.remote_addr().map(|peer| peer.ip().to_canonical());
    if let Some(peer) = peer.filter(|peer| !peer.is_loopback()) {
        return Some(peer);
    }
    let forwarded = request.metadata().get("x-forwarded-for")?.to_str().ok()?;
    // What precedes the last address was said by the caller.
    forwarded.rsplit(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_told_apart_by_what_a_proxy_here_says() {
        let from = |forwarded: &str| {
            let mut request = Request::new(());
            request
                .metadata_mut()
                .insert("x-forwarded-for", forwarded.parse().expect("a value"));
            client(&request)
        };
        assert_eq!(client(&Request::new(())), None);
        assert_eq!(from("192.0.2.7"), Some("192.0.2.7".parse().expect("an address")));
        assert_eq!(from("198.51.100.1, 192.0.2.7"), from("192.0.2.7"));
        assert_eq!(from("nonsense"), None);
    }
}
