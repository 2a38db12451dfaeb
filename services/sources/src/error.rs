//! Why a page could not be fetched, and the remedy.
//!
//! A bad record is no error of the page: it is quarantined ([`crate::record::QuarantinedRecord`]) and the page goes on.

use std::io;
use std::time::Duration;

use crate::cursor::CursorError;

/// A page that could not be read to its end. Items sent before the error are valid; the cursor has not moved.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No connection, or none that lasted until the response began.
    #[error("{host} cannot be reached: {cause}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// What the network said.
        cause: String,
    },
    /// Nothing came for too long.
    #[error("{host} took longer than {seconds} s to {step}")]
    TimedOut {
        /// Host and port.
        host: String,
        /// `respond`, `send more` or `finish`.
        step: &'static str,
        /// How long was waited, in seconds.
        seconds: u64,
    },
    /// The connection broke in the middle of the page.
    #[error("the response of {host} broke off: {cause}")]
    Cut {
        /// Host and port.
        host: String,
        /// What the network said.
        cause: String,
    },
    /// 429 or 503: the server asks for patience.
    #[error("{host} is busy (HTTP {status})")]
    Busy {
        /// Host and port.
        host: String,
        /// The status.
        status: u16,
        /// How long it asks to be left alone.
        after: Option<Duration>,
    },
    /// Another 5xx: the server is broken for now.
    #[error("{host} failed (HTTP {status}): {text}")]
    Failed {
        /// Host and port.
        host: String,
        /// The status.
        status: u16,
        /// The first words of its response.
        text: String,
    },
    /// Another 4xx: the same request will be refused again.
    #[error("{host} refused {url} (HTTP {status}): {text}")]
    Refused {
        /// Host and port.
        host: String,
        /// What was asked, without secrets.
        url: String,
        /// The status.
        status: u16,
        /// The first words of its response.
        text: String,
    },
    /// A redirect that must not or cannot be followed.
    #[error("{url} leads to {target}, which is not followed: {why}")]
    Redirect {
        /// What was asked.
        url: String,
        /// Where it leads.
        target: String,
        /// Why it is not followed.
        why: &'static str,
    },
    /// More than is allowed for one response.
    #[error("the response of {host} is larger than {limit} bytes")]
    TooLarge {
        /// Host and port.
        host: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// Something other than was asked for, such as an HTML page.
    #[error("expected {expected}, found {found}")]
    UnexpectedFormat {
        /// What was asked for.
        expected: &'static str,
        /// What came, with its title or first words.
        found: String,
    },
    /// The page ends too early or cannot be read on.
    #[error("the page is malformed at byte {byte}: {why}")]
    Malformed {
        /// Where, in bytes of the unpacked page.
        byte: u64,
        /// What is wrong.
        why: String,
    },
    /// The source refuses in its own protocol.
    #[error("the source refused the request: {code}: {text}")]
    Protocol {
        /// The protocol's code, such as `badArgument`.
        code: String,
        /// What it says about it.
        text: String,
    },
    /// The source no longer knows our resumption token.
    #[error("the source no longer knows the resumption token: {0}")]
    TokenExpired(String),
    /// The source loops: it gave a token that it gave before, or page after page without a record.
    #[error("the source repeats itself after {pages} pages: {what}")]
    Stuck {
        /// Pages of the pass so far.
        pages: u64,
        /// What is repeated.
        what: String,
    },
    /// The cursor is not one of this source.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// A file that cannot be read.
    #[error("cannot read {path}: {cause}")]
    File {
        /// Which.
        path: String,
        /// What the system said.
        cause: String,
    },
    /// The source does not offer what was asked of it.
    #[error("{0}")]
    NotOffered(&'static str),
    /// Whoever asked for the page has stopped listening.
    #[error("nobody reads the records of this page any more")]
    Abandoned,
    /// The task that read the page panicked.
    #[error("reading the page failed: {0}")]
    Panicked(String),
}

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Fetch again from the same cursor: after this time if the source named one, else after a growing pause.
    Retry(Option<Duration>),
    /// Fetch again from [`crate::cursor::Cursor::restarted`]: the same range from its beginning, after at least this time.
    Restart(Duration),
    /// It will not pass by itself: stop the source until an operator has acted.
    Stop,
}

impl SourceError {
    /// A page that cannot be read on from a byte.
    pub(crate) fn malformed(byte: u64, why: impl Into<String>) -> Self {
        Self::Malformed { byte, why: why.into() }
    }

    /// The error that a reader of a response carries, or else one that says the page is malformed at a byte.
    pub(crate) fn from_read(error: io::Error, byte: u64) -> Self {
        let kind = error.kind();
        match error.downcast::<Self>() {
            Ok(carried) => carried,
            Err(other) if kind == io::ErrorKind::UnexpectedEof => {
                Self::malformed(byte, format!("it ends too early: {other}"))
            }
            Err(other) => Self::malformed(byte, other.to_string()),
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Busy { after, .. } => Remedy::Retry(*after),
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Cut { .. }
            | Self::Failed { .. }
            | Self::UnexpectedFormat { .. }
            | Self::Malformed { .. }
            | Self::Abandoned
            | Self::Panicked(_) => Remedy::Retry(None),
            Self::TokenExpired(_) => Remedy::Restart(Duration::ZERO),
            Self::Stuck { .. } => Remedy::Restart(Duration::from_hours(1)),
            Self::Refused { .. }
            | Self::Redirect { .. }
            | Self::TooLarge { .. }
            | Self::Protocol { .. }
            | Self::Cursor(_)
            | Self::File { .. }
            | Self::NotOffered(_) => Remedy::Stop,
        }
    }

    /// Whether to alert an operator at once, rather than only if it persists.
    pub fn wakes_operator(&self) -> bool {
        matches!(self, Self::Stuck { .. }) || self.remedy() == Remedy::Stop
    }

    /// One word for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut { .. } => "timed_out",
            Self::Cut { .. } => "cut",
            Self::Busy { .. } => "busy",
            Self::Failed { .. } => "failed",
            Self::Refused { .. } => "refused",
            Self::Redirect { .. } => "redirect",
            Self::TooLarge { .. } => "too_large",
            Self::UnexpectedFormat { .. } => "unexpected_format",
            Self::Malformed { .. } => "malformed",
            Self::Protocol { .. } => "protocol",
            Self::TokenExpired(_) => "token_expired",
            Self::Stuck { .. } => "stuck",
            Self::Cursor(_) => "cursor",
            Self::File { .. } => "file",
            Self::NotOffered(_) => "not_offered",
            Self::Abandoned => "abandoned",
            Self::Panicked(_) => "panicked",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_that_a_server_asks_for_is_the_remedy() {
        let busy = SourceError::Busy {
            host: "example.org".into(),
            status: 503,
            after: Some(Duration::from_secs(90)),
        };
        assert_eq!(busy.remedy(), Remedy::Retry(Some(Duration::from_secs(90))));
        assert!(!busy.wakes_operator());
    }

    #[test]
    fn a_loop_restarts_and_alerts_an_operator() {
        let stuck = SourceError::Stuck {
            pages: 3,
            what: "token a".into(),
        };
        assert!(matches!(stuck.remedy(), Remedy::Restart(_)));
        assert!(stuck.wakes_operator());
    }
}
