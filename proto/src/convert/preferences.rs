//! Preferences: conversions between wire and domain.

use domain::preferences::{Channels, MailFormat};
use domain::schedule::{Frequency, Schedule, ScheduleError};
use domain::{Exclusions, Interest, PaperId, Preferences, Violation, text};
use jiff::civil::Weekday;

use crate::subscriptions::v1 as wire;

impl From<&Preferences> for wire::Preferences {
    fn from(preferences: &Preferences) -> Self {
        Self {
            interests: preferences.interests.iter().map(Into::into).collect(),
            schedule: Some((&preferences.schedule).into()),
            paper_count: i32::try_from(preferences.paper_count).unwrap_or(i32::MAX),
            exclusions: to_wire_exclusions(&preferences.exclusions),
            trending_share: preferences.trending_share.into(),
            format: to_wire_format(preferences.format).into(),
            language: preferences.language.clone(),
            unwanted_paper_ids: Vec::new(),
            delivery_channel: to_wire_channels(preferences.channels).into(),
        }
    }
}

impl From<&Interest> for wire::Interest {
    fn from(interest: &Interest) -> Self {
        let ids = |papers: &[PaperId]| papers.iter().map(ToString::to_string).collect();
        Self {
            text: interest.words.clone(),
            like_paper_ids: ids(&interest.like),
            unlike_paper_ids: ids(&interest.unlike),
            categories: interest.categories.clone(),
            exclusions: to_wire_exclusions(&interest.exclusions),
            weight: ((interest.weight - 1.0).abs() > f32::EPSILON).then_some(interest.weight.into()),
        }
    }
}

impl From<&Schedule> for wire::Schedule {
    fn from(schedule: &Schedule) -> Self {
        let (frequency, weekday) = match schedule.frequency() {
            Frequency::Daily => (wire::Frequency::Daily, wire::Weekday::Unspecified),
            Frequency::Weekdays => (wire::Frequency::Weekdays, wire::Weekday::Unspecified),
            Frequency::Weekly(day) => (wire::Frequency::Weekly, to_wire_weekday(day)),
        };
        Self {
            time: schedule.time(),
            time_zone: schedule.zone().to_owned(),
            frequency: frequency.into(),
            weekday: weekday.into(),
        }
    }
}

/// Converts preferences whose schedule, number of papers and language are set. Returns every violation, each with its field.
pub fn preferences(wire: &wire::Preferences) -> Result<Preferences, Vec<Violation>> {
    let mut found = Vec::new();
    let interests: Vec<Interest> = (wire.interests.iter().enumerate())
        .map(|(index, interest)| self::interest(&format!("interests[{index}]"), interest, &mut found))
        .collect();
    let exclusions = exclusions(wire.exclusions.as_ref());
    let paper_count = usize::try_from(wire.paper_count).unwrap_or(0);
    found.extend(delivery_violations(wire));
    let schedule = match schedule(&wire.schedule.clone().unwrap_or_default()) {
        Ok(schedule) => schedule,
        Err(problem) => {
            found.push(problem);
            return Err(found);
        }
    };
    let preferences = Preferences {
        interests,
        exclusions,
        trending_share: narrow(wire.trending_share),
        paper_count,
        schedule,
        format: match wire.format() {
            wire::Format::Text => MailFormat::Text,
            wire::Format::Html | wire::Format::Unspecified => MailFormat::Html,
        },
        language: wire.language.clone(),
        channels: match wire.delivery_channel() {
            wire::DeliveryChannel::Webhook => Channels::Webhook,
            wire::DeliveryChannel::MailAndWebhook => Channels::Both,
            wire::DeliveryChannel::Mail | wire::DeliveryChannel::Unspecified => Channels::Mail,
        },
    };
    found.extend(preferences.violations());
    if found.is_empty() { Ok(preferences) } else { Err(found) }
}

/// Violations of format, language and delivery channel.
fn delivery_violations(wire: &wire::Preferences) -> Vec<Violation> {
    let mut found = Vec::new();
    if wire.format() == wire::Format::Unspecified && wire.format != 0 {
        found.push(violation(
            "format",
            format!("is {}; allowed are HTML and TEXT", wire.format),
        ));
    }
    if wire.delivery_channel() == wire::DeliveryChannel::Unspecified && wire.delivery_channel != 0 {
        let problem = format!(
            "is {}; allowed are MAIL, WEBHOOK and MAIL_AND_WEBHOOK",
            wire.delivery_channel
        );
        found.push(violation("delivery_channel", problem));
    }
    if !is_language(&wire.language) {
        let shown = text::shorten(&wire.language);
        found.push(violation(
            "language",
            format!("is {shown:?}; it must be a tag such as en or pt-BR"),
        ));
    }
    found
}

/// Converts paper ids; invalid ones are reported with their index in the field.
pub fn paper_ids(field: &str, ids: &[String], found: &mut Vec<Violation>) -> Vec<PaperId> {
    let mut papers = Vec::with_capacity(ids.len());
    for (index, id) in ids.iter().enumerate() {
        match PaperId::parse(id) {
            Ok(id) => papers.push(id),
            Err(error) => found.push(violation(&format!("{field}[{index}]"), error.to_string())),
        }
    }
    papers
}

fn interest(field: &str, wire: &wire::Interest, found: &mut Vec<Violation>) -> Interest {
    Interest {
        words: text::one_line(&wire.text),
        like: paper_ids(&format!("{field}.like_paper_ids"), &wire.like_paper_ids, found),
        unlike: paper_ids(&format!("{field}.unlike_paper_ids"), &wire.unlike_paper_ids, found),
        categories: trimmed(&wire.categories),
        exclusions: exclusions(wire.exclusions.as_ref()),
        weight: wire.weight.map_or(1.0, narrow),
    }
}

fn schedule(wire: &wire::Schedule) -> Result<Schedule, Violation> {
    let schedule = Schedule::parse(&wire.time, &wire.time_zone).map_err(|error| match error {
        ScheduleError::Time(_) => violation("schedule.time", error.to_string()),
        ScheduleError::Zone(_) => violation("schedule.time_zone", error.to_string()),
    })?;
    let frequency = match wire.frequency() {
        wire::Frequency::Unspecified if wire.frequency != 0 => {
            let problem = format!("is {}; allowed are DAILY, WEEKDAYS and WEEKLY", wire.frequency);
            return Err(violation("schedule.frequency", problem));
        }
        wire::Frequency::Unspecified | wire::Frequency::Daily => Frequency::Daily,
        wire::Frequency::Weekdays => Frequency::Weekdays,
        wire::Frequency::Weekly => return Ok(schedule.on(Frequency::Weekly(weekday(wire)?))),
    };
    if wire.weekday != 0 {
        let problem = "is given, but only a weekly digest has a day of its own".to_owned();
        return Err(violation("schedule.weekday", problem));
    }
    Ok(schedule.on(frequency))
}

fn weekday(wire: &wire::Schedule) -> Result<Weekday, Violation> {
    if wire.weekday == 0 {
        return Ok(Weekday::Monday);
    }
    i8::try_from(wire.weekday)
        .ok()
        .and_then(|day| Weekday::from_monday_one_offset(day).ok())
        .ok_or_else(|| {
            let problem = format!("is {}; allowed are MONDAY (1) to SUNDAY (7)", wire.weekday);
            violation("schedule.weekday", problem)
        })
}

fn to_wire_weekday(day: Weekday) -> wire::Weekday {
    wire::Weekday::try_from(i32::from(day.to_monday_one_offset())).unwrap_or_default()
}

fn to_wire_format(format: MailFormat) -> wire::Format {
    match format {
        MailFormat::Html => wire::Format::Html,
        MailFormat::Text => wire::Format::Text,
    }
}

/// Mail, the default, is left unspecified, which takes no space in stored preferences.
fn to_wire_channels(channels: Channels) -> wire::DeliveryChannel {
    match channels {
        Channels::Mail => wire::DeliveryChannel::Unspecified,
        Channels::Webhook => wire::DeliveryChannel::Webhook,
        Channels::Both => wire::DeliveryChannel::MailAndWebhook,
    }
}

fn exclusions(wire: Option<&wire::Exclusions>) -> Exclusions {
    let Some(wire) = wire else {
        return Exclusions::default();
    };
    Exclusions {
        words: trimmed(&wire.words),
        authors: trimmed(&wire.authors),
        categories: trimmed(&wire.categories),
    }
}

fn to_wire_exclusions(exclusions: &Exclusions) -> Option<wire::Exclusions> {
    (!exclusions.is_empty()).then(|| wire::Exclusions {
        words: exclusions.words.clone(),
        authors: exclusions.authors.clone(),
        categories: exclusions.categories.clone(),
    })
}

fn trimmed(entries: &[String]) -> Vec<String> {
    entries.iter().map(|entry| text::one_line(entry)).collect()
}

/// Letters, digits and hyphens, as BCP 47 has them.
fn is_language(tag: &str) -> bool {
    let part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    tag.len() <= 35 && tag.split('-').all(part)
}

#[expect(clippy::cast_possible_truncation, reason = "shares and weights need no more")]
fn narrow(value: f64) -> f32 {
    value as f32
}

fn violation(field: &str, description: String) -> Violation {
    Violation {
        field: field.to_owned(),
        description,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_are_read_back_as_they_were_written() {
        let schedule = Schedule::parse("07:30", "Europe/Berlin").expect("a schedule");
        let mut wanted = Preferences::plain(schedule.on(Frequency::Weekly(Weekday::Sunday)), 7);
        let mut interest = Interest::in_words("sleepy consensus");
        interest.like = vec![PaperId::parse("x:a").expect("an id")];
        interest.unlike = vec![PaperId::parse("x:b").expect("an id")];
        interest.categories = vec!["cs".to_owned()];
        interest.exclusions.authors = vec!["Ada".to_owned()];
        interest.weight = 0.3;
        wanted.interests = vec![interest];
        wanted.exclusions.words = vec!["blockchain".to_owned()];
        wanted.trending_share = 0.7;
        wanted.format = MailFormat::Text;
        wanted.language = "pt-BR".to_owned();
        wanted.channels = Channels::Both;
        let read = preferences(&wire::Preferences::from(&wanted));
        assert_eq!(read, Ok(wanted));
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let wrong = wire::Preferences {
            interests: vec![wire::Interest {
                like_paper_ids: vec!["no id".to_owned()],
                weight: Some(99.0),
                ..wire::Interest::default()
            }],
            schedule: Some(wire::Schedule {
                time: "07:00".to_owned(),
                time_zone: "UTC".to_owned(),
                ..wire::Schedule::default()
            }),
            trending_share: 2.0,
            format: 9,
            language: "not a tag".to_owned(),
            delivery_channel: 9,
            ..wire::Preferences::default()
        };
        let found = preferences(&wrong).expect_err("mistakes");
        let fields: Vec<&str> = found.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "interests[0].like_paper_ids[0]",
                "format",
                "delivery_channel",
                "language",
                "interests[0].text",
                "interests[0].weight",
                "trending_share",
                "paper_count",
            ]
        );
    }

    #[test]
    fn only_a_weekly_digest_has_a_day() {
        let on = |frequency: i32, weekday: i32| {
            let wire = wire::Schedule {
                time: "07:00".to_owned(),
                time_zone: "UTC".to_owned(),
                frequency,
                weekday,
            };
            schedule(&wire)
                .map(|schedule| schedule.frequency())
                .map_err(|one| one.field)
        };
        assert_eq!(on(0, 0), Ok(Frequency::Daily));
        assert_eq!(on(2, 0), Ok(Frequency::Weekdays));
        assert_eq!(on(3, 0), Ok(Frequency::Weekly(Weekday::Monday)));
        assert_eq!(on(3, 7), Ok(Frequency::Weekly(Weekday::Sunday)));
        assert_eq!(on(3, 8), Err("schedule.weekday".to_owned()));
        assert_eq!(on(1, 2), Err("schedule.weekday".to_owned()));
        assert_eq!(on(4, 0), Err("schedule.frequency".to_owned()));
    }
}
