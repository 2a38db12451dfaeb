//! Parses SPF records (RFC 7208, section 4.6 and on). Nothing is looked up here.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::SpfResult;

/// A record.
#[derive(Debug, PartialEq, Eq)]
pub struct SpfRecord {
    /// In their order.
    pub directives: Vec<SpfDirective>,
    /// Whose record decides where no directive does.
    pub redirect: Option<String>,
}

/// What is said of the addresses that a mechanism matches.
#[derive(Debug, PartialEq, Eq)]
pub struct SpfDirective {
    /// The result.
    pub result: SpfResult,
    /// The addresses.
    pub mechanism: SpfMechanism,
}

/// Addresses. A missing name means the domain itself; names may hold macros.
#[derive(Debug, PartialEq, Eq)]
pub enum SpfMechanism {
    /// All.
    All,
    /// Those that pass by another domain's record.
    Include(String),
    /// Those of a name, and those near them.
    Address(Option<String>, PrefixLengths),
    /// Those of a domain's mail servers, and those near them.
    MailServer(Option<String>, PrefixLengths),
    /// Those with a name within a domain.
    Pointer(Option<String>),
    /// An IPv4 network.
    Ipv4(Ipv4Addr, u8),
    /// An IPv6 network.
    Ipv6(Ipv6Addr, u8),
    /// All, where a name exists.
    Exists(String),
}

/// How many leading bits of an address count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefixLengths {
    /// Of an IPv4 address.
    pub ipv4: u8,
    /// Of an IPv6 address.
    pub ipv6: u8,
}

/// Whether a text is an SPF record, sound or not.
pub fn is_spf(text: &str) -> bool {
    let version = text.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("v=spf1"));
    version && text[6..].chars().next().is_none_or(|next| next == ' ')
}

impl SpfRecord {
    /// Parses a record; the error names the term that is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut record = Self {
            directives: Vec::new(),
            redirect: None,
        };
        for term in text.split(' ').skip(1).filter(|term| !term.is_empty()) {
            let wrong = |what: &str| format!("{term} {what}");
            if let Some((name, value)) = modifier(term) {
                match name.to_ascii_lowercase().as_str() {
                    "redirect" if record.redirect.is_some() => return Err(wrong("is there twice")),
                    "redirect" if value.is_empty() => return Err(wrong("names no domain")),
                    "redirect" => record.redirect = Some(value.to_owned()),
                    // An explanation, or something unknown, which is ignored (section 6).
                    _ => {}
                }
                continue;
            }
            record.directives.push(directive(term).map_err(wrong)?);
        }
        Ok(record)
    }
}

/// Name and value of a term such as `redirect=example.org`; a mechanism has none or an equals sign behind a colon.
fn modifier(term: &str) -> Option<(&str, &str)> {
    let (name, value) = term.split_once('=')?;
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_name = starts
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    is_name.then_some((name, value))
}

fn directive(term: &str) -> Result<SpfDirective, &'static str> {
    let (result, rest) = match term.split_at_checked(1) {
        Some(("+", rest)) => (SpfResult::Pass, rest),
        Some(("-", rest)) => (SpfResult::Fail, rest),
        Some(("~", rest)) => (SpfResult::SoftFail, rest),
        Some(("?", rest)) => (SpfResult::Neutral, rest),
        _ => (SpfResult::Pass, term),
    };
    let end = rest.find([':', '/']).unwrap_or(rest.len());
    let (name, behind) = rest.split_at(end);
    let value = behind.strip_prefix(':');
    if value == Some("") {
        return Err("has nothing behind the colon");
    }
    let mechanism = match name.to_ascii_lowercase().as_str() {
        "all" if behind.is_empty() => SpfMechanism::All,
        "include" => SpfMechanism::Include(value.ok_or("names no domain")?.to_owned()),
        "exists" => SpfMechanism::Exists(value.ok_or("names no domain")?.to_owned()),
        "a" => {
            let (domain, lengths) = domain_and_lengths(behind)?;
            SpfMechanism::Address(domain, lengths)
        }
        "mx" => {
            let (domain, lengths) = domain_and_lengths(behind)?;
            SpfMechanism::MailServer(domain, lengths)
        }
        "ptr" if behind.is_empty() || value.is_some() => SpfMechanism::Pointer(value.map(str::to_owned)),
        "ip4" => {
            let (address, length) = network(value.ok_or("names no network")?, 32)?;
            SpfMechanism::Ipv4(address.parse().map_err(|_| "is no IPv4 network")?, length)
        }
        "ip6" => {
            let (address, length) = network(value.ok_or("names no network")?, 128)?;
            SpfMechanism::Ipv6(address.parse().map_err(|_| "is no IPv6 network")?, length)
        }
        _ => return Err("is no mechanism of SPF"),
    };
    Ok(SpfDirective { result, mechanism })
}

fn network(text: &str, longest: u8) -> Result<(&str, u8), &'static str> {
    match text.split_once('/') {
        Some((address, length)) => Ok((address, prefix_length(length, longest)?)),
        None => Ok((text, longest)),
    }
}

/// `[:domain][/n][//n]`.
fn domain_and_lengths(text: &str) -> Result<(Option<String>, PrefixLengths), &'static str> {
    let (text, ipv6) = match text.split_once("//") {
        Some((text, length)) => (text, prefix_length(length, 128)?),
        None => (text, 128),
    };
    let (domain, ipv4) = match text.rsplit_once('/') {
        // A slash in a macro is no end of the domain.
        Some((domain, length)) if !length.contains('}') => (domain, prefix_length(length, 32)?),
        _ => (text, 32),
    };
    let domain = domain.strip_prefix(':').map(str::to_owned);
    Ok((domain, PrefixLengths { ipv4, ipv6 }))
}

fn prefix_length(text: &str, longest: u8) -> Result<u8, &'static str> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let length = text.parse().ok().filter(|length| is_number && *length <= longest);
    length.ok_or("has a prefix length that does not exist")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: PrefixLengths = PrefixLengths { ipv4: 32, ipv6: 128 };

    #[test]
    fn terms_are_understood() {
        let record = "v=spf1 a mx/24 a:mail.example.org/28//64 ?ip4:192.0.2.0/24 ~ip6:2001:db8::/32 include:_spf.example.net \
                      exists:%{ir}.%{l1r+-/}.example.org/ ptr -all exp=explain.example.org x=y redirect=other.example.org";
        let record = SpfRecord::parse(record).expect("sound");
        let expected = [
            (SpfResult::Pass, SpfMechanism::Address(None, WHOLE)),
            (
                SpfResult::Pass,
                SpfMechanism::MailServer(None, PrefixLengths { ipv4: 24, ..WHOLE }),
            ),
            (
                SpfResult::Pass,
                SpfMechanism::Address(
                    Some("mail.example.org".to_owned()),
                    PrefixLengths { ipv4: 28, ipv6: 64 },
                ),
            ),
            (SpfResult::Neutral, SpfMechanism::Ipv4(Ipv4Addr::new(192, 0, 2, 0), 24)),
            (
                SpfResult::SoftFail,
                SpfMechanism::Ipv6("2001:db8::".parse().expect("an address"), 32),
            ),
            (SpfResult::Pass, SpfMechanism::Include("_spf.example.net".to_owned())),
            (
                SpfResult::Pass,
                SpfMechanism::Exists("%{ir}.%{l1r+-/}.example.org/".to_owned()),
            ),
            (SpfResult::Pass, SpfMechanism::Pointer(None)),
            (SpfResult::Fail, SpfMechanism::All),
        ];
        let found = record.directives.into_iter().map(|one| (one.result, one.mechanism));
        assert_eq!(found.collect::<Vec<_>>(), expected);
        assert_eq!(record.redirect.as_deref(), Some("other.example.org"));
    }

    #[test]
    fn wrong_terms_are_named() {
        for term in [
            "ipv4:192.0.2.1",
            "ip4:192.0.2.256",
            "ip4:192.0.2.0/33",
            "ip4",
            "ip6:192.0.2.1",
            "a:",
            "a/x",
            "a//129",
            "all:x",
            "include",
            "-",
            "a/+24",
        ] {
            let error = SpfRecord::parse(&format!("v=spf1 {term} -all")).expect_err(term);
            assert!(error.starts_with(&format!("{term} ")), "{error}");
        }
        assert!(SpfRecord::parse("v=spf1 redirect=a redirect=b").is_err());
    }

    #[test]
    fn other_texts_are_no_records() {
        for (text, expected) in [
            ("v=spf1", true),
            ("V=SPF1 -all", true),
            ("v=spf10 -all", false),
            ("v=spf2.0/pra", false),
            ("", false),
            ("vé=spf1", false),
        ] {
            assert_eq!(is_spf(text), expected, "{text}");
        }
    }
}
