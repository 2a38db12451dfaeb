//! Why a page could not be had, and what helps.
//!
//! A bad record is no error of the page; it is set aside ([`crate::record::SetAside`]) and the page goes on.

use std::time::Duration;

use crate::cursor::CursorError;

/// A page that could not be read to its end. What was handed out before holds; the cursor has not moved.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No connection, or none that lasted until the answer began.
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
        /// `connect`, `answer`, `send more` or `finish`.
        step: &'static str,
        /// How long was waited, in seconds.
        seconds: u64,
    },
    /// The connection broke in the middle of the page.
    #[error("the answer of {host} broke off: {cause}")]
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
        /// The first words of its answer.
        text: String,
    },
    /// A 4xx: it will answer the same to the same question.
    #[error("{host} refused {url} (HTTP {status}): {text}")]
    Refused {
        /// Host and port.
        host: String,
        /// What was asked, without secrets.
        url: String,
        /// The status.
        status: u16,
        /// The first words of its answer.
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
    /// More than is allowed for one answer.
    #[error("the answer of {host} is larger than {limit} bytes")]
    TooLarge {
        /// Host and port.
        host: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// Something else than was asked for, such as an HTML page.
    #[error("expected {expected}, found {found}")]
    NotTheFormat {
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
    /// The source says in its own protocol that it will not answer.
    #[error("the source refused the request: {code}: {text}")]
    Protocol {
        /// The protocol's code, such as `badArgument`.
        code: String,
        /// What it says about it.
        text: String,
    },
    /// The source has forgotten where we were (an expired resumption token).
    #[error("the source does not know the place any more: {0}")]
    PlaceForgotten(String),
    /// The source sends round in circles: it gave a token that it gave before, or page after page without a record.
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
    /// Whoever asked for the page does not listen any more.
    #[error("nobody takes the records of this page any more")]
    Abandoned,
}

/// What helps against an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Ask again from the same cursor: after this time where the source named one, else after a growing pause.
    Retry(Option<Duration>),
    /// Ask again from [`crate::cursor::Cursor::restarted`]: the same span from its beginning, after at least this time.
    Restart(Duration),
    /// Nothing will change by itself: stop the source until an operator has acted.
    Stop,
}

impl SourceError {
    /// What helps.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Busy { after, .. } => Remedy::Retry(*after),
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Cut { .. }
            | Self::Failed { .. }
            | Self::NotTheFormat { .. }
            | Self::Malformed { .. }
            | Self::Abandoned => Remedy::Retry(None),
            Self::PlaceForgotten(_) => Remedy::Restart(Duration::ZERO),
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

    /// Whether an operator should hear of it at the first time; the others only when they last.
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
            Self::NotTheFormat { .. } => "not_the_format",
            Self::Malformed { .. } => "malformed",
            Self::Protocol { .. } => "protocol",
            Self::PlaceForgotten(_) => "place_forgotten",
            Self::Stuck { .. } => "stuck",
            Self::Cursor(_) => "cursor",
            Self::File { .. } => "file",
            Self::NotOffered(_) => "not_offered",
            Self::Abandoned => "abandoned",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_asks_for_is_what_helps() {
        let busy = SourceError::Busy {
            host: "example.org".into(),
            status: 503,
            after: Some(Duration::from_secs(90)),
        };
        assert_eq!(busy.remedy(), Remedy::Retry(Some(Duration::from_secs(90))));
        assert!(!busy.wakes_operator());
    }

    #[test]
    fn going_in_circles_restarts_and_is_told() {
        let stuck = SourceError::Stuck {
            pages: 3,
            what: "token a".into(),
        };
        assert!(matches!(stuck.remedy(), Remedy::Restart(_)));
        assert!(stuck.wakes_operator());
    }
}
