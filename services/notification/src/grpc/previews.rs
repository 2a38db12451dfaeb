//! Editions to look at: of a subscriber, of preferences that nobody has saved, and of a subscriber with such preferences.
//!
//! Nothing is sent or recorded, and what is asked for is held to the same rules as what is subscribed to.

use common::status;
use domain::{Preferences, Violation};
use jiff::Timestamp;
use proto::delivery::v1::{PreviewEditionRequest, PreviewEditionResponse, PreviewPreferences};
use proto::subscriptions::v1::{Interest, Preferences as WirePreferences};
use tonic::Status;

use super::deliveries::to_wire;
use super::{Notification, edition_failed, refused};
use crate::editions::{Edition, Emptiness};
use crate::subscribers::Subscriber;
use crate::tokens::Scope;

impl Notification {
    pub(super) async fn previewed(&self, request: PreviewEditionRequest) -> Result<PreviewEditionResponse, Status> {
        let PreviewEditionRequest {
            email,
            preferences,
            token,
        } = request;
        let now = Timestamp::now();
        let (email, edition) = match (email.as_str(), token.as_str(), preferences) {
            ("", "", Some(wishes)) => {
                let edition = self.editions.sample(self.unsaved(wishes).await?, now).await;
                (String::new(), edition.map_err(edition_failed)?)
            }
            ("", _, Some(wishes)) => {
                let known = self.by_token(&[Scope::Manage], &token).await?;
                let wanted = self.unsaved(wishes).await?;
                let edition = self.editions.sample_for(&known, wanted, now).await;
                (known.email, edition.map_err(edition_failed)?)
            }
            (_, "", None) => self.standing(self.by_email(&email).await?, now).await?,
            ("", _, None) => {
                let known = self.by_token(&[Scope::Manage], &token).await?;
                self.standing(known, now).await?
            }
            (_, _, preferences) => {
                let field = if preferences.is_some() { "preferences" } else { "token" };
                let problem = "is given beside `email`; a preview is of a subscriber or of preferences";
                return Err(status::invalid(field, problem));
            }
        };
        Ok(PreviewEditionResponse {
            empty_detail: edition.emptiness.map(Emptiness::detail).unwrap_or_default().to_owned(),
            edition: Some(to_wire(email, edition)),
        })
    }

    /// The edition of a subscriber as the subscription is.
    async fn standing(&self, subscriber: Subscriber, now: Timestamp) -> Result<(String, Edition), Status> {
        let edition = self.editions.preview(&subscriber.id, now).await;
        let edition = edition.map_err(edition_failed)?;
        let edition = edition.ok_or_else(|| status::not_found("subscriber", &subscriber.email))?;
        Ok((subscriber.email, edition))
    }

    /// What somebody thinks of asking for.
    async fn unsaved(&self, wishes: PreviewPreferences) -> Result<Preferences, Status> {
        let in_words = wishes.interests.len();
        let mut interests: Vec<Interest> = wishes.interests.into_iter().map(worded).collect();
        interests.extend(wishes.full_interests);
        let wire = WirePreferences {
            interests,
            schedule: wishes.schedule,
            paper_count: wishes.paper_count,
            exclusions: wishes.exclusions,
            trending_share: wishes
                .trending_share
                .unwrap_or(domain::preferences::TRENDING_SHARE.into()),
            format: wishes.format,
            language: wishes.language,
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
