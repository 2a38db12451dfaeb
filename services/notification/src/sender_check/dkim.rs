//! Whether the published keys are those that mails are signed with.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

use super::dns::DnsSource;
use super::finding::{DnsRecord, SenderFinding};
use super::tags::TagList;
use crate::mailer::dkim::{DkimAlgorithm, DkimKey, DkimKeySettings};

/// Some publish keys without the padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Checks the keys that are configured, and says which are missing.
pub async fn check(dns: &dyn DnsSource, keys: &[DkimKeySettings]) -> Vec<SenderFinding> {
    let mut findings = Vec::new();
    for settings in keys {
        findings.push(check_key(dns, settings).await);
    }
    let has = |algorithm| keys.iter().any(|key| key.algorithm == algorithm);
    match (has(DkimAlgorithm::Rsa), has(DkimAlgorithm::Ed25519)) {
        (false, false) => findings.push(SenderFinding::warn(
            "dkim",
            "no key is configured, so mails are not signed here",
            "set notification.dkim_rsa_key_file and notification.dkim_rsa_selector, unless the mail server signs",
        )),
        (false, true) => findings.push(SenderFinding::warn(
            check_name(DkimAlgorithm::Rsa),
            "mails are signed with Ed25519 alone",
            "set notification.dkim_rsa_key_file and notification.dkim_rsa_selector, too: receivers such as Gmail, Microsoft \
             and Yahoo may take an Ed25519 signature for none",
        )),
        (true, _) => {}
    }
    findings
}

fn check_name(algorithm: DkimAlgorithm) -> &'static str {
    match algorithm {
        DkimAlgorithm::Rsa => "dkim-rsa",
        DkimAlgorithm::Ed25519 => "dkim-ed25519",
    }
}

async fn check_key(dns: &dyn DnsSource, settings: &DkimKeySettings) -> SenderFinding {
    let check = check_name(settings.algorithm);
    let own = match DkimKey::read(settings) {
        Ok(key) => key.public_key(),
        Err(problem) => {
            return SenderFinding::fail(check, problem, "mails cannot be signed; the platform does not start");
        }
    };
    let name = settings.record_name();
    let own_record = format!(
        "v=DKIM1; k={}; p={}",
        settings.algorithm.key_type(),
        STANDARD.encode(&own)
    );
    let record = DnsRecord::text(&name, &own_record);
    let texts = match dns.texts(&name).await {
        Ok(texts) => texts,
        Err(failure) => return SenderFinding::unanswered(check, &failure),
    };
    let fail = |found: String, advice: &str| SenderFinding::fail(check, found, advice).publishing(record.clone());
    let text = match texts.as_slice() {
        [] => {
            return fail(
                format!("nothing is published at {name}"),
                "publish the public key of the configured key",
            );
        }
        [text] => text,
        _ => {
            let found = format!(
                "{} texts are published at {name}; receivers take any one of them",
                texts.len()
            );
            return fail(found, "publish this one alone");
        }
    };
    match compare(text, settings.algorithm, &own) {
        Ok(KeyUse::Real) => SenderFinding::ok(check, format!("the key at {name} is the configured one")),
        Ok(KeyUse::Test) => SenderFinding::warn(
            check,
            format!("the key at {name} is the configured one, marked as a test (t=y)"),
            "remove t=y; receivers may treat mails as if they were not signed",
        )
        .publishing(record),
        Err(problem) => fail(
            format!("{name}: {problem}"),
            "publish the public key of the configured key",
        ),
    }
}

/// What a published key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyUse {
    Real,
    Test,
}

/// Compares a published record with our key (RFC 6376, section 3.6.1).
fn compare(text: &str, algorithm: DkimAlgorithm, own: &[u8]) -> Result<KeyUse, String> {
    let tags = TagList::parse(text)?;
    if tags.get("v").is_some_and(|version| version != "DKIM1") || tags.get("v").is_some() && tags.first() != Some("v") {
        return Err("the record does not begin with v=DKIM1".to_owned());
    }
    let kind = tags.get("k").unwrap_or("rsa");
    if !kind.eq_ignore_ascii_case(algorithm.key_type()) {
        return Err(format!(
            "the key is of type {kind}, the configured one is {}",
            algorithm.key_type()
        ));
    }
    if !tags.allows("h", "sha256") {
        return Err("the record does not allow SHA-256 (h=)".to_owned());
    }
    if !(tags.allows("s", "email") || tags.allows("s", "*")) {
        return Err("the record does not allow mail (s=)".to_owned());
    }
    let published: String = tags
        .get("p")
        .ok_or("the record holds no key (p=)")?
        .split_ascii_whitespace()
        .collect();
    if published.is_empty() {
        return Err("the key is revoked (p= is empty)".to_owned());
    }
    let published = LENIENT
        .decode(&published)
        .map_err(|_| "the key is not base64".to_owned())?;
    if !is_same_key(&published, algorithm, own) {
        return Err("another key is published than the configured one".to_owned());
    }
    Ok(if tags.get("t").is_some() && tags.allows("t", "y") {
        KeyUse::Test
    } else {
        KeyUse::Real
    })
}

/// An RSA key may be published with or without what says that it is one.
fn is_same_key(published: &[u8], algorithm: DkimAlgorithm, own: &[u8]) -> bool {
    /// Bytes of an RSAPublicKey of 2048 bits.
    const SHORTEST: usize = 256;
    let bare = algorithm == DkimAlgorithm::Rsa && published.len() > SHORTEST && own.ends_with(published);
    published == own || bare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_keys_are_compared() {
        let own = [7; 32];
        let p = STANDARD.encode(own);
        let other = STANDARD.encode([8; 32]);
        let spki = STANDARD.encode([&[0x30, 0x2a][..], &own].concat());
        let compare = |text: &str| compare(text, DkimAlgorithm::Ed25519, &own);
        for text in [
            format!("v=DKIM1; k=ed25519; p={p}"),
            format!("v=DKIM1;k=ed25519;p={}", p.trim_end_matches('=')),
            format!("k=ed25519; s=email; h=sha1:sha256; p={} {}", &p[..9], &p[9..]),
        ] {
            assert_eq!(compare(&text), Ok(KeyUse::Real), "{text}");
        }
        assert_eq!(compare(&format!("v=DKIM1; k=ed25519; t=y; p={p}")), Ok(KeyUse::Test));
        for (text, said) in [
            (format!("v=DKIM1; p={p}"), "type rsa"),
            (format!("v=DKIM1; k=ed25519; p={other}"), "another key"),
            (format!("v=DKIM1; k=ed25519; p={spki}"), "another key"),
            ("v=DKIM1; k=ed25519; p=".to_owned(), "revoked"),
            ("v=DKIM1; k=ed25519".to_owned(), "no key"),
            (format!("k=ed25519; v=DKIM1; p={p}"), "v=DKIM1"),
            (format!("v=DKIM1; k=ed25519; h=sha1; p={p}"), "SHA-256"),
            (format!("v=DKIM1; k=ed25519; s=tlsrpt; p={p}"), "mail"),
            ("v=DKIM1; k=ed25519; p=!!".to_owned(), "base64"),
        ] {
            let problem = compare(&text).expect_err(&text);
            assert!(problem.contains(said), "{text}: {problem}");
        }
    }

    #[test]
    fn an_rsa_key_may_be_published_bare() {
        let bare = vec![5; 270];
        let own = [vec![1; 24], bare.clone()].concat();
        assert!(is_same_key(&bare, DkimAlgorithm::Rsa, &own));
        assert!(is_same_key(&own, DkimAlgorithm::Rsa, &own));
        assert!(!is_same_key(&[5], DkimAlgorithm::Rsa, &own));
    }
}
