//! Which proxies are believed about whom they call for.
//!
//! By their addresses, and where these cannot be told apart from everybody else's (a cluster in which any container may get
//! any address), by a secret that the proxy adds to each request.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName};
use subtle::ConstantTimeEq as _;

use super::network::Network;

/// The header with the secret of a proxy.
pub const PROXY_SECRET: HeaderName = HeaderName::from_static("x-proxy-secret");

/// Proxies whose `x-forwarded-for` and `x-forwarded-proto` are believed.
#[derive(Clone, Default)]
pub struct TrustedProxies {
    networks: Arc<[Network]>,
    secret: Option<Arc<str>>,
}

impl TrustedProxies {
    /// In these networks, and with this secret if there is one.
    pub fn new(networks: Vec<Network>, secret: Option<String>) -> Self {
        Self {
            networks: networks.into(),
            secret: secret.map(Arc::from),
        }
    }

    /// Whether the address of a connection is one of a proxy.
    pub fn contain(&self, peer: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(peer))
    }

    /// Whether what a request says about whom it comes from is believed.
    pub fn vouch(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        self.contain(peer) && self.secret.as_ref().is_none_or(|secret| carries(headers, secret))
    }

    /// Whether an address that a proxy reports is that of a further proxy before it. In a wide network it may be anybody's.
    pub fn contain_relay(&self, address: IpAddr) -> bool {
        self.networks
            .iter()
            .any(|network| !network.is_wide() && network.contains(address))
    }
}

fn carries(headers: &HeaderMap, secret: &str) -> bool {
    let mut sent = headers.get_all(PROXY_SECRET).iter();
    let first = sent.next();
    sent.next().is_none() && first.is_some_and(|sent| sent.as_bytes().ct_eq(secret.as_bytes()).into())
}

impl fmt::Debug for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedProxies")
            .field("networks", &self.networks)
            .finish_non_exhaustive()
    }
}
