//! Whether SPF lets the sending addresses send, and nobody else.

use std::net::{IpAddr, Ipv4Addr};

use super::dns::DnsSource;
use super::finding::{DnsRecord, SenderFinding};
use super::spf::{self, MAX_LOOKUPS, SpfResult, SpfSender};
use crate::mailer::config::SenderIdentity;

const CHECK: &str = "spf";
/// An address that no machine on the internet has (RFC 1112, section 4).
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(240, 0, 0, 1));
/// Stands where the address is not known.
const UNKNOWN_ADDRESS: &str = "ip4:ADDRESS-OF-THE-SENDING-HOST";

/// Checks the record of the return path's domain.
pub async fn check(dns: &dyn DnsSource, sender: &SenderIdentity, addresses: &[IpAddr]) -> SenderFinding {
    let domain = sender.envelope.domain();
    let records = match spf::records(dns, domain).await {
        Ok(records) => records,
        Err(failure) => return SenderFinding::unanswered(CHECK, &failure),
    };
    let mechanisms = match addresses {
        [] => UNKNOWN_ADDRESS.to_owned(),
        known => known.iter().map(|ip| mechanism(*ip)).collect::<Vec<_>>().join(" "),
    };
    let fresh = DnsRecord::text(domain, &format!("v=spf1 {mechanisms} -all"));
    let record = match records.as_slice() {
        [] => {
            let found = format!("{domain} has no SPF record");
            return SenderFinding::fail(CHECK, found, "publish which addresses may send for the domain")
                .publishing(fresh);
        }
        [record] => record,
        _ => {
            let found = format!(
                "{domain} has {} SPF records; receivers ignore all of them",
                records.len()
            );
            return SenderFinding::fail(CHECK, found, "publish one record");
        }
    };
    let stranger = spf::evaluate(dns, &spf_sender(sender, STRANGER)).await;
    match &stranger.result {
        SpfResult::PermError(problem) => {
            let found = format!("{domain}: {record}: {problem}");
            return SenderFinding::fail(CHECK, found, "publish a sound record").publishing(fresh);
        }
        SpfResult::TempError(failure) => return SenderFinding::unanswered(CHECK, &failure),
        SpfResult::Pass => {
            let found = format!("{domain}: {record}: every machine on the internet may send");
            return SenderFinding::fail(CHECK, found, "name the addresses, and end with -all").publishing(fresh);
        }
        _ => {}
    }
    for ip in addresses {
        let outcome = spf::evaluate(dns, &spf_sender(sender, *ip)).await;
        if outcome.result != SpfResult::Pass {
            let found = format!("{domain}: {record}: {ip} {}", words(&outcome.result));
            let added = format!("v=spf1 {}{}", mechanism(*ip), &record["v=spf1".len()..]);
            return SenderFinding::fail(CHECK, found, "add the address to the record")
                .publishing(DnsRecord::text(domain, &added));
        }
    }
    summary(domain, record, addresses, stranger.lookups, &stranger.result)
}

fn summary(domain: &str, record: &str, addresses: &[IpAddr], lookups: usize, stranger: &SpfResult) -> SenderFinding {
    let found = format!("{domain}: {record} ({lookups} of {MAX_LOOKUPS} lookups)");
    if addresses.is_empty() {
        let advice = "not checked: whether the sending host's address passes; name it with --ip";
        return SenderFinding::warn(CHECK, found, advice);
    }
    let listed = addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ");
    let found = format!("{found}; {listed} may send");
    if *stranger == SpfResult::Neutral {
        return SenderFinding::warn(CHECK, found, "end the record with -all, so that nobody else may send");
    }
    SenderFinding::ok(CHECK, found)
}

fn spf_sender(sender: &SenderIdentity, ip: IpAddr) -> SpfSender {
    SpfSender {
        ip,
        local: sender.envelope.user().to_owned(),
        domain: sender.envelope.domain().to_owned(),
        helo: sender.host_name(),
    }
}

fn mechanism(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => format!("ip4:{ip}"),
        IpAddr::V6(ip) => format!("ip6:{ip}"),
    }
}

fn words(result: &SpfResult) -> String {
    match result {
        SpfResult::Pass => "may send".to_owned(),
        SpfResult::Fail => "must not send".to_owned(),
        SpfResult::SoftFail => "should not send (softfail)".to_owned(),
        SpfResult::Neutral | SpfResult::None => "is not named (neutral)".to_owned(),
        SpfResult::TempError(problem) | SpfResult::PermError(problem) => format!("cannot be checked: {problem}"),
    }
}
