//! E-mail addresses that a mail server would take.
//!
//! It never asks whether anybody reads mail there; the confirmation mail does.

use std::fmt;

/// A normalised address: domain in lower case, local part as given.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

/// An address that cannot be one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{value:?} is not an e-mail address: {problem}; it looks like ada@example.org")]
pub struct EmailError {
    value: String,
    problem: &'static str,
}

impl EmailAddress {
    /// Reads an address as people type it. Internationalised domains must be given in their ASCII (`xn--`) form.
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
        Ok(Self(format!("{local}@{}", domain.to_ascii_lowercase())))
    }

    /// The address to send to.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key under which one reader's spellings of the address meet: all of it in lower case.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
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

    proptest! {
        #[test]
        fn no_input_smuggles_a_line_break(text in any::<String>()) {
            if let Ok(address) = EmailAddress::parse(&text) {
                prop_assert!(address.as_str().bytes().all(|b| b.is_ascii_graphic()));
            }
        }
    }
}
