//! Networks in CIDR notation (RFC 4632), and addresses as proxies write them.

use std::net::{IpAddr, SocketAddr};

/// A network: an address and its prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

/// Text that is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a network; one looks like 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7")]
pub struct NetworkError(String);

impl Network {
    /// Parses a network; a bare address is a network of one address.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let wrong = || NetworkError(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most {
            return Err(wrong());
        }
        Ok(Self { address, bits })
    }

    /// Whether it is as wide as the whole network of a company or a cluster, rather than a few machines: to trust all of it
    /// is to trust whoever gets a machine or a container there. The network of this machine itself is not.
    pub fn is_wide(&self) -> bool {
        match self.address {
            IpAddr::V4(address) => self.bits <= 16 && !(address.is_loopback() && self.bits >= 8),
            IpAddr::V6(_) => self.bits <= 48,
        }
    }

    /// Whether it contains an address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let differing = match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros(),
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros(),
            _ => return false,
        };
        differing >= self.bits
    }
}

/// Parses networks separated by commas; empty text is none.
pub fn networks(text: &str) -> Result<Vec<Network>, NetworkError> {
    let named = text.split(',').map(str::trim).filter(|one| !one.is_empty());
    named.map(Network::parse).collect()
}

/// Parses an address from `x-forwarded-for`, with or without port and brackets.
pub fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse().ok();
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|both| both.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}
