//! What is wrong with a form, by field. The words are those of the service that refuses, made into sentences; nothing that was
//! typed is lost.

use std::collections::BTreeMap;

use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Where in the form an interest of a request comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum InterestOrigin {
    /// The fields of the saved interest with this number.
    Saved(usize),
    /// This line of the new interests.
    Line(usize),
    /// This example paper, as typed.
    ExamplePaper(String),
}

/// Problems by field; those of no field have an empty name.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct FormProblems(BTreeMap<String, Vec<String>>);

impl FormProblems {
    /// Adds a problem.
    pub fn add(&mut self, field: &str, sentence: impl Into<String>) {
        self.0.entry(field.to_owned()).or_default().push(sentence.into());
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether something is wrong with a field.
    pub fn is_about(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    /// All sentences.
    pub fn sentences(&self) -> Vec<String> {
        self.0.values().flatten().cloned().collect()
    }

    /// The problems in a status; none if it blames no field.
    pub fn from_status(status: &Status, origins: &[InterestOrigin]) -> Option<Self> {
        if status.code() != Code::InvalidArgument {
            return None;
        }
        let violations = status.get_details_bad_request()?.field_violations;
        let mut problems = Self::default();
        for violation in violations {
            let (field, subject) = form_field(&violation.field, origins);
            problems.add(&field, sentence(&subject, &violation.description));
        }
        (!problems.is_empty()).then_some(problems)
    }
}

/// The form field for a field of a request, and the subject of its sentences.
fn form_field(path: &str, origins: &[InterestOrigin]) -> (String, String) {
    let path = path.strip_prefix("preferences.").unwrap_or(path);
    let path = path.strip_prefix("full_").unwrap_or(path);
    let this = "This".to_owned();
    if let Some(rest) = path.strip_prefix("interests[") {
        let (index, part) = rest.split_once(']').unwrap_or((rest, ""));
        let origin = index.parse().ok().and_then(|index: usize| origins.get(index));
        return interest_field(origin, part.trim_start_matches('.'));
    }
    if let Some(list) = path.strip_prefix("exclusions.") {
        let (name, subject) = entry(list);
        return (format!("excluded_{name}"), subject);
    }
    let name = path.strip_prefix("schedule.").unwrap_or(path);
    let field = match name {
        "until_time" => "until",
        name => name,
    };
    (field.to_owned(), this)
}

fn interest_field(origin: Option<&InterestOrigin>, part: &str) -> (String, String) {
    let narrowing = part.starts_with("categories");
    match origin {
        Some(InterestOrigin::Saved(number)) => {
            let part = part.replace("exclusions.", "excluded_");
            let (name, subject) = entry(&part);
            let name = match name.as_str() {
                "text" | "" => "words",
                "like_paper_ids" => "like",
                "unlike_paper_ids" => "unlike",
                name => name,
            };
            (format!("interest.{number}.{name}"), subject)
        }
        Some(InterestOrigin::Line(_) | InterestOrigin::ExamplePaper(_)) if narrowing => {
            ("categories".to_owned(), entry(part).1)
        }
        Some(InterestOrigin::Line(line)) => ("interests".to_owned(), format!("Line {line}")),
        Some(InterestOrigin::ExamplePaper(typed)) => ("like".to_owned(), typed.clone()),
        None => ("interests".to_owned(), "This".to_owned()),
    }
}

/// The name of a list in a path, and the entry it points to.
fn entry(path: &str) -> (String, String) {
    match path.split_once('[') {
        Some((name, index)) => {
            let index = index.trim_end_matches(']').parse::<usize>();
            let subject = index.map_or_else(|_| "This".to_owned(), |index| format!("Entry {}", index + 1));
            (name.to_owned(), subject)
        }
        None => (path.to_owned(), "This".to_owned()),
    }
}

/// A description that begins with a verb needs the field as its subject; others are sentences already.
fn sentence(subject: &str, description: &str) -> String {
    let verbs = ["is ", "has ", "holds ", "names ", "must "];
    let mut text = if verbs.iter().any(|verb| description.starts_with(verb)) {
        format!("{subject} {description}")
    } else {
        let mut rest = description.chars();
        let first = rest.next().map(|first| first.to_uppercase().to_string());
        format!("{}{}", first.unwrap_or_default(), rest.as_str())
    };
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_shown_beside_their_fields() {
        let refused = common::status::invalid_fields(
            [
                ("email", "\"ada\" is not an e-mail address: there is no @"),
                (
                    "preferences.interests[0].text",
                    "has 1200 characters; at most 1000 are allowed",
                ),
                (
                    "preferences.full_interests[1].like_paper_ids[0]",
                    "is arxiv:1, which is not known; take the id of a paper that a search finds",
                ),
                (
                    "interests[2].exclusions.words[1]",
                    "has 0 characters; 1 to 200 are allowed",
                ),
                ("interests[2].weight", "is 99; allowed is 0.1 to 10"),
                ("interests[0].categories[3]", "has 0 characters; 1 to 200 are allowed"),
                ("interests", "has 101 entries; at most 100 are allowed"),
                ("exclusions.authors", "has 101 entries; at most 100 are allowed"),
                ("schedule.time_zone", "time zone is \"Mars\"; it must be a name"),
                ("until_time", "is over; it must be in the future"),
            ]
            .map(|(field, text)| (field.to_owned(), text.to_owned())),
        );
        let origins = [
            InterestOrigin::Line(1),
            InterestOrigin::ExamplePaper("1".to_owned()),
            InterestOrigin::Saved(4),
        ];
        let problems = FormProblems::from_status(&refused, &origins).expect("problems");
        let said: Vec<String> = (problems.0.iter())
            .flat_map(|(field, all)| all.iter().map(move |one| format!("{field}: {one}")))
            .collect();
        assert_eq!(
            said,
            [
                "categories: Entry 4 has 0 characters; 1 to 200 are allowed.",
                "email: \"ada\" is not an e-mail address: there is no @.",
                "excluded_authors: This has 101 entries; at most 100 are allowed.",
                "interest.4.excluded_words: Entry 2 has 0 characters; 1 to 200 are allowed.",
                "interest.4.weight: This is 99; allowed is 0.1 to 10.",
                "interests: Line 1 has 1200 characters; at most 1000 are allowed.",
                "interests: This has 101 entries; at most 100 are allowed.",
                "like: 1 is arxiv:1, which is not known; take the id of a paper that a search finds.",
                "time_zone: Time zone is \"Mars\"; it must be a name.",
                "until: This is over; it must be in the future.",
            ]
        );
        assert_eq!(FormProblems::from_status(&Status::unavailable("x"), &origins), None);
        assert_eq!(
            FormProblems::from_status(&Status::invalid_argument("x"), &origins),
            None
        );
    }
}
