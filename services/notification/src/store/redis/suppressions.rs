//! What is said of addresses, as Redis and the log have it.
//!
//! In Redis it is `<version> <bounce|complaint|manual|declined> <since ms>`, or `<version> lifted <since ms>`.

use std::sync::LazyLock;

use common::bus::BusError;
use jiff::Timestamp;
use proto::convert::{from_wire_time, to_wire_time};
use proto::subscriptions::v1::{self as wire, SuppressionLogged, SuppressionReason};
use redis::Script;
use tracing::error;

use super::connection::{RedisConnection, corrupt};
use super::keys;
use crate::ports::StoreError;
use crate::subscribers::suppressions::{Suppression, SuppressionCause, SuppressionEntry};

static SUPPRESS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("suppress.lua")));

/// Which versions a write may take the place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOver {
    /// The one just before.
    Previous,
    /// Any older one.
    Older,
}

impl WriteOver {
    /// As scripts call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Previous => "next",
            Self::Older => "newer",
        }
    }
}

/// What is said of an address.
pub async fn load(connection: &RedisConnection, hash: &str) -> Result<Option<SuppressionEntry>, StoreError> {
    let entry: Option<String> = connection
        .ask(redis::cmd("HGET").arg(keys::SUPPRESSED).arg(hash))
        .await?;
    entry.map(|entry| parse(hash, &entry)).transpose()
}

/// Writes what is said of an address; false where a version is there that it must not take the place of.
pub async fn write(
    connection: &RedisConnection,
    hash: &str,
    over: WriteOver,
    entry: SuppressionEntry,
) -> Result<bool, StoreError> {
    let cause = entry.cause.map_or("lifted", SuppressionCause::name);
    let text = format!("{} {cause} {}", entry.version, entry.since.as_millisecond());
    let arguments = [hash, over.name(), &entry.version.to_string(), &text].map(|one| one.as_bytes().to_vec());
    connection
        .script(&SUPPRESS, &[keys::SUPPRESSED.to_owned()], &arguments)
        .await
}

/// Writes what the log says of an address; false where Redis has that or a newer word. What cannot be read counts as a
/// suppression: nobody is mailed because of a word that this version does not know.
pub async fn restore(
    connection: &RedisConnection,
    hash: &str,
    logged: Result<SuppressionLogged, BusError>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let entry = logged.map_err(|error| (0, error.to_string())).and_then(|logged| {
        let unknown = || (logged.version, format!("{logged:?}"));
        from_log(&logged).ok_or_else(unknown)
    });
    let entry = entry.unwrap_or_else(|(version, problem)| {
        error!(
            address = hash,
            problem, "what the log says of an address is not understood; it gets no mail"
        );
        SuppressionEntry {
            version: version.max(1),
            cause: Some(SuppressionCause::Manual),
            since: now,
        }
    });
    write(connection, hash, WriteOver::Older, entry).await
}

/// About so many suppressions from a cursor on, and the next cursor.
pub async fn scan(
    connection: &RedisConnection,
    cursor: u64,
    about: usize,
) -> Result<(u64, Vec<Suppression>), StoreError> {
    let mut command = redis::cmd("HSCAN");
    command.arg(keys::SUPPRESSED).arg(cursor).arg("COUNT").arg(about);
    let (next, entries): (u64, Vec<(String, String)>) = connection.ask(&command).await?;
    let mut found = Vec::with_capacity(entries.len());
    for (hash, entry) in entries {
        let entry = parse(&hash, &entry)?;
        if let Some(cause) = entry.cause {
            let since = entry.since;
            found.push(Suppression { hash, cause, since });
        }
    }
    Ok((next, found))
}

fn parse(hash: &str, text: &str) -> Result<SuppressionEntry, StoreError> {
    let parts: Vec<&str> = text.split(' ').collect();
    let entry = match parts[..] {
        [version, cause, since] => version
            .parse()
            .ok()
            .zip(since.parse().ok())
            .and_then(|(version, since)| {
                Some(SuppressionEntry {
                    version,
                    cause: if cause == "lifted" {
                        None
                    } else {
                        Some(SuppressionCause::parse(cause)?)
                    },
                    since: Timestamp::from_millisecond(since).ok()?,
                })
            }),
        _ => None,
    };
    entry.ok_or_else(|| corrupt(keys::SUPPRESSED, format!("{hash} is {text:?}")))
}

/// As the log has it.
pub fn to_log(entry: SuppressionEntry, hash: &str) -> SuppressionLogged {
    let reason = entry.cause.map_or(SuppressionReason::Unspecified, Into::into);
    SuppressionLogged {
        suppression: Some(wire::Suppression {
            address_hash: hash.to_owned(),
            reason: reason.into(),
            time: Some(to_wire_time(entry.since)),
        }),
        version: entry.version,
        lifted: entry.cause.is_none(),
    }
}

fn from_log(logged: &SuppressionLogged) -> Option<SuppressionEntry> {
    let suppression = logged.suppression.as_ref()?;
    let cause = match suppression.reason() {
        _ if logged.lifted => None,
        SuppressionReason::Bounce => Some(SuppressionCause::Bounce),
        SuppressionReason::Complaint => Some(SuppressionCause::Complaint),
        SuppressionReason::Manual => Some(SuppressionCause::Manual),
        SuppressionReason::Declined => Some(SuppressionCause::Declined),
        SuppressionReason::Unspecified => return None,
    };
    Some(SuppressionEntry {
        version: logged.version,
        cause,
        since: from_wire_time("time", suppression.time?).ok()?,
    })
}
