//! The whole platform in one process, and the command line.
//!
//! Client commands speak gRPC to a running platform; nothing here touches a store, a stream or a mail server directly.

#[macro_use]
mod printing;

mod client;
mod commands;
mod csv_lines;
mod error;
mod json_lines;
mod output;
mod platform;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use common::clock::Clock;
use standalone::PackageInstall;

use crate::commands::nats::NatsCommand;
use crate::commands::{ClientCommand, eval, keys, mail, nats};
use crate::error::CommandError;

/// Broadsheet, the daily paper of papers.
///
/// Collects research papers, makes them searchable by meaning and by words, and mails each subscriber a daily digest.
#[derive(Parser)]
#[command(version, after_help = EXIT_STATUSES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_STATUSES: &str = "Exit status: 0 success; 1 failure; 2 wrong arguments; 64 mistakes in the configuration; \
    65 some of the input was refused; 69 the platform does not answer.";

/// How a client command reaches the platform.
#[derive(Args, Clone)]
pub struct ConnectArgs {
    /// Data folder of the platform [default: $BROADSHEET_HOME, or broadsheet in the user's data folder]
    #[arg(long, value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,
    /// gRPC address of a platform that runs elsewhere, instead of a data folder
    #[arg(long, value_name = "URL", env = "BROADSHEET_ENDPOINT", global = true)]
    pub endpoint: Option<String>,
    /// The key to present, if the platform requires one; see `broadsheet keys`
    #[arg(
        long,
        value_name = "KEY",
        env = "BROADSHEET_GRPC__KEY",
        hide_env_values = true,
        global = true
    )]
    pub key: Option<String>,
    /// File that holds the key
    #[arg(
        long,
        value_name = "FILE",
        env = "BROADSHEET_GRPC__KEY_FILE",
        conflicts_with = "key",
        global = true
    )]
    pub key_file: Option<PathBuf>,
    #[command(flatten)]
    pub tls: TlsArgs,
}

/// Whom a client command trusts, and the certificate that it presents.
#[derive(Args, Clone)]
pub struct TlsArgs {
    /// PEM file with the authorities to trust for https:// instead of the public ones
    #[arg(long, value_name = "FILE", env = "BROADSHEET_GRPC__TLS_CA", global = true)]
    pub tls_ca: Option<PathBuf>,
    /// PEM file with the certificate to present, if the platform requires one
    #[arg(
        long,
        value_name = "FILE",
        env = "BROADSHEET_GRPC__TLS_CLIENT_CERTIFICATE",
        requires = "tls_key",
        global = true
    )]
    pub tls_certificate: Option<PathBuf>,
    /// PEM file with its key
    #[arg(
        long,
        value_name = "FILE",
        env = "BROADSHEET_GRPC__TLS_CLIENT_KEY",
        requires = "tls_certificate",
        global = true
    )]
    pub tls_key: Option<PathBuf>,
    /// Name that the certificate of the platform must have, instead of the host of its address
    #[arg(long, value_name = "NAME", env = "BROADSHEET_GRPC__TLS_SERVER_NAME", global = true)]
    pub tls_server_name: Option<String>,
    /// Allow calls without TLS to other hosts, where anybody on the way can read the key
    #[arg(long, env = "BROADSHEET_GRPC__ALLOW_PLAINTEXT", global = true)]
    pub allow_plaintext: bool,
}

/// How the platform is started.
#[derive(Args, Clone)]
pub struct StartArgs {
    /// Data folder; created if missing [default: $BROADSHEET_HOME, or broadsheet in the user's data folder]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// TOML file that overrides the defaults
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub install: InstallArgs,
}

/// What may be installed on the machine.
#[derive(Args, Clone, Copy, Default)]
pub struct InstallArgs {
    /// Install a missing system package (python3-pip, with apt-get, as root) instead of printing the command that does
    #[arg(long, env = "BROADSHEET_INSTALL_PACKAGES")]
    install_packages: bool,
}

impl InstallArgs {
    /// Whether a missing system package may be installed.
    pub fn packages(self) -> PackageInstall {
        if self.install_packages {
            PackageInstall::Allowed
        } else {
            PackageInstall::Never
        }
    }
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole platform in this process, with its own nats-server and Redis unless others are configured
    Up {
        #[command(flatten)]
        start: StartArgs,
        /// Check the configuration, report its mistakes and exit
        #[arg(long)]
        check_config: bool,
        /// Print the defaults with comments and exit
        #[arg(long, conflicts_with = "check_config")]
        print_config: bool,
    },
    /// Show what the platform does: start it, ingest papers, search them, mail a digest, keep running
    Demo {
        #[command(flatten)]
        start: StartArgs,
        /// Papers as JSON lines, instead of the bundled sample
        #[arg(long, value_name = "FILE")]
        papers: Option<PathBuf>,
        /// Stop after the demonstration instead of keeping the platform running
        #[arg(long)]
        once: bool,
    },
    /// Measure how well searches rank on a judged data set, with a temporary platform of its own
    Eval {
        #[command(flatten)]
        args: eval::EvalArgs,
    },
    /// Fetch servers and model into the cache, as `up` does, and print where they are
    Fetch {
        /// Also copy the model into this folder
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
        /// Which model: minilm or static
        #[arg(long, value_name = "NAME", default_value = platform::models::DEFAULT_PROFILE)]
        model: String,
        #[command(flatten)]
        install: InstallArgs,
    },
    /// Make, list and revoke the keys that callers present
    Keys {
        #[command(subcommand)]
        command: keys::KeysCommand,
    },
    /// Check what receivers look at before they take mails of the configured sender
    Mail {
        #[command(subcommand)]
        command: mail::MailCommand,
    },
    /// What to tell nats-server about the platform: the rights of each service
    Nats {
        #[command(subcommand)]
        command: NatsCommand,
    },
    /// Become a server that ends with its parent; used by `up` itself
    #[command(hide = true)]
    SupervisedChild {
        parent: u32,
        #[arg(last = true, required = true)]
        program: Vec<OsString>,
    },
    #[command(flatten)]
    Client(Box<ClientCommand>),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    if let Command::SupervisedChild { parent, program } = command {
        let error = standalone::become_supervised_child(parent, &program[0], &program[1..]);
        return CommandError::other(error).report();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return CommandError::other(error).report(),
    };
    match runtime.block_on(run(command, Clock::system())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

async fn run(command: Command, clock: Clock) -> Result<(), CommandError> {
    match command {
        Command::Up { print_config: true, .. } => {
            println!("{}", platform::DEFAULTS.join("\n"));
            Ok(())
        }
        Command::Up {
            start,
            check_config: true,
            ..
        } => {
            platform::check(&start)?;
            println!("the configuration is valid");
            Ok(())
        }
        Command::Up { start, .. } => commands::up::run(&start, clock).await,
        Command::Demo { start, papers, once } => commands::demo::run(&start, papers, once, clock).await,
        Command::Eval { args } => Box::pin(eval::run(args, clock)).await,
        Command::Fetch { into, model, install } => commands::fetch::run(into, model, install).await,
        Command::Keys { command } => keys::run(command, &clock),
        Command::Mail { command } => mail::run(command, &clock).await,
        Command::Nats { command } => nats::run(&command),
        Command::SupervisedChild { .. } => Ok(()),
        Command::Client(command) => commands::run(*command, &clock).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn no_command_has_an_argument_twice() {
        Cli::command().debug_assert();
    }
}
