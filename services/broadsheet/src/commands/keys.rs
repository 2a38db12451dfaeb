//! `keys`: makes and revokes the keys that callers present. Works on the key file itself, so no platform needs to run.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use common::clock::Clock;
use common::keys::{KeyFile, KeyFileError, KeyRecord, write_private};
use jiff::{SignedDuration, Timestamp};
use proto::access::Scope;
use serde_json::json;

use crate::client;
use crate::error::CommandError;

/// Which scopes each service needs for its calls to the others; ingest and embedding call nobody.
const SERVICE_SCOPES: [(&str, &[Scope]); 3] = [
    ("indexing", &[Scope::Read]),
    ("notification", &[Scope::Read]),
    ("web", &[Scope::Read, Scope::Readers]),
];

/// What to do with keys.
#[derive(Subcommand)]
pub enum KeysCommand {
    /// Make a key file with a key for each service that calls others and one for the operator, unless there is a key file
    Init {
        #[command(flatten)]
        file: KeyFileArgs,
        /// Folder for the keys: NAME/grpc.key for each service and for `operator`
        #[arg(long, value_name = "DIR")]
        output: PathBuf,
    },
    /// Make a key and print it, once; a second valid key of the same name replaces the first one without a gap
    Make {
        #[command(flatten)]
        file: KeyFileArgs,
        /// Whose key it is, such as the name of a service or an integrator
        name: String,
        /// What it allows: read, submit, readers or operate; may be repeated
        #[arg(long = "scope", value_name = "SCOPE", value_parser = scope, required = true)]
        scopes: Vec<Scope>,
        /// Days until it expires; without, it never does
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i64).range(1..=3650))]
        days: Option<i64>,
    },
    /// List the keys
    List {
        #[command(flatten)]
        file: KeyFileArgs,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key by its id, or all keys of a name; running services refuse it within a second
    Revoke {
        #[command(flatten)]
        file: KeyFileArgs,
        /// Id or name
        #[arg(value_name = "KEY")]
        id_or_name: String,
    },
}

/// Where the keys are.
#[derive(Args)]
pub struct KeyFileArgs {
    /// The key file [default: keys.toml in the data folder]
    #[arg(long = "file", value_name = "FILE", env = "BROADSHEET_GRPC__KEYS")]
    path: Option<PathBuf>,
    /// Data folder of the platform [default: $BROADSHEET_HOME, or broadsheet in the user's data folder]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl KeyFileArgs {
    fn path(&self) -> Result<PathBuf, CommandError> {
        match &self.path {
            Some(path) => Ok(path.clone()),
            None => Ok(client::data_folder(self.data.as_deref())?.join("keys.toml")),
        }
    }
}

fn scope(name: &str) -> Result<Scope, String> {
    let allowed = || format!("allowed are {}", Scope::ALL.map(Scope::name).join(", "));
    Scope::parse(name).ok_or_else(allowed)
}

/// Runs the command.
pub fn run(command: KeysCommand, clock: &Clock) -> Result<(), CommandError> {
    let now = clock.now();
    match command {
        KeysCommand::Init { file, output } => init(&file.path()?, &output, now),
        KeysCommand::Make {
            file,
            name,
            scopes,
            days,
        } => {
            let path = file.path()?;
            let mut keys = KeyFile::read(&path, true).map_err(failed)?;
            let expires = days.map(|days| now.saturating_add(SignedDuration::from_hours(24 * days)));
            let expires = expires.transpose().map_err(CommandError::other)?;
            let key = keys.make(&name, &scopes, expires, now).map_err(failed)?;
            keys.write(&path).map_err(failed)?;
            eprintln!("added to {}; the key is shown only this once:", path.display());
            println!("{key}");
            Ok(())
        }
        KeysCommand::List { file, json } => {
            let keys = KeyFile::read(&file.path()?, false).map_err(failed)?;
            list(&keys.keys, json, now);
            Ok(())
        }
        KeysCommand::Revoke { file, id_or_name } => {
            let path = file.path()?;
            let mut keys = KeyFile::read(&path, false).map_err(failed)?;
            let revoked = keys.revoke(&id_or_name);
            if revoked.is_empty() {
                return Err(CommandError::data(format!(
                    "{} has no key {id_or_name:?}",
                    path.display()
                )));
            }
            keys.write(&path).map_err(failed)?;
            for key in revoked {
                println!("revoked {} of {}", key.id, key.name);
            }
            Ok(())
        }
    }
}

fn init(path: &Path, output: &Path, now: Timestamp) -> Result<(), CommandError> {
    if path.exists() {
        println!(
            "{} exists and is left as it is; add to it with: broadsheet keys make",
            path.display()
        );
        return Ok(());
    }
    let mut keys = KeyFile::default();
    let all = SERVICE_SCOPES.into_iter().chain([("operator", Scope::ALL.as_slice())]);
    for (name, scopes) in all {
        let key = keys.make(name, scopes, None, now).map_err(failed)?;
        let file = output.join(name).join("grpc.key");
        let made = std::fs::create_dir_all(output.join(name));
        let written = made.and_then(|()| write_private(&file, key.as_bytes()));
        written.map_err(|error| CommandError::other(format!("{}: {error}", file.display())))?;
        println!("wrote {}", file.display());
    }
    keys.write(path).map_err(failed)?;
    println!("wrote {}", path.display());
    Ok(())
}

fn failed(error: KeyFileError) -> CommandError {
    match error {
        KeyFileError::File { .. } => CommandError::other(error),
        KeyFileError::Refused(_) => CommandError::data(error),
    }
}

fn list(keys: &[KeyRecord], as_json: bool, now: Timestamp) {
    let scopes = |key: &KeyRecord| key.scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>();
    if as_json {
        let keys: Vec<_> = keys
            .iter()
            .map(|key| {
                json!({
                    "id": key.id, "name": key.name, "scopes": scopes(key), "created": key.created.to_string(),
                    "expires": key.expires.map(|end| end.to_string()), "expired": key.has_expired(now),
                })
            })
            .collect();
        println!("{}", json!({ "keys": keys }));
        return;
    }
    for key in keys {
        let end = match key.expires {
            None => "never expires".to_owned(),
            Some(end) if key.has_expired(now) => format!("expired {end}"),
            Some(end) => format!("expires {end}"),
        };
        println!("{}  {:<20}  {:<30}  {end}", key.id, key.name, scopes(key).join(","));
    }
}
