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

    /// Prints it and returns the exit status.
    pub fn report(self) -> ExitCode {
        eprintln!("broadsheet: {}", self.message.trim_end());
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
                    status.message().to_owned()
                } else {
                    lines.join("\n")
                })
            }
            Code::Unauthenticated => Self::other(format!(
                "{}; pass it with --key or BROADSHEET_GRPC__KEY",
                status.message()
            )),
            _ => Self::other(status.message()),
        }
    }
}
