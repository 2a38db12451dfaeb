//! The commands, one file each; those that ask a running platform are chosen from here.

pub mod audit;
pub mod dead_letters;
pub mod demo;
pub mod digest;
pub mod eval;
pub mod fetch;
pub mod index;
pub mod ingest;
pub mod keys;
pub mod mail;
pub mod nats;
pub mod search;
pub mod signals;
pub mod sources;
pub mod status;
pub mod subscribe;
pub mod subscribers;
pub mod trending;
pub mod up;

use clap::Subcommand;
use common::clock::Clock;

use crate::ConnectArgs;
use crate::error::CommandError;

/// A command to a running platform.
#[derive(Subcommand)]
pub enum ClientCommand {
    /// Submit papers from files of any usual format
    Ingest {
        #[command(flatten)]
        connect: ConnectArgs,
        #[command(flatten)]
        args: ingest::IngestArgs,
    },
    /// Search papers by meaning and by words
    Search {
        #[command(flatten)]
        connect: ConnectArgs,
        #[command(flatten)]
        args: search::SearchArgs,
    },
    /// List the papers that get the most attention now, compared with what is usual for their topic
    Trending {
        #[command(flatten)]
        connect: ConnectArgs,
        #[command(flatten)]
        args: trending::TrendingArgs,
    },
    /// Manage the feeds that papers come from: list, run, pause, back-fill
    Sources {
        #[command(flatten)]
        connect: ConnectArgs,
        #[command(subcommand)]
        command: sources::SourcesCommand,
    },
    /// Import counts from other sites: up-votes, stars, citations, mentions
    Signals {
        #[command(flatten)]
        connect: ConnectArgs,
        #[command(subcommand)]
        command: signals::SignalsCommand,
    },
    /// Withdraw a paper: it is no longer found or mailed
    Withdraw {
        #[command(flatten)]
        connect: ConnectArgs,
        /// Id of the paper, such as arxiv:2402.14776
        id: String,
        /// Reason shown to readers
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Subscribe an address to the daily digest
    Subscribe {
        #[command(flatten)]
        connect: ConnectArgs,
        #[command(flatten)]
        args: subscribe::SubscribeArgs,
    },
    /// Manage subscribers: list, import, export, suppress, rebuild
    Subscribers {
        #[command(flatten)]
        connect: ConnectArgs,
        #[command(subcommand)]
        command: subscribers::SubscribersCommand,
    },
    /// Preview or send digests
    Digest {
        #[command(flatten)]
        connect: ConnectArgs,
        #[command(subcommand)]
        command: digest::DigestCommand,
    },
    /// Show the state of the platform
    Status {
        #[command(flatten)]
        connect: ConnectArgs,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Manage the index: rebuild it for another model, verify, back up, copy it
    Index {
        #[command(flatten)]
        connect: ConnectArgs,
        #[command(subcommand)]
        command: index::IndexCommand,
    },
    /// Show the audit log: which calls wrote or administered something
    Audit {
        #[command(flatten)]
        connect: ConnectArgs,
        #[command(flatten)]
        args: audit::AuditArgs,
    },
    /// Inspect, replay or drop messages that could not be processed
    DeadLetters {
        #[command(flatten)]
        connect: ConnectArgs,
        #[command(subcommand)]
        command: dead_letters::DeadLettersCommand,
    },
}

/// Runs a command against the platform that it names.
pub async fn run(command: ClientCommand, clock: &Clock) -> Result<(), CommandError> {
    match command {
        ClientCommand::Ingest { connect, args } => ingest::run(&connect, args, clock).await,
        ClientCommand::Search { connect, args } => search::run(&connect, args).await,
        ClientCommand::Trending { connect, args } => trending::run(&connect, args).await,
        ClientCommand::Sources { connect, command } => sources::run(&connect, command, clock).await,
        ClientCommand::Signals { connect, command } => signals::run(&connect, command).await,
        ClientCommand::Withdraw { connect, id, reason } => ingest::withdraw(&connect, id, reason).await,
        ClientCommand::Subscribe { connect, args } => subscribe::run(&connect, args).await,
        ClientCommand::Subscribers { connect, command } => subscribers::run(&connect, command).await,
        ClientCommand::Digest { connect, command } => digest::run(&connect, command).await,
        ClientCommand::Status { connect, json } => status::run(&connect, json).await,
        ClientCommand::Index { connect, command } => index::run(&connect, command, clock).await,
        ClientCommand::Audit { connect, args } => audit::run(&connect, args, clock).await,
        ClientCommand::DeadLetters { connect, command } => dead_letters::run(&connect, command).await,
    }
}
