//! Checks what receivers look at before they take mails of a sender: SPF, the published DKIM keys, DMARC, the names of the
//! sending addresses, TLS to the mail server, and where bounces arrive. It sends no mail and changes nothing.

mod dkim;
mod dmarc;
mod dns;
mod finding;
mod mail_servers;
mod pointers;
mod sender_policy;
mod spf;
mod tags;
mod tls;

use std::net::{IpAddr, SocketAddr};

use common::clock::Clock;

use self::dmarc::AlignedDomains;
use self::dns::DnsResolver;
use crate::config::NotificationConfig;

pub use self::finding::{DnsRecord, FindingLevel, SenderFinding};

/// What to check beside what the configuration says.
#[derive(Debug, Clone, Default)]
pub struct SenderCheckRequest {
    /// The addresses from which mails reach receivers. The configuration does not tell them: the mail server may send from
    /// any.
    pub addresses: Vec<IpAddr>,
    /// The DNS server to ask instead of this machine's.
    pub dns: Option<SocketAddr>,
}

/// Checks the configured sender.
///
/// # Errors
/// DNS cannot be asked at all, or a file that the configuration names cannot be read.
pub async fn check_sender(
    config: &NotificationConfig,
    request: &SenderCheckRequest,
    clock: &Clock,
) -> Result<Vec<SenderFinding>, String> {
    let dns = DnsResolver::new(request.dns)?;
    let sender = config.mail.identity();
    let mut findings = vec![sender_policy::check(&dns, &sender, &request.addresses).await];
    findings.extend(dkim::check(&dns, &sender.dkim).await);
    let domains = AlignedDomains {
        from: sender.from.domain(),
        envelope: sender.envelope.domain(),
        signatures: sender.dkim.iter().map(|key| key.domain.as_str()).collect(),
    };
    findings.push(dmarc::check(&dns, &domains).await);
    findings.extend(pointers::check(&dns, &sender.host_name(), &request.addresses).await);
    findings.push(mail_servers::check(&dns, sender.envelope.domain()).await);
    findings.push(tls::check(sender.smtp.as_ref(), config.mail.server()?, clock).await);
    Ok(findings)
}
