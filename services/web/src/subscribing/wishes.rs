//! What stands in the fields of the forms, as it was typed, so that nothing is lost when something is wrong with it.

use std::collections::BTreeMap;

use domain::preferences::{LANGUAGE, TRENDING_SHARE};
use proto::subscriptions::v1::{Exclusions, Format, Frequency, Interest, Preferences, Subscription};
use serde::Serialize;

use super::choices::WEEKDAYS;
use super::posted::Posted;

/// Most groups of fields for interests that are kept already.
const MOST_CARDS: usize = 100;

/// The fields of a form.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Typed {
    /// E-mail address.
    pub email: String,
    /// Interests, one a line.
    pub interests: String,
    /// Example papers.
    pub like: String,
    /// Categories that these interests and examples keep to.
    pub categories: String,
    /// Words never wanted.
    pub excluded_words: String,
    /// Authors never wanted, one a line.
    pub excluded_authors: String,
    /// Categories never wanted.
    pub excluded_categories: String,
    /// From 0 to 1.
    pub trending_share: String,
    /// Papers of a digest.
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
    /// Interests that are kept already.
    pub cards: Vec<Card>,
}

/// The fields of an interest that is kept already.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Card {
    /// Its words.
    pub words: String,
    /// Papers to be like.
    pub like: String,
    /// Papers not to be like.
    pub unlike: String,
    /// Categories it keeps to.
    pub categories: String,
    /// Words it leaves out.
    pub excluded_words: String,
    /// Authors it leaves out, one a line.
    pub excluded_authors: String,
    /// Categories it leaves out.
    pub excluded_categories: String,
    /// How much it counts.
    pub weight: String,
    /// Not empty when it is to go.
    pub remove: String,
}

impl Default for Typed {
    fn default() -> Self {
        Self {
            email: String::new(),
            interests: String::new(),
            like: String::new(),
            categories: String::new(),
            excluded_words: String::new(),
            excluded_authors: String::new(),
            excluded_categories: String::new(),
            trending_share: share(TRENDING_SHARE.into()),
            paper_count: "10".to_owned(),
            frequency: "daily".to_owned(),
            weekday: "monday".to_owned(),
            time: "07:00".to_owned(),
            time_zone: "UTC".to_owned(),
            format: "html".to_owned(),
            language: LANGUAGE.to_owned(),
            cards: Vec::new(),
        }
    }
}

impl Typed {
    /// As the form shows what is kept.
    pub fn of(kept: &Preferences) -> Self {
        let schedule = kept.schedule.clone().unwrap_or_default();
        let exclusions = kept.exclusions.clone().unwrap_or_default();
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
            trending_share: share(kept.trending_share),
            paper_count: kept.paper_count.to_string(),
            frequency: frequency.to_owned(),
            weekday: day.map_or("monday", |(value, _)| value).to_owned(),
            time: schedule.time,
            time_zone: schedule.time_zone,
            format: if kept.format() == Format::Text { "text" } else { "html" }.to_owned(),
            language: kept.language.clone(),
            cards: kept.interests.iter().map(Card::of).collect(),
            ..Self::default()
        }
    }

    /// With the fields that were posted instead; the others stay.
    #[must_use]
    pub fn with(mut self, posted: &Posted) -> Self {
        let mut cards: BTreeMap<usize, Card> = BTreeMap::new();
        for (name, value) in posted.fields() {
            if let Some(slot) = self.slot(name) {
                value.clone_into(slot);
            } else if let Some((number, part)) = card_field(name)
                && let Some(slot) = cards.entry(number).or_default().slot(part)
            {
                value.clone_into(slot);
            }
        }
        let of_interests = ["interests", "like"];
        if !cards.is_empty() || posted.fields().any(|(name, _)| of_interests.contains(&name)) {
            self.cards = cards.into_values().collect();
        }
        self
    }

    fn slot(&mut self, name: &str) -> Option<&mut String> {
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

impl Card {
    fn of(interest: &Interest) -> Self {
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
            weight: share(interest.weight.unwrap_or(1.0)),
            remove: String::new(),
        }
    }

    fn slot(&mut self, part: &str) -> Option<&mut String> {
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

/// What a subscription says its reader wants.
pub fn kept(subscription: &Subscription) -> Preferences {
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

fn card_field(name: &str) -> Option<(usize, &str)> {
    let (number, part) = name.strip_prefix("interest.")?.split_once('.')?;
    let number = number.parse().ok().filter(|number| *number < MOST_CARDS)?;
    Some((number, part))
}

/// A share or weight as people write it: kept in single precision, so three digits say all of it.
fn share(value: f64) -> String {
    ((value * 1_000.0).round() / 1_000.0).to_string()
}
