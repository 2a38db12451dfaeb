//! What can be chosen in the forms, and how each choice is called.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Serialize;

/// One of several values of a field.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Choice {
    /// What is posted.
    pub value: String,
    /// What is read.
    pub label: String,
}

/// Time zones of one part of the world.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Region {
    /// Its name.
    pub name: String,
    /// Zones, in the order of their names.
    pub zones: Vec<Choice>,
}

/// What the fields offer.
#[derive(Debug, Serialize)]
pub struct Choices {
    shares: Vec<Choice>,
    weights: Vec<Choice>,
    frequencies: Vec<Choice>,
    weekdays: Vec<Choice>,
    formats: Vec<Choice>,
    languages: Vec<Choice>,
    regions: Vec<Region>,
}

/// Parts of the world; other names of the database are links of former days or not for people.
const REGIONS: [&str; 10] = [
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
];

/// Shares of what is trending.
pub const SHARES: [(&str, &str); 5] = [
    ("0", "Only what matches my interests"),
    ("0.2", "Mostly my interests, and a little of what is trending"),
    ("0.5", "Half and half"),
    ("0.8", "Mostly what is trending"),
    ("1", "Only what is trending"),
];

const WEIGHTS: [(&str, &str); 4] = [
    ("0.5", "half as much"),
    ("1", "like the others"),
    ("2", "twice as much"),
    ("4", "four times as much"),
];

/// Frequencies of a digest.
pub const FREQUENCIES: [(&str, &str); 3] = [
    ("daily", "Every day"),
    ("weekdays", "Monday to Friday"),
    ("weekly", "Once a week"),
];

/// Days of a week, Monday first.
pub const WEEKDAYS: [(&str, &str); 7] = [
    ("monday", "Monday"),
    ("tuesday", "Tuesday"),
    ("wednesday", "Wednesday"),
    ("thursday", "Thursday"),
    ("friday", "Friday"),
    ("saturday", "Saturday"),
    ("sunday", "Sunday"),
];

/// Forms of a mail.
pub const FORMATS: [(&str, &str); 2] = [("html", "Typeset (HTML)"), ("text", "Plain text")];

/// Languages that mails are written in around the papers.
const LANGUAGES: [(&str, &str); 4] = [
    ("en", "English"),
    ("de", "Deutsch"),
    ("fr", "Français"),
    ("es", "Español"),
];

static CHOICES: LazyLock<Choices> = LazyLock::new(|| Choices::with(regions()));

impl Choices {
    fn with(regions: Vec<Region>) -> Self {
        Self {
            shares: choices(&SHARES),
            weights: choices(&WEIGHTS),
            frequencies: choices(&FREQUENCIES),
            weekdays: choices(&WEEKDAYS),
            formats: choices(&FORMATS),
            languages: choices(&LANGUAGES),
            regions,
        }
    }
}

/// All of them, read once.
pub fn all() -> &'static Choices {
    &CHOICES
}

/// The same with few time zones, for tests that show them.
#[cfg(test)]
pub fn few() -> Choices {
    let mut regions = regions();
    regions.retain(|region| region.name == "Arctic");
    Choices::with(regions)
}

fn choices(pairs: &[(&str, &str)]) -> Vec<Choice> {
    let choice = |(value, label): &(&str, &str)| Choice {
        value: (*value).to_owned(),
        label: (*label).to_owned(),
    };
    pairs.iter().map(choice).collect()
}

fn regions() -> Vec<Region> {
    let names: BTreeSet<String> = jiff::tz::db()
        .available()
        .map(|name| name.as_str().to_owned())
        .collect();
    let of = |region: &&str| {
        let zones = names.iter().filter_map(|name| {
            let place = name.strip_prefix(region)?.strip_prefix('/')?;
            Some(Choice {
                value: name.clone(),
                label: place.replace('_', " ").replace('/', ", "),
            })
        });
        Region {
            name: (*region).to_owned(),
            zones: zones.collect(),
        }
    };
    REGIONS.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::schedule::Schedule;

    #[test]
    fn every_zone_on_offer_is_taken() {
        let zones: Vec<&Choice> = all().regions.iter().flat_map(|region| &region.zones).collect();
        assert!(zones.len() > 350, "{}", zones.len());
        for zone in &zones {
            assert!(Schedule::parse("07:00", &zone.value).is_ok(), "{}", zone.value);
        }
        let new_york = zones.iter().find(|zone| zone.value == "America/New_York");
        assert_eq!(new_york.expect("there").label, "New York");
    }
}
