//! `digest`: look at what a subscriber would get, or send it.

mod explaining;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use common::grpc::ServiceChannel;
use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use proto::delivery::v1::{
    Channel, Delivery, DeliveryState, Edition, PreviewEditionRequest, SendEditionsRequest, SendTestEditionRequest,
};
use serde_json::json;

use crate::failure::Failure;
use crate::{Place, client};

/// What to do.
#[derive(Subcommand)]
pub enum Digest {
    /// Print the edition a subscriber would get now; sends nothing
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
    /// Mail a subscriber the edition they would get now, marked as a test; the real one still comes
    Test {
        /// Address of a subscriber
        email: String,
    },
    /// Send the edition of the current slot
    Send(Send),
}

/// To whom, and when.
#[derive(Args)]
pub struct Send {
    /// Only to this subscriber
    #[arg(long, value_name = "EMAIL")]
    to: Option<String>,
    /// Do not wait for the slot
    #[arg(long, required_unless_present = "dry_run")]
    now: bool,
    /// Compose everything and say what would be sent; sends and records nothing
    #[arg(long, conflicts_with = "now")]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(place: &Place, command: Digest) -> Result<(), Failure> {
    let channel = client::connect(place)?;
    match command {
        Digest::Preview {
            email,
            html,
            explain,
            json,
        } => {
            let edition = preview(channel, email).await?;
            if json {
                println!("{}", explaining::as_json(&edition));
                return Ok(());
            }
            println!(
                "Subject: {}\n\n{}",
                edition.subject,
                if html { &edition.html } else { &edition.text }
            );
            if explain {
                explaining::show(&edition);
            }
            Ok(())
        }
        Digest::Test { email } => {
            let request = SendTestEditionRequest { email };
            let answer = DeliveryServiceClient::new(channel).send_test_edition(request).await?;
            let edition = answer.into_inner().edition.unwrap_or_default();
            println!("Mailed to {}: {}", edition.email, edition.subject);
            Ok(())
        }
        Digest::Send(send) => {
            let request = SendEditionsRequest {
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

/// The edition a subscriber would get now.
pub async fn preview(channel: ServiceChannel, email: String) -> Result<Edition, Failure> {
    let request = PreviewEditionRequest {
        email,
        ..PreviewEditionRequest::default()
    };
    let answer = DeliveryServiceClient::new(channel)
        .preview_edition(request)
        .await?
        .into_inner();
    answer
        .edition
        .ok_or_else(|| Failure::other("the answer held no edition"))
}

/// Sends the edition of the current slot.
pub async fn deliver(channel: ServiceChannel, email: String) -> Result<Vec<Delivery>, Failure> {
    let request = SendEditionsRequest { email, dry_run: false };
    deliveries(channel, request).await
}

async fn deliveries(channel: ServiceChannel, request: SendEditionsRequest) -> Result<Vec<Delivery>, Failure> {
    let mut answers = DeliveryServiceClient::new(channel)
        .send_editions(request)
        .await?
        .into_inner();
    let mut deliveries = Vec::new();
    while let Some(answer) = answers.message().await? {
        deliveries.extend(answer.delivery);
    }
    Ok(deliveries)
}

fn show(deliveries: &[Delivery], as_json: bool) -> Result<(), Failure> {
    if as_json {
        let deliveries: Vec<_> = deliveries
            .iter()
            .map(|one| {
                json!({
                    "email": one.email,
                    "slot": super::search::moment(one.slot_time),
                    "channel": channel(one),
                    "state": state(one),
                    "already_delivered": one.already_delivered,
                    "message_id": one.message_id,
                    "papers": one.paper_ids,
                    "detail": one.detail,
                })
            })
            .collect();
        println!("{}", json!({ "deliveries": deliveries }));
    } else {
        for one in deliveries {
            let known = if one.already_delivered {
                " before; not sent again"
            } else {
                ""
            };
            let detail = if one.detail.is_empty() {
                String::new()
            } else {
                format!(": {}", one.detail)
            };
            let by = match channel(one) {
                "mail" => "",
                _ => " to the webhook",
            };
            println!(
                "{}: {}{by}{known}, {} papers{detail}",
                one.email,
                state(one),
                one.paper_ids.len()
            );
        }
        if deliveries.is_empty() {
            println!("There is no active subscriber.");
        }
    }
    let failed = deliveries
        .iter()
        .filter(|one| one.state() == DeliveryState::Failed)
        .count();
    if failed > 0 {
        Err(Failure::other(format!(
            "{failed} of {} deliveries failed",
            deliveries.len()
        )))
    } else {
        Ok(())
    }
}

/// What would become of all of them: how many of each kind, and why.
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
    if deliveries.is_empty() {
        println!("There is no active subscriber.");
    }
}

fn channel(delivery: &Delivery) -> &'static str {
    match delivery.channel() {
        Channel::Webhook => "webhook",
        Channel::Mail | Channel::Unspecified => "mail",
    }
}

/// The state in a word.
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
