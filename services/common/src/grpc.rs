//! How services speak gRPC: channels to each other that carry key and trace, and what a call says of its caller.
//!
//! It knows no method's meaning.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tonic::Status;
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tower::Service;
use tracing::{Instrument as _, info_span};

use crate::config::CallerConfig;
pub use crate::tls::ChannelError;
use crate::tls::{self, ConnectionProblem, TlsChannel};
use crate::{telemetry, waiting};

/// How long a caller is still willing to wait, from its `grpc-timeout`. `None` when it did not say, or said it wrongly:
/// gRPC wants a malformed timeout ignored.
pub fn time_left(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_hours(amount)),
        "M" => Some(Duration::from_mins(amount)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// A channel that presents a key, makes each call a span, passes on the trace, and says what TLS has against the
/// connection.
#[derive(Debug, Clone)]
pub struct ServiceChannel {
    channel: TlsChannel,
    authorization: Option<http::HeaderValue>,
}

impl Service<http::Request<Body>> for ServiceChannel {
    type Response = http::Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let problem = &self.channel.problem;
        let ready = self.channel.channel.poll_ready(context);
        ready.map_err(|error| failure(error, problem))
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let method = request.uri().path().trim_start_matches('/');
        let span = info_span!("call", otel.name = method, otel.kind = "client", rpc.system = "grpc");
        telemetry::inject_into_http(&span, request.headers_mut());
        if let Some(authorization) = &self.authorization {
            let headers = request.headers_mut();
            headers.insert(http::header::AUTHORIZATION, authorization.clone());
        }
        let problem = self.channel.problem.clone();
        let calling = self.channel.channel.call(request).instrument(span);
        Box::pin(waiting::waiting(async move {
            calling.await.map_err(|error| failure(error, &problem))
        }))
    }
}

/// The status of a call that got no answer. A connection on which TLS failed will fail again: the caller hears why.
fn failure(error: tonic::transport::Error, problem: &ConnectionProblem) -> Status {
    match problem.get() {
        Some(problem) => Status::unavailable(problem),
        None => Status::from_error(Box::new(error)),
    }
}

/// A channel that connects when it is first used and again whenever it must, with no settings but a key.
pub fn channel(url: &str, key: Option<&str>) -> Result<ServiceChannel, ChannelError> {
    connect(url, &CallerConfig::with_key(key))
}

/// A channel that connects when it is first used and again whenever it must.
///
/// # Errors
/// The address is not one, or leads to another host without TLS and that is not allowed.
pub fn connect(url: &str, caller: &CallerConfig) -> Result<ServiceChannel, ChannelError> {
    let wrong = |problem: &str| ChannelError::new(url, problem);
    let authorization = caller
        .key
        .as_ref()
        .map(|key| format!("Bearer {}", key.expose()).parse());
    let mut authorization: Option<http::HeaderValue> = authorization
        .transpose()
        .map_err(|_| wrong("the key holds characters that a header cannot"))?;
    if let Some(authorization) = &mut authorization {
        authorization.set_sensitive(true);
    }
    let channel = caller.tls.channel(url, None)?;
    if url.starts_with("http://") && !tls::is_loopback(url) && !caller.allow_plaintext {
        return Err(wrong(
            "it leads to another host without TLS, where anybody on the way can read the key; use https://, or allow it \
             with --allow-plaintext or grpc.allow_plaintext = true",
        ));
    }
    Ok(ServiceChannel { channel, authorization })
}

#[cfg(test)]
mod tests {
    use tonic::Request;

    use super::*;

    #[tokio::test]
    async fn an_address_without_a_scheme_is_refused_by_name() {
        for wrong in ["127.0.0.1:7100", "localhost", "", "ftp://x"] {
            let refusal = channel(wrong, None).expect_err("no address").to_string();
            assert!(refusal.contains(&format!("{wrong:?} is not an address")), "{refusal}");
        }
        assert!(channel("http://127.0.0.1:7100", None).is_ok());
        let plain = channel("http://ingest:7100", None).expect_err("no TLS").to_string();
        assert!(plain.contains("another host without TLS"), "{plain}");
        assert!(channel("https://ingest:7100", None).is_ok());
    }

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        let left = |text: &str| {
            let mut request = Request::new(());
            request
                .metadata_mut()
                .insert("grpc-timeout", text.parse().expect("a value"));
            time_left(request.metadata())
        };
        assert_eq!(left("250m"), Some(Duration::from_millis(250)));
        assert_eq!(left("2S"), Some(Duration::from_secs(2)));
        assert_eq!(left("99999999H"), Some(Duration::from_hours(99_999_999)));
        for malformed in ["", "S", "-1S", "+1S", "1", "1x", "123456789S", "1.5S"] {
            assert_eq!(left(malformed), None, "{malformed:?}");
        }
        assert_eq!(time_left(&MetadataMap::new()), None);
    }
}
