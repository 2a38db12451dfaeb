//! `broadsheet nats`: what nats-server has to be told about the platform. It asks no platform and no server.

use clap::{Subcommand, ValueEnum};
use common::permissions;

use crate::error::CommandError;

/// What to print.
#[derive(Subcommand)]
pub enum NatsCommand {
    /// Print the user of each service with exactly the rights that it needs, for the configuration of nats-server
    ///
    /// nats-server takes the passwords from its environment, such as NATS_INGEST_PASSWORD.
    Permissions {
        /// For nats-server, or as JSON for other tools
        #[arg(long, value_enum, default_value_t = PermissionsFormat::Conf)]
        format: PermissionsFormat,
    },
}

/// How rights are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PermissionsFormat {
    /// A block that a configuration of nats-server includes
    Conf,
    /// A list of users
    Json,
}

/// Prints it.
pub fn run(command: &NatsCommand) -> Result<(), CommandError> {
    let NatsCommand::Permissions { format } = command;
    let mut text = match format {
        PermissionsFormat::Conf => permissions::nats_config(),
        PermissionsFormat::Json => serde_json::to_string_pretty(&permissions::all()).map_err(CommandError::other)?,
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    print!("{text}");
    Ok(())
}
