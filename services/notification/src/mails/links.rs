//! The links of a mail to our pages. A link only shows a page; to change something takes a button there.

use domain::pages;
use jiff::Timestamp;
use minijinja::{Value, context};

use super::fragments::Placeholder;
use crate::tokens::{LinkHolder, Scope, Tokens};

/// The links of one reader's mail.
#[derive(Debug, Clone)]
pub struct Links {
    base: String,
    unsubscribe_token: String,
    preferences_token: String,
    react_token: String,
    unsubscribe: String,
}

impl Links {
    /// For a subscriber, in a digest due at `slot`. Every attempt at that digest has the same links.
    pub fn new(public_url: &str, tokens: &Tokens, holder: LinkHolder<'_>, slot: Timestamp) -> Self {
        Self::with_tokens(public_url, |scope| tokens.issue(scope, holder, slot))
    }

    /// With placeholders for the tokens.
    pub fn with_placeholders(public_url: &str) -> Self {
        Self::with_tokens(public_url, |scope| {
            let placeholder = match scope {
                Scope::Unsubscribe => Placeholder::UnsubscribeToken,
                Scope::React => Placeholder::ReactToken,
                _ => Placeholder::PreferencesToken,
            };
            placeholder.marker()
        })
    }

    fn with_tokens(public_url: &str, token: impl Fn(Scope) -> String) -> Self {
        let unsubscribe_token = token(Scope::Unsubscribe);
        Self {
            unsubscribe: format!("{public_url}/unsubscribe?token={unsubscribe_token}"),
            base: public_url.to_owned(),
            unsubscribe_token,
            preferences_token: token(Scope::Preferences),
            react_token: token(Scope::React),
        }
    }

    /// What the links begin with.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The token that ends the subscription, and does nothing else.
    pub fn unsubscribe_token(&self) -> &str {
        &self.unsubscribe_token
    }

    /// The token that sees and changes the subscription.
    pub fn preferences_token(&self) -> &str {
        &self.preferences_token
    }

    /// The token to react with.
    pub fn react_token(&self) -> &str {
        &self.react_token
    }

    /// The page that ends the subscription.
    pub fn unsubscribe(&self) -> &str {
        &self.unsubscribe
    }

    /// The page of a paper.
    pub fn page(&self, paper: &str) -> String {
        format!("{}{}", self.base, pages::paper(paper))
    }

    /// The search for similar papers. It has pages, while the paper's own page, which the title leads to, lists a few.
    pub fn similar(&self, paper: &str) -> String {
        format!("{}{}", self.base, pages::similar(paper))
    }

    /// The page on which the reader votes for a paper.
    pub fn vote(&self, paper: &str) -> String {
        self.reaction("vote", paper)
    }

    /// The page on which the reader turns a paper away.
    pub fn dismiss(&self, paper: &str) -> String {
        self.reaction("not-interested", paper)
    }

    /// The links in the footer, as templates see them.
    pub fn to_value(&self) -> Value {
        let preferences = format!("{}/preferences?token={}", self.base, self.preferences_token);
        context! {
            pause => format!("{preferences}#pause"),
            preferences,
            unsubscribe => self.unsubscribe.as_str(),
        }
    }

    fn reaction(&self, page: &str, paper: &str) -> String {
        format!(
            "{}/{page}?token={}&paper={}",
            self.base,
            self.react_token,
            encoded(paper)
        )
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
    fn ids_survive_in_a_query() {
        assert_eq!(encoded("doi:10.1145/3-a_b"), "doi:10.1145/3-a_b");
        assert_eq!(encoded("own:a&b=c \"ü\"#"), "own:a%26b%3Dc%20%22%C3%BC%22%23");
    }
}
