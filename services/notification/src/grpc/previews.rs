//! Digests to look at: of a subscriber, of preferences that nobody has saved, and of a subscriber with such preferences.
//!
//! Nothing is sent or recorded, and what is asked for is held to the same rules as what is subscribed to.

use common::status;
use domain::{Preferences, Violation};
use proto::delivery::v1::{PreviewDigestRequest, PreviewDigestResponse, PreviewPreferences};
use proto::subscriptions::v1::{Interest, Preferences as WirePreferences};
use tonic::Status;

use super::deliveries::to_wire;
use super::{Notification, digest_failed, refused};
use crate::digests::{Digest, EmptyReason};
use crate::subscribers::Subscriber;
use crate::tokens::MANAGING;

impl Notification {
    pub(super) async fn previewed(&self, request: PreviewDigestRequest) -> Result<PreviewDigestResponse, Status> {
        let PreviewDigestRequest {
            email,
            preferences,
            token,
        } = request;
        let (email, digest) = match (email.as_str(), token.as_str(), preferences) {
            ("", "", Some(preferences)) => {
                let digest = self.digests.sample(None, self.unsaved(preferences).await?).await;
                (String::new(), digest.map_err(digest_failed)?)
            }
            ("", _, Some(preferences)) => {
                let known = self.by_token(&MANAGING, &token).await?;
                let wanted = self.unsaved(preferences).await?;
                let digest = self.digests.sample(Some(&known), wanted).await;
                (known.email, digest.map_err(digest_failed)?)
            }
            (_, "", None) => self.current(self.by_email(&email).await?).await?,
            ("", _, None) => {
                let known = self.by_token(&MANAGING, &token).await?;
                self.current(known).await?
            }
            (_, _, preferences) => {
                let field = if preferences.is_some() { "preferences" } else { "token" };
                let problem = "is given beside `email`; a preview is of a subscriber or of preferences";
                return Err(status::invalid(field, problem));
            }
        };
        Ok(PreviewDigestResponse {
            empty_detail: digest.emptiness.map(EmptyReason::detail).unwrap_or_default().to_owned(),
            digest: Some(to_wire(email, digest)),
        })
    }

    /// The digest of a subscriber as the subscription is.
    async fn current(&self, subscriber: Subscriber) -> Result<(String, Digest), Status> {
        let digest = self.digests.preview(&subscriber.id).await;
        let digest = digest.map_err(digest_failed)?;
        let digest = digest.ok_or_else(|| status::not_found("subscriber", &subscriber.email))?;
        Ok((subscriber.email, digest))
    }

    /// What somebody thinks of asking for.
    async fn unsaved(&self, preferences: PreviewPreferences) -> Result<Preferences, Status> {
        let in_words = preferences.interests.len();
        let mut interests: Vec<Interest> = preferences.interests.into_iter().map(worded).collect();
        interests.extend(preferences.full_interests);
        let wire = WirePreferences {
            interests,
            schedule: preferences.schedule,
            paper_count: preferences.paper_count,
            exclusions: preferences.exclusions,
            trending_share: preferences
                .trending_share
                .unwrap_or(domain::preferences::TRENDING_SHARE.into()),
            format: preferences.format,
            language: preferences.language,
            ..WirePreferences::default()
        };
        let named = |found: Vec<Violation>| refused(found.into_iter().map(|one| placed(one, in_words)).collect());
        let wanted = self.read(wire).map_err(named)?;
        let unknown = self.unknown_examples(&wanted).await?;
        if unknown.is_empty() {
            Ok(wanted)
        } else {
            Err(named(unknown))
        }
    }
}

fn worded(text: String) -> Interest {
    Interest {
        text,
        ..Interest::default()
    }
}

/// The field of a request that a violation is about: interests in words come first, and those with more after them.
fn placed(wrong: Violation, in_words: usize) -> Violation {
    let index = wrong.field.strip_prefix("interests[").and_then(|rest| {
        let (index, rest) = rest.split_once(']')?;
        Some((index.parse::<usize>().ok()?, rest))
    });
    let field = match index {
        Some((index, rest)) if index >= in_words => format!("full_interests[{}]{rest}", index - in_words),
        _ => wrong.field,
    };
    Violation {
        field: format!("preferences.{field}"),
        description: wrong.description,
    }
}

#[cfg(test)]
mod tests;
