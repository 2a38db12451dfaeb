//! `subscribers`: who is subscribed, in and out of the platform, and who must not be mailed.

mod import;
mod shown;
pub mod webhook;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use common::grpc::ServiceChannel;
use jiff::Timestamp;
use proto::convert::to_wire_time;
use proto::subscriptions::v1::subscription_service_client::SubscriptionServiceClient;
use proto::subscriptions::v1::{
    DeleteSubscriptionRequest, ExportSubscriptionRequest, GetSubscriberRequest, GetSubscriberTokenRequest,
    ListSubscribersRequest, ListSuppressionsRequest, PauseSubscriptionRequest, RebuildSubscribersRequest,
    ResumeSubscriptionRequest, SubscriptionState, SuppressAddressRequest, SuppressionReason, UnsuppressAddressRequest,
};
use serde_json::json;

use crate::failure::Failure;
use crate::{Place, client};

/// What to do.
#[derive(Subcommand)]
pub enum Subscribers {
    /// List them, in the order in which they were last changed
    List {
        /// Only those in this state
        #[arg(long, value_enum)]
        state: Option<State>,
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Show one
    Show {
        /// E-mail address
        email: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Take in subscribers whose consent is on record, from a CSV file with the header
    /// email,interests,time,time_zone,papers,webhook,consent_source,consent_time (interests with ; between)
    Import {
        /// The file; - reads standard input
        #[arg(value_name = "CSV")]
        file: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print everything that is held about a subscriber, as JSON
    Export {
        /// E-mail address
        email: String,
    },
    /// Send nothing to an address any more, whether it is subscribed or not
    Suppress {
        /// E-mail address
        email: String,
        /// Why
        #[arg(long, value_enum, default_value = "manual")]
        reason: Reason,
    },
    /// Allow mail to an address again
    Unsuppress {
        /// E-mail address
        email: String,
    },
    /// List suppressions, by the hashes of their addresses
    Suppressions,
    /// Bring Redis up to the log of subscribers, after it was lost
    Rebuild,
    /// Send nothing for a while
    Pause {
        /// E-mail address
        email: String,
        /// Until when, in RFC 3339, such as 2027-01-31T00:00:00Z; without it, until resumed
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
    },
    /// End a pause
    Resume {
        /// E-mail address
        email: String,
    },
    /// Send editions to a URL, as signed requests
    Webhook {
        #[command(subcommand)]
        command: webhook::Command,
    },
    /// Forget everything about a subscriber; of a suppressed address a hash stays
    Delete {
        /// E-mail address
        email: String,
    },
}

/// Where a subscription stands.
#[derive(Clone, Copy, ValueEnum)]
pub enum State {
    /// Waits for confirmation
    Pending,
    /// Gets digests
    Active,
    /// Gets nothing for a while
    Paused,
    /// Ended by the reader
    Unsubscribed,
    /// Ended because the address takes no mail, or must not get any
    Suppressed,
}

/// Why an address gets no mail.
#[derive(Clone, Copy, ValueEnum)]
pub enum Reason {
    /// It takes no mail
    Bounce,
    /// Its reader called our mail spam
    Complaint,
    /// Somebody said so
    Manual,
}

type Client = SubscriptionServiceClient<ServiceChannel>;

/// Runs the command.
pub async fn run(place: &Place, command: Subscribers) -> Result<(), Failure> {
    let mut service = SubscriptionServiceClient::new(client::connect(place)?);
    match command {
        Subscribers::List { state, json } => list(&mut service, state, json).await?,
        Subscribers::Show { email, json } => {
            let answer = service.get_subscriber(GetSubscriberRequest { email }).await?;
            let subscription = answer.into_inner().subscription.unwrap_or_default();
            if json {
                println!("{}", shown::to_json(&subscription));
            } else {
                shown::in_words(&subscription);
            }
        }
        Subscribers::Import { file, json } => import::run(&mut service, &file, json).await?,
        Subscribers::Export { email } => {
            let token = token(&mut service, email).await?;
            let answer = service.export_subscription(ExportSubscriptionRequest { token }).await?;
            println!("{}", answer.into_inner().json);
        }
        Subscribers::Suppress { email, reason } => suppress(&mut service, email, reason).await?,
        Subscribers::Unsuppress { email } => {
            let request = UnsuppressAddressRequest { email: email.clone() };
            service.unsuppress_address(request).await?;
            println!("{email} may get mail again; a subscription that ended needs new consent.");
        }
        Subscribers::Suppressions => suppressions(&mut service).await?,
        Subscribers::Rebuild => rebuild(&mut service).await?,
        Subscribers::Pause { email, until } => {
            let token = token(&mut service, email.clone()).await?;
            let until_time = until.map(to_wire_time);
            service
                .pause_subscription(PauseSubscriptionRequest { token, until_time })
                .await?;
            let end = until.map_or("it is resumed".to_owned(), |until| until.to_string());
            println!("{email} gets nothing until {end}.");
        }
        Subscribers::Resume { email } => {
            let token = token(&mut service, email.clone()).await?;
            service.resume_subscription(ResumeSubscriptionRequest { token }).await?;
            println!("{email} gets digests again.");
        }
        Subscribers::Webhook { command } => webhook::run(&mut service, command).await?,
        Subscribers::Delete { email } => {
            let token = token(&mut service, email.clone()).await?;
            let answer = service.delete_subscription(DeleteSubscriptionRequest { token }).await?;
            let kept = if answer.into_inner().suppression_kept {
                "; a hash of the address stays, because it is suppressed"
            } else {
                ""
            };
            println!("Everything about {email} is forgotten{kept}.");
        }
    }
    Ok(())
}

async fn token(service: &mut Client, email: String) -> Result<String, Failure> {
    let answer = service
        .get_subscriber_token(GetSubscriberTokenRequest { email })
        .await?;
    Ok(answer.into_inner().token)
}

async fn list(service: &mut Client, state: Option<State>, as_json: bool) -> Result<(), Failure> {
    let state = state.map_or(SubscriptionState::Unspecified, |state| match state {
        State::Pending => SubscriptionState::Pending,
        State::Active => SubscriptionState::Active,
        State::Paused => SubscriptionState::Paused,
        State::Unsubscribed => SubscriptionState::Unsubscribed,
        State::Suppressed => SubscriptionState::Suppressed,
    });
    let mut page_token = String::new();
    loop {
        let request = ListSubscribersRequest {
            page_size: 1_000,
            page_token,
            state: state.into(),
        };
        let page = service.list_subscribers(request).await?.into_inner();
        for one in &page.subscribers {
            if as_json {
                println!("{}", shown::to_json(one));
            } else {
                shown::line(one);
            }
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
}

async fn suppress(service: &mut Client, email: String, reason: Reason) -> Result<(), Failure> {
    let reason = match reason {
        Reason::Bounce => SuppressionReason::Bounce,
        Reason::Complaint => SuppressionReason::Complaint,
        Reason::Manual => SuppressionReason::Manual,
    };
    let request = SuppressAddressRequest {
        email: email.clone(),
        reason: reason.into(),
    };
    service.suppress_address(request).await?;
    println!("{email} gets no mail any more.");
    Ok(())
}

async fn suppressions(service: &mut Client) -> Result<(), Failure> {
    let mut page_token = String::new();
    loop {
        let request = ListSuppressionsRequest {
            page_size: 1_000,
            page_token,
        };
        let page = service.list_suppressions(request).await?.into_inner();
        for one in page.suppressions {
            let reason = match one.reason() {
                SuppressionReason::Bounce => "bounce",
                SuppressionReason::Complaint => "complaint",
                SuppressionReason::Manual | SuppressionReason::Unspecified => "manual",
            };
            let since = super::search::moment(one.time);
            println!(
                "{}",
                json!({ "address_hash": one.address_hash, "reason": reason, "since": since })
            );
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
}

async fn rebuild(service: &mut Client) -> Result<(), Failure> {
    let mut steps = service
        .rebuild_subscribers(RebuildSubscribersRequest {})
        .await?
        .into_inner();
    while let Some(step) = steps.message().await? {
        if step.done {
            println!(
                "{} of {} entries read: {} restored, {} compared with the log",
                step.read, step.total, step.restored, step.logged
            );
            return Ok(());
        }
        eprintln!(
            "{} of {} entries read, {} restored",
            step.read, step.total, step.restored
        );
    }
    Err(Failure::unavailable(
        "the platform stopped before the rebuild had ended; run it again",
    ))
}
