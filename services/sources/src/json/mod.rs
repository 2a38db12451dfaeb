//! Lists in JSON, as the APIs of sources give them: one element at a time, whatever their number and size.

pub mod scanner;

use std::collections::BTreeMap;
use std::io::Read;

use jiff::Timestamp;
use serde_json::Value;

use crate::draft::{Context, Draft};
use crate::encoding::lenient;
use crate::error::SourceError;
use crate::page::{Outcome, Sink, aside};
use crate::record::{Item, Record, Signal, SignalKind};
use domain::PaperId;
use scanner::{Found, MAX_ELEMENT_BYTES, Scanner};

/// Values beside a list that are kept.
const MAX_VALUES: usize = 256;

/// What an element says.
pub struct Said {
    /// The paper, or what became of it.
    pub outcome: Outcome,
    /// What was counted about it.
    pub signals: Vec<(SignalKind, u64)>,
}

impl Said {
    /// An element without signals.
    pub fn plain(outcome: Outcome) -> Self {
        Self {
            outcome,
            signals: Vec::new(),
        }
    }

    /// An element that cannot be used.
    pub fn bad(reason: impl Into<String>) -> Self {
        Self::plain(Outcome::Bad(Box::default(), reason.into()))
    }
}

/// What is known at the end of a list.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Facts {
    /// Values beside the list, by path.
    pub values: BTreeMap<String, Value>,
    /// Elements, with those that are not wanted.
    pub records: u64,
    /// The newest datestamp of all of them.
    pub newest: Option<Timestamp>,
}

impl Facts {
    /// Text beside the list; `None` where it is missing, empty or something else.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.values.get(path)?.as_str().filter(|text| !text.is_empty())
    }

    /// A number beside the list, even if it stands in quotes.
    pub fn number(&self, path: &str) -> Option<u64> {
        number(self.values.get(path)?)
    }
}

/// Where the list is.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// The keys that lead to it.
    pub list: &'static [&'static str],
    /// What the document should be, for the error when it is not.
    pub expected: &'static str,
}

/// Reads a list; `interpret` says what each element is. Pure, over a reader.
///
/// # Errors
/// A document that is no JSON, breaks off, or whose items nobody takes.
pub fn parse<R: Read>(
    input: R,
    charset: Option<&str>,
    layout: Layout,
    context: &Context,
    mut interpret: impl FnMut(&Value) -> Said,
    sink: &mut Sink<'_>,
) -> Result<Facts, SourceError> {
    let mut facts = Facts::default();
    let scanner = Scanner::new(input, charset, layout.list)?;
    scanner.run(layout.expected, &mut |found| match found {
        Found::Value(path, json) => {
            if facts.values.len() < MAX_VALUES
                && let Ok(value) = serde_json::from_str(&lenient(json))
            {
                facts.values.insert(path.to_owned(), value);
            }
            Ok(())
        }
        Found::TooLong(start, place) => {
            facts.records += 1;
            let reason = format!("the record has more than {MAX_ELEMENT_BYTES} bytes");
            sink(aside(reason, place, String::new(), None, &lenient(start)))
        }
        Found::Element(json, place) => {
            facts.records += 1;
            let text = lenient(json);
            let said = match serde_json::from_str::<Value>(&text) {
                Ok(value) => interpret(&value),
                Err(error) => Said::bad(format!("the record is no JSON: {error}")),
            };
            facts.newest = facts.newest.max(datestamp(&said.outcome));
            let Some(item) = said.outcome.into_item(context, place, || text.clone().into_owned()) else {
                return Ok(());
            };
            let signals = signals(&item, &said.signals, context);
            sink(item)?;
            signals
                .into_iter()
                .try_for_each(|signal| sink(Item::Record(Record::Signal(signal))))
        }
    })?;
    Ok(facts)
}

fn datestamp(outcome: &Outcome) -> Option<Timestamp> {
    match outcome {
        Outcome::Paper(draft) | Outcome::Withdrawn(draft, _) | Outcome::Bad(draft, _) => draft.datestamp,
        Outcome::Skipped => None,
    }
}

/// The signals of a sound paper, under its id.
fn signals(item: &Item, counted: &[(SignalKind, u64)], context: &Context) -> Vec<Signal> {
    let Item::Record(Record::Paper(claim)) = item else {
        return Vec::new();
    };
    let Ok(id) = PaperId::from_submission(&claim.submission.id, &context.source) else {
        return Vec::new();
    };
    counted
        .iter()
        .map(|&(kind, count)| Signal {
            id: id.clone(),
            kind,
            count,
            observed: context.now,
        })
        .collect()
}

/// Text at a pointer such as `/ids/doi`; empty where there is none.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The first text of a list at a pointer, or the text that stands there instead of a list.
pub fn first_text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    match value.pointer(pointer) {
        Some(Value::Array(list)) => list.iter().find_map(Value::as_str).unwrap_or_default(),
        Some(Value::String(text)) => text,
        _ => "",
    }
}

/// The elements of a list at a pointer; none where there is no list.
pub fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// A whole number, even if it stands in quotes.
pub fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// A whole number at a pointer.
pub fn number_at(value: &Value, pointer: &str) -> Option<u64> {
    number(value.pointer(pointer)?)
}

/// A date at a pointer.
pub fn date(value: &Value, pointer: &str) -> Option<Timestamp> {
    crate::dates::parse(text(value, pointer))
}

/// An element that is no object cannot be a record.
pub fn object(value: &Value) -> Result<Draft, Said> {
    if value.is_object() {
        return Ok(Draft::default());
    }
    Err(Said::bad("the record is no object"))
}
