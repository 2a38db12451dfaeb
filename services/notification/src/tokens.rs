//! Tokens in links: signed, scoped, expiring where sensible. Nothing is stored for them.
//!
//! `base64url(scope "." subscriber "." expiry seconds) "." base64url(HMAC-SHA256 over the first part)`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

const CONFIRM_LIFE: SignedDuration = SignedDuration::from_hours(24 * 7);
const REACT_LIFE: SignedDuration = SignedDuration::from_hours(24 * 60);

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Confirming a subscription; expires after a week.
    Confirm,
    /// Seeing and ending a subscription; in every mail, and never expires, because old mails must be able to unsubscribe.
    Manage,
    /// Saying something to a paper of a digest; expires after 60 days. Mails are passed on, and with them this token, so
    /// it never shows or changes a subscription.
    React,
}

/// A token that allows nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TokenError {
    /// Not one of ours, or changed on the way.
    #[error("is not a link that was sent from here; open it from the mail again, or copy it whole")]
    Forged,
    /// Too old.
    #[error("has expired; use the link in a newer mail, or subscribe again")]
    Expired,
    /// For something else.
    #[error("is for something else; use the link in the mail that belongs to this page")]
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

    /// A token for a subscriber.
    pub fn issue(&self, scope: Scope, subscriber: &str, now: Timestamp) -> String {
        let end = |life| now.saturating_add(life).map_or(i64::MAX, Timestamp::as_second);
        let expiry = match scope {
            Scope::Confirm => end(CONFIRM_LIFE),
            Scope::React => end(REACT_LIFE),
            Scope::Manage => 0,
        };
        let claim = URL_SAFE_NO_PAD.encode(format!("{}.{subscriber}.{expiry}", scope.name()));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(&claim).finalize().into_bytes());
        format!("{claim}.{signature}")
    }

    /// The subscriber a token speaks for, when it allows what is asked. A token that manages cannot confirm.
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
    fn tokens_speak_for_their_subscriber_within_their_scope() {
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
    fn a_reaction_is_allowed_for_sixty_days_and_nothing_else_with_it() {
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
