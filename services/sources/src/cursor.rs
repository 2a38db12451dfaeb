//! How far a harvest has come: versioned JSON that a person can read.
//!
//! The harvester stores a cursor and moves it only after the papers of its page are safe. A source derives the next cursor
//! from the last one and keeps nothing itself, so any process can go on from a cursor.
//!
//! A harvest goes in passes. A pass lists what changed since `from` in as many pages as the source gives. The next pass
//! begins at the newest datestamp seen, less an overlap, so that a record which the source dated back a little, or an
//! unfinished day, is not missed. Local clocks decide nothing.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::kind::SourceKind;

/// The version of cursors written today.
pub const VERSION: u32 = 1;
/// Tokens of a pass that are remembered to detect a source that loops.
const REMEMBERED_TOKENS: usize = 64;

/// How far a harvest has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    version: u32,
    /// Which kind of source it belongs to.
    pub kind: SourceKind,
    /// What is asked for.
    #[serde(default)]
    pub range: DateRange,
    /// Where within the pass.
    pub position: CursorPosition,
    /// The newest datestamp that was seen, never later than the source's own clock at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
    /// How far the pass has come.
    #[serde(default)]
    pub pass: PassProgress,
    /// What lets a server say "nothing new", by URL.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub validators: BTreeMap<String, Validator>,
}

/// Bounds by datestamp, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DateRange {
    /// Changed at this moment or later; `None` for everything there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Changed at this moment or earlier; `None` to follow the source for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Where within a pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "at")]
pub enum CursorPosition {
    /// At its first page.
    Start,
    /// After a page that ended with this token.
    Token {
        /// The token as the source gave it.
        token: String,
    },
    /// At a page, an address of several, or a record, by number.
    Number {
        /// From 0.
        number: u64,
    },
    /// At a byte of a file.
    Byte {
        /// Which of the files, from 0.
        file: u64,
        /// From 0.
        byte: u64,
        /// Which file that was, because their number changes when a folder does.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        path: String,
    },
    /// At a page of a day.
    Day {
        /// The day, in UTC.
        day: jiff::civil::Date,
        /// The page of the day, from 0.
        number: u64,
    },
    /// A bounded range was read in full.
    Done,
}

/// How far a pass has come.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassProgress {
    /// Pages read.
    pub pages: u64,
    /// Records read, with the quarantined ones.
    pub records: u64,
    /// Records in all, if the source says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced: Option<u64>,
    /// Pages in a row that held no record.
    #[serde(default)]
    pub empty_pages: u64,
    /// Fingerprints of the last tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<u64>,
}

/// What a server gave to ask "has it changed since".
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validator {
    /// `ETag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// `Last-Modified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

/// A cursor that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// Not a cursor at all.
    #[error("the cursor cannot be read: {0}")]
    Unreadable(String),
    /// Written by a later release.
    #[error("the cursor has version {0}; this release reads up to {VERSION}")]
    Newer(u32),
    /// Of another kind of source.
    #[error("the cursor belongs to a source of kind {found}, not {expected}")]
    OtherKind {
        /// The kind of the source.
        expected: SourceKind,
        /// The kind of the cursor.
        found: SourceKind,
    },
    /// A position that this source never gives.
    #[error("the cursor is at {0}, where this source has no page")]
    NoSuchPosition(String),
    /// A range that ends before it begins, or that this source cannot be asked for.
    #[error("{0}")]
    Range(String),
}

impl CursorPosition {
    /// The error of a source that never gives this position.
    pub(crate) fn unexpected(&self) -> CursorError {
        CursorError::NoSuchPosition(format!("{self:?}"))
    }
}

impl Cursor {
    /// At the beginning of a range.
    ///
    /// # Errors
    /// A range that ends before it begins.
    pub fn start(kind: SourceKind, range: DateRange) -> Result<Self, CursorError> {
        if let (Some(from), Some(until)) = (range.from, range.until)
            && from > until
        {
            return Err(CursorError::Range(format!(
                "the range ends at {until}, before it begins at {from}"
            )));
        }
        Ok(Self {
            version: VERSION,
            kind,
            range,
            position: CursorPosition::Start,
            newest: None,
            pass: PassProgress::default(),
            validators: BTreeMap::new(),
        })
    }

    /// Reads a cursor as [`Cursor::to_text`] wrote it, in this release or an earlier one.
    pub fn parse(text: &str) -> Result<Self, CursorError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let unreadable = |error: serde_json::Error| CursorError::Unreadable(error.to_string());
        let Versioned { version } = serde_json::from_str(text).map_err(unreadable)?;
        if version > VERSION {
            return Err(CursorError::Newer(version));
        }
        serde_json::from_str(text).map_err(unreadable)
    }

    /// As JSON on one line.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The same range from its beginning, for use after an expired token. The newest datestamp is kept.
    #[must_use]
    pub fn restarted(&self) -> Self {
        Self {
            position: CursorPosition::Start,
            pass: PassProgress::default(),
            validators: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// At the first page again, with its validators, for sources that go round over addresses or files.
    #[must_use]
    pub(crate) fn rewound(self) -> Self {
        Self {
            position: CursorPosition::Start,
            pass: PassProgress::default(),
            ..self
        }
    }

    /// Keeps what makes the next request of an address conditional, or forgets it.
    pub(crate) fn set_validator(&mut self, address: &str, validator: Option<Validator>) {
        match validator {
            Some(validator) => self.validators.insert(address.to_owned(), validator),
            None => self.validators.remove(address),
        };
    }

    /// After a page of so many records, whose position the source has yet to set. `announced` is how many records the
    /// whole pass has, if the source says so; `newest` is the newest datestamp on the page.
    #[must_use]
    pub(crate) fn after_page(
        &self,
        records: u64,
        announced: Option<u64>,
        newest: Option<Timestamp>,
        source_clock: Timestamp,
    ) -> Self {
        let mut next = self.clone();
        if let Some(newest) = newest {
            next.observe(newest, source_clock);
        }
        next.pass.pages += 1;
        next.pass.records += records;
        next.pass.announced = announced.or(next.pass.announced);
        next.pass.empty_pages = if records == 0 { next.pass.empty_pages + 1 } else { 0 };
        next
    }

    /// Whether a bounded range was read in full.
    pub fn is_done(&self) -> bool {
        self.position == CursorPosition::Done
    }

    /// Refuses a cursor of another kind.
    pub fn expect(&self, kind: SourceKind) -> Result<(), CursorError> {
        if self.kind == kind {
            return Ok(());
        }
        Err(CursorError::OtherKind {
            expected: kind,
            found: self.kind,
        })
    }

    /// Records a datestamp. One later than the source's own clock counts as that clock's time, so that a record dated into
    /// the future never moves the harvest past records still to come.
    pub fn observe(&mut self, datestamp: Timestamp, source_clock: Timestamp) {
        let seen = datestamp.min(source_clock);
        self.newest = Some(self.newest.map_or(seen, |newest| newest.max(seen)));
    }

    /// Remembers a token. `false` if it was given in this pass before.
    pub fn remember(&mut self, token: &str) -> bool {
        let print = fingerprint(token);
        if self.pass.tokens.contains(&print) {
            return false;
        }
        if self.pass.tokens.len() == REMEMBERED_TOKENS {
            self.pass.tokens.remove(0);
        }
        self.pass.tokens.push(print);
        true
    }

    /// The end of a pass: a bounded range is done, an open one begins again at the newest datestamp less the overlap, but
    /// never before where it began.
    #[must_use]
    pub fn pass_ended(&self, overlap: SignedDuration) -> Self {
        if self.range.until.is_some() {
            return Self {
                position: CursorPosition::Done,
                ..self.clone()
            };
        }
        let next = self.newest.and_then(|newest| newest.checked_sub(overlap).ok());
        Self {
            range: DateRange {
                from: next.max(self.range.from),
                until: None,
            },
            position: CursorPosition::Start,
            pass: PassProgress::default(),
            ..self.clone()
        }
    }
}

/// FNV-1a: the same on every machine and in every release, which the standard hasher does not promise.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    fn open(from: &str) -> Cursor {
        let range = DateRange {
            from: Some(at(from)),
            until: None,
        };
        Cursor::start(SourceKind::Arxiv, range).expect("a cursor")
    }

    #[test]
    fn it_is_read_back_as_it_was_written() {
        let mut cursor = open("2026-03-01T00:00:00Z");
        cursor.position = CursorPosition::Token { token: "a|b".into() };
        cursor.remember("a|b");
        assert_eq!(Cursor::parse(&cursor.to_text()), Ok(cursor));
    }

    #[test]
    fn the_newer_and_the_unreadable_are_refused() {
        assert_eq!(Cursor::parse(r#"{"version":9,"else":1}"#), Err(CursorError::Newer(9)));
        assert!(matches!(Cursor::parse("{}"), Err(CursorError::Unreadable(_))));
        let unknown = open("2026-03-01T00:00:00Z").to_text().replacen('{', r#"{"odd":1,"#, 1);
        assert!(matches!(Cursor::parse(&unknown), Err(CursorError::Unreadable(_))));
    }

    #[test]
    fn the_next_pass_overlaps_and_never_goes_back() {
        let mut cursor = open("2026-03-01T00:00:00Z");
        let day = SignedDuration::from_hours(24);
        assert_eq!(cursor.pass_ended(day).range.from, Some(at("2026-03-01T00:00:00Z")));
        cursor.observe(at("2026-03-10T00:00:00Z"), at("2026-03-10T09:00:00Z"));
        assert_eq!(cursor.pass_ended(day).range.from, Some(at("2026-03-09T00:00:00Z")));
    }

    #[test]
    fn a_date_in_the_future_does_not_move_the_harvest_past_today() {
        let mut cursor = open("2026-03-01T00:00:00Z");
        cursor.observe(at("2099-01-01T00:00:00Z"), at("2026-03-10T00:00:00Z"));
        assert_eq!(cursor.newest, Some(at("2026-03-10T00:00:00Z")));
    }

    #[test]
    fn a_token_given_twice_is_noticed() {
        let mut cursor = open("2026-03-01T00:00:00Z");
        assert!(cursor.remember("a"));
        assert!(cursor.remember("b"));
        assert!(!cursor.remember("a"));
    }

    #[test]
    fn a_bounded_span_ends() {
        let range = DateRange {
            from: Some(at("2026-01-01T00:00:00Z")),
            until: Some(at("2026-02-01T00:00:00Z")),
        };
        let cursor = Cursor::start(SourceKind::Oai, range).expect("a cursor");
        assert!(cursor.pass_ended(SignedDuration::ZERO).is_done());
        let backwards = DateRange {
            from: range.until,
            until: range.from,
        };
        assert!(Cursor::start(SourceKind::Oai, backwards).is_err());
    }
}
