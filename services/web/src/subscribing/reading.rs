//! From the fields of a form to what a service is asked for. What cannot be read is a problem beside its field; what is not
//! allowed is for the service to say.

use proto::delivery::v1::PreviewPreferences;
use proto::subscriptions::v1::{Exclusions, Format, Frequency, Interest, Preferences, Schedule};

use super::choices::WEEKDAYS;
use super::examples::{self, Example};
use super::problems::{Origin, Problems};
use super::wishes::{Card, Typed};

/// What a form says.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// As services know it.
    pub preferences: Preferences,
    /// Where each interest stands in the form.
    pub origins: Vec<Origin>,
    /// The example papers, one by one.
    pub examples: Vec<Example>,
    /// What could not be read.
    pub problems: Problems,
}

impl Wanted {
    /// Reads the fields.
    pub fn read(typed: &Typed) -> Self {
        let mut wanted = Self {
            preferences: Preferences::default(),
            origins: Vec::new(),
            examples: examples::read(&typed.like),
            problems: Problems::default(),
        };
        wanted.cards(&typed.cards);
        wanted.added(typed);
        let exclusions = Exclusions {
            words: phrases(&typed.excluded_words),
            authors: lines(&typed.excluded_authors),
            categories: words(&typed.excluded_categories),
        };
        wanted.preferences.exclusions = some(exclusions);
        wanted.preferences.schedule = Some(wanted.schedule(typed));
        wanted.preferences.paper_count = wanted.number("paper_count", &typed.paper_count).unwrap_or_default();
        wanted.preferences.trending_share = wanted
            .number("trending_share", &typed.trending_share)
            .unwrap_or(domain::preferences::TRENDING_SHARE.into());
        let format = match typed.format.as_str() {
            "text" => Format::Text,
            "html" | "" => Format::Html,
            other => {
                wanted.unknown("format", other);
                Format::Unspecified
            }
        };
        wanted.preferences.format = format.into();
        typed.language.trim().clone_into(&mut wanted.preferences.language);
        wanted
    }

    /// As a preview is asked for it.
    pub fn to_preview(&self) -> PreviewPreferences {
        let preferences = self.preferences.clone();
        PreviewPreferences {
            interests: Vec::new(),
            paper_count: preferences.paper_count,
            full_interests: preferences.interests,
            exclusions: preferences.exclusions,
            trending_share: Some(preferences.trending_share),
            format: preferences.format,
            language: preferences.language,
            schedule: preferences.schedule,
        }
    }

    /// Interests that are kept already; one whose words and papers were all taken away goes.
    fn cards(&mut self, cards: &[Card]) {
        for (number, card) in cards.iter().enumerate() {
            let interest = Interest {
                text: one_line(&card.words),
                like_paper_ids: self.papers(&format!("interest.{number}.like"), &card.like),
                unlike_paper_ids: self.papers(&format!("interest.{number}.unlike"), &card.unlike),
                categories: words(&card.categories),
                exclusions: some(Exclusions {
                    words: phrases(&card.excluded_words),
                    authors: lines(&card.excluded_authors),
                    categories: words(&card.excluded_categories),
                }),
                weight: self.number(&format!("interest.{number}.weight"), &card.weight),
            };
            let says_nothing = card.words.trim().is_empty() && card.like.trim().is_empty();
            if card.remove.is_empty() && !says_nothing {
                self.preferences.interests.push(interest);
                self.origins.push(Origin::Card(number));
            }
        }
    }

    /// Interests and example papers that were listed.
    fn added(&mut self, typed: &Typed) {
        let categories = words(&typed.categories);
        let mut added: Vec<(Origin, Interest)> = Vec::new();
        for (index, line) in typed.interests.lines().enumerate() {
            let text = one_line(line);
            if !text.is_empty() && !added.iter().any(|(_, one)| one.text == text) {
                let interest = Interest {
                    text,
                    ..Interest::default()
                };
                added.push((Origin::Line(index + 1), interest));
            }
        }
        for example in &self.examples {
            if !example.problem.is_empty() {
                self.problems
                    .add("like", format!("“{}” {}.", example.typed, example.problem));
                continue;
            }
            let interest = Interest {
                like_paper_ids: vec![example.id.clone()],
                ..Interest::default()
            };
            added.push((Origin::Example(example.typed.clone()), interest));
        }
        if added.is_empty() && !categories.is_empty() {
            let problem = "Categories narrow what you are interested in: name an interest or an example paper, too.";
            self.problems.add("categories", problem);
        }
        for (origin, interest) in added {
            self.origins.push(origin);
            self.preferences.interests.push(Interest {
                categories: categories.clone(),
                ..interest
            });
        }
    }

    fn schedule(&mut self, typed: &Typed) -> Schedule {
        let frequency = match typed.frequency.as_str() {
            "daily" | "" => Frequency::Daily,
            "weekdays" => Frequency::Weekdays,
            "weekly" => Frequency::Weekly,
            other => {
                self.unknown("frequency", other);
                Frequency::Unspecified
            }
        };
        let day = (1..).zip(WEEKDAYS).find(|(_, (value, _))| *value == typed.weekday);
        let weekday = match (frequency, day) {
            (Frequency::Weekly, Some((day, _))) => day,
            (Frequency::Weekly, None) if !typed.weekday.is_empty() => {
                self.unknown("weekday", &typed.weekday);
                0
            }
            _ => 0,
        };
        Schedule {
            time: typed.time.trim().to_owned(),
            time_zone: typed.time_zone.trim().to_owned(),
            frequency: frequency.into(),
            weekday,
        }
    }

    fn papers(&mut self, field: &str, typed: &str) -> Vec<String> {
        let mut ids = Vec::new();
        for example in examples::read(typed) {
            if example.problem.is_empty() {
                ids.push(example.id);
            } else {
                self.problems
                    .add(field, format!("“{}” {}.", example.typed, example.problem));
            }
        }
        ids
    }

    /// A number; none where nothing was typed.
    fn number<T: std::str::FromStr>(&mut self, field: &str, typed: &str) -> Option<T> {
        let typed = typed.trim();
        if typed.is_empty() {
            return None;
        }
        let number = typed.parse().ok();
        if number.is_none() {
            let shown = domain::text::shorten(typed);
            self.problems
                .add(field, format!("“{shown}” is not a number that fits here."));
        }
        number
    }

    fn unknown(&mut self, field: &str, value: &str) {
        let shown = domain::text::shorten(value);
        self.problems
            .add(field, format!("“{shown}” is not one of the choices."));
    }
}

fn some(exclusions: Exclusions) -> Option<Exclusions> {
    (exclusions != Exclusions::default()).then_some(exclusions)
}

fn one_line(text: &str) -> String {
    domain::text::one_line(text)
}

fn listed<'a>(parts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for part in parts.map(one_line) {
        if !part.is_empty() && !list.contains(&part) {
            list.push(part);
        }
    }
    list
}

/// One a line.
fn lines(text: &str) -> Vec<String> {
    listed(text.lines())
}

/// One a line, or parted by commas.
fn phrases(text: &str) -> Vec<String> {
    listed(text.split(['\n', ',', ';']))
}

/// Parted by anything that a category does not have.
fn words(text: &str) -> Vec<String> {
    listed(text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';')))
}

#[cfg(test)]
mod tests;
