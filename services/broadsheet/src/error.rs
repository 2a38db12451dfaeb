//! The error of a command, for people and for scripts: a message and an exit status.

use std::fmt;
use std::process::ExitCode;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// `EX_DATAERR` of sysexits.h: some of the input was refused.
const DATA_REFUSED: u8 = 65;
/// `EX_UNAVAILABLE`: the platform does not answer.
const UNAVAILABLE: u8 = 69;

/// A command that failed.
#[derive(Debug)]
pub struct CommandError {
    message: String,
    status: u8,
}

impl CommandError {
    /// Any other error; exit status 1.
    pub fn other(error: impl fmt::Display) -> Self {
        Self {
            message: error.to_string(),
            status: 1,
        }
    }

    /// Mistakes in the configuration.
    pub fn config(error: impl fmt::Display) -> Self {
        Self {
            message: error.to_string(),
            status: common::config::EXIT_CONFIG,
        }
    }

    /// Input that was refused.
    pub fn data(error: impl fmt::Display) -> Self {
        Self {
            message: error.to_string(),
            status: DATA_REFUSED,
        }
    }

    /// The platform cannot be reached.
    pub fn unavailable(error: impl fmt::Display) -> Self {
        Self {
            message: error.to_string(),
            status: UNAVAILABLE,
        }
    }

    /// The same with a hint what to do.
    #[must_use]
    pub fn and(self, hint: &str) -> Self {
        Self {
            message: format!("{}; {hint}", self.message.trim_end()),
            ..self
        }
    }

    /// Prints it and returns the exit status.
    pub fn report(self) -> ExitCode {
        let message = match self.message.trim() {
            "" => "the command failed, and nothing says why; the log of the platform may",
            message => message,
        };
        eprintln!("broadsheet: {message}");
        ExitCode::from(self.status)
    }
}

impl From<Status> for CommandError {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::Unavailable => Self::unavailable(format!(
                "the platform does not answer: {}; check that it runs, or start it with: broadsheet up",
                status.message()
            )),
            Code::InvalidArgument => {
                let details = status.get_error_details();
                let fields = details
                    .bad_request()
                    .map(|bad| bad.field_violations.clone())
                    .unwrap_or_default();
                let lines: Vec<String> = fields
                    .iter()
                    .map(|v| format!("{} {}", v.field, v.description))
                    .collect();
                Self::data(if lines.is_empty() {
                    said(
                        &status,
                        "the platform refused the call, and does not say which field is wrong",
                    )
                } else {
                    lines.join("\n")
                })
            }
            Code::Unauthenticated => Self::other(format!(
                "{}; pass it with --key or BROADSHEET_GRPC__KEY",
                said(&status, "a key is required")
            )),
            Code::Unimplemented => Self::other(format!(
                "the service at this address does not offer this call{}; name the address of the whole platform, or of the \
                 service that does",
                in_brackets(status.message())
            )),
            code if status.message().is_empty() => Self::other(format!(
                "the platform answered {code:?} ({}) without saying why; see its log",
                code.description()
            )),
            _ => Self::other(status.message()),
        }
    }
}

/// What a status says, or else what it means.
fn said(status: &Status, meaning: &str) -> String {
    match status.message() {
        "" => meaning.to_owned(),
        message => message.to_owned(),
    }
}

/// A message behind what it explains; nothing where there is none.
fn in_brackets(message: &str) -> String {
    match message {
        "" => String::new(),
        message => format!(" ({message})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_says_something() {
        for code in (1..=16).map(Code::from) {
            let error = CommandError::from(Status::new(code, ""));
            assert!(error.message.len() > 20, "{code:?}: {error:?}");
        }
        let unimplemented = CommandError::from(Status::new(Code::Unimplemented, ""));
        assert!(unimplemented.message.contains("address of the whole platform"));
        let hinted = CommandError::other("it broke").and("mend it");
        assert_eq!(hinted.message, "it broke; mend it");
    }
}
