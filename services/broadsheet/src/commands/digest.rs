//! `digest`: previews what a subscriber would get, or sends it.

mod explanation;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use common::grpc::ServiceChannel;
use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use proto::delivery::v1::{
    Channel, Delivery, DeliveryState, Digest, PreviewDigestRequest, SendDigestsRequest, SendTestDigestRequest,
};
use serde_json::{Value, json};

use crate::error::CommandError;
use crate::{ConnectArgs, client, output};

/// What to do with digests.
#[derive(Subcommand)]
pub enum DigestCommand {
    /// Print the digest a subscriber would get now; sends nothing
    Preview {
        /// Address of a subscriber
        email: String,
        /// Print the HTML part instead of the text part
        #[arg(long)]
        html: bool,
        /// Show what the score of each paper is made of
        #[arg(long)]
        explain: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Mail a subscriber the digest they would get now, marked as a test; the regular one is still sent
    Test {
        /// Address of a subscriber
        email: String,
    },
    /// Send the digest of the current slot
    Send(SendArgs),
}

/// To whom, and when.
#[derive(Args)]
pub struct SendArgs {
    /// Only to this subscriber
    #[arg(long, value_name = "EMAIL")]
    to: Option<String>,
    /// Do not wait for the slot
    #[arg(long, required_unless_present = "dry_run")]
    now: bool,
    /// Compose every digest and report what would be sent; sends and records nothing
    #[arg(long, conflicts_with = "now")]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(connect: &ConnectArgs, command: DigestCommand) -> Result<(), CommandError> {
    let channel = client::connect(connect)?;
    match command {
        DigestCommand::Preview {
            email,
            html,
            explain,
            json,
        } => {
            let digest = preview(channel, email).await?;
            if json {
                println!("{}", explanation::as_json(&digest));
                return Ok(());
            }
            println!(
                "Subject: {}\n\n{}",
                digest.subject,
                if html { &digest.html } else { &digest.text }
            );
            if explain {
                explanation::show(&digest);
            }
            Ok(())
        }
        DigestCommand::Test { email } => {
            let request = SendTestDigestRequest { email };
            let answer = DeliveryServiceClient::new(channel).send_test_digest(request).await?;
            let digest = answer.into_inner().digest.unwrap_or_default();
            println!("Mailed to {}: {}", digest.email, digest.subject);
            Ok(())
        }
        DigestCommand::Send(send) => {
            let request = SendDigestsRequest {
                email: send.to.unwrap_or_default(),
                dry_run: send.dry_run,
            };
            let deliveries = deliveries(channel, request).await?;
            if send.dry_run && !send.json {
                show_counts(&deliveries);
                return Ok(());
            }
            show(&deliveries, send.json)
        }
    }
}

/// The digest a subscriber would get now.
pub async fn preview(channel: ServiceChannel, email: String) -> Result<Digest, CommandError> {
    let request = PreviewDigestRequest {
        email,
        ..PreviewDigestRequest::default()
    };
    let answer = DeliveryServiceClient::new(channel)
        .preview_digest(request)
        .await?
        .into_inner();
    answer
        .digest
        .ok_or_else(|| CommandError::other("the answer held no digest"))
}

/// Sends the digest of the current slot.
pub async fn deliver(channel: ServiceChannel, email: String) -> Result<Vec<Delivery>, CommandError> {
    let request = SendDigestsRequest { email, dry_run: false };
    deliveries(channel, request).await
}

async fn deliveries(channel: ServiceChannel, request: SendDigestsRequest) -> Result<Vec<Delivery>, CommandError> {
    let mut answers = DeliveryServiceClient::new(channel)
        .send_digests(request)
        .await?
        .into_inner();
    let mut deliveries = Vec::new();
    while let Some(answer) = answers.message().await? {
        deliveries.extend(answer.delivery);
    }
    Ok(deliveries)
}

fn show(deliveries: &[Delivery], as_json: bool) -> Result<(), CommandError> {
    if as_json {
        let deliveries: Vec<_> = deliveries.iter().map(to_json).collect();
        println!("{}", json!({ "deliveries": deliveries }));
    } else {
        deliveries.iter().for_each(print_line);
        print_none(deliveries);
    }
    let failed = deliveries
        .iter()
        .filter(|one| one.state() == DeliveryState::Failed)
        .count();
    if failed > 0 {
        Err(CommandError::other(format!(
            "{failed} of {} deliveries failed",
            deliveries.len()
        )))
    } else {
        Ok(())
    }
}

fn to_json(one: &Delivery) -> Value {
    json!({
        "email": one.email,
        "slot": output::time(one.slot_time),
        "channel": channel(one),
        "state": state(one),
        "already_delivered": one.already_delivered,
        "message_id": one.message_id,
        "papers": one.paper_ids,
        "detail": one.detail,
    })
}

fn print_line(one: &Delivery) {
    let by = match one.channel() {
        Channel::Webhook => " to the webhook",
        Channel::Mail | Channel::Unspecified => "",
    };
    let earlier = if one.already_delivered {
        " before; not sent again"
    } else {
        ""
    };
    let detail = match one.detail.as_str() {
        "" => String::new(),
        detail => format!(": {detail}"),
    };
    let (email, state, papers) = (&one.email, state(one), one.paper_ids.len());
    println!("{email}: {state}{by}{earlier}, {papers} papers{detail}");
}

fn print_none(deliveries: &[Delivery]) {
    if deliveries.is_empty() {
        println!("There is no active subscriber.");
    }
}

/// How many deliveries would end in each way, and why.
fn show_counts(deliveries: &[Delivery]) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for one in deliveries {
        let outcome = match one.state() {
            DeliveryState::Intended => "would be sent".to_owned(),
            _ if one.detail.is_empty() => state(one).to_owned(),
            _ => format!("{}: {}", state(one), one.detail),
        };
        *counts.entry(outcome).or_default() += 1;
    }
    for (outcome, count) in counts {
        println!("{count:>8} {outcome}");
    }
    print_none(deliveries);
}

fn channel(delivery: &Delivery) -> &'static str {
    match delivery.channel() {
        Channel::Webhook => "webhook",
        Channel::Mail | Channel::Unspecified => "mail",
    }
}

/// The state as one word.
pub fn state(delivery: &Delivery) -> &'static str {
    match delivery.state() {
        DeliveryState::Unspecified => "unknown",
        DeliveryState::Intended => "intended",
        DeliveryState::Sending => "sending",
        DeliveryState::Sent => "sent",
        DeliveryState::Failed => "failed",
        DeliveryState::Empty => "empty",
        DeliveryState::Deferred => "deferred",
        DeliveryState::Expired => "expired",
    }
}
