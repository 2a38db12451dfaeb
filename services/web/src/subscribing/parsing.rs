//! From the fields of a form to preferences. What cannot be parsed is a problem of its field; what is not allowed is for the
//! service to say.

use proto::delivery::v1::PreviewPreferences;
use proto::subscriptions::v1::{Exclusions, Format, Frequency, Interest, Preferences, Schedule};

use super::choices::WEEKDAYS;
use super::examples::{self, ExamplePaper};
use super::form_state::{FormState, InterestFields};
use super::problems::{FormProblems, InterestOrigin};

/// The preferences in a form.
#[derive(Debug, Clone)]
pub struct ParsedPreferences {
    /// As the service takes them.
    pub preferences: Preferences,
    /// Where each interest comes from.
    pub origins: Vec<InterestOrigin>,
    /// The example papers.
    pub examples: Vec<ExamplePaper>,
    /// What could not be parsed.
    pub problems: FormProblems,
}

impl ParsedPreferences {
    /// Parses the fields.
    pub fn parse(form: &FormState) -> Self {
        let mut parsed = Self {
            preferences: Preferences::default(),
            origins: Vec::new(),
            examples: examples::parse(&form.like),
            problems: FormProblems::default(),
        };
        parsed.add_saved_interests(&form.saved_interests);
        parsed.add_new_interests(form);
        let exclusions = Exclusions {
            words: phrases(&form.excluded_words),
            authors: lines(&form.excluded_authors),
            categories: words(&form.excluded_categories),
        };
        parsed.preferences.exclusions = non_empty(exclusions);
        parsed.preferences.schedule = Some(parsed.schedule(form));
        parsed.preferences.paper_count = parsed.number("paper_count", &form.paper_count).unwrap_or_default();
        parsed.preferences.trending_share = parsed
            .number("trending_share", &form.trending_share)
            .unwrap_or(domain::preferences::TRENDING_SHARE.into());
        let format = match form.format.as_str() {
            "text" => Format::Text,
            "html" | "" => Format::Html,
            other => {
                parsed.unknown("format", other);
                Format::Unspecified
            }
        };
        parsed.preferences.format = format.into();
        form.language.trim().clone_into(&mut parsed.preferences.language);
        parsed
    }

    /// As a request for a preview takes them.
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

    /// Saved interests. One whose words and papers were all deleted is removed.
    fn add_saved_interests(&mut self, saved: &[InterestFields]) {
        for (number, fields) in saved.iter().enumerate() {
            let interest = Interest {
                text: one_line(&fields.words),
                like_paper_ids: self.papers(&format!("interest.{number}.like"), &fields.like),
                unlike_paper_ids: self.papers(&format!("interest.{number}.unlike"), &fields.unlike),
                categories: words(&fields.categories),
                exclusions: non_empty(Exclusions {
                    words: phrases(&fields.excluded_words),
                    authors: lines(&fields.excluded_authors),
                    categories: words(&fields.excluded_categories),
                }),
                weight: self.number(&format!("interest.{number}.weight"), &fields.weight),
            };
            let is_empty = fields.words.trim().is_empty() && fields.like.trim().is_empty();
            if fields.remove.is_empty() && !is_empty {
                self.preferences.interests.push(interest);
                self.origins.push(InterestOrigin::Saved(number));
            }
        }
    }

    /// New interests and example papers.
    fn add_new_interests(&mut self, form: &FormState) {
        let categories = words(&form.categories);
        let mut added: Vec<(InterestOrigin, Interest)> = Vec::new();
        for (index, line) in form.interests.lines().enumerate() {
            let text = one_line(line);
            if !text.is_empty() && !added.iter().any(|(_, one)| one.text == text) {
                let interest = Interest {
                    text,
                    ..Interest::default()
                };
                added.push((InterestOrigin::Line(index + 1), interest));
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
            added.push((InterestOrigin::ExamplePaper(example.typed.clone()), interest));
        }
        if added.is_empty() && !categories.is_empty() {
            let problem = "Categories only narrow your interests: add an interest or an example paper, too.";
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

    fn schedule(&mut self, form: &FormState) -> Schedule {
        let frequency = match form.frequency.as_str() {
            "daily" | "" => Frequency::Daily,
            "weekdays" => Frequency::Weekdays,
            "weekly" => Frequency::Weekly,
            other => {
                self.unknown("frequency", other);
                Frequency::Unspecified
            }
        };
        let day = (1..).zip(WEEKDAYS).find(|(_, (value, _))| *value == form.weekday);
        let weekday = match (frequency, day) {
            (Frequency::Weekly, Some((day, _))) => day,
            (Frequency::Weekly, None) if !form.weekday.is_empty() => {
                self.unknown("weekday", &form.weekday);
                0
            }
            _ => 0,
        };
        Schedule {
            time: form.time.trim().to_owned(),
            time_zone: form.time_zone.trim().to_owned(),
            frequency: frequency.into(),
            weekday,
        }
    }

    fn papers(&mut self, field: &str, typed: &str) -> Vec<String> {
        let mut ids = Vec::new();
        for example in examples::parse(typed) {
            if example.problem.is_empty() {
                ids.push(example.id);
            } else {
                self.problems
                    .add(field, format!("“{}” {}.", example.typed, example.problem));
            }
        }
        ids
    }

    /// A number; none if the field is empty.
    fn number<T: std::str::FromStr>(&mut self, field: &str, typed: &str) -> Option<T> {
        let typed = typed.trim();
        if typed.is_empty() {
            return None;
        }
        let number = typed.parse().ok();
        if number.is_none() {
            let shown = domain::text::shorten(typed);
            self.problems.add(field, format!("“{shown}” is not a valid number."));
        }
        number
    }

    fn unknown(&mut self, field: &str, value: &str) {
        let shown = domain::text::shorten(value);
        self.problems
            .add(field, format!("“{shown}” is not one of the choices."));
    }
}

fn non_empty(exclusions: Exclusions) -> Option<Exclusions> {
    (exclusions != Exclusions::default()).then_some(exclusions)
}

fn one_line(text: &str) -> String {
    domain::text::one_line(text)
}

fn distinct<'a>(parts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for part in parts.map(one_line) {
        if !part.is_empty() && !list.contains(&part) {
            list.push(part);
        }
    }
    list
}

/// One per line.
fn lines(text: &str) -> Vec<String> {
    distinct(text.lines())
}

/// Separated by line breaks or commas.
fn phrases(text: &str) -> Vec<String> {
    distinct(text.split(['\n', ',', ';']))
}

/// Separated by white space or commas.
fn words(text: &str) -> Vec<String> {
    distinct(text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';')))
}

#[cfg(test)]
mod tests;
