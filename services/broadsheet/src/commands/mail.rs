//! `mail`: what receivers look at before they take mails of the configured sender. It needs no running platform.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Subcommand;
use common::clock::Clock;
use notification::sender_check::{DnsRecord, FindingLevel, SenderCheckRequest, SenderFinding, check_sender};
use serde_json::{Value, json};

use crate::error::CommandError;
use crate::platform;

/// What to do.
#[derive(Subcommand)]
pub enum MailCommand {
    /// Check SPF, DKIM, DMARC, the names of addresses, MX and TLS of the configured sender, and print the DNS records to
    /// publish. Exit status 1 if something fails
    Check {
        /// TOML file that overrides the defaults, as for `up`; the environment overrides the file
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Address from which mails reach receivers: that of the mail server, as the internet sees it; may be repeated
        #[arg(long = "ip", value_name = "ADDRESS")]
        addresses: Vec<IpAddr>,
        /// DNS server to ask, instead of this machine's
        #[arg(long, value_name = "ADDRESS:PORT")]
        dns: Option<SocketAddr>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
pub async fn run(command: MailCommand, clock: &Clock) -> Result<(), CommandError> {
    let MailCommand::Check {
        config,
        addresses,
        dns,
        json,
    } = command;
    let config = platform::read_notification(config.as_deref())?;
    let request = SenderCheckRequest { addresses, dns };
    let findings = check_sender(&config, &request, clock).await;
    let findings = findings.map_err(CommandError::other)?;
    if json {
        let checks: Vec<Value> = findings.iter().map(as_json).collect();
        println!("{}", json!({ "checks": checks }));
    } else {
        findings.iter().for_each(print);
    }
    let failed = findings.iter().filter(|one| one.level == FindingLevel::Fail).count();
    if failed > 0 {
        let problem = format!("{failed} of {} checks failed", findings.len());
        return Err(CommandError::other(problem));
    }
    Ok(())
}

fn print(finding: &SenderFinding) {
    println!("{:<4}  {:<12}  {}", finding.level.name(), finding.check, finding.found);
    if let Some(advice) = &finding.advice {
        println!("{:20}{advice}", "");
    }
    for DnsRecord { name, kind, value } in &finding.publish {
        println!("{:20}publish: {name} {kind} {value}", "");
    }
}

fn as_json(finding: &SenderFinding) -> Value {
    let record = |record: &DnsRecord| json!({ "name": record.name, "type": record.kind, "value": record.value });
    json!({
        "check": finding.check,
        "level": finding.level.name(),
        "found": finding.found,
        "advice": finding.advice,
        "publish": finding.publish.iter().map(record).collect::<Vec<_>>(),
    })
}
