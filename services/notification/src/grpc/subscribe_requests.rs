//! What somebody wants, from a request: defaults filled in, everything that is not allowed answered at once.

use common::status;
use domain::preferences::Channels;
use domain::{PaperId, Preferences, Violation};
use proto::convert;
use proto::subscriptions::v1::{DeliveryChannel, Preferences as WirePreferences, Schedule, SubscribeRequest};
use tonic::Status;

use super::{Notification, refused};
use crate::subscribers::OptIn;

impl Notification {
    /// The preferences of a request to subscribe.
    pub(super) fn requested_preferences(&self, request: &SubscribeRequest) -> Result<Preferences, Vec<Violation>> {
        let plain = self.plain();
        let wire = WirePreferences {
            interests: request.interests.clone(),
            schedule: Some(request.schedule.clone().unwrap_or_default()),
            paper_count: request.paper_count,
            exclusions: request.exclusions.clone(),
            trending_share: request.trending_share.unwrap_or(plain.trending_share),
            format: request.format,
            language: request.language.clone(),
            unwanted_paper_ids: Vec::new(),
            delivery_channel: match request.delivery_channel() {
                DeliveryChannel::Unspecified if request.delivery_channel == 0 && !request.webhook_url.is_empty() => {
                    DeliveryChannel::Webhook.into()
                }
                _ => request.delivery_channel,
            },
        };
        self.read(wire)
    }

    /// The webhook of a request to subscribe, which consent must be on record for; none where there is none.
    pub(super) fn requested_webhook(
        &self,
        request: &SubscribeRequest,
        preferences: &Preferences,
        opt_in: OptIn,
    ) -> Result<Option<String>, Violation> {
        let wrong = |field: &str, description: &str| Violation {
            field: field.to_owned(),
            description: description.to_owned(),
        };
        if request.webhook_url.is_empty() {
            return match preferences.channels {
                Channels::Mail => Ok(None),
                Channels::Webhook | Channels::Both => Err(wrong(
                    "delivery_channel",
                    "names the webhook, but there is no webhook_url",
                )),
            };
        }
        if opt_in == OptIn::DoubleOptIn {
            let problem =
                "is given, but a webhook is set by its reader, with the link of a mail, or with consent on record";
            return Err(wrong("webhook_url", problem));
        }
        let url = self.webhook_url(&request.webhook_url);
        url.map(Some).map_err(|problem| wrong("webhook_url", &problem))
    }

    /// Preferences of which some may be left to the defaults.
    pub(super) fn read(&self, mut wire: WirePreferences) -> Result<Preferences, Vec<Violation>> {
        let plain = self.plain();
        let schedule = wire.schedule.get_or_insert_with(Schedule::default);
        if schedule.time.is_empty() {
            schedule.time.clone_from(&self.defaults.time);
        }
        if schedule.time_zone.is_empty() {
            schedule.time_zone.clone_from(&self.defaults.time_zone);
        }
        if wire.paper_count == 0 {
            wire.paper_count = plain.paper_count;
        }
        if wire.language.is_empty() {
            wire.language = plain.language;
        }
        convert::preferences::preferences(&wire)
    }

    /// Refuses example papers that nobody knows, naming them.
    pub(super) async fn check_examples(&self, preferences: &Preferences) -> Result<(), Status> {
        let wrong = self.unknown_examples(preferences).await?;
        if wrong.is_empty() { Ok(()) } else { Err(refused(wrong)) }
    }

    /// Example papers that nobody knows, each with its place.
    pub(super) async fn unknown_examples(&self, preferences: &Preferences) -> Result<Vec<Violation>, Status> {
        let examples = || {
            let all = preferences.interests.iter().enumerate();
            all.flat_map(|(index, interest)| {
                let named =
                    move |list: &'static str| move |(place, id)| (format!("interests[{index}].{list}[{place}]"), id);
                let like = interest.like.iter().enumerate().map(named("like_paper_ids"));
                like.chain(interest.unlike.iter().enumerate().map(named("unlike_paper_ids")))
            })
        };
        let ids: Vec<PaperId> = examples().map(|(_, id): (String, &PaperId)| id.clone()).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let unknown = self
            .interests
            .unknown_examples(&ids)
            .await
            .map_err(status::unavailable)?;
        let hint = if self.interests.has_catalogue() {
            "which is not known; take the id of a paper that a search finds"
        } else {
            "which is not among the recent papers, and this service is told of no others (notification.indexing_url)"
        };
        let wrong = examples().filter(|(_, id)| unknown.contains(*id));
        let wrong = wrong.map(|(field, id)| Violation {
            field,
            description: format!("is {id}, {hint}"),
        });
        Ok(wrong.collect())
    }

    fn plain(&self) -> WirePreferences {
        WirePreferences {
            paper_count: i32::try_from(self.defaults.paper_count).unwrap_or(i32::MAX),
            trending_share: domain::preferences::TRENDING_SHARE.into(),
            language: domain::preferences::LANGUAGE.to_owned(),
            ..WirePreferences::default()
        }
    }
}
