//! The content of the form fields exactly as typed, so that nothing is lost when something is wrong with it.

use std::collections::BTreeMap;

use domain::preferences::{LANGUAGE, TRENDING_SHARE};
use proto::subscriptions::v1::{Exclusions, Format, Frequency, Interest, Preferences, Subscription};
use serde::Serialize;

use super::choices::WEEKDAYS;
use super::form_body::PostedForm;

/// Most saved interests in a form.
const MAX_INTERESTS: usize = 100;

/// The fields of a form.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FormState {
    /// E-mail address.
    pub email: String,
    /// New interests, one per line.
    pub interests: String,
    /// Example papers.
    pub like: String,
    /// Categories that the new interests and examples are limited to.
    pub categories: String,
    /// Excluded words.
    pub excluded_words: String,
    /// Excluded authors, one per line.
    pub excluded_authors: String,
    /// Excluded categories.
    pub excluded_categories: String,
    /// From 0 to 1.
    pub trending_share: String,
    /// Most papers in a digest.
    pub paper_count: String,
    /// A value of [`super::choices::FREQUENCIES`].
    pub frequency: String,
    /// A value of [`WEEKDAYS`].
    pub weekday: String,
    /// `HH:MM`.
    pub time: String,
    /// IANA name.
    pub time_zone: String,
    /// A value of [`super::choices::FORMATS`].
    pub format: String,
    /// BCP 47 tag.
    pub language: String,
    /// Saved interests.
    pub saved_interests: Vec<InterestFields>,
}

/// The fields of a saved interest.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct InterestFields {
    /// Its words.
    pub words: String,
    /// Papers like this interest.
    pub like: String,
    /// Papers unlike this interest.
    pub unlike: String,
    /// Categories it is limited to.
    pub categories: String,
    /// Words it excludes.
    pub excluded_words: String,
    /// Authors it excludes, one per line.
    pub excluded_authors: String,
    /// Categories it excludes.
    pub excluded_categories: String,
    /// Its weight.
    pub weight: String,
    /// Not empty if it is to be removed.
    pub remove: String,
}

impl Default for FormState {
    fn default() -> Self {
        Self {
            email: String::new(),
            interests: String::new(),
            like: String::new(),
            categories: String::new(),
            excluded_words: String::new(),
            excluded_authors: String::new(),
            excluded_categories: String::new(),
            trending_share: short_number(TRENDING_SHARE.into()),
            paper_count: "10".to_owned(),
            frequency: "daily".to_owned(),
            weekday: "monday".to_owned(),
            time: "07:00".to_owned(),
            time_zone: "UTC".to_owned(),
            format: "html".to_owned(),
            language: LANGUAGE.to_owned(),
            saved_interests: Vec::new(),
        }
    }
}

impl FormState {
    /// The form for saved preferences.
    pub fn from_preferences(saved: &Preferences) -> Self {
        let schedule = saved.schedule.clone().unwrap_or_default();
        let exclusions = saved.exclusions.clone().unwrap_or_default();
        let day = usize::try_from(schedule.weekday - 1)
            .ok()
            .and_then(|day| WEEKDAYS.get(day));
        let frequency = match schedule.frequency() {
            Frequency::Weekdays => "weekdays",
            Frequency::Weekly => "weekly",
            Frequency::Daily | Frequency::Unspecified => "daily",
        };
        Self {
            excluded_words: exclusions.words.join("\n"),
            excluded_authors: exclusions.authors.join("\n"),
            excluded_categories: exclusions.categories.join(" "),
            trending_share: short_number(saved.trending_share),
            paper_count: saved.paper_count.to_string(),
            frequency: frequency.to_owned(),
            weekday: day.map_or("monday", |(value, _)| value).to_owned(),
            time: schedule.time,
            time_zone: schedule.time_zone,
            format: if saved.format() == Format::Text { "text" } else { "html" }.to_owned(),
            language: saved.language.clone(),
            saved_interests: saved.interests.iter().map(InterestFields::new).collect(),
            ..Self::default()
        }
    }

    /// Replaces the fields that were posted; the others stay.
    #[must_use]
    pub fn with(mut self, posted: &PostedForm) -> Self {
        let mut interests: BTreeMap<usize, InterestFields> = BTreeMap::new();
        for (name, value) in posted.fields() {
            if let Some(field) = self.field_mut(name) {
                value.clone_into(field);
            } else if let Some((number, part)) = interest_field(name)
                && let Some(field) = interests.entry(number).or_default().field_mut(part)
            {
                value.clone_into(field);
            }
        }
        let replacing = ["interests", "like"];
        if !interests.is_empty() || posted.fields().any(|(name, _)| replacing.contains(&name)) {
            self.saved_interests = interests.into_values().collect();
        }
        self
    }

    fn field_mut(&mut self, name: &str) -> Option<&mut String> {
        Some(match name {
            "email" => &mut self.email,
            "interests" => &mut self.interests,
            "like" => &mut self.like,
            "categories" => &mut self.categories,
            "excluded_words" => &mut self.excluded_words,
            "excluded_authors" => &mut self.excluded_authors,
            "excluded_categories" => &mut self.excluded_categories,
            "trending_share" => &mut self.trending_share,
            "paper_count" => &mut self.paper_count,
            "frequency" => &mut self.frequency,
            "weekday" => &mut self.weekday,
            "time" => &mut self.time,
            "time_zone" => &mut self.time_zone,
            "format" => &mut self.format,
            "language" => &mut self.language,
            _ => return None,
        })
    }
}

impl InterestFields {
    fn new(interest: &Interest) -> Self {
        let Exclusions {
            words,
            authors,
            categories,
        } = interest.exclusions.clone().unwrap_or_default();
        Self {
            words: interest.text.clone(),
            like: interest.like_paper_ids.join("\n"),
            unlike: interest.unlike_paper_ids.join("\n"),
            categories: interest.categories.join(" "),
            excluded_words: words.join("\n"),
            excluded_authors: authors.join("\n"),
            excluded_categories: categories.join(" "),
            weight: short_number(interest.weight.unwrap_or(1.0)),
            remove: String::new(),
        }
    }

    fn field_mut(&mut self, part: &str) -> Option<&mut String> {
        Some(match part {
            "words" => &mut self.words,
            "like" => &mut self.like,
            "unlike" => &mut self.unlike,
            "categories" => &mut self.categories,
            "excluded_words" => &mut self.excluded_words,
            "excluded_authors" => &mut self.excluded_authors,
            "excluded_categories" => &mut self.excluded_categories,
            "weight" => &mut self.weight,
            "remove" => &mut self.remove,
            _ => return None,
        })
    }
}

/// The preferences of a subscription.
pub fn saved_preferences(subscription: &Subscription) -> Preferences {
    Preferences {
        interests: subscription.interests.clone(),
        schedule: subscription.schedule.clone(),
        paper_count: subscription.paper_count,
        exclusions: subscription.exclusions.clone(),
        trending_share: subscription.trending_share.unwrap_or(TRENDING_SHARE.into()),
        format: subscription.format,
        language: subscription.language.clone(),
        ..Preferences::default()
    }
}

fn interest_field(name: &str) -> Option<(usize, &str)> {
    let (number, part) = name.strip_prefix("interest.")?.split_once('.')?;
    let number = number.parse().ok().filter(|number| *number < MAX_INTERESTS)?;
    Some((number, part))
}

/// A share or weight as people write it. They are stored in single precision, so three digits are enough.
fn short_number(value: f64) -> String {
    ((value * 1_000.0).round() / 1_000.0).to_string()
}
