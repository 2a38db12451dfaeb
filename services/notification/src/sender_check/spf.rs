//! Whether an address may send for a domain (SPF, RFC 7208), as receivers find out.
//!
//! Written here because the libraries that do it bring a second TLS provider, or a licence that is not allowed, along.

mod macros;
mod record;

use std::net::IpAddr;

use ipnet::IpNet;

use self::macros::MacroValues;
use self::record::{PrefixLengths, SpfMechanism, SpfRecord, is_spf};
use super::dns::{DnsFailure, DnsSource, addresses};

/// Mechanisms that ask DNS, in all records together (section 4.6.4).
pub const MAX_LOOKUPS: usize = 10;
/// Questions of them that may have no answer.
const MAX_VOID_LOOKUPS: usize = 2;
/// Names of a mechanism that are looked up.
const MAX_NAMES: usize = 10;

/// What a record says of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpfResult {
    /// It may send.
    Pass,
    /// It may not.
    Fail,
    /// It probably may not.
    SoftFail,
    /// Nothing.
    Neutral,
    /// There is no record.
    None,
    /// DNS gave no answer.
    TempError(String),
    /// The record is wrong.
    PermError(String),
}

/// Who sends.
#[derive(Debug, Clone)]
pub struct SpfSender {
    /// From this address.
    pub ip: IpAddr,
    /// With this part before the @ in the return path.
    pub local: String,
    /// And this domain behind it.
    pub domain: String,
    /// Calling itself this.
    pub helo: String,
}

/// What was found out.
#[derive(Debug)]
pub struct SpfOutcome {
    /// The result.
    pub result: SpfResult,
    /// Mechanisms that asked DNS, up to the one that decided.
    pub lookups: usize,
}

/// Finds out whether a sender may send.
pub async fn evaluate(dns: &dyn DnsSource, sender: &SpfSender) -> SpfOutcome {
    let mut evaluation = SpfEvaluation {
        dns,
        values: MacroValues {
            ip: sender.ip,
            local: sender.local.clone(),
            sender_domain: sender.domain.clone(),
            helo: sender.helo.clone(),
        },
        lookups: 0,
        void_lookups: 0,
    };
    let result = evaluation.check_host(&sender.domain).await;
    SpfOutcome {
        result: result.unwrap_or_else(|stop| stop),
        lookups: evaluation.lookups,
    }
}

/// The SPF records of a domain; there may be one.
pub async fn records(dns: &dyn DnsSource, domain: &str) -> Result<Vec<String>, DnsFailure> {
    let texts = dns.texts(domain).await?;
    Ok(texts.into_iter().filter(|text| is_spf(text)).collect())
}

/// One evaluation, over all the records that it comes to.
struct SpfEvaluation<'a> {
    dns: &'a dyn DnsSource,
    values: MacroValues,
    lookups: usize,
    void_lookups: usize,
}

/// An error ends the whole evaluation.
type Checked<T> = Result<T, SpfResult>;

impl SpfEvaluation<'_> {
    async fn check_host(&mut self, domain: &str) -> Checked<SpfResult> {
        let found = records(self.dns, domain).await.map_err(|failure| temporary(&failure))?;
        let text = match found.as_slice() {
            [] => return Ok(SpfResult::None),
            [text] => text,
            _ => {
                return Err(permanent(format!(
                    "{domain} has {} SPF records; there may be one",
                    found.len()
                )));
            }
        };
        let record = SpfRecord::parse(text).map_err(|problem| permanent(format!("{domain}: {problem}")))?;
        for directive in &record.directives {
            if self.matches(&directive.mechanism, domain).await? {
                return Ok(directive.result.clone());
            }
        }
        let Some(redirect) = &record.redirect else {
            return Ok(SpfResult::Neutral);
        };
        self.count_lookup()?;
        let target = self.expand(redirect, domain)?;
        match Box::pin(self.check_host(&target)).await? {
            SpfResult::None => Err(permanent(format!(
                "{domain} redirects to {target}, which has no SPF record"
            ))),
            result => Ok(result),
        }
    }

    async fn matches(&mut self, mechanism: &SpfMechanism, domain: &str) -> Checked<bool> {
        let ip = self.values.ip;
        match mechanism {
            SpfMechanism::All => Ok(true),
            SpfMechanism::Ipv4(network, length) => Ok(contains((*network).into(), *length, ip)),
            SpfMechanism::Ipv6(network, length) => Ok(contains((*network).into(), *length, ip)),
            SpfMechanism::Include(target) => self.include(target, domain).await,
            SpfMechanism::Address(target, lengths) => {
                let target = self.target(target.as_deref(), domain)?;
                self.count_lookup()?;
                self.is_address_of(&target, *lengths, Void::Counts).await
            }
            SpfMechanism::MailServer(target, lengths) => self.mail_server(target.as_deref(), *lengths, domain).await,
            SpfMechanism::Pointer(target) => self.pointer(target.as_deref(), domain).await,
            SpfMechanism::Exists(target) => {
                let target = self.expand(target, domain)?;
                self.count_lookup()?;
                let found = self.dns.ipv4(&target).await.map_err(|failure| temporary(&failure))?;
                self.count_void(&found)?;
                Ok(!found.is_empty())
            }
        }
    }

    async fn include(&mut self, target: &str, domain: &str) -> Checked<bool> {
        self.count_lookup()?;
        let target = self.expand(target, domain)?;
        match Box::pin(self.check_host(&target)).await? {
            SpfResult::Pass => Ok(true),
            SpfResult::None => Err(permanent(format!(
                "{domain} includes {target}, which has no SPF record"
            ))),
            _ => Ok(false),
        }
    }

    async fn mail_server(&mut self, target: Option<&str>, lengths: PrefixLengths, domain: &str) -> Checked<bool> {
        let target = self.target(target, domain)?;
        self.count_lookup()?;
        let servers = self
            .dns
            .mail_servers(&target)
            .await
            .map_err(|failure| temporary(&failure))?;
        self.count_void(&servers)?;
        if servers.len() > MAX_NAMES {
            return Err(permanent(format!("{target} has more than {MAX_NAMES} mail servers")));
        }
        for server in servers.iter().filter(|server| !server.is_empty()) {
            if self.is_address_of(server, lengths, Void::DoesNotCount).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the address has a name within the domain that leads back to it.
    async fn pointer(&mut self, target: Option<&str>, domain: &str) -> Checked<bool> {
        let target = self.target(target, domain)?;
        self.count_lookup()?;
        // What goes wrong here is no error, the mechanism just does not match (section 5.5).
        let names = self.dns.names(self.values.ip).await.unwrap_or_default();
        self.count_void(&names)?;
        for name in names.iter().take(MAX_NAMES) {
            let found = addresses(self.dns, name).await.unwrap_or_default();
            if found.contains(&self.values.ip) && crate::mailer::domains::is_within(name, &target) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn is_address_of(&mut self, name: &str, lengths: PrefixLengths, void: Void) -> Checked<bool> {
        let ip = self.values.ip;
        let (found, length) = if ip.is_ipv4() {
            (self.dns.ipv4(name).await, lengths.ipv4)
        } else {
            (self.dns.ipv6(name).await, lengths.ipv6)
        };
        let found = found.map_err(|failure| temporary(&failure))?;
        if void == Void::Counts {
            self.count_void(&found)?;
        }
        Ok(found.into_iter().any(|one| contains(one, length, ip)))
    }

    fn target(&self, target: Option<&str>, domain: &str) -> Checked<String> {
        target.map_or_else(|| Ok(domain.to_owned()), |target| self.expand(target, domain))
    }

    fn expand(&self, text: &str, domain: &str) -> Checked<String> {
        self.values.expand(text, domain).map_err(permanent)
    }

    fn count_lookup(&mut self) -> Checked<()> {
        self.lookups += 1;
        if self.lookups > MAX_LOOKUPS {
            let problem = format!("needs more than {MAX_LOOKUPS} lookups, at which receivers give up");
            return Err(permanent(problem));
        }
        Ok(())
    }

    fn count_void<T>(&mut self, found: &[T]) -> Checked<()> {
        self.void_lookups += usize::from(found.is_empty());
        if self.void_lookups > MAX_VOID_LOOKUPS {
            let problem =
                format!("names more than {MAX_VOID_LOOKUPS} things that do not exist, at which receivers give up");
            return Err(permanent(problem));
        }
        Ok(())
    }
}

/// Whether an answer with nothing in it counts as one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Void {
    Counts,
    DoesNotCount,
}

fn contains(network: IpAddr, length: u8, ip: IpAddr) -> bool {
    IpNet::new(network, length).is_ok_and(|network| network.contains(&ip))
}

fn temporary(failure: &DnsFailure) -> SpfResult {
    SpfResult::TempError(failure.to_string())
}

fn permanent(problem: String) -> SpfResult {
    SpfResult::PermError(problem)
}

#[cfg(test)]
mod tests {
    use super::super::dns::testing::FakeZone;
    use super::*;

    const ZONE: &str = "
        plain.example TXT v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all
        other.example TXT unrelated
        address.example TXT v=spf1 a -all
        address.example A 192.0.2.1
        address.example AAAA 2001:db8::1
        near.example TXT v=spf1 a:address.example/24//64 ~all
        mx.example TXT v=spf1 mx ?all
        mx.example MX mail.mx.example
        mail.mx.example A 192.0.2.7
        include.example TXT v=spf1 include:plain.example ~all
        redirect.example TXT v=spf1 redirect=plain.example
        lost.example TXT v=spf1 redirect=none.example
        lost-include.example TXT v=spf1 include:none.example -all
        loop.example TXT v=spf1 include:loop.example -all
        redirect-loop.example TXT v=spf1 redirect=redirect-loop.example
        void.example TXT v=spf1 a:x1.example a:x2.example a:x3.example -all
        void2.example TXT v=spf1 a:x1.example a:x2.example -all
        macro.example TXT v=spf1 exists:%{ir}.allowed.example -all
        1.2.0.192.allowed.example A 127.0.0.2
        twice.example TXT v=spf1 -all
        twice.example TXT v=spf1 +all
        wrong.example TXT v=spf1 ipv4:192.0.2.1 -all
        silent.example TXT v=spf1 ip4:203.0.113.9
        fails.example TXT v=spf1 a:broken.example -all
        open.example TXT v=spf1 +all
        pointer.example TXT v=spf1 ptr -all
        1.2.0.192.in-addr.arpa PTR mail.pointer.example
        mail.pointer.example A 192.0.2.1
    ";

    async fn check(ip: &str, domain: &str) -> SpfOutcome {
        let sender = SpfSender {
            ip: ip.parse().expect("an address"),
            local: "bounces".to_owned(),
            domain: domain.to_owned(),
            helo: "mail.example".to_owned(),
        };
        evaluate(&FakeZone::new(ZONE), &sender).await
    }

    #[tokio::test]
    async fn records_decide_as_the_rfc_says() {
        for (ip, domain, expected) in [
            ("192.0.2.200", "plain.example", SpfResult::Pass),
            ("192.0.3.1", "plain.example", SpfResult::Fail),
            ("2001:db8::99", "plain.example", SpfResult::Pass),
            ("2001:db9::99", "plain.example", SpfResult::Fail),
            ("192.0.2.1", "other.example", SpfResult::None),
            ("192.0.2.1", "address.example", SpfResult::Pass),
            ("2001:db8::1", "address.example", SpfResult::Pass),
            ("192.0.2.2", "address.example", SpfResult::Fail),
            ("192.0.2.2", "near.example", SpfResult::Pass),
            ("2001:db8::9:1", "near.example", SpfResult::Pass),
            ("192.0.3.2", "near.example", SpfResult::SoftFail),
            ("192.0.2.7", "mx.example", SpfResult::Pass),
            ("192.0.2.8", "mx.example", SpfResult::Neutral),
            ("192.0.2.8", "include.example", SpfResult::Pass),
            ("192.0.3.8", "include.example", SpfResult::SoftFail),
            ("192.0.2.8", "redirect.example", SpfResult::Pass),
            ("192.0.3.8", "redirect.example", SpfResult::Fail),
            ("192.0.2.1", "macro.example", SpfResult::Pass),
            ("192.0.2.2", "macro.example", SpfResult::Fail),
            ("192.0.2.1", "silent.example", SpfResult::Neutral),
            ("192.0.2.1", "void2.example", SpfResult::Fail),
            ("198.51.100.1", "open.example", SpfResult::Pass),
            ("192.0.2.1", "pointer.example", SpfResult::Pass),
            ("192.0.2.2", "pointer.example", SpfResult::Fail),
        ] {
            assert_eq!(check(ip, domain).await.result, expected, "{ip} {domain}");
        }
    }

    #[tokio::test]
    async fn records_that_receivers_give_up_on_are_errors() {
        for (domain, said) in [
            ("twice.example", "2 SPF records"),
            ("wrong.example", "ipv4:192.0.2.1"),
            ("lost.example", "none.example"),
            ("lost-include.example", "none.example"),
            ("loop.example", "more than 10 lookups"),
            ("redirect-loop.example", "more than 10 lookups"),
            ("void.example", "do not exist"),
        ] {
            match check("192.0.2.1", domain).await.result {
                SpfResult::PermError(problem) => assert!(problem.contains(said), "{domain}: {problem}"),
                other => panic!("{domain}: {other:?}"),
            }
        }
        let result = check("192.0.2.1", "fails.example").await.result;
        assert!(matches!(result, SpfResult::TempError(_)), "{result:?}");
    }
}
