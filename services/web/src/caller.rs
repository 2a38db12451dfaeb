//! The caller of a request: its address as trusted proxies report it, the id of the request, and this site's address as the
//! caller sees it.
//!
//! It never decides what a caller may do, and trusts forwarding headers from trusted proxies alone.

mod network;
mod proxies;

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

pub use network::{Network, networks};
pub use proxies::TrustedProxies;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is accepted from a caller, in characters.
const LONGEST_REQUEST_ID: usize = 64;

/// How callers reach this site, and through which proxies.
#[derive(Debug, Clone)]
pub struct SiteSettings {
    /// Public address of this site without a trailing slash; `None` takes it from each request.
    pub public_url: Option<String>,
    /// Proxies whose `x-forwarded-for` and `x-forwarded-proto` are trusted.
    pub trusted_proxies: TrustedProxies,
    /// Timeout of one gRPC call.
    pub call_timeout: Duration,
}

/// The caller of a request.
#[derive(Debug, Clone)]
pub struct Caller {
    address: IpAddr,
    request_id: Arc<str>,
    base: Arc<str>,
    has_public_url: bool,
    call_timeout: Duration,
    /// Age in seconds of the oldest stale answer used for this request; zero if all were fresh.
    stale_seconds: Arc<AtomicU64>,
    /// What is said about the first answer used for this request that is not as good as it could be.
    notice: Arc<OnceLock<String>>,
}

impl Caller {
    fn new(site: &SiteSettings, extensions: &Extensions, headers: &HeaderMap, uri: &Uri) -> Self {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0.ip().to_canonical());
        let proxies = &site.trusted_proxies;
        let behind_proxy = proxies.vouch(peer, headers);
        let address = if behind_proxy {
            forwarded_for(headers, peer, |address| proxies.contain_relay(address))
        } else {
            peer
        };
        let base = match &site.public_url {
            Some(url) => Arc::from(url.as_str()),
            None => base_address(headers, uri, behind_proxy),
        };
        Self {
            address,
            request_id: request_id(headers),
            base,
            has_public_url: site.public_url.is_some(),
            call_timeout: site.call_timeout,
            stale_seconds: Arc::default(),
            notice: Arc::default(),
        }
    }

    /// Notes that the response uses an answer of this age because a service is down.
    pub fn note_stale(&self, age: Duration) {
        self.stale_seconds.fetch_max(age.as_secs().max(1), Ordering::Relaxed);
    }

    /// Age of the oldest stale answer used for this request, if any.
    pub fn staleness(&self) -> Option<Duration> {
        let seconds = self.stale_seconds.load(Ordering::Relaxed);
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    /// Notes that the response uses an answer that is not as good as it could be, and what the service says about it.
    pub fn note_degraded(&self, notice: &str) {
        // The first one stands.
        let _ = self.notice.set(notice.to_owned());
    }

    /// What is said about an answer used for this request that is not as good as it could be.
    pub fn degradation(&self) -> Option<&str> {
        self.notice.get().map(String::as_str)
    }

    /// The address the request came from, as seen by the outermost trusted proxy.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The id of the request, which the response carries too.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Absolute address of this site as the caller sees it, without a trailing slash.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Whether [`Self::base`] comes from the settings rather than from the request.
    pub fn has_public_url(&self) -> bool {
        self.has_public_url
    }

    /// Whether the caller reaches this site by https, as the settings or a trusted proxy say.
    pub fn is_https(&self) -> bool {
        self.base.starts_with("https://")
    }

    /// A gRPC request on the caller's behalf, with a deadline, the caller's address and the request id. The channel adds the
    /// trace.
    pub fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.set_timeout(self.call_timeout);
        let metadata = request.metadata_mut();
        // Callers on this machine are not rate limited.
        if !self.address.is_loopback()
            && let Ok(address) = self.address.to_string().parse()
        {
            metadata.insert("x-forwarded-for", address);
        }
        if let Ok(id) = self.request_id.parse() {
            metadata.insert("x-request-id", id);
        }
        request
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        // Every route lies behind `identify`; a handler tested alone sees a caller on this machine.
        let known = parts.extensions.get::<Self>().cloned();
        Ok(known.unwrap_or_else(|| {
            let site = SiteSettings {
                public_url: None,
                trusted_proxies: TrustedProxies::default(),
                call_timeout: Duration::from_secs(5),
            };
            Self::new(&site, &parts.extensions, &parts.headers, &parts.uri)
        }))
    }
}

/// Identifies the caller for all handlers, and puts the request id on the response.
pub async fn identify(State(site): State<Arc<SiteSettings>>, mut request: Request, next: Next) -> Response {
    let caller = Caller::new(&site, request.extensions(), request.headers(), request.uri());
    let id = HeaderValue::from_str(caller.request_id());
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    if let Ok(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The last address that is not a trusted proxy; whatever precedes it may be forged.
fn forwarded_for(headers: &HeaderMap, peer: IpAddr, is_trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    let addresses = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.rsplit(','));
    let mut nearest = peer;
    for forwarded in addresses {
        let Some(address) = network::address(forwarded.trim()) else {
            return nearest;
        };
        nearest = address;
        if !is_trusted(address) {
            break;
        }
    }
    nearest
}

fn base_address(headers: &HeaderMap, uri: &Uri, behind_proxy: bool) -> Arc<str> {
    let forwarded = headers.get(FORWARDED_PROTO).filter(|_| behind_proxy);
    let secure = forwarded.is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"));
    let scheme = if secure { "https" } else { "http" };
    format!("{scheme}://{}", request_host(headers, uri).unwrap_or("localhost")).into()
}

/// The host (and port, if given) the request was sent to; `None` if it is not a valid host.
pub fn request_host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = named.or_else(|| uri.authority().map(axum::http::uri::Authority::as_str))?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    (!host.is_empty() && host.len() <= 255 && host.chars().all(fits)).then_some(host)
}

fn request_id(headers: &HeaderMap) -> Arc<str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let sent = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let sent = sent.filter(|id| (1..=LONGEST_REQUEST_ID).contains(&id.len()) && id.chars().all(fits));
    sent.map_or_else(|| uuid::Uuid::new_v4().simple().to_string().into(), Arc::from)
}

#[cfg(test)]
mod tests;
