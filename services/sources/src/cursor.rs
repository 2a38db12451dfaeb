//! Where a harvest stands: plain JSON that a person can read, with a version.
//!
//! A cursor is kept by whoever harvests and is moved only after the papers of its page are safe. A source makes the next
//! one out of the last; it keeps nothing itself, so any process can go on from a cursor.
//!
//! A harvest goes in passes. A pass lists what changed since `from` in as many pages as the source gives; its end makes
//! the beginning of the next: the newest datestamp seen, less an overlap, so that a record which the source dated back a
//! little, or a day that was not finished, is not missed. Local clocks decide nothing.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::Kind;

/// The version of cursors written today.
pub const VERSION: u32 = 1;
/// Tokens of a pass that are remembered to notice a source that sends round in circles.
const REMEMBERED_TOKENS: usize = 64;

/// Where a harvest stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    version: u32,
    /// Which kind of source it belongs to.
    pub kind: Kind,
    /// What is asked for.
    #[serde(default)]
    pub span: Span,
    /// Where within the pass.
    pub position: Position,
    /// The newest datestamp that was seen, never later than the source's own clock at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
    /// How far the pass has come.
    #[serde(default)]
    pub pass: Pass,
    /// What lets a server say "nothing new", by URL.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub validators: BTreeMap<String, Validator>,
}

/// Bounds by datestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
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
pub enum Position {
    /// At its first page.
    Start,
    /// Behind a page that ended with this token.
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
    },
    /// At a page of a day.
    Day {
        /// The day, in UTC.
        day: jiff::civil::Date,
        /// The page of the day, from 0.
        number: u64,
    },
    /// All of a bounded span was taken; there is nothing more to ask.
    Done,
}

/// How far a pass has come.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pass {
    /// Pages taken.
    pub pages: u64,
    /// Records taken, with those set aside.
    pub records: u64,
    /// Records in all, as far as the source says.
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
        expected: Kind,
        /// The kind of the cursor.
        found: Kind,
    },
    /// A position that this source never gives.
    #[error("the cursor stands at {0}, where this source has no page")]
    NoSuchPosition(String),
    /// A span that ends before it begins, or that this source cannot be asked for.
    #[error("{0}")]
    Span(String),
}

impl Cursor {
    /// At the beginning of a span.
    ///
    /// # Errors
    /// A span that ends before it begins.
    pub fn start(kind: Kind, span: Span) -> Result<Self, CursorError> {
        if let (Some(from), Some(until)) = (span.from, span.until)
            && from > until
        {
            return Err(CursorError::Span(format!(
                "the span ends at {until}, before it begins at {from}"
            )));
        }
        Ok(Self {
            version: VERSION,
            kind,
            span,
            position: Position::Start,
            newest: None,
            pass: Pass::default(),
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

    /// The same span from its beginning, as after an expired token. What is known of the newest record stays.
    #[must_use]
    pub fn restarted(&self) -> Self {
        Self {
            position: Position::Start,
            pass: Pass::default(),
            validators: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// Whether a bounded span was taken in full.
    pub fn is_done(&self) -> bool {
        self.position == Position::Done
    }

    /// Refuses a cursor of another kind.
    pub fn expect(&self, kind: Kind) -> Result<(), CursorError> {
        if self.kind == kind {
            return Ok(());
        }
        Err(CursorError::OtherKind {
            expected: kind,
            found: self.kind,
        })
    }

    /// Notes a datestamp. One that lies behind the source's own clock is taken for that clock's time, so that a record
    /// dated into the future never moves the harvest past what is to come.
    pub fn see(&mut self, datestamp: Timestamp, source_clock: Timestamp) {
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

    /// The end of a pass: a bounded span is done, an open one begins again at the newest datestamp less the overlap, but
    /// never before where it began.
    #[must_use]
    pub fn pass_ended(&self, overlap: SignedDuration) -> Self {
        if self.span.until.is_some() {
            return Self {
                position: Position::Done,
                ..self.clone()
            };
        }
        let next = self.newest.and_then(|newest| newest.checked_sub(overlap).ok());
        Self {
            span: Span {
                from: next.max(self.span.from),
                until: None,
            },
            position: Position::Start,
            pass: Pass::default(),
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
        let span = Span {
            from: Some(at(from)),
            until: None,
        };
        Cursor::start(Kind::Arxiv, span).expect("a cursor")
    }

    #[test]
    fn it_is_read_back_as_it_was_written() {
        let mut cursor = open("2026-03-01T00:00:00Z");
        cursor.position = Position::Token { token: "a|b".into() };
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
        assert_eq!(cursor.pass_ended(day).span.from, Some(at("2026-03-01T00:00:00Z")));
        cursor.see(at("2026-03-10T00:00:00Z"), at("2026-03-10T09:00:00Z"));
        assert_eq!(cursor.pass_ended(day).span.from, Some(at("2026-03-09T00:00:00Z")));
    }

    #[test]
    fn a_date_in_the_future_does_not_move_the_harvest_past_today() {
        let mut cursor = open("2026-03-01T00:00:00Z");
        cursor.see(at("2099-01-01T00:00:00Z"), at("2026-03-10T00:00:00Z"));
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
        let span = Span {
            from: Some(at("2026-01-01T00:00:00Z")),
            until: Some(at("2026-02-01T00:00:00Z")),
        };
        let cursor = Cursor::start(Kind::Oai, span).expect("a cursor");
        assert!(cursor.pass_ended(SignedDuration::ZERO).is_done());
        let backwards = Span {
            from: span.until,
            until: span.from,
        };
        assert!(Cursor::start(Kind::Oai, backwards).is_err());
    }
}
