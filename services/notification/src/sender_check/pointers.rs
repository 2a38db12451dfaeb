//! Whether the sending addresses have names that lead back to them.

use std::net::IpAddr;

use super::dns::{DnsFailure, DnsSource, addresses as addresses_of, reverse_name};
use super::finding::{DnsRecord, SenderFinding};

const CHECK: &str = "ptr";
/// Names of an address that are looked up, as receivers do.
const MAX_NAMES: usize = 10;

/// Checks each address. `host` is the name to publish where there is none.
pub async fn check(dns: &dyn DnsSource, host: &str, addresses: &[IpAddr]) -> Vec<SenderFinding> {
    if addresses.is_empty() {
        let advice = "not checked: the name of the sending host's address; name the address with --ip";
        return vec![SenderFinding::warn(
            CHECK,
            "the sending host's address is not known",
            advice,
        )];
    }
    let mut findings = Vec::new();
    for ip in addresses {
        let finding = check_address(dns, host, *ip).await;
        findings.push(finding.unwrap_or_else(|failure| SenderFinding::unanswered(CHECK, &failure)));
    }
    findings
}

async fn check_address(dns: &dyn DnsSource, host: &str, ip: IpAddr) -> Result<SenderFinding, DnsFailure> {
    let names = dns.names(ip).await?;
    for name in names.iter().take(MAX_NAMES) {
        if addresses_of(dns, name).await?.contains(&ip) {
            return Ok(SenderFinding::ok(CHECK, format!("{ip} is {name}, and {name} is {ip}")));
        }
    }
    let kind = if ip.is_ipv4() { "A" } else { "AAAA" };
    let forward = |name: &str| DnsRecord::new(name, kind, ip.to_string());
    let finding = if let Some(name) = names.first() {
        let found = format!("{ip} has the name {name}, which does not lead back to it");
        SenderFinding::fail(CHECK, found, "publish the address of that name").publishing(forward(name))
    } else {
        let advice =
            "have the owner of the address (the hosting provider) publish its name, and publish the name's address";
        SenderFinding::fail(CHECK, format!("{ip} has no name"), advice)
            .publishing(DnsRecord::new(&reverse_name(ip), "PTR", format!("{host}.")))
            .publishing(forward(host))
    };
    Ok(finding)
}
