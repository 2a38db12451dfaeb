//! Whether the domain in From says what is to happen to mails that it did not send, and whether ours are its own (DMARC).
//!
//! The organisational domain is found by walking up the tree of names, as the successor of RFC 7489 does, so no list of public
//! suffixes is needed.

use super::dns::{DnsFailure, DnsSource};
use super::finding::{DnsRecord, SenderFinding};
use super::tags::TagList;
use crate::mailer::domains::{is_related, is_within};

const CHECK: &str = "dmarc";
/// Names on the way up that are asked for.
const MAX_STEPS: usize = 8;

/// The domains that a receiver compares.
#[derive(Debug)]
pub struct AlignedDomains<'a> {
    /// Of the address that readers see.
    pub from: &'a str,
    /// Of the return path.
    pub envelope: &'a str,
    /// Of the signatures.
    pub signatures: Vec<&'a str>,
}

/// What the walk up the tree found.
struct DmarcPolicy {
    /// Where the record is that applies.
    domain: String,
    tags: TagList,
    /// The domain within which domains are aligned.
    organisation: String,
}

/// Checks the policy, and that the return path or the signatures are aligned.
pub async fn check(dns: &dyn DnsSource, domains: &AlignedDomains<'_>) -> SenderFinding {
    let name = format!("_dmarc.{}", domains.from);
    let missing = DnsRecord::text(&name, "v=DMARC1; p=none");
    let policy = match find(dns, domains.from).await {
        Ok(Some(policy)) => policy,
        Ok(None) => {
            let advice = "publish a policy; large receivers refuse mails in bulk of domains that have none. Raise p to \
                          quarantine once everything that sends for the domain is aligned";
            return SenderFinding::fail(CHECK, format!("{} has no policy", domains.from), advice).publishing(missing);
        }
        Err(DmarcProblem::Dns(failure)) => return SenderFinding::unanswered(CHECK, &failure),
        Err(DmarcProblem::Record(problem)) => {
            return SenderFinding::fail(CHECK, problem, "publish one sound record").publishing(missing);
        }
    };
    let place = format!("_dmarc.{}", policy.domain);
    let action = policy.action(domains.from);
    if !["none", "quarantine", "reject"].contains(&action) {
        let found = format!("{place} has the policy {action}, which does not exist");
        let record = DnsRecord::text(&place, "v=DMARC1; p=none");
        return SenderFinding::fail(CHECK, found, "allowed are none, quarantine and reject").publishing(record);
    }
    let by_spf = policy.is_aligned("aspf", domains.envelope, domains.from);
    let by_dkim = domains
        .signatures
        .iter()
        .any(|signature| policy.is_aligned("adkim", signature, domains.from));
    let aligned = match (by_spf, by_dkim) {
        (true, true) => "return path and signatures are aligned",
        (true, false) => "the return path is aligned",
        (false, true) => "the signatures are aligned",
        (false, false) => {
            let found = format!(
                "neither the return path ({}) nor a signature ({}) is aligned with {}",
                domains.envelope,
                if domains.signatures.is_empty() {
                    "none".to_owned()
                } else {
                    domains.signatures.join(", ")
                },
                domains.from
            );
            let advice = "sign with a key of the domain in notification.from (notification.dkim_*), or use a bounce address \
                          within it";
            return SenderFinding::fail(CHECK, found, advice);
        }
    };
    let found = format!("{place} asks for p={action}; {aligned}");
    if action == "none" {
        let advice = "receivers deliver forged mails, too; raise p to quarantine once everything that sends for the domain is \
                      aligned";
        return SenderFinding::warn(CHECK, found, advice);
    }
    SenderFinding::ok(CHECK, found)
}

enum DmarcProblem {
    Dns(DnsFailure),
    Record(String),
}

/// The policy that applies to a domain: its own, or that of its organisation.
async fn find(dns: &dyn DnsSource, from: &str) -> Result<Option<DmarcPolicy>, DmarcProblem> {
    let labels: Vec<&str> = from.split('.').collect();
    let mut names = vec![from.to_owned()];
    // A long name is asked for itself, and then from its seventh label from the right.
    let above = (labels.len() - 1).min(MAX_STEPS - 1);
    names.extend((1..=above).rev().map(|count| labels[labels.len() - count..].join(".")));
    let mut found: Vec<(String, TagList)> = Vec::new();
    for name in names {
        if let Some(tags) = record(dns, &name).await? {
            let psd = tags.get("psd").map(str::to_ascii_lowercase);
            found.push((name, tags));
            if psd.as_deref() == Some("n") {
                break;
            }
        }
    }
    let Some((domain, tags)) = found.first().cloned() else {
        return Ok(None);
    };
    let organisation = found.last().map_or_else(|| domain.clone(), |(name, _)| name.clone());
    Ok(Some(DmarcPolicy {
        domain,
        tags,
        organisation,
    }))
}

async fn record(dns: &dyn DnsSource, domain: &str) -> Result<Option<TagList>, DmarcProblem> {
    let place = format!("_dmarc.{domain}");
    let texts = dns.texts(&place).await.map_err(DmarcProblem::Dns)?;
    let is_policy = |text: &&String| text.trim_start().starts_with("v=DMARC1");
    let records: Vec<&String> = texts.iter().filter(is_policy).collect();
    match records.as_slice() {
        [] => Ok(None),
        [text] => {
            let tags = TagList::parse(text).map_err(|problem| DmarcProblem::Record(format!("{place}: {problem}")))?;
            Ok(Some(tags))
        }
        _ => {
            let problem = format!("{place} has {} policies; receivers ignore all of them", records.len());
            Err(DmarcProblem::Record(problem))
        }
    }
}

impl DmarcPolicy {
    /// What is to happen to mails of a domain that are not its own.
    fn action(&self, from: &str) -> &str {
        let own = self.domain.eq_ignore_ascii_case(from);
        let of_subdomains = self.tags.get("sp").filter(|_| !own);
        of_subdomains.or_else(|| self.tags.get("p")).unwrap_or("none")
    }

    fn is_aligned(&self, mode: &str, domain: &str, from: &str) -> bool {
        if self.tags.get(mode).is_some_and(|mode| mode.eq_ignore_ascii_case("s")) {
            return domain.eq_ignore_ascii_case(from);
        }
        is_related(domain, from) || is_within(domain, &self.organisation)
    }
}

#[cfg(test)]
mod tests {
    use super::super::dns::testing::FakeZone;
    use super::super::finding::FindingLevel;
    use super::*;

    async fn level(zone: &str, envelope: &str, signatures: &[&str]) -> (FindingLevel, String) {
        let domains = AlignedDomains {
            from: "mail.example.org",
            envelope,
            signatures: signatures.to_vec(),
        };
        let finding = check(&FakeZone::new(zone), &domains).await;
        (finding.level, finding.found)
    }

    #[tokio::test]
    async fn policies_are_found_and_compared() {
        const OWN: &str = "_dmarc.mail.example.org TXT v=DMARC1; p=reject";
        const STRICT: &str = "_dmarc.mail.example.org TXT v=DMARC1; p=reject; adkim=s; aspf=s";
        const ABOVE: &str = "_dmarc.example.org TXT v=DMARC1; p=none; sp=quarantine";
        let own: &[&str] = &["mail.example.org"];
        let sibling: &[&str] = &["news.example.org"];
        let foreign: &[&str] = &["relay.example"];
        for (zone, envelope, signatures, expected) in [
            (OWN, "relay.example", own, FindingLevel::Ok),
            (OWN, "bounces.mail.example.org", &[], FindingLevel::Ok),
            (OWN, "example.org", foreign, FindingLevel::Ok),
            (OWN, "relay.example", foreign, FindingLevel::Fail),
            (OWN, "relay.example", &[], FindingLevel::Fail),
            (STRICT, "bounces.mail.example.org", foreign, FindingLevel::Fail),
            (STRICT, "bounces.mail.example.org", own, FindingLevel::Ok),
            (ABOVE, "relay.example", sibling, FindingLevel::Ok),
            (OWN, "relay.example", sibling, FindingLevel::Fail),
            ("", "mail.example.org", own, FindingLevel::Fail),
            (
                "_dmarc.mail.example.org TXT v=DMARC1; p=none",
                "mail.example.org",
                own,
                FindingLevel::Warn,
            ),
            (
                "_dmarc.mail.example.org TXT v=DMARC1; p=drop",
                "mail.example.org",
                own,
                FindingLevel::Fail,
            ),
            (
                "_dmarc.mail.example.org TXT spf2.0",
                "mail.example.org",
                own,
                FindingLevel::Fail,
            ),
        ] {
            let (level, found) = level(zone, envelope, signatures).await;
            assert_eq!(level, expected, "{zone} {envelope} {signatures:?}: {found}");
        }
        let twice = [OWN, OWN].join("\n");
        let (level, found) = level(&twice, "mail.example.org", own).await;
        assert!(level == FindingLevel::Fail && found.contains("2 policies"), "{found}");
    }
}
