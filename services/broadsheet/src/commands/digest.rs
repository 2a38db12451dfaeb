//! `digest`: look at what a subscriber would get, or send it.

use clap::{Args, Subcommand};
use common::grpc::ServiceChannel;
use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use proto::delivery::v1::{Delivery, DeliveryState, Edition, PreviewEditionRequest, SendEditionsRequest};
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
    #[arg(long, required = true)]
    now: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(place: &Place, command: Digest) -> Result<(), Failure> {
    let channel = client::connect(place)?;
    match command {
        Digest::Preview { email, html } => {
            let edition = preview(channel, email).await?;
            println!(
                "Subject: {}\n\n{}",
                edition.subject,
                if html { &edition.html } else { &edition.text }
            );
            Ok(())
        }
        Digest::Send(send) => {
            let deliveries = deliver(channel, send.to.unwrap_or_default()).await?;
            show(&deliveries, send.json)
        }
    }
}

/// The edition a subscriber would get now.
pub async fn preview(channel: ServiceChannel, email: String) -> Result<Edition, Failure> {
    let request = PreviewEditionRequest { email };
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
    let mut answers = DeliveryServiceClient::new(channel)
        .send_editions(SendEditionsRequest { email })
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
            println!(
                "{}: {}{known}, {} papers{detail}",
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
    }
}
