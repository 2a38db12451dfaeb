//! The choices that the forms offer, with their labels.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Serialize;

/// One of several values of a field.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FormChoice {
    /// The posted value.
    pub value: String,
    /// The label.
    pub label: String,
}

/// Time zones of one region.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ZoneRegion {
    /// Its name.
    pub name: String,
    /// Zones, sorted by name.
    pub zones: Vec<FormChoice>,
}

/// The choices of every field.
#[derive(Debug, Serialize)]
pub struct FormChoices {
    shares: Vec<FormChoice>,
    weights: Vec<FormChoice>,
    frequencies: Vec<FormChoice>,
    weekdays: Vec<FormChoice>,
    formats: Vec<FormChoice>,
    languages: Vec<FormChoice>,
    regions: Vec<ZoneRegion>,
}

/// Regions; other names in the database are aliases or not meant for people.
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
    ("0.2", "Mostly my interests, and some trending papers"),
    ("0.5", "Half and half"),
    ("0.8", "Mostly trending papers"),
    ("1", "Only trending papers"),
];

const WEIGHTS: [(&str, &str); 4] = [("0.5", "half"), ("1", "normal"), ("2", "double"), ("4", "four times")];

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

/// Formats of a mail.
pub const FORMATS: [(&str, &str); 2] = [("html", "HTML"), ("text", "Plain text")];

/// Languages of the text around the papers.
const LANGUAGES: [(&str, &str); 4] = [
    ("en", "English"),
    ("de", "Deutsch"),
    ("fr", "Français"),
    ("es", "Español"),
];

static CHOICES: LazyLock<FormChoices> = LazyLock::new(|| FormChoices::with(regions()));

impl FormChoices {
    fn with(regions: Vec<ZoneRegion>) -> Self {
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

/// All choices, built once.
pub fn all() -> &'static FormChoices {
    &CHOICES
}

/// The same with few time zones, for snapshots.
#[cfg(test)]
pub fn few() -> FormChoices {
    let mut regions = regions();
    regions.retain(|region| region.name == "Arctic");
    FormChoices::with(regions)
}

fn choices(pairs: &[(&str, &str)]) -> Vec<FormChoice> {
    let choice = |(value, label): &(&str, &str)| FormChoice {
        value: (*value).to_owned(),
        label: (*label).to_owned(),
    };
    pairs.iter().map(choice).collect()
}

fn regions() -> Vec<ZoneRegion> {
    let names: BTreeSet<String> = jiff::tz::db()
        .available()
        .map(|name| name.as_str().to_owned())
        .collect();
    let of = |region: &&str| {
        let zones = names.iter().filter_map(|name| {
            let place = name.strip_prefix(region)?.strip_prefix('/')?;
            Some(FormChoice {
                value: name.clone(),
                label: place.replace('_', " ").replace('/', ", "),
            })
        });
        ZoneRegion {
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
    fn every_offered_zone_is_accepted() {
        let zones: Vec<&FormChoice> = all().regions.iter().flat_map(|region| &region.zones).collect();
        assert!(zones.len() > 350, "{}", zones.len());
        for zone in &zones {
            assert!(Schedule::parse("07:00", &zone.value).is_ok(), "{}", zone.value);
        }
        let new_york = zones.iter().find(|zone| zone.value == "America/New_York");
        assert_eq!(new_york.expect("there").label, "New York");
    }
}
