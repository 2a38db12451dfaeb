//! Preferences changed field by field, as a mask names them.

use common::status;
use domain::preferences::Channels;
use domain::{Preferences, Violation};
use proto::subscriptions::v1::{Preferences as WirePreferences, Schedule, Subscription};
use tonic::Status;

use super::Notification;
use crate::subscribers::Subscriber;

/// Everything that can be changed.
const PATHS: [&str; 12] = [
    "interests",
    "schedule",
    "schedule.time",
    "schedule.time_zone",
    "schedule.frequency",
    "schedule.weekday",
    "paper_count",
    "exclusions",
    "trending_share",
    "format",
    "language",
    "delivery_channel",
];

/// Refuses masks that name nothing, or something that cannot be changed.
pub fn check_mask(paths: &[String]) -> Result<(), Status> {
    let allowed = || PATHS.join(", ");
    if paths.is_empty() {
        let problem = format!("is empty; name what to change: {}", allowed());
        return Err(status::invalid("update_mask", problem));
    }
    let unknown = paths.iter().find(|path| !PATHS.contains(&path.as_str()));
    match unknown {
        Some(path) => {
            let shown = domain::text::shorten(path);
            let problem = format!("names {shown:?}, which cannot be changed; allowed are {}", allowed());
            Err(status::invalid("update_mask", problem))
        }
        None => Ok(()),
    }
}

impl Notification {
    /// Preferences of a subscriber with the named fields of a subscription instead.
    pub(super) fn updated(
        &self,
        known: &Subscriber,
        given: &Subscription,
        paths: &[String],
    ) -> Result<Preferences, Vec<Violation>> {
        let mut wire = WirePreferences::from(&known.preferences);
        for path in paths {
            set(&mut wire, given, path);
        }
        // A day belongs to a weekly digest alone; who turns to another frequency need not take it away.
        let schedule = wire.schedule.get_or_insert_default();
        let named = |path: &str| paths.iter().any(|one| one == path);
        if named("schedule.frequency") && !named("schedule.weekday") && !named("schedule") {
            let weekly = schedule.frequency() == proto::subscriptions::v1::Frequency::Weekly;
            schedule.weekday = if weekly { schedule.weekday } else { 0 };
        }
        let read = self.read(wire)?;
        if read.channels != Channels::Mail && known.webhook.is_none() {
            let description = "names the webhook, but there is none; set one with SetWebhook".to_owned();
            return Err(vec![Violation {
                field: "delivery_channel".to_owned(),
                description,
            }]);
        }
        Ok(read)
    }
}

fn set(wire: &mut WirePreferences, given: &Subscription, path: &str) {
    let schedule = given.schedule.clone().unwrap_or_default();
    let kept = wire.schedule.get_or_insert_with(Schedule::default);
    match path {
        "interests" => wire.interests.clone_from(&given.interests),
        "schedule" => *kept = schedule,
        "schedule.time" => kept.time = schedule.time,
        "schedule.time_zone" => kept.time_zone = schedule.time_zone,
        "schedule.frequency" => kept.frequency = schedule.frequency,
        "schedule.weekday" => kept.weekday = schedule.weekday,
        "paper_count" => wire.paper_count = given.paper_count,
        "exclusions" => wire.exclusions.clone_from(&given.exclusions),
        "trending_share" => {
            wire.trending_share = given
                .trending_share
                .unwrap_or(domain::preferences::TRENDING_SHARE.into());
        }
        "format" => wire.format = given.format,
        "language" => wire.language.clone_from(&given.language),
        "delivery_channel" => wire.delivery_channel = given.delivery_channel,
        _ => {}
    }
}
