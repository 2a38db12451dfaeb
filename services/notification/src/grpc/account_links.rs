//! What links open, the links to accounts that readers ask for by mail, and revoking links.

use std::time::Duration;

use common::status;
use proto::subscriptions::v1::{GetSubscriptionResponse, LinkScope, RequestAccountLinkRequest, Subscription};
use tonic::Status;
use tracing::warn;

use super::answers::to_wire_state;
use super::{Notification, address, digest_failed, unavailable};
use crate::metrics::SUBSCRIBE_REQUESTS_LIMITED;
use crate::ports::TokenBucket;
use crate::subscribers::{Subscriber, SubscriberState};
use crate::tokens::Scope;

/// Links to an account that are mailed in a day, at most; that many may also be asked for at once.
const ACCOUNT_LINKS: u32 = 3;

impl Notification {
    /// The subscription that a token opens, and what the token allows.
    pub(super) async fn opened(&self, token: &str) -> Result<GetSubscriptionResponse, Status> {
        let scopes = [
            Scope::Confirm,
            Scope::Unsubscribe,
            Scope::Preferences,
            Scope::Account,
            Scope::Earlier,
        ];
        let claim = self.claim(&scopes, token)?;
        let ends_alone = matches!(claim.scope, Scope::Unsubscribe | Scope::Earlier);
        if ends_alone {
            // Whatever was revoked: such a link ends the subscription.
            let found = self.subscriptions.get(&claim.subscriber).await.map_err(unavailable)?;
            let known = found.ok_or_else(|| status::not_found("subscription", "of this link"))?;
            return Ok(GetSubscriptionResponse {
                subscription: Some(only_state(&known)),
                scope: LinkScope::Unsubscribe.into(),
                feed_token: String::new(),
            });
        }
        let known = self.holder(&claim).await?;
        let scope = match claim.scope {
            Scope::Account => LinkScope::Account,
            Scope::Preferences => LinkScope::Preferences,
            _ => LinkScope::Confirm,
        };
        // It does not expire, so whoever holds a forwarded digest gets none.
        let feed_token = match scope {
            LinkScope::Account => self.tokens.issue(Scope::Feed, known.link_holder(), self.clock.now()),
            _ => String::new(),
        };
        Ok(GetSubscriptionResponse {
            subscription: Some(self.shown(&known.id).await?),
            scope: scope.into(),
            feed_token,
        })
    }

    /// Mails a link to an account. Whoever gives an address alone learns nothing of it, not even by the time it takes.
    pub(super) async fn mail_account_link(&self, request: RequestAccountLinkRequest) -> Result<(), Status> {
        match (request.token.as_str(), request.email.as_str()) {
            ("", "") => Err(status::invalid("email", "is missing; give it, or a token")),
            ("", email) => {
                let email = address(email)?;
                let this = self.clone();
                let sending = async move {
                    let known = this.subscriptions.by_email(&email).await.map_err(unavailable);
                    let sent = match known {
                        Ok(Some(known)) => this.send_account_link(&known).await,
                        Ok(None) => Ok(()),
                        Err(error) => Err(error),
                    };
                    if let Err(error) = sent {
                        warn!(code = ?error.code(), problem = error.message(), "a link to an account is not mailed");
                    }
                };
                drop(self.tasks.job("link to an account", sending));
                Ok(())
            }
            (token, "") => {
                let scopes = [Scope::Unsubscribe, Scope::Earlier, Scope::Preferences, Scope::Account];
                let claim = self.claim(&scopes, token)?;
                let known = match claim.scope {
                    // A revoked link may ask as well as anybody who knows the address.
                    Scope::Earlier => self.subscriptions.get(&claim.subscriber).await.map_err(unavailable)?,
                    _ => Some(self.holder(&claim).await?),
                };
                let known = known.ok_or_else(|| status::not_found("subscription", "of this link"))?;
                self.send_account_link(&known).await
            }
            (_, _) => Err(status::invalid("email", "is given beside `token`; give one of them")),
        }
    }

    /// Revokes all links but those that only unsubscribe; answers a token that replaces the one that was used.
    pub(super) async fn revoke(&self, token: &str) -> Result<String, Status> {
        let known = self.by_token(&[Scope::Account], token).await?;
        let revoked = self.subscriptions.revoke_links(&known.id).await.map_err(unavailable)?;
        let revoked = revoked.ok_or_else(|| status::not_found("subscription", "of this link"))?;
        Ok(self
            .tokens
            .issue(Scope::Account, revoked.link_holder(), self.clock.now()))
    }

    async fn send_account_link(&self, known: &Subscriber) -> Result<(), Status> {
        match known.state {
            SubscriberState::Pending => {
                let problem = "is not confirmed yet; confirm it with the link in the mail, or wait until it ends";
                return Err(Status::failed_precondition(format!("this subscription {problem}")));
            }
            SubscriberState::Suppressed => {
                let problem =
                    "this address gets no mail, because mail to it bounced or was reported as spam; ask the operator";
                return Err(Status::failed_precondition(problem));
            }
            SubscriberState::Active | SubscriberState::Paused | SubscriberState::Unsubscribed => {}
        }
        let email = address(&known.email).map_err(status::internal)?;
        if self
            .subscriptions
            .suppression(&email)
            .await
            .map_err(unavailable)?
            .is_some()
        {
            return Err(Status::failed_precondition(
                "this address gets no mail; ask the operator",
            ));
        }
        let bucket = TokenBucket {
            name: format!("account_links:{}", known.id),
            capacity: ACCOUNT_LINKS,
            filled_in: Duration::from_hours(24),
        };
        let wait = self.rate_limiter.take(&[bucket], self.clock.now()).await;
        if let Some(wait) = wait.map_err(unavailable)? {
            SUBSCRIBE_REQUESTS_LIMITED.inc();
            let problem = "enough links were mailed to this address today; use one of them, or try again later";
            return Err(status::exhausted(problem, wait));
        }
        self.digests.send_account_link(known).await.map_err(digest_failed)
    }
}

/// As much of a subscription as a link shows that only ends it.
pub fn only_state(known: &Subscriber) -> Subscription {
    Subscription {
        email: known.email.clone(),
        state: to_wire_state(known.state).into(),
        language: known.preferences.language.clone(),
        ..Subscription::default()
    }
}
