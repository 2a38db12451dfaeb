//! E-mail addresses that a mail server would accept.
//!
//! It never checks whether anybody reads mail there; the confirmation mail does.

use std::fmt;

/// A normalised address: domain in lower case and in its ASCII form, local part as given.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

/// An invalid address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{value:?} is not an e-mail address: {problem}; it looks like ada@example.org")]
pub struct EmailError {
    value: String,
    problem: &'static str,
}

impl EmailAddress {
    /// Parses an address as people type it. An internationalised domain is converted to its ASCII (`xn--`) form (UTS 46); a
    /// local part beyond ASCII is refused, because few mail servers accept it (RFC 6531).
    pub fn parse(raw: &str) -> Result<Self, EmailError> {
        let raw = raw.trim();
        let wrong = |problem| EmailError {
            value: crate::text::shorten(raw),
            problem,
        };
        if raw.len() > 254 {
            return Err(wrong("it is longer than 254 bytes"));
        }
        let (local, domain) = raw.rsplit_once('@').ok_or_else(|| wrong("there is no @"))?;
        let domain = ascii(domain).ok_or_else(|| wrong("the part after the @ is not a domain name"))?;
        if !local.is_ascii() {
            return Err(wrong(
                "the part before the @ has letters beyond ASCII, which mail cannot be sent to from here; give the ASCII \
                 address of the mailbox",
            ));
        }
        if local.is_empty() || local.len() > 64 {
            return Err(wrong("the part before the @ must have 1 to 64 bytes"));
        }
        let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~-".contains(c);
        if !local.split('.').all(|part| !part.is_empty() && part.chars().all(atom)) {
            return Err(wrong(
                "the part before the @ has a character or a dot that is not allowed",
            ));
        }
        let labels: Vec<&str> = domain.split('.').collect();
        let label = |l: &&str| {
            let edges = !l.starts_with('-') && !l.ends_with('-');
            (1..=63).contains(&l.len()) && edges && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        if labels.len() < 2 || !labels.iter().all(label) {
            return Err(wrong("the part after the @ is not a domain name"));
        }
        let address = format!("{local}@{domain}");
        if address.len() > 254 {
            return Err(wrong("it is longer than 254 bytes in its ASCII form"));
        }
        Ok(Self(address))
    }

    /// The address to send to.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key shared by all spellings of an address: lower case.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The key of the mailbox that an address with a tag leads to: `ada+papers@example.org` is read by whoever reads
    /// `ada@example.org`. Dots stay: only some providers ignore them.
    pub fn mailbox_key(&self) -> String {
        let key = self.key();
        match key
            .split_once('@')
            .map(|(local, domain)| (local.split_once('+'), domain))
        {
            Some((Some((mailbox, _)), domain)) if !mailbox.is_empty() => format!("{mailbox}@{domain}"),
            _ => key,
        }
    }

    /// The part behind the @.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// A domain in lower case, in its ASCII form.
fn ascii(domain: &str) -> Option<String> {
    if domain.is_ascii() {
        return Some(domain.to_ascii_lowercase());
    }
    idna::domain_to_ascii(domain).ok()
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn usual_addresses_pass() {
        assert_eq!(
            EmailAddress::parse(" Ada.L+x@Example.ORG ")
                .expect("an address")
                .as_str(),
            "Ada.L+x@example.org"
        );
        assert_eq!(
            EmailAddress::parse("Ada@EXAMPLE.org").expect("an address").key(),
            "ada@example.org"
        );
    }

    #[test]
    fn tags_lead_to_one_mailbox() {
        let mailbox = |address: &str| EmailAddress::parse(address).expect("an address").mailbox_key();
        for same in [
            "ada@example.org",
            "Ada+1@Example.org",
            "ADA+a+b@EXAMPLE.ORG",
            "ada+@example.org",
        ] {
            assert_eq!(mailbox(same), "ada@example.org", "{same}");
        }
        assert_eq!(mailbox("+ada@example.org"), "+ada@example.org", "nothing is left of it");
        assert_eq!(mailbox("a.da@example.org"), "a.da@example.org");
        let address = EmailAddress::parse("ada@Bücher.example").expect("an address");
        assert_eq!(address.domain(), "xn--bcher-kva.example");
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        for bad in [
            "",
            "ada",
            "@x.org",
            "ada@",
            "ada@localhost",
            "a..b@x.org",
            "a b@x.org",
            "a@-x.org",
            "a@x..org",
            "a\n@x.org",
            "a@x.org\r\nBcc: b@x.org",
        ] {
            assert!(EmailAddress::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn international_domains_pass_and_local_parts_do_not() {
        let address = EmailAddress::parse("ada@Bücher.Example").expect("an address");
        assert_eq!(address.as_str(), "ada@xn--bcher-kva.example");
        let same = EmailAddress::parse("ADA@xn--bcher-kva.example").expect("an address");
        assert_eq!(address.key(), same.key());
        let refused = EmailAddress::parse("дмитрий@example.org").expect_err("no address");
        assert!(refused.to_string().contains("beyond ASCII"), "{refused}");
        for bad in ["ada@bü cher.example", "ada@\u{200d}.example", "ada@ü..example"] {
            assert!(EmailAddress::parse(bad).is_err(), "{bad:?}");
        }
        let long = format!("ada@{}.example", "ü".repeat(60));
        assert!(
            EmailAddress::parse(&long).is_err(),
            "a label of more than 63 bytes in ASCII"
        );
    }

    proptest! {
        #[test]
        fn no_input_smuggles_a_line_break(text in any::<String>()) {
            if let Ok(address) = EmailAddress::parse(&text) {
                prop_assert!(address.as_str().bytes().all(|b| b.is_ascii_graphic()));
            }
        }
    }
}
