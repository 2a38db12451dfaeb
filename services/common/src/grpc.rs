//! How services speak gRPC: channels to each other that carry key and trace, and what a call says of its caller.
//!
//! It knows no method's meaning.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tower::Service;
use tracing::{Instrument as _, info_span};

use crate::config::without_userinfo;
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

/// A channel that presents a key, makes each call a span, and passes on the trace.
#[derive(Debug, Clone)]
pub struct ServiceChannel {
    channel: Channel,
    authorization: Option<http::HeaderValue>,
}

impl Service<http::Request<Body>> for ServiceChannel {
    type Response = http::Response<Body>;
    type Error = tonic::transport::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let method = request.uri().path().trim_start_matches('/');
        let span = info_span!("call", otel.name = method, otel.kind = "client", rpc.system = "grpc");
        telemetry::inject_into_http(&span, request.headers_mut());
        if let Some(authorization) = &self.authorization {
            let headers = request.headers_mut();
            headers.insert(http::header::AUTHORIZATION, authorization.clone());
        }
        Box::pin(waiting::waiting(self.channel.call(request).instrument(span)))
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
pub fn channel(url: &str, key: Option<&str>) -> Result<ServiceChannel, ChannelError> {
    let wrong = |problem: String| ChannelError {
        url: without_userinfo(url),
        problem,
    };
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(wrong("it does not begin with http:// or https://".to_owned()));
    }
    let endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(|error| wrong(error.to_string()))?
        .connect_timeout(Duration::from_secs(5))
        .http2_keep_alive_interval(Duration::from_secs(30))
        .tcp_nodelay(true);
    let authorization = key
        .map(|key| format!("Bearer {key}").parse())
        .transpose()
        .map_err(|_| wrong("the key holds characters that a header cannot".to_owned()))?;
    Ok(ServiceChannel {
        channel: endpoint.connect_lazy(),
        authorization,
    })
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
