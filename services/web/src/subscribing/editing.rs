//! What of a subscription a form changes: only that is sent, so that two people who change different things at the same
//! time both get what they want, and who would change what another has changed meanwhile is asked first.

use std::collections::BTreeMap;

use proto::subscriptions::v1::{Preferences, Subscription};
use serde::Serialize;
use uuid::Uuid;

use super::posted::Posted;
use super::reading::Wanted;
use super::wishes::Typed;

/// What is changed as one, by its name in an update mask.
const GROUPS: [&str; 7] = [
    "interests",
    "exclusions",
    "trending_share",
    "paper_count",
    "schedule",
    "format",
    "language",
];

/// Marks of what stands in each group; equal where it says the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Marks(BTreeMap<&'static str, String>);

/// What a form changes.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Nothing.
    Nothing,
    /// These groups.
    Groups(Vec<&'static str>),
    /// Among them some that were changed elsewhere since the form was shown.
    Overtaken(Vec<&'static str>),
}

impl Marks {
    /// Of preferences, as a form would say them: what a form cannot tell apart is the same.
    pub fn of(preferences: &Preferences) -> Self {
        let said = Wanted::read(&Typed::of(preferences)).preferences;
        Self::of_said(&said)
    }

    fn of_said(said: &Preferences) -> Self {
        let text = |group: &str| match group {
            "interests" => format!("{:?}", said.interests),
            "exclusions" => format!("{:?}", said.exclusions),
            "trending_share" => format!("{:?}", said.trending_share),
            "paper_count" => format!("{:?}", said.paper_count),
            "schedule" => format!("{:?}", said.schedule),
            "format" => format!("{:?}", said.format),
            _ => format!("{:?}", said.language),
        };
        let mark = |group: &'static str| {
            let mark = Uuid::new_v5(&Uuid::NAMESPACE_OID, text(group).as_bytes());
            (group, mark.simple().to_string())
        };
        Self(GROUPS.into_iter().map(mark).collect())
    }
}

/// Compares what is wanted with what the form had shown and with what is kept now. A form that does not say what it had
/// shown has shown what is kept now.
pub fn change(posted: &Posted, now: &Preferences, wanted: &Wanted) -> Change {
    let kept = Marks::of(now);
    // Read once more, because lists lose what they say twice.
    let said = Marks::of(&wanted.preferences);
    let mut changed = Vec::new();
    let mut overtaken = Vec::new();
    for group in GROUPS {
        let (kept, said) = (&kept.0[group], &said.0[group]);
        let shown = match posted.value(&format!("was.{group}")) {
            "" => kept,
            shown => shown,
        };
        if said == shown || said == kept {
            continue;
        }
        changed.push(group);
        if shown != kept {
            overtaken.push(group);
        }
    }
    match (changed.is_empty(), overtaken.is_empty()) {
        (true, _) => Change::Nothing,
        (false, true) => Change::Groups(changed),
        (false, false) => Change::Overtaken(overtaken),
    }
}

/// What is wanted, as an update takes it.
pub fn update(wanted: &Wanted) -> Subscription {
    let preferences = wanted.preferences.clone();
    Subscription {
        interests: preferences.interests,
        schedule: preferences.schedule,
        paper_count: preferences.paper_count,
        exclusions: preferences.exclusions,
        trending_share: Some(preferences.trending_share),
        format: preferences.format,
        language: preferences.language,
        ..Subscription::default()
    }
}

/// A group in the words of the form.
pub fn name(group: &str) -> &'static str {
    match group {
        "interests" => "what you like to read",
        "exclusions" => "what you leave out",
        "trending_share" => "how much is trending",
        "paper_count" => "the number of papers",
        "schedule" => "when it comes",
        "format" => "the form of the mail",
        _ => "the language",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(interests: &str, paper_count: &str) -> Preferences {
        let posted = Posted::of(&[("interests", interests), ("paper_count", paper_count)]);
        Wanted::read(&Typed::default().with(&posted)).preferences
    }

    /// What becomes of a form that showed some preferences when others are kept by now.
    fn changed(shown: &Preferences, now: &Preferences, fields: &[(&str, &str)]) -> Change {
        let marks = Marks::of(shown);
        let marks: Vec<(String, String)> = (marks.0.iter())
            .map(|(group, mark)| (format!("was.{group}"), mark.clone()))
            .collect();
        let mut all: Vec<(&str, &str)> = marks
            .iter()
            .map(|(name, mark)| (name.as_str(), mark.as_str()))
            .collect();
        all.extend(fields);
        let posted = Posted::of(&all);
        let shown_fields = Typed::of(shown);
        change(&posted, now, &Wanted::read(&shown_fields.with(&posted)))
    }

    #[test]
    fn only_what_was_changed_is_sent() {
        let before = kept("lakes", "10");
        assert_eq!(changed(&before, &before, &[]), Change::Nothing);
        assert_eq!(changed(&before, &before, &[("paper_count", " 10 ")]), Change::Nothing);
        let two = [("paper_count", "5"), ("interest.0.words", "rivers")];
        assert_eq!(
            changed(&before, &before, &two),
            Change::Groups(vec!["interests", "paper_count"])
        );
    }

    #[test]
    fn who_was_overtaken_is_asked_and_others_are_not() {
        let before = kept("lakes", "10");
        let by_now = kept("mountains", "10");
        let count = [("paper_count", "5")];
        assert_eq!(changed(&before, &by_now, &count), Change::Groups(vec!["paper_count"]));
        let interest = [("interest.0.words", "rivers")];
        assert_eq!(
            changed(&before, &by_now, &interest),
            Change::Overtaken(vec!["interests"])
        );
        let same = [("interest.0.words", "mountains")];
        assert_eq!(changed(&before, &by_now, &same), Change::Nothing, "both say the same");
    }
}
