//! Subscriptions, schedules and times in plain words.

use domain::schedule::{Frequency as Days, Schedule as Slots};
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use prost_types::Timestamp as WireTime;
use proto::convert::from_wire_time;
use proto::subscriptions::v1::{Exclusions, Format, Frequency, Interest, Preferences, Schedule, Subscription};
use serde::Serialize;

use super::choices::{SHARES, WEEKDAYS};

/// What a subscription sends, and when.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubscriptionSummary {
    /// Each interest in a few words; without any, digests hold trending and new papers.
    pub interests: Vec<String>,
    /// What is excluded.
    pub without: Vec<String>,
    /// The share of trending papers.
    pub share: String,
    /// Most papers in a digest.
    pub paper_count: i32,
    /// On which days.
    pub days: String,
    /// Local time of day.
    pub time: String,
    /// Time zone, in words.
    pub zone: String,
    /// Format of the mail.
    pub format: &'static str,
}

impl SubscriptionSummary {
    /// Of preferences.
    pub fn new(preferences: &Preferences) -> Self {
        let schedule = preferences.schedule.clone().unwrap_or_default();
        Self {
            interests: preferences.interests.iter().map(interest).collect(),
            without: without(preferences.exclusions.as_ref()),
            share: share(preferences.trending_share),
            paper_count: preferences.paper_count,
            days: days(&schedule),
            zone: zone(&schedule.time_zone),
            time: schedule.time,
            format: if preferences.format() == Format::Text {
                "plain text"
            } else {
                "HTML"
            },
        }
    }
}

/// When a schedule would send the next digest, in words; empty if the schedule is not valid.
pub fn next_slot(schedule: &Schedule, now: Timestamp) -> String {
    let slots = Slots::parse(&schedule.time, &schedule.time_zone).map(|slots| slots.on(frequency(schedule)));
    slots.map_or_else(
        |_| String::new(),
        |slots| local_time(slots.next_slot(now), &schedule.time_zone),
    )
}

/// When the next digest of a subscription is due, in words; empty if none is.
pub fn next_digest(subscription: &Subscription) -> String {
    local(subscription.next_due_time, &zone_of(subscription))
}

/// When a pause ends, in words; empty if it has no end.
pub fn pause_end(subscription: &Subscription) -> String {
    let end = subscription
        .paused_until_time
        .and_then(|time| zoned(time, &zone_of(subscription)));
    end.map(|end| end.strftime("%A, %-d %B %Y").to_string())
        .unwrap_or_default()
}

/// The day of a slot, in words.
pub fn day(time: Option<WireTime>, zone: &str) -> String {
    let day = time.and_then(|time| zoned(time, zone));
    day.map(|day| day.strftime("%A, %-d %B %Y").to_string())
        .unwrap_or_default()
}

/// A moment, in words; empty if there is none.
pub fn moment(time: Option<WireTime>, zone: &str) -> String {
    local(time, zone)
}

/// The IANA name of a subscription's zone.
pub fn zone_of(subscription: &Subscription) -> String {
    subscription
        .schedule
        .as_ref()
        .map(|schedule| schedule.time_zone.clone())
        .unwrap_or_default()
}

fn local(time: Option<WireTime>, zone: &str) -> String {
    let at = time.and_then(|time| from_wire_time("time", time).ok());
    at.map(|at| local_time(at, zone)).unwrap_or_default()
}

fn zoned(time: WireTime, zone: &str) -> Option<ZonedDateTime> {
    let at = from_wire_time("time", time).ok()?;
    Some(at.to_zoned_datetime(TimeZone::get(zone).unwrap_or(TimeZone::UTC)))
}

fn local_time(at: Timestamp, zone: &str) -> String {
    let local = at.to_zoned_datetime(TimeZone::get(zone).unwrap_or(TimeZone::UTC));
    format!("{} ({})", local.strftime("%A, %-d %B, at %H:%M"), self::zone(zone))
}

fn zone(name: &str) -> String {
    let place = name.rsplit('/').next().unwrap_or(name);
    if name.contains('/') {
        format!("{} time", place.replace('_', " "))
    } else {
        name.to_owned()
    }
}

fn frequency(schedule: &Schedule) -> Days {
    let day = i8::try_from(schedule.weekday).ok();
    let day = day.and_then(|day| Weekday::from_monday_one_offset(day).ok());
    match schedule.frequency() {
        Frequency::Daily | Frequency::Unspecified => Days::Daily,
        Frequency::Weekdays => Days::Weekdays,
        Frequency::Weekly => Days::Weekly(day.unwrap_or(Weekday::Monday)),
    }
}

fn days(schedule: &Schedule) -> String {
    match schedule.frequency() {
        Frequency::Weekdays => "from Monday to Friday".to_owned(),
        Frequency::Weekly => {
            let day = usize::try_from(schedule.weekday - 1)
                .ok()
                .and_then(|day| WEEKDAYS.get(day));
            format!("every {}", day.map_or("Monday", |(_, name)| name))
        }
        Frequency::Daily | Frequency::Unspecified => "every day".to_owned(),
    }
}

fn share(share: f64) -> String {
    let known = SHARES.iter().find(|(value, _)| {
        let value: f64 = value.parse().unwrap_or(f64::NAN);
        (value - share).abs() < 0.000_5
    });
    known.map_or_else(
        || format!("{:.0}% trending papers", share * 100.0),
        |(_, label)| (*label).to_owned(),
    )
}

fn interest(interest: &Interest) -> String {
    let words = match (interest.text.as_str(), interest.like_paper_ids.as_slice()) {
        ("", [only]) => format!("papers like {only}"),
        ("", [first, rest @ ..]) => format!("papers like {first} and {} more", rest.len()),
        (text, _) => text.to_owned(),
    };
    if interest.categories.is_empty() {
        words
    } else {
        format!("{words} (in {})", interest.categories.join(", "))
    }
}

fn without(exclusions: Option<&Exclusions>) -> Vec<String> {
    let Some(exclusions) = exclusions else {
        return Vec::new();
    };
    let words = exclusions.words.iter().map(|word| format!("“{word}”"));
    let authors = exclusions.authors.iter().map(|name| format!("papers by {name}"));
    words
        .chain(authors)
        .chain(exclusions.categories.iter().cloned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(time: &str, time_zone: &str, frequency: Frequency, weekday: i32) -> Schedule {
        Schedule {
            time: time.to_owned(),
            time_zone: time_zone.to_owned(),
            frequency: frequency.into(),
            weekday,
        }
    }

    #[test]
    fn the_next_digest_is_given_in_local_time() {
        let friday: Timestamp = "2026-11-27T12:00:00Z".parse().expect("a timestamp");
        let weekdays = schedule("07:30", "America/New_York", Frequency::Weekdays, 0);
        assert_eq!(
            next_slot(&weekdays, friday),
            "Friday, 27 November, at 07:30 (New York time)"
        );
        let weekly = schedule("06:00", "UTC", Frequency::Weekly, 7);
        assert_eq!(next_slot(&weekly, friday), "Sunday, 29 November, at 06:00 (UTC)");
        assert_eq!(next_slot(&schedule("25:00", "UTC", Frequency::Daily, 0), friday), "");
    }

    #[test]
    fn a_summary_is_complete() {
        let parsed = Preferences {
            interests: vec![
                Interest {
                    text: "lakes".to_owned(),
                    categories: vec!["physics".to_owned()],
                    ..Interest::default()
                },
                Interest {
                    like_paper_ids: vec!["x:a".to_owned(), "x:b".to_owned()],
                    ..Interest::default()
                },
            ],
            exclusions: Some(Exclusions {
                words: vec!["blockchain".to_owned()],
                authors: vec!["Ada".to_owned()],
                categories: vec!["cs.CR".to_owned()],
            }),
            schedule: Some(schedule("07:00", "Europe/Berlin", Frequency::Weekly, 0)),
            trending_share: 0.35,
            paper_count: 7,
            format: Format::Text.into(),
            ..Preferences::default()
        };
        let summary = SubscriptionSummary::new(&parsed);
        assert_eq!(summary.interests, ["lakes (in physics)", "papers like x:a and 1 more"]);
        assert_eq!(summary.without, ["“blockchain”", "papers by Ada", "cs.CR"]);
        assert_eq!(
            (summary.share.as_str(), summary.days.as_str(), summary.zone.as_str()),
            ("35% trending papers", "every Monday", "Berlin time")
        );
        assert_eq!(share(0.200_000_003), SHARES[1].1);
    }
}
