//! Checks of settings that kinds of sources share. Each error names the key, its value and what is allowed.

use std::ops::RangeInclusive;

/// The longest overlap of two passes over a source whose records appear at once, in hours.
pub const MAX_OVERLAP_HOURS: u64 = 24 * 60;
/// The same for a source whose records appear days or weeks after their date.
pub const MAX_LATE_OVERLAP_HOURS: u64 = 24 * 120;

/// Requires an absolute http or https URL.
pub fn check_url(key: &str, value: &str) -> Result<(), String> {
    let valid = url::Url::parse(value).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if valid {
        return Ok(());
    }
    Err(format!("{key} is {value:?}; an absolute http or https URL is required"))
}

/// Requires a number within a range.
pub fn check_number(key: &str, value: impl Into<u64>, allowed: RangeInclusive<u64>) -> Result<(), String> {
    let value = value.into();
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(format!(
        "{key} is {value}; allowed are {} to {}",
        allowed.start(),
        allowed.end()
    ))
}

/// Requires one of some words.
pub fn check_choice(key: &str, value: &str, allowed: &[&str]) -> Result<(), String> {
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(format!("{key} is {value:?}; allowed are {}", allowed.join(", ")))
}

/// Requires at least one entry.
pub fn check_not_empty<T>(key: &str, list: &[T]) -> Result<(), String> {
    if list.is_empty() {
        return Err(format!("{key} is empty; at least one is required"));
    }
    Ok(())
}
