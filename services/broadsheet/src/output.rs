//! What several commands print: times, refused lines, progress. It asks the platform for nothing.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::error::CommandError;

/// Line numbers of an input with what is wrong with each.
pub type RefusedLines = Vec<(u64, String)>;

/// A time in RFC 3339.
pub fn time(time: Option<prost_types::Timestamp>) -> Option<String> {
    let time = proto::convert::from_wire_time("time", time?).ok()?;
    Some(time.to_string())
}

/// The day of a publication for people, or that it is unknown.
pub fn day(published: Option<prost_types::Timestamp>) -> String {
    time(published).map_or_else(
        || "date unknown".to_owned(),
        |time| time.chars().take_while(|c| *c != 'T').collect(),
    )
}

/// Refused lines for programs.
pub fn refused_json(refused: &RefusedLines) -> Vec<Value> {
    let lines = refused.iter();
    lines
        .map(|(line, problem)| json!({ "line": line, "problem": problem }))
        .collect()
}

/// Refused lines for people, on standard error.
pub fn print_refused(refused: &RefusedLines) {
    for (line, problem) in refused {
        eprintln!("line {line}: {problem}");
    }
}

/// An error where lines were refused.
pub fn all_accepted(refused: &RefusedLines) -> Result<(), CommandError> {
    match refused.len() {
        0 => Ok(()),
        1 => Err(CommandError::data("1 line was refused; all others were accepted")),
        count => Err(CommandError::data(format!(
            "{count} lines were refused; all others were accepted"
        ))),
    }
}

/// A bar on standard error, hidden where that is no terminal.
pub fn progress_bar(length: u64, template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_day_is_called_unknown() {
        let seconds = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        assert_eq!(day(seconds(1_772_323_200)), "2026-03-01");
        assert_eq!(day(seconds(-60_000_000_000)), "0068-09-03");
        assert_eq!(day(None), "date unknown");
    }
}
