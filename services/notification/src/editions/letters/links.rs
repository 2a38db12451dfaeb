//! Where a reader can go from a mail. Every link only shows a page; what changes is a button there.

use domain::pages;
use jiff::Timestamp;
use minijinja::{Value, context};

use super::plates::Gap;
use crate::tokens::{Scope, Tokens};

/// The links of one reader's mail.
#[derive(Debug, Clone)]
pub struct Links {
    base: String,
    manage: String,
    react: String,
    unsubscribe: String,
}

impl Links {
    /// For a subscriber, in an edition due at `slot`. Every attempt at that edition has the same links.
    pub fn new(public_url: &str, tokens: &Tokens, subscriber: &str, slot: Timestamp) -> Self {
        let manage = tokens.issue(Scope::Manage, subscriber, slot);
        Self {
            unsubscribe: format!("{public_url}/unsubscribe?token={manage}"),
            react: tokens.issue(Scope::React, subscriber, slot),
            base: public_url.to_owned(),
            manage,
        }
    }

    /// With marks where those of a reader have tokens.
    pub fn marked(public_url: &str) -> Self {
        let manage = Gap::Manage.mark();
        Self {
            unsubscribe: format!("{public_url}/unsubscribe?token={manage}"),
            react: Gap::React.mark(),
            base: public_url.to_owned(),
            manage,
        }
    }

    /// What they begin with.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The token that manages the subscription.
    pub fn manage(&self) -> &str {
        &self.manage
    }

    /// The token to react with.
    pub fn react(&self) -> &str {
        &self.react
    }

    /// Ends the subscription.
    pub fn unsubscribe(&self) -> &str {
        &self.unsubscribe
    }

    /// The page of a paper.
    pub fn page(&self, paper: &str) -> String {
        format!("{}{}", self.base, pages::paper(paper))
    }

    /// Papers like this one: the search, because it goes on page by page, and the page of the paper, which shows the first
    /// few, is behind the title already.
    pub fn similar(&self, paper: &str) -> String {
        format!("{}{}", self.base, pages::similar(paper))
    }

    /// A vote for a paper.
    pub fn vote(&self, paper: &str) -> String {
        self.reaction("vote", paper)
    }

    /// Nothing like this paper again.
    pub fn dismiss(&self, paper: &str) -> String {
        self.reaction("not-interested", paper)
    }

    /// The links at the foot, as templates see them.
    pub fn to_value(&self) -> Value {
        let preferences = format!("{}/preferences?token={}", self.base, self.manage);
        context! {
            pause => format!("{preferences}#pause"),
            preferences,
            unsubscribe => self.unsubscribe.as_str(),
        }
    }

    fn reaction(&self, page: &str, paper: &str) -> String {
        format!("{}/{page}?token={}&paper={}", self.base, self.react, encoded(paper))
    }
}

/// An id inside a query of a URL (RFC 3986, section 3.4).
fn encoded(id: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(id.len() + 8);
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'/') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_any_kind_stay_whole_in_a_link() {
        assert_eq!(encoded("doi:10.1145/3-a_b"), "doi:10.1145/3-a_b");
        assert_eq!(encoded("own:a&b=c \"ü\"#"), "own:a%26b%3Dc%20%22%C3%BC%22%23");
    }
}
