//! What DNS says, as receivers of our mails see it: never from this machine's file of hosts.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

/// For one answer of one server.
const TIMEOUT: Duration = Duration::from_secs(3);
/// How often a question is asked again.
const ATTEMPTS: usize = 2;
/// Records of an answer that are looked at.
const MAX_RECORDS: usize = 100;

/// A question that got no answer. That a name or record does not exist is an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("DNS gives no answer for {name}: {problem}")]
pub struct DnsFailure {
    /// What was asked for.
    pub name: String,
    /// Why.
    pub problem: String,
}

/// Answers questions; with nothing where there is no such record.
#[async_trait]
pub trait DnsSource: Send + Sync {
    /// The texts of a name, each put together from its strings.
    async fn texts(&self, name: &str) -> Result<Vec<String>, DnsFailure>;
    /// The IPv4 addresses of a name.
    async fn ipv4(&self, name: &str) -> Result<Vec<IpAddr>, DnsFailure>;
    /// The IPv6 addresses of a name.
    async fn ipv6(&self, name: &str) -> Result<Vec<IpAddr>, DnsFailure>;
    /// The mail servers of a domain, the preferred ones first. An empty name says that it takes no mail (RFC 7505).
    async fn mail_servers(&self, domain: &str) -> Result<Vec<String>, DnsFailure>;
    /// The names of an address.
    async fn names(&self, address: IpAddr) -> Result<Vec<String>, DnsFailure>;
}

/// Asks real servers.
pub struct DnsResolver(TokioResolver);

impl DnsResolver {
    /// Asks the given server, or those that this machine asks.
    pub fn new(server: Option<SocketAddr>) -> Result<Self, String> {
        let mut builder = match server {
            Some(server) => {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                    connection.port = server.port();
                    connection
                });
                let server = NameServerConfig::new(server.ip(), true, connections.to_vec());
                let config = ResolverConfig::from_name_servers(vec![server]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
            None => TokioResolver::builder_tokio().map_err(|error| {
                format!("the DNS servers of this machine are not known ({error}); name one with --dns")
            })?,
        };
        set_options(builder.options_mut());
        let resolver = builder
            .build()
            .map_err(|error| format!("DNS cannot be asked: {error}"))?;
        Ok(Self(resolver))
    }

    async fn records(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, DnsFailure> {
        let failure = |problem: String| DnsFailure {
            name: format!("{name} {kind}"),
            problem,
        };
        // Complete, so that no domain of this machine is appended.
        let complete = Name::from_utf8(format!("{}.", name.trim_end_matches('.')));
        let complete = complete.map_err(|error| failure(error.to_string()))?;
        match self.0.lookup(complete, kind).await {
            Ok(lookup) => Ok(lookup
                .answers()
                .iter()
                .map(|record| record.data.clone())
                .take(MAX_RECORDS)
                .collect()),
            Err(error) if error.is_no_records_found() && !is_failure(&error) => Ok(Vec::new()),
            Err(error) => Err(failure(error.to_string())),
        }
    }
}

fn set_options(options: &mut ResolverOpts) {
    options.timeout = TIMEOUT;
    options.attempts = ATTEMPTS;
    options.use_hosts_file = ResolveHosts::Never;
    options.try_tcp_on_error = true;
}

/// Whether what looks like "no such record" is a server's failure, such as SERVFAIL.
fn is_failure(error: &NetError) -> bool {
    use hickory_resolver::net::DnsError;
    use hickory_resolver::proto::op::ResponseCode;

    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            !matches!(none.response_code, ResponseCode::NoError | ResponseCode::NXDomain)
        }
        _ => true,
    }
}

fn without_dot(name: &Name) -> String {
    name.to_utf8().trim_end_matches('.').to_ascii_lowercase()
}

#[async_trait]
impl DnsSource for DnsResolver {
    async fn texts(&self, name: &str) -> Result<Vec<String>, DnsFailure> {
        let records = self.records(name, RecordType::TXT).await?;
        let text = |record| match record {
            RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
            _ => None,
        };
        Ok(records.into_iter().filter_map(text).collect())
    }

    async fn ipv4(&self, name: &str) -> Result<Vec<IpAddr>, DnsFailure> {
        let records = self.records(name, RecordType::A).await?;
        let address = |record| match record {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            _ => None,
        };
        Ok(records.into_iter().filter_map(address).collect())
    }

    async fn ipv6(&self, name: &str) -> Result<Vec<IpAddr>, DnsFailure> {
        let records = self.records(name, RecordType::AAAA).await?;
        let address = |record| match record {
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        };
        Ok(records.into_iter().filter_map(address).collect())
    }

    async fn mail_servers(&self, domain: &str) -> Result<Vec<String>, DnsFailure> {
        let records = self.records(domain, RecordType::MX).await?;
        let server = |record| match record {
            RData::MX(server) => Some((server.preference, without_dot(&server.exchange))),
            _ => None,
        };
        let mut servers: Vec<_> = records.into_iter().filter_map(server).collect();
        servers.sort();
        Ok(servers.into_iter().map(|(_, name)| name).collect())
    }

    async fn names(&self, address: IpAddr) -> Result<Vec<String>, DnsFailure> {
        let records = self.records(&reverse_name(address), RecordType::PTR).await?;
        let name = |record| match record {
            RData::PTR(name) => Some(without_dot(&name.0)),
            _ => None,
        };
        Ok(records.into_iter().filter_map(name).collect())
    }
}

/// The addresses of a name in both families.
pub async fn addresses(dns: &dyn DnsSource, name: &str) -> Result<Vec<IpAddr>, DnsFailure> {
    let mut found = dns.ipv4(name).await?;
    found.extend(dns.ipv6(name).await?);
    Ok(found)
}

/// The name under which the names of an address are found.
pub fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let digits = address.octets().into_iter().rev();
            let digits: Vec<String> = digits.map(|byte| format!("{:x}.{:x}", byte & 15, byte >> 4)).collect();
            format!("{}.ip6.arpa", digits.join("."))
        }
    }
}

#[cfg(test)]
pub mod testing {
    use std::collections::HashMap;

    use super::*;

    /// A zone of a test: lines of name, type and value.
    #[derive(Default)]
    pub struct FakeZone {
        records: HashMap<(String, String), Vec<String>>,
    }

    impl FakeZone {
        pub fn new(lines: &str) -> Self {
            let mut zone = Self::default();
            for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
                let mut parts = line.splitn(3, ' ');
                let mut part = || parts.next().expect("name, type and value").to_owned();
                let (name, kind, value) = (part(), part(), part());
                zone.records.entry((name, kind)).or_default().push(value);
            }
            zone
        }

        fn get(&self, name: &str, kind: &str) -> Result<Vec<String>, DnsFailure> {
            if name.contains("broken") {
                return Err(DnsFailure {
                    name: name.to_owned(),
                    problem: "SERVFAIL".to_owned(),
                });
            }
            let key = (name.to_ascii_lowercase(), kind.to_owned());
            Ok(self.records.get(&key).cloned().unwrap_or_default())
        }

        fn addresses(&self, name: &str, kind: &str) -> Result<Vec<IpAddr>, DnsFailure> {
            let found = self.get(name, kind)?;
            Ok(found.iter().map(|text| text.parse().expect("an address")).collect())
        }
    }

    #[async_trait]
    impl DnsSource for FakeZone {
        async fn texts(&self, name: &str) -> Result<Vec<String>, DnsFailure> {
            self.get(name, "TXT")
        }

        async fn ipv4(&self, name: &str) -> Result<Vec<IpAddr>, DnsFailure> {
            self.addresses(name, "A")
        }

        async fn ipv6(&self, name: &str) -> Result<Vec<IpAddr>, DnsFailure> {
            self.addresses(name, "AAAA")
        }

        async fn mail_servers(&self, domain: &str) -> Result<Vec<String>, DnsFailure> {
            self.get(domain, "MX")
        }

        async fn names(&self, address: IpAddr) -> Result<Vec<String>, DnsFailure> {
            self.get(&reverse_name(address), "PTR")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_reverse_names() {
        let name = |text: &str| reverse_name(text.parse().expect("an address"));
        assert_eq!(name("192.0.2.1"), "1.2.0.192.in-addr.arpa");
        assert_eq!(
            name("2001:db8::567:89ab"),
            "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
        );
    }
}
