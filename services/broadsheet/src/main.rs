//! The whole platform in one process, and the command line for people.
//!
//! Client commands speak gRPC to a running platform; nothing here touches a store, a stream or a mail server by itself.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line talks to people"
)]

mod client;
mod commands;
mod csv;
mod failure;
mod lines;
mod platform;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::failure::Failure;

/// Broadsheet, the daily paper of papers.
///
/// Takes in research papers, makes them searchable by meaning and by words, and mails each subscriber one digest a day.
#[derive(Parser)]
#[command(version, after_help = EXIT_STATUSES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_STATUSES: &str = "Exit status: 0 done; 1 failed; 2 wrong arguments; 64 mistakes in the configuration; \
    65 some of the input was refused; 69 the platform does not answer.";

/// Where the platform is.
#[derive(Args, Clone)]
pub struct Place {
    /// Data folder of the platform [default: $BROADSHEET_HOME, or broadsheet in the user's data folder]
    #[arg(long, value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,
    /// gRPC address of a platform that runs elsewhere, instead of a data folder
    #[arg(long, value_name = "URL", env = "BROADSHEET_ENDPOINT", global = true)]
    pub endpoint: Option<String>,
    /// Bearer token, where the platform asks for one
    #[arg(
        long,
        value_name = "TOKEN",
        env = "BROADSHEET_GRPC__TOKEN",
        hide_env_values = true,
        global = true
    )]
    pub token: Option<String>,
}

/// How the platform is started.
#[derive(Args, Clone)]
pub struct Start {
    /// Data folder; made when missing [default: $BROADSHEET_HOME, or broadsheet in the user's data folder]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// TOML file that overrides the defaults
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole platform in this process, with its own nats-server and Redis unless others are configured
    Up {
        #[command(flatten)]
        start: Start,
        /// Say what is wrong with the configuration and exit
        #[arg(long)]
        check_config: bool,
        /// Print the defaults with their meaning and exit
        #[arg(long, conflicts_with = "check_config")]
        print_config: bool,
    },
    /// Show the main job: start, take in papers, search them, mail a digest, stay up
    Demo {
        #[command(flatten)]
        start: Start,
        /// Papers as JSON lines, instead of the bundled sample
        #[arg(long, value_name = "FILE")]
        papers: Option<PathBuf>,
        /// Stop after the demonstration instead of staying up
        #[arg(long)]
        once: bool,
    },
    /// Measure how well searches rank, on a judged set, with a platform that is started for it and thrown away
    Eval {
        #[command(flatten)]
        options: commands::eval::Options,
    },
    /// Submit papers from a file of JSON lines
    Ingest {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        options: commands::ingest::Options,
    },
    /// Search papers by meaning and by words
    Search {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        options: commands::search::Options,
    },
    /// List the papers that get most attention now, compared with what is usual for their topic
    Trending {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        options: commands::trending::Options,
    },
    /// Look after the feeds that papers come from: list, run, pause, back-fill
    Sources {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        command: commands::sources::Sources,
    },
    /// Take in what is counted on other sites: up-votes, stars, citations, mentions
    Signals {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        command: commands::signals::Signals,
    },
    /// Withdraw a paper: it is no longer found or mailed
    Withdraw {
        #[command(flatten)]
        place: Place,
        /// Id of the paper, such as arxiv:2402.14776
        id: String,
        /// Why, for readers
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Subscribe an address to the daily digest
    Subscribe {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        options: commands::subscribe::Options,
    },
    /// Look after subscribers: list, import, export, suppress, rebuild
    Subscribers {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        command: commands::subscribers::Subscribers,
    },
    /// Look at or send digests
    Digest {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        command: commands::digest::Digest,
    },
    /// Say how the platform stands
    Status {
        #[command(flatten)]
        place: Place,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Look after the index: rebuild it for another model, verify, back up, copy it
    Index {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        command: commands::index::Index,
    },
    /// Read, replay or drop messages that could not be handled
    DeadLetters {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        command: commands::dead_letters::DeadLetters,
    },
    /// Fetch servers and model into the cache, as `up` would, and say where they are
    Fetch {
        /// Copy the model into this folder too
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
        /// Which model: minilm or static
        #[arg(long, value_name = "NAME", default_value = platform::model::DEFAULT)]
        model: String,
    },
    /// Become a server that ends with its parent; used by `up` itself
    #[command(hide = true)]
    SupervisedChild {
        parent: u32,
        #[arg(last = true, required = true)]
        program: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    if let Command::SupervisedChild { parent, program } = command {
        let error = standalone::become_supervised_child(parent, &program[0], &program[1..]);
        return Failure::other(error).report();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::other(error).report(),
    };
    match runtime.block_on(run(command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Up {
            start,
            check_config,
            print_config,
        } => {
            if print_config {
                println!("{}", platform::DEFAULTS.join("\n"));
                return Ok(());
            }
            if check_config {
                platform::check(&start)?;
                println!("the configuration holds");
                return Ok(());
            }
            commands::up::run(&start).await
        }
        Command::Demo { start, papers, once } => commands::demo::run(&start, papers, once).await,
        Command::Eval { options } => Box::pin(commands::eval::run(options)).await,
        Command::Ingest { place, options } => commands::ingest::run(&place, options).await,
        Command::Search { place, options } => commands::search::run(&place, options).await,
        Command::Trending { place, options } => commands::trending::run(&place, options).await,
        Command::Sources { place, command } => commands::sources::run(&place, command).await,
        Command::Signals { place, command } => commands::signals::run(&place, command).await,
        Command::Withdraw { place, id, reason } => commands::ingest::withdraw(&place, id, reason).await,
        Command::Subscribe { place, options } => commands::subscribe::run(&place, options).await,
        Command::Subscribers { place, command } => commands::subscribers::run(&place, command).await,
        Command::Digest { place, command } => commands::digest::run(&place, command).await,
        Command::Status { place, json } => commands::status::run(&place, json).await,
        Command::Index { place, command } => commands::index::run(&place, command).await,
        Command::DeadLetters { place, command } => commands::dead_letters::run(&place, command).await,
        Command::Fetch { into, model } => commands::fetch::run(into, model).await,
        Command::SupervisedChild { .. } => Ok(()),
    }
}
