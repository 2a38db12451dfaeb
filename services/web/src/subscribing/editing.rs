//! Which parts of a subscription a form changes. Only those are sent, so that two people who change different parts at the same
//! time both succeed, and whoever would overwrite another change is asked first.

use std::collections::BTreeMap;

use proto::subscriptions::v1::{Preferences, Subscription};
use serde::Serialize;
use uuid::Uuid;

use super::form_body::PostedForm;
use super::form_state::FormState;
use super::parsing::ParsedPreferences;

/// Parts that change as one, by their names in an update mask.
const GROUPS: [&str; 7] = [
    "interests",
    "exclusions",
    "trending_share",
    "paper_count",
    "schedule",
    "format",
    "language",
];

/// A hash of each group; equal if the group says the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct GroupHashes(BTreeMap<&'static str, String>);

/// What a form changes.
#[derive(Debug, Clone, PartialEq)]
pub enum FormChange {
    /// Nothing.
    Nothing,
    /// These groups.
    Groups(Vec<&'static str>),
    /// These groups were changed elsewhere since the form was shown.
    Conflicting(Vec<&'static str>),
}

impl GroupHashes {
    /// Of preferences as a form would show them: what a form cannot tell apart is equal.
    pub fn new(preferences: &Preferences) -> Self {
        let parsed = ParsedPreferences::parse(&FormState::from_preferences(preferences)).preferences;
        Self::of_parsed(&parsed)
    }

    fn of_parsed(parsed: &Preferences) -> Self {
        let text = |group: &str| match group {
            "interests" => format!("{:?}", parsed.interests),
            "exclusions" => format!("{:?}", parsed.exclusions),
            "trending_share" => format!("{:?}", parsed.trending_share),
            "paper_count" => format!("{:?}", parsed.paper_count),
            "schedule" => format!("{:?}", parsed.schedule),
            "format" => format!("{:?}", parsed.format),
            _ => format!("{:?}", parsed.language),
        };
        let hash = |group: &'static str| {
            let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, text(group).as_bytes());
            (group, hash.simple().to_string())
        };
        Self(GROUPS.into_iter().map(hash).collect())
    }
}

/// Compares the form with what it had shown and with what is saved now. A form that does not say what it had shown counts as
/// having shown what is saved now.
pub fn change(posted: &PostedForm, now: &Preferences, parsed: &ParsedPreferences) -> FormChange {
    let saved = GroupHashes::new(now);
    // Parsed once more, because lists drop duplicates.
    let wanted = GroupHashes::new(&parsed.preferences);
    let mut changed = Vec::new();
    let mut conflicting = Vec::new();
    for group in GROUPS {
        let (saved, wanted) = (&saved.0[group], &wanted.0[group]);
        let shown = match posted.value(&format!("was.{group}")) {
            "" => saved,
            shown => shown,
        };
        if wanted == shown || wanted == saved {
            continue;
        }
        changed.push(group);
        if shown != saved {
            conflicting.push(group);
        }
    }
    match (changed.is_empty(), conflicting.is_empty()) {
        (true, _) => FormChange::Nothing,
        (false, true) => FormChange::Groups(changed),
        (false, false) => FormChange::Conflicting(conflicting),
    }
}

/// The update for a form.
pub fn update(parsed: &ParsedPreferences) -> Subscription {
    let preferences = parsed.preferences.clone();
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

/// The name of a group in the form.
pub fn name(group: &str) -> &'static str {
    match group {
        "interests" => "your interests",
        "exclusions" => "what is excluded",
        "trending_share" => "the share of trending papers",
        "paper_count" => "the number of papers",
        "schedule" => "the schedule",
        "format" => "the mail format",
        _ => "the language",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preferences(interests: &str, paper_count: &str) -> Preferences {
        let posted = PostedForm::from_fields(&[("interests", interests), ("paper_count", paper_count)]);
        ParsedPreferences::parse(&FormState::default().with(&posted)).preferences
    }

    /// The change by a form that showed some preferences while others are saved now.
    fn changed(shown: &Preferences, now: &Preferences, fields: &[(&str, &str)]) -> FormChange {
        let hashes = GroupHashes::new(shown);
        let hashes: Vec<(String, String)> = (hashes.0.iter())
            .map(|(group, hash)| (format!("was.{group}"), hash.clone()))
            .collect();
        let mut all: Vec<(&str, &str)> = hashes
            .iter()
            .map(|(name, hash)| (name.as_str(), hash.as_str()))
            .collect();
        all.extend(fields);
        let posted = PostedForm::from_fields(&all);
        let shown_fields = FormState::from_preferences(shown);
        change(&posted, now, &ParsedPreferences::parse(&shown_fields.with(&posted)))
    }

    #[test]
    fn only_changed_groups_are_sent() {
        let before = preferences("lakes", "10");
        assert_eq!(changed(&before, &before, &[]), FormChange::Nothing);
        assert_eq!(
            changed(&before, &before, &[("paper_count", " 10 ")]),
            FormChange::Nothing
        );
        let two = [("paper_count", "5"), ("interest.0.words", "rivers")];
        assert_eq!(
            changed(&before, &before, &two),
            FormChange::Groups(vec!["interests", "paper_count"])
        );
    }

    #[test]
    fn only_conflicting_changes_are_questioned() {
        let before = preferences("lakes", "10");
        let by_now = preferences("mountains", "10");
        let count = [("paper_count", "5")];
        assert_eq!(
            changed(&before, &by_now, &count),
            FormChange::Groups(vec!["paper_count"])
        );
        let interest = [("interest.0.words", "rivers")];
        assert_eq!(
            changed(&before, &by_now, &interest),
            FormChange::Conflicting(vec!["interests"])
        );
        let same = [("interest.0.words", "mountains")];
        assert_eq!(
            changed(&before, &by_now, &same),
            FormChange::Nothing,
            "both say the same"
        );
    }
}
