//! Tokens in links: signed, scoped, expiring where sensible. Nothing is stored for them.
//!
//! `base64url(scope "." subscriber "." expiry seconds) "." base64url(HMAC-SHA256 over the first part)`.

mod unsubscribe_tag;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

pub use unsubscribe_tag::UNSUBSCRIBE_TAG_CHARS;

const CONFIRM_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 7);
const REACT_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 60);

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Confirming a request to subscribe, which the token names; expires after a week.
    Confirm,
    /// Declining what was asked for a mailbox, which the token names by its hash; expires after 60 days.
    Decline,
    /// Seeing, changing and ending a subscription; in every mail. Never expires, because the links of old mails must still
    /// unsubscribe.
    Manage,
    /// Voting for a paper of a digest or turning it away; expires after 60 days. Mails are forwarded, and this token with
    /// them, so it never shows or changes a subscription.
    React,
}

/// Why a token is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TokenError {
    /// Not one of ours, or altered.
    #[error("is not a valid link; open it from the mail again, or copy all of it")]
    Forged,
    /// Too old.
    #[error("has expired; use the link in a newer mail, or subscribe again")]
    Expired,
    /// It allows something else.
    #[error("belongs to another page; use the link in the mail for this page")]
    Scope,
}

/// Signs and checks tokens.
pub struct Tokens {
    key: Hmac<Sha256>,
}

impl Tokens {
    /// With a secret.
    pub fn new(secret: &[u8]) -> Self {
        let key = Hmac::new_from_slice(secret).expect("HMAC takes keys of any length");
        Self { key }
    }

    /// A token for a subscriber, or for what else the scope says.
    pub fn issue(&self, scope: Scope, subscriber: &str, now: Timestamp) -> String {
        let end = |lifetime| now.saturating_add(lifetime).map_or(i64::MAX, Timestamp::as_second);
        let expiry = match scope {
            Scope::Confirm => end(CONFIRM_LIFETIME),
            Scope::React | Scope::Decline => end(REACT_LIFETIME),
            Scope::Manage => 0,
        };
        let claim = URL_SAFE_NO_PAD.encode(format!("{}.{subscriber}.{expiry}", scope.name()));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(&claim).finalize().into_bytes());
        format!("{claim}.{signature}")
    }

    /// The subscriber of a token, when its scope is among those allowed. A token that manages cannot confirm.
    pub fn check(&self, allowed: &[Scope], token: &str, now: Timestamp) -> Result<String, TokenError> {
        let (claim, signature) = token.trim().split_once('.').ok_or(TokenError::Forged)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Forged)?;
        self.sign(claim)
            .verify_slice(&signature)
            .map_err(|_| TokenError::Forged)?;
        let claim = URL_SAFE_NO_PAD.decode(claim).map_err(|_| TokenError::Forged)?;
        let claim = String::from_utf8(claim).map_err(|_| TokenError::Forged)?;
        let mut parts = claim.split('.');
        let (Some(scope), Some(subscriber), Some(expiry)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(TokenError::Forged);
        };
        if !allowed.iter().any(|one| one.name() == scope) {
            return Err(TokenError::Scope);
        }
        let expiry: i64 = expiry.parse().map_err(|_| TokenError::Forged)?;
        if expiry != 0 && now.as_second() > expiry {
            return Err(TokenError::Expired);
        }
        Ok(subscriber.to_owned())
    }

    fn sign(&self, claim: &str) -> Hmac<Sha256> {
        self.key.clone().chain_update(claim.as_bytes())
    }
}

impl Scope {
    fn name(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Decline => "decline",
            Self::Manage => "manage",
            Self::React => "react",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    #[test]
    fn tokens_name_their_subscriber_within_their_scope() {
        let tokens = Tokens::new(b"secret");
        let token = tokens.issue(Scope::Confirm, "ada", now());
        assert_eq!(tokens.check(&[Scope::Confirm], &token, now()).as_deref(), Ok("ada"));
        assert_eq!(tokens.check(&[Scope::Manage], &token, now()), Err(TokenError::Scope));
        let manage = tokens.issue(Scope::Manage, "ada", now());
        assert_eq!(tokens.check(&[Scope::Confirm], &manage, now()), Err(TokenError::Scope));
    }

    #[test]
    fn confirmations_expire_and_unsubscribing_does_not() {
        let tokens = Tokens::new(b"secret");
        let late = now()
            .saturating_add(SignedDuration::from_hours(24 * 365))
            .expect("a timestamp");
        let confirm = tokens.issue(Scope::Confirm, "ada", now());
        assert_eq!(
            tokens.check(&[Scope::Confirm], &confirm, late),
            Err(TokenError::Expired)
        );
        let manage = tokens.issue(Scope::Manage, "ada", now());
        assert!(tokens.check(&[Scope::Manage], &manage, late).is_ok());
    }

    #[test]
    fn a_react_token_holds_sixty_days_and_allows_no_more() {
        let tokens = Tokens::new(b"secret");
        let day = |day: i64| {
            now()
                .saturating_add(SignedDuration::from_hours(24 * day))
                .expect("a timestamp")
        };
        let react = tokens.issue(Scope::React, "ada", now());
        assert_eq!(tokens.check(&[Scope::React], &react, day(60)).as_deref(), Ok("ada"));
        assert_eq!(tokens.check(&[Scope::React], &react, day(61)), Err(TokenError::Expired));
        for other in [Scope::Manage, Scope::Confirm] {
            assert_eq!(tokens.check(&[other], &react, now()), Err(TokenError::Scope));
            let token = tokens.issue(other, "ada", now());
            assert_eq!(tokens.check(&[Scope::React], &token, now()), Err(TokenError::Scope));
        }
    }

    #[test]
    fn forged_tokens_are_refused() {
        let tokens = Tokens::new(b"secret");
        let token = tokens.issue(Scope::Manage, "ada", now());
        let other = Tokens::new(b"other").issue(Scope::Manage, "ada", now());
        let (_, signature) = token.split_once('.').expect("two parts");
        let swapped = format!("{}.{signature}", URL_SAFE_NO_PAD.encode("manage.eve.0"));
        for forged in ["", "x", "a.b", &token[1..], &other, &swapped] {
            assert_eq!(
                tokens.check(&[Scope::Manage], forged, now()),
                Err(TokenError::Forged),
                "{forged}"
            );
        }
    }
}
