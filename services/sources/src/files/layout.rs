//! How the records of a JSON file lie: one on each line, in a list, or one after another.

use serde_json::Value;

use crate::error::SourceError;
use crate::json::scanner::{ListScanner, ScanEvent};

/// Where lists of papers are in the objects that APIs give.
const LISTS: [&[&str]; 8] = [
    &["message", "items"],
    &["results"],
    &["data"],
    &["papers"],
    &["items"],
    &["works"],
    &["recommendedPapers"],
    &["matches"],
];

/// How the records of a file lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonLayout {
    /// Each on a line of its own.
    Lines,
    /// In the list that these keys lead to; without keys, the file is the list.
    List(&'static [&'static str]),
    /// One after another, over lines as they come.
    Values,
}

/// The layout of a file that begins so. `whole` says whether that is all of it.
pub fn of(head: &[u8], whole: bool) -> JsonLayout {
    if head.first() == Some(&b'[') {
        return JsonLayout::List(&[]);
    }
    if let Some(list) = LISTS.iter().find(|list| leads_to_list(head, list)) {
        return JsonLayout::List(list);
    }
    let first_line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let complete = first_line.len() < head.len() || whole;
    let parsed = serde_json::from_slice::<Value>(first_line);
    let unfinished = parsed.is_err_and(|error| error.is_eof());
    // A value that ends behind its line is spread over several.
    if complete && unfinished && first_values(head, &JsonLayout::Values, 1).len() == 1 {
        return JsonLayout::Values;
    }
    JsonLayout::Lines
}

/// The first records of a file, as far as they are in its beginning.
pub fn first_values(head: &[u8], layout: &JsonLayout, most: usize) -> Vec<Value> {
    let mut values = Vec::new();
    // Where the beginning breaks off the scanner fails; what came before that is enough.
    let _ = scan(head, layout, &mut |event| {
        if let ScanEvent::Element(json, _) = event
            && let Ok(value) = serde_json::from_slice(json)
        {
            values.push(value);
        }
        if values.len() < most {
            return Ok(());
        }
        Err(SourceError::Abandoned)
    });
    values
}

fn leads_to_list(head: &[u8], list: &'static [&'static str]) -> bool {
    let mut found = false;
    let _ = scan(head, &JsonLayout::List(list), &mut |event| {
        found |= match event {
            ScanEvent::Element(json, _) | ScanEvent::TooLong(json, _) => json.first() == Some(&b'{'),
            // A paper has a title; what it calls `data` or `items` is no list of papers.
            ScanEvent::Value("title", _) => return Err(SourceError::Abandoned),
            ScanEvent::Value(..) => return Ok(()),
        };
        Err(SourceError::Abandoned)
    });
    found
}

fn scan(
    head: &[u8],
    layout: &JsonLayout,
    handler: &mut dyn FnMut(ScanEvent<'_>) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    match layout {
        JsonLayout::List(list) => ListScanner::new(head, None, list)?.run("JSON", handler),
        JsonLayout::Lines | JsonLayout::Values => ListScanner::new(head, None, &[])?.run_values(handler),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_told_apart() {
        for (text, expected) in [
            ("{\"title\":\"T\"}\n{\"title\":\"U\"}\n", JsonLayout::Lines),
            ("{\"title\":\"T\"}", JsonLayout::Lines),
            ("{broken\n{\"title\":\"U\"}\n", JsonLayout::Lines),
            ("[\n{\"title\":\"T\"}\n]", JsonLayout::List(&[])),
            ("{\n  \"title\": \"T\"\n}\n{\n  \"title\": \"U\"\n}", JsonLayout::Values),
            ("{\"meta\":{\"n\":1},\"results\":[{\"title\":\"T\"", JsonLayout::Lines),
            (
                "{\"meta\":{\"n\":1},\"results\":[{\"title\":\"T\"}",
                JsonLayout::List(&["results"]),
            ),
            (
                "{\"message\":{\"total\":1,\"items\":[{}]}}",
                JsonLayout::List(&["message", "items"]),
            ),
            ("{\"title\":\"T\",\"data\":[{\"a\":1}]}", JsonLayout::Lines),
            ("{\"data\":[1,2]}", JsonLayout::Lines),
        ] {
            assert_eq!(of(text.as_bytes(), true), expected, "{text}");
        }
    }
}
