//! Which addresses may be connected to: a URL that a reader sets, or that a server redirects to, must not reach our internal
//! network.
//!
//! Addresses are checked at each connection ([`AllowedAddresses::lookup`]), because those of a name change.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::{Host, Url};

/// IPv4 networks that are not on the public internet (RFC 6890 and its registry).
const SPECIAL_V4: [Ipv4Net; 15] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
];

/// The public internet of IPv6, and the networks in it with other uses. Some of these embed IPv4 addresses, and would lead
/// around the list above.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0], 3);
const SPECIAL_V6: [Ipv6Net; 4] = [
    v6([0x2001, 0], 23),
    v6([0x2001, 0xdb8], 32),
    v6([0x2002, 0], 16),
    v6([0x3fff, 0], 20),
];

const LOOPBACK_V4: Ipv4Net = v4([127, 0, 0, 0], 8);
const LOOPBACK_V6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128);

/// A host that cannot be connected to.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// The name could not be looked up.
    #[error("{host} cannot be looked up: {error}")]
    Lookup {
        /// The name.
        host: String,
        /// Why.
        error: std::io::Error,
    },
    /// It has no address.
    #[error("{0} has no address")]
    None(String),
    /// It has only addresses that may not be connected to.
    #[error("{host} is {address}, which is not on the public internet")]
    NotAllowed {
        /// The name.
        host: String,
        /// One of its addresses.
        address: IpAddr,
    },
}

impl AddressError {
    /// A name could not be looked up.
    pub fn lookup(host: &str, error: std::io::Error) -> Self {
        Self::Lookup {
            host: host.to_owned(),
            error,
        }
    }
}

/// The addresses that may be connected to.
#[derive(Debug, Clone)]
pub struct AllowedAddresses {
    networks: Arc<[IpNet]>,
}

impl AllowedAddresses {
    /// The public internet, and networks such as `10.0.0.0/8, 127.0.0.0/8`; none where one of these does not parse.
    pub fn parse(networks: &str) -> Option<Self> {
        let named = networks.split(',').map(str::trim).filter(|network| !network.is_empty());
        let parsed: Result<Vec<IpNet>, _> = named.map(str::parse).collect();
        Some(Self {
            networks: parsed.ok()?.into(),
        })
    }

    /// The same, and this machine.
    #[must_use]
    pub fn with_loopback(&self) -> Self {
        let loopback = [IpNet::from(LOOPBACK_V4), IpNet::from(LOOPBACK_V6)];
        Self {
            networks: self.networks.iter().copied().chain(loopback).collect(),
        }
    }

    /// Whether this address may be connected to.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address)) || is_public(address)
    }

    /// The addresses of a host, a name or an address, that may be connected to. There is at least one.
    pub async fn lookup(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, AddressError> {
        let found = tokio::net::lookup_host((host, port)).await;
        let found = found.map_err(|error| AddressError::lookup(host, error))?;
        let (allowed, refused): (Vec<_>, Vec<_>) = found.partition(|address| self.allows(address.ip()));
        if !allowed.is_empty() {
            return Ok(allowed);
        }
        Err(match refused.first() {
            Some(address) => AddressError::NotAllowed {
                host: host.to_owned(),
                address: address.ip(),
            },
            None => AddressError::None(host.to_owned()),
        })
    }

    /// Refuses a URL whose host is an address that may not be connected to, in words that follow the name of its field.
    /// The addresses of a host name are checked at each connection.
    pub fn check_url(&self, url: &str) -> Result<(), String> {
        let address = Url::parse(url).ok().as_ref().and_then(spelled_address);
        match address.filter(|address| !self.allows(*address)) {
            None => Ok(()),
            Some(address) => Err(format!(
                "names {address}, which is not on the public internet; use a host that everybody can reach"
            )),
        }
    }
}

/// The address that a URL spells out instead of a name, if it does.
pub fn spelled_address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(IpAddr::from(address)),
        Host::Ipv6(address) => Some(IpAddr::from(address)),
        Host::Domain(_) => None,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => {
            GLOBAL_V6.contains(&address) && !SPECIAL_V6.iter().any(|network| network.contains(&address))
        }
    }
}

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6([first, second]: [u16; 2], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0), prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_an_internal_address_is_refused() {
        let allowed = AllowedAddresses::parse("10.1.0.0/16").expect("a network");
        for refused in [
            "https://10.0.0.1/a",
            "https://127.1/",
            "https://2130706433/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/",
        ] {
            let refusal = allowed.check_url(refused).expect_err(refused);
            assert!(refusal.contains("not on the public internet"), "{refusal}");
        }
        for allowed_url in [
            "https://10.1.2.3/",
            "https://hooks.example.org/",
            "https://1.1.1.1/",
            "nonsense",
        ] {
            assert_eq!(allowed.check_url(allowed_url), Ok(()), "{allowed_url}");
        }
    }

    #[test]
    fn only_the_public_internet_may_be_connected_to() {
        let allowed = AllowedAddresses::parse("").expect("no networks");
        let allows = |address: &str| allowed.allows(address.parse().expect("an address"));
        for public in [
            "8.8.8.8",
            "93.184.215.14",
            "172.32.0.1",
            "2606:4700::1111",
            "2a00:1450::1",
        ] {
            assert!(allows(public), "{public}");
        }
        for inside in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!allows(inside), "{inside}");
        }
    }

    #[tokio::test]
    async fn the_addresses_of_a_name_are_checked() {
        let public = AllowedAddresses::parse("").expect("no networks");
        let refused = public.lookup("localhost", 80).await.expect_err("refused");
        assert!(matches!(refused, AddressError::NotAllowed { .. }), "{refused}");
        let inside = AllowedAddresses::parse("127.0.0.0/8, ::1/128").expect("networks");
        let found = inside.lookup("localhost", 80).await.expect("found");
        assert!(found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
    }

    #[test]
    fn an_operator_allows_internal_networks() {
        let allowed = AllowedAddresses::parse("127.0.0.0/8, fd00::/8").expect("networks");
        let allows = |address: &str| allowed.allows(address.parse().expect("an address"));
        assert!(allows("127.0.0.1") && allows("::ffff:127.0.0.1") && allows("fd00::1"));
        assert!(!allows("10.0.0.1") && !allows("::1"));
        for wrong in ["10.0.0.0", "10.0.0.0/33", "localhost", "10.0.0.0/8;"] {
            assert!(AllowedAddresses::parse(wrong).is_none(), "{wrong}");
        }
    }
}
