//! Whether bounces can arrive: the domain of the return path has mail servers.

use super::dns::{DnsFailure, DnsSource, addresses};
use super::finding::{DnsRecord, SenderFinding};

const CHECK: &str = "mx";
/// Mail servers that are looked up.
const MAX_SERVERS: usize = 10;

/// Checks the domain of the return path.
pub async fn check(dns: &dyn DnsSource, domain: &str) -> SenderFinding {
    let finding = check_domain(dns, domain).await;
    finding.unwrap_or_else(|failure| SenderFinding::unanswered(CHECK, &failure))
}

async fn check_domain(dns: &dyn DnsSource, domain: &str) -> Result<SenderFinding, DnsFailure> {
    let record = DnsRecord::new(domain, "MX", format!("10 mail.{domain}."));
    let servers = dns.mail_servers(domain).await?;
    if servers.iter().any(String::is_empty) {
        let found = format!("{domain} says that it takes no mail (a null MX), so receivers may refuse its mails");
        return Ok(SenderFinding::fail(CHECK, found, "publish the mail server that takes bounces").publishing(record));
    }
    if servers.is_empty() {
        let found = addresses(dns, domain).await?;
        if found.is_empty() {
            let found = format!("{domain} has no mail server, so no bounce arrives and receivers may refuse its mails");
            return Ok(
                SenderFinding::fail(CHECK, found, "publish the mail server that takes bounces").publishing(record),
            );
        }
        let found = format!("{domain} has no MX record; bounces go to its own address");
        return Ok(SenderFinding::warn(CHECK, found, "publish the mail server that takes bounces").publishing(record));
    }
    for server in servers.iter().take(MAX_SERVERS) {
        if addresses(dns, server).await?.is_empty() {
            let found = format!("{server}, a mail server of {domain}, has no address");
            let record = DnsRecord::new(server, "A", "ADDRESS-OF-THE-MAIL-SERVER");
            return Ok(SenderFinding::fail(CHECK, found, "publish its address, or remove it").publishing(record));
        }
    }
    let found = format!("bounces to {domain} arrive at {}", servers.join(", "));
    Ok(SenderFinding::ok(CHECK, found))
}
