//! How services speak gRPC: who may call what, and channels to each other that carry token and trace.
//!
//! It knows no method's meaning.

use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::telemetry;

/// Methods that need no token: they read what every visitor of the front page can read.
const OPEN_PREFIXES: [&str; 4] = [
    "/broadsheet.search.v1.SearchService/",
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];

/// Whether a method may be called without a token.
pub fn is_open(path: &str) -> bool {
    OPEN_PREFIXES.iter().any(|prefix| path.starts_with(prefix))
}

/// Compares a presented token with the expected one in a time that does not depend on where they differ.
pub fn token_matches(presented: &[u8], expected: &[u8]) -> bool {
    presented.len() == expected.len()
        && presented
            .iter()
            .zip(expected)
            .fold(0, |differing, (a, b)| differing | (a ^ b))
            == 0
}

/// A channel that presents the token and passes on the trace.
pub type ServiceChannel = InterceptedService<Channel, Outgoing>;

/// Adds the token and the trace to each call.
#[derive(Clone)]
pub struct Outgoing {
    token: Option<MetadataValue<Ascii>>,
}

impl Interceptor for Outgoing {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        telemetry::inject_into_metadata(request.metadata_mut());
        Ok(request)
    }
}

/// An address that is not one.
#[derive(Debug, thiserror::Error)]
#[error("{url:?} is not an address of a gRPC server: {problem}; it looks like http://127.0.0.1:7100")]
pub struct ChannelError {
    url: String,
    problem: String,
}

/// A channel that connects when it is first used and again whenever it must.
pub fn channel(url: &str, token: Option<&str>) -> Result<ServiceChannel, ChannelError> {
    let wrong = |problem: String| ChannelError {
        url: url.to_owned(),
        problem,
    };
    let endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(|error| wrong(error.to_string()))?
        .connect_timeout(Duration::from_secs(5))
        .http2_keep_alive_interval(Duration::from_secs(30))
        .tcp_nodelay(true);
    let token = token
        .map(|token| format!("Bearer {token}").parse())
        .transpose()
        .map_err(|_| wrong("the token holds characters that a header cannot".to_owned()))?;
    Ok(InterceptedService::new(endpoint.connect_lazy(), Outgoing { token }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reading_is_open() {
        assert!(is_open("/broadsheet.search.v1.SearchService/SearchPapers"));
        assert!(!is_open("/broadsheet.ingest.v1.IngestService/SubmitPaper"));
        assert!(!is_open("/broadsheet.search.v1.SearchServiceX/Anything"));
    }

    #[test]
    fn tokens_match_whole() {
        assert!(token_matches(b"abc", b"abc"));
        assert!(!token_matches(b"abd", b"abc"));
        assert!(!token_matches(b"ab", b"abc"));
    }
}
