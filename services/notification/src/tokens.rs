//! Tokens in links: signed, scoped, expiring where sensible. Nothing is stored for them but the epoch of their holder.
//!
//! `base64url(scope "." subscriber "." expiry seconds "." epoch) "." base64url(HMAC-SHA256 over the first part)`.
//!
//! The epoch is a number in the subscriber's record. It grows when earlier links are revoked, and tokens of an earlier epoch
//! are refused. Tokens that only end a subscription are excepted: the links of old mails must still unsubscribe, and can do
//! nothing else.

mod unsubscribe_tag;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

use crate::signing_keys::SigningKeys;
pub use unsubscribe_tag::UNSUBSCRIBE_TAG_CHARS;

const CONFIRM_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 7);
const PREFERENCES_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 60);
const ACCOUNT_LIFETIME: SignedDuration = SignedDuration::from_hours(1);
const REACT_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 60);

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Confirming a request to subscribe, which the token names; expires after a week.
    Confirm,
    /// Ending a subscription, and nothing else. Never expires and is never revoked.
    Unsubscribe,
    /// Seeing, changing, pausing and ending a subscription; expires after 60 days.
    Preferences,
    /// All of that, and exporting, deleting, webhooks and revoking; expires after an hour, and is mailed on request.
    Account,
    /// Reading the digests that were sent. Does not expire, because feed readers keep it.
    Feed,
    /// Declining what was asked for a mailbox, which the token names by its hash; expires after 60 days.
    Decline,
    /// Voting for a paper of a digest or turning it away; expires after 60 days. Mails are forwarded, and this token with
    /// them, so it never shows or changes a subscription.
    React,
    /// From a release without the scopes above. It never expires, and allowed everything; it still ends a subscription and
    /// reads a feed.
    Earlier,
}

/// Scopes that see and change a subscription.
pub const MANAGING: [Scope; 2] = [Scope::Preferences, Scope::Account];
/// Scopes that read the digests that were sent.
pub const READING: [Scope; 4] = [Scope::Feed, Scope::Preferences, Scope::Account, Scope::Earlier];
/// Scopes that end a subscription.
pub const ENDING: [Scope; 4] = [Scope::Unsubscribe, Scope::Preferences, Scope::Account, Scope::Earlier];

/// Whose tokens, as of which epoch.
#[derive(Debug, Clone, Copy)]
pub struct LinkHolder<'a> {
    /// The subscriber's id.
    pub id: &'a str,
    /// The epoch of the links.
    pub epoch: u64,
}

impl<'a> LinkHolder<'a> {
    /// What is no subscriber and has no epoch, such as a request that waits for its confirmation.
    pub fn without_epoch(id: &'a str) -> Self {
        Self { id, epoch: 0 }
    }
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClaim {
    /// What it allows.
    pub scope: Scope,
    /// Whose it is.
    pub subscriber: String,
    epoch: u64,
}

/// Why a token is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TokenError {
    /// Not one of ours, or altered.
    #[error("is not a valid link; open it from the mail again, or copy all of it")]
    Forged,
    /// Too old.
    #[error("has expired; use the link in a newer mail, or have a new one mailed to you")]
    Expired,
    /// It allows something else.
    #[error("belongs to another page; use the link in the mail for this page")]
    Scope,
    /// Only a link that was mailed on request allows it.
    #[error("does not allow this; have a link to your account mailed to you")]
    NeedsAccount,
    /// Its epoch is over.
    #[error("has been revoked; use the link in a newer mail, or have a new one mailed to you")]
    Revoked,
}

/// Signs and checks tokens.
pub struct Tokens {
    keys: SigningKeys,
}

impl Tokens {
    /// Signed with the first key, checked with all.
    pub fn new(keys: SigningKeys) -> Self {
        Self { keys }
    }

    /// A token for a subscriber, or for what else the scope says.
    pub fn issue(&self, scope: Scope, holder: LinkHolder<'_>, now: Timestamp) -> String {
        let end = |lifetime| now.saturating_add(lifetime).map_or(i64::MAX, Timestamp::as_second);
        let expiry = match scope {
            Scope::Confirm => end(CONFIRM_LIFETIME),
            Scope::Preferences => end(PREFERENCES_LIFETIME),
            Scope::Account => end(ACCOUNT_LIFETIME),
            Scope::React | Scope::Decline => end(REACT_LIFETIME),
            Scope::Unsubscribe | Scope::Feed | Scope::Earlier => 0,
        };
        let LinkHolder { id, epoch } = holder;
        let claim = URL_SAFE_NO_PAD.encode(format!("{}.{id}.{expiry}.{epoch}", scope.name()));
        let signature = URL_SAFE_NO_PAD.encode(signed(self.keys.newest(), &claim).finalize().into_bytes());
        format!("{claim}.{signature}")
    }

    /// What a token says, when its scope is among those allowed. Whether it was revoked the holder's record says, see
    /// [`TokenClaim::check_epoch`].
    pub fn check(&self, allowed: &[Scope], token: &str, now: Timestamp) -> Result<TokenClaim, TokenError> {
        let (claim, signature) = token.trim().split_once('.').ok_or(TokenError::Forged)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Forged)?;
        let is_ours = |key: &Hmac<Sha256>| signed(key, claim).verify_slice(&signature).is_ok();
        if !self.keys.all().any(is_ours) {
            return Err(TokenError::Forged);
        }
        let claim = URL_SAFE_NO_PAD.decode(claim).map_err(|_| TokenError::Forged)?;
        let claim = String::from_utf8(claim).map_err(|_| TokenError::Forged)?;
        let (claim, expiry) = parsed(&claim).ok_or(TokenError::Forged)?;
        if !allowed.contains(&claim.scope) {
            let opens = ENDING.contains(&claim.scope) && allowed == [Scope::Account];
            return Err(if opens {
                TokenError::NeedsAccount
            } else {
                TokenError::Scope
            });
        }
        if expiry != 0 && now.as_second() > expiry {
            return Err(TokenError::Expired);
        }
        Ok(claim)
    }
}

impl TokenClaim {
    /// Refuses a token of an earlier epoch than the holder's. One of a later epoch is ours, too: a confirmation begins it,
    /// and a store that lost its newest changes has not reached it again.
    pub fn check_epoch(&self, epoch: u64) -> Result<(), TokenError> {
        let revocable = !matches!(self.scope, Scope::Unsubscribe);
        if revocable && self.epoch < epoch {
            return Err(TokenError::Revoked);
        }
        Ok(())
    }
}

/// A claim and when it expires. Earlier releases wrote no epoch.
fn parsed(claim: &str) -> Option<(TokenClaim, i64)> {
    let mut parts = claim.split('.');
    let (scope, subscriber, expiry) = (parts.next()?, parts.next()?, parts.next()?);
    let epoch = parts.next().map_or(Ok(0), str::parse).ok()?;
    let claim = TokenClaim {
        scope: Scope::parse(scope)?,
        subscriber: subscriber.to_owned(),
        epoch,
    };
    Some((claim, expiry.parse().ok()?))
}

fn signed(key: &Hmac<Sha256>, claim: &str) -> Hmac<Sha256> {
    key.clone().chain_update(claim.as_bytes())
}

impl Scope {
    const ALL: [Self; 8] = [
        Self::Confirm,
        Self::Unsubscribe,
        Self::Preferences,
        Self::Account,
        Self::Feed,
        Self::Decline,
        Self::React,
        Self::Earlier,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Unsubscribe => "unsubscribe",
            Self::Preferences => "preferences",
            Self::Account => "account",
            Self::Feed => "feed",
            Self::Decline => "decline",
            Self::React => "react",
            Self::Earlier => "manage",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: LinkHolder<'_> = LinkHolder { id: "ada", epoch: 3 };

    fn now() -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn days(days: i64) -> Timestamp {
        let later = SignedDuration::from_hours(24 * days);
        now().saturating_add(later).expect("a timestamp")
    }

    fn tokens(keys: &[&str]) -> Tokens {
        Tokens::new(SigningKeys::new(keys).expect("a key"))
    }

    fn id(claim: Result<TokenClaim, TokenError>) -> Result<String, TokenError> {
        claim.map(|claim| claim.subscriber)
    }

    #[test]
    fn a_token_allows_its_own_scope_and_no_other() {
        let tokens = tokens(&["secret"]);
        for scope in Scope::ALL {
            let token = tokens.issue(scope, ADA, now());
            for allowed in Scope::ALL {
                let checked = id(tokens.check(&[allowed], &token, now()));
                if scope == allowed {
                    assert_eq!(checked.as_deref(), Ok("ada"));
                } else if allowed == Scope::Account && ENDING.contains(&scope) {
                    assert_eq!(checked, Err(TokenError::NeedsAccount), "{scope:?}");
                } else {
                    assert_eq!(checked, Err(TokenError::Scope), "{scope:?} {allowed:?}");
                }
            }
        }
    }

    #[test]
    fn tokens_expire_but_those_that_unsubscribe_or_feed() {
        let tokens = tokens(&["secret"]);
        for (scope, holds, ends) in [
            (Scope::Confirm, 7, Some(8)),
            (Scope::Preferences, 60, Some(61)),
            (Scope::React, 60, Some(61)),
            (Scope::Account, 0, Some(1)),
            (Scope::Unsubscribe, 3_650, None),
            (Scope::Feed, 3_650, None),
            (Scope::Earlier, 3_650, None),
        ] {
            let token = tokens.issue(scope, ADA, now());
            assert!(tokens.check(&[scope], &token, days(holds)).is_ok(), "{scope:?}");
            if let Some(ends) = ends {
                let late = tokens.check(&[scope], &token, days(ends));
                assert_eq!(late, Err(TokenError::Expired), "{scope:?}");
            }
        }
    }

    #[test]
    fn a_later_epoch_revokes_all_but_unsubscribing() {
        let tokens = tokens(&["secret"]);
        for scope in Scope::ALL {
            let token = tokens.issue(scope, ADA, now());
            let claim = tokens.check(&[scope], &token, now()).expect("its own scope");
            assert_eq!(claim.check_epoch(3), Ok(()));
            assert_eq!(claim.check_epoch(2), Ok(()), "the store is behind");
            let expected = if scope == Scope::Unsubscribe {
                Ok(())
            } else {
                Err(TokenError::Revoked)
            };
            assert_eq!(claim.check_epoch(4), expected, "{scope:?}");
        }
    }

    #[test]
    fn links_of_earlier_releases_end_a_subscription_and_no_more() {
        let tokens = tokens(&["secret"]);
        let claim = URL_SAFE_NO_PAD.encode("manage.ada.0");
        let signature = signed(tokens.keys.newest(), &claim).finalize().into_bytes();
        let token = format!("{claim}.{}", URL_SAFE_NO_PAD.encode(signature));
        assert_eq!(id(tokens.check(&ENDING, &token, now())).as_deref(), Ok("ada"));
        assert_eq!(tokens.check(&MANAGING, &token, now()), Err(TokenError::Scope));
        let account = tokens.check(&[Scope::Account], &token, now());
        assert_eq!(account, Err(TokenError::NeedsAccount));
    }

    #[test]
    fn the_first_key_signs_and_every_key_checks() {
        let (old, both, fresh) = (tokens(&["old"]), tokens(&["fresh", "old"]), tokens(&["fresh"]));
        let token = old.issue(Scope::Feed, ADA, now());
        assert!(both.check(&[Scope::Feed], &token, now()).is_ok());
        assert_eq!(fresh.check(&[Scope::Feed], &token, now()), Err(TokenError::Forged));
        let token = both.issue(Scope::Feed, ADA, now());
        assert!(fresh.check(&[Scope::Feed], &token, now()).is_ok());
        assert_eq!(old.check(&[Scope::Feed], &token, now()), Err(TokenError::Forged));
    }

    #[test]
    fn forged_tokens_are_refused() {
        let own = tokens(&["secret"]);
        let token = own.issue(Scope::Preferences, ADA, now());
        let other = tokens(&["other"]).issue(Scope::Preferences, ADA, now());
        let (_, signature) = token.split_once('.').expect("two parts");
        let swapped = format!("{}.{signature}", URL_SAFE_NO_PAD.encode("preferences.eve.0.0"));
        for forged in ["", "x", "a.b", &token[1..], &other, &swapped] {
            assert_eq!(
                own.check(&[Scope::Preferences], forged, now()),
                Err(TokenError::Forged),
                "{forged}"
            );
        }
    }
}
