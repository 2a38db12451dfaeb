//! Macros in the domain names of SPF records (RFC 7208, section 7), such as `%{ir}.%{v}._spf.%{d2}`.

use std::net::IpAddr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// A longer name loses labels at its beginning.
const MAX_NAME: usize = 253;
/// A longer expansion is a mistake.
const MAX_EXPANSION: usize = 4096;
const DELIMITERS: [char; 7] = ['.', '-', '+', ',', '/', '_', '='];
const ESCAPED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What macros stand for.
#[derive(Debug, Clone)]
pub struct MacroValues {
    /// The address that sends.
    pub ip: IpAddr,
    /// The part of the sender's address before the @.
    pub local: String,
    /// The part behind it.
    pub sender_domain: String,
    /// What the sending machine calls itself.
    pub helo: String,
}

impl MacroValues {
    /// A name with its macros expanded; the error says what is wrong with it.
    pub fn expand(&self, text: &str, domain: &str) -> Result<String, String> {
        let wrong = || format!("{text} has a macro that does not exist");
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            let mut behind = rest[at + 1..].chars();
            match behind.next().ok_or_else(wrong)? {
                '%' => out.push('%'),
                '_' => out.push(' '),
                '-' => out.push_str("%20"),
                '{' => {
                    let (inside, after) = behind.as_str().split_once('}').ok_or_else(wrong)?;
                    out.push_str(&self.value(inside, domain).ok_or_else(wrong)?);
                    if out.len() > MAX_EXPANSION {
                        return Err(format!("{text} is too long"));
                    }
                    rest = after;
                    continue;
                }
                _ => return Err(wrong()),
            }
            rest = behind.as_str();
        }
        out.push_str(rest);
        Ok(shortened(&out))
    }

    fn value(&self, inside: &str, domain: &str) -> Option<String> {
        let mut rest = inside.chars();
        let kind = rest.next()?;
        let transformers = rest.as_str();
        let value = match kind.to_ascii_lowercase() {
            's' => format!("{}@{}", self.local, self.sender_domain),
            'l' => self.local.clone(),
            'o' => self.sender_domain.clone(),
            'd' => domain.to_owned(),
            'i' => dotted(self.ip),
            // The name of the address, which no receiver has to look up.
            'p' => "unknown".to_owned(),
            'v' => if self.ip.is_ipv4() { "in-addr" } else { "ip6" }.to_owned(),
            'h' => self.helo.clone(),
            _ => return None,
        };
        let value = transformed(&value, transformers)?;
        Some(if kind.is_ascii_uppercase() {
            utf8_percent_encode(&value, &ESCAPED).to_string()
        } else {
            value
        })
    }
}

/// The address in parts with dots between.
fn dotted(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let digits: Vec<String> = ip
                .octets()
                .iter()
                .map(|byte| format!("{:x}.{:x}", byte >> 4, byte & 15))
                .collect();
            digits.join(".")
        }
    }
}

/// Transformers: how many parts from the right, `r` for the reverse order, and what separates the parts.
fn transformed(value: &str, transformers: &str) -> Option<String> {
    let digits = transformers.trim_start_matches(|c: char| c.is_ascii_digit());
    let count = &transformers[..transformers.len() - digits.len()];
    let (reversed, delimiters) = match digits.strip_prefix(['r', 'R']) {
        Some(delimiters) => (true, delimiters),
        None => (false, digits),
    };
    if !delimiters.chars().all(|c| DELIMITERS.contains(&c)) {
        return None;
    }
    let is_delimiter = |c: char| {
        if delimiters.is_empty() {
            c == '.'
        } else {
            delimiters.contains(c)
        }
    };
    let mut parts: Vec<&str> = value.split(is_delimiter).collect();
    if reversed {
        parts.reverse();
    }
    if !count.is_empty() {
        let count: usize = count.parse().ok().filter(|count| *count > 0)?;
        let skipped = parts.len().saturating_sub(count);
        parts.drain(..skipped);
    }
    Some(parts.join("."))
}

/// Without the labels at its beginning that make it too long.
fn shortened(name: &str) -> String {
    let mut name = name;
    while name.len() > MAX_NAME {
        match name.split_once('.') {
            Some((_, rest)) => name = rest,
            None => break,
        }
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_expand_as_it_says() {
        let mut values = MacroValues {
            ip: "192.0.2.3".parse().expect("an address"),
            local: "strong-bad".to_owned(),
            sender_domain: "email.example.com".to_owned(),
            helo: "mx.example.org".to_owned(),
        };
        let expand = |values: &MacroValues, text: &str| values.expand(text, "email.example.com").expect("sound");
        // RFC 7208, section 7.4.
        for (text, expected) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l-}", "strong.bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
            ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
            (
                "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}",
                "3.2.0.192.in-addr.strong.lp._spf.example.com",
            ),
            (
                "%{d2}.trusted-domains.example.net",
                "example.com.trusted-domains.example.net",
            ),
            ("a%%b%_c%-d", "a%b c%20d"),
            ("%{S}", "strong-bad%40email.example.com"),
        ] {
            assert_eq!(expand(&values, text), expected, "{text}");
        }
        values.ip = "2001:db8::cb01".parse().expect("an address");
        assert_eq!(
            expand(&values, "%{ir}.%{v}._spf.%{d2}"),
            "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com"
        );
        for wrong in ["%", "%x", "%{", "%{}", "%{q}", "%{d0}", "%{d!}", "%{d2"] {
            assert!(values.expand(wrong, "example.org").is_err(), "{wrong}");
        }
        let long = format!("{}.%{{d}}", "x.".repeat(200));
        assert!(expand(&values, &long).len() <= MAX_NAME);
    }
}
