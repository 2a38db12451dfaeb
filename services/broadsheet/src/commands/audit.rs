//! `audit`: which calls wrote or administered something, by whom, and how they ended.

use clap::Args;
use common::clock::Clock;
use jiff::SignedDuration;
use proto::convert::to_wire_time;
use proto::operations::v1::operations_service_client::OperationsServiceClient;
use proto::operations::v1::{AuditEntry, ListAuditEntriesRequest};
use serde_json::json;

use crate::error::CommandError;
use crate::{ConnectArgs, client, output};

/// Which entries.
#[derive(Args)]
pub struct AuditArgs {
    /// Hours to look back
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    hours: i64,
    /// Only calls with the key of this name
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(connect: &ConnectArgs, args: AuditArgs, clock: &Clock) -> Result<(), CommandError> {
    let mut operations = OperationsServiceClient::new(client::connect(connect)?);
    let start = clock.now().saturating_sub(SignedDuration::from_hours(args.hours));
    let start = start.map_err(CommandError::other)?;
    let mut page_token = String::new();
    loop {
        let request = ListAuditEntriesRequest {
            page_size: 1_000,
            page_token,
            start_time: Some(to_wire_time(start)),
        };
        let page = operations.list_audit_entries(request).await?.into_inner();
        let wanted = |entry: &&AuditEntry| args.by.as_ref().is_none_or(|name| entry.key_name == *name);
        for entry in page.audit_entries.iter().filter(wanted) {
            print(entry, args.json);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
}

fn print(entry: &AuditEntry, as_json: bool) {
    let end = output::time(entry.end_time);
    if as_json {
        println!(
            "{}",
            json!({
                "end": end, "key": entry.key_name, "key_id": entry.key_id, "method": entry.method, "code": entry.code,
                "service": entry.service, "peer": entry.peer, "request_id": entry.request_id,
                "duration_ms": entry.duration_milliseconds,
            })
        );
        return;
    }
    let end = end.unwrap_or_default();
    println!(
        "{end}  {:<16}  {:<17}  {}  {}",
        entry.key_name, entry.code, entry.method, entry.peer
    );
}
