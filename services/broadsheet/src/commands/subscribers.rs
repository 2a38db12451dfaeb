//! `subscribers`: lists, imports and exports subscribers, and manages addresses that must not be mailed.

mod import;
mod view;
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
    ResumeSubscriptionRequest, RevokeLinksRequest, SubscriptionState, SuppressAddressRequest, SuppressionReason,
    UnsuppressAddressRequest,
};
use serde_json::json;

use crate::error::CommandError;
use crate::{ConnectArgs, client, output};

/// What to do with subscribers.
#[derive(Subcommand)]
pub enum SubscribersCommand {
    /// List them by the time of their last change
    List {
        /// Only those in this state
        #[arg(long, value_enum)]
        state: Option<StateArg>,
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
    /// Import subscribers whose consent is on record, from a CSV file with the header
    /// email,interests,time,time_zone,papers,webhook,consent_source,consent_time (interests separated by ;)
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
    /// Never send anything to an address again, subscribed or not
    Suppress {
        /// E-mail address
        email: String,
        /// Reason on record
        #[arg(long, value_enum, default_value = "manual")]
        reason: ReasonArg,
    },
    /// Allow mail to an address again
    Unsuppress {
        /// E-mail address
        email: String,
    },
    /// List suppressions, by the hashes of their addresses
    Suppressions,
    /// Restore Redis from the subscriber log after data loss
    Rebuild,
    /// Send nothing for a while
    Pause {
        /// E-mail address
        email: String,
        /// End of the pause in RFC 3339, such as 2027-01-31T00:00:00Z; if absent, until resumed
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
    },
    /// End a pause
    Resume {
        /// E-mail address
        email: String,
    },
    /// Send digests to a URL as signed requests
    Webhook {
        #[command(subcommand)]
        command: webhook::WebhookCommand,
    },
    /// Revoke all links of a subscriber but those that unsubscribe, such as after mails got into wrong hands
    RevokeLinks {
        /// E-mail address
        email: String,
    },
    /// Delete everything about a subscriber; of a suppressed address, a hash is kept
    Delete {
        /// E-mail address
        email: String,
    },
}

/// State of a subscription.
#[derive(Clone, Copy, ValueEnum)]
pub enum StateArg {
    /// Not confirmed yet
    Pending,
    /// Gets digests
    Active,
    /// Gets nothing for a while
    Paused,
    /// Ended by the reader
    Unsubscribed,
    /// Ended because the address rejects mail or must not get any
    Suppressed,
}

/// Why an address gets no mail.
#[derive(Clone, Copy, ValueEnum)]
pub enum ReasonArg {
    /// It rejects mail
    Bounce,
    /// Its reader reported our mail as spam
    Complaint,
    /// Decided by an operator
    Manual,
}

/// The service of subscriptions.
type SubscriptionsClient = SubscriptionServiceClient<ServiceChannel>;

/// Runs the command.
pub async fn run(connect: &ConnectArgs, command: SubscribersCommand) -> Result<(), CommandError> {
    let service = &mut SubscriptionServiceClient::new(client::connect(connect)?);
    match command {
        SubscribersCommand::List { state, json } => list(service, state, json).await,
        SubscribersCommand::Show { email, json } => show(service, email, json).await,
        SubscribersCommand::Import { file, json } => import::run(service, &file, json).await,
        SubscribersCommand::Export { email } => export(service, email).await,
        SubscribersCommand::Suppress { email, reason } => suppress(service, email, reason).await,
        SubscribersCommand::Unsuppress { email } => unsuppress(service, email).await,
        SubscribersCommand::Suppressions => suppressions(service).await,
        SubscribersCommand::Rebuild => rebuild(service).await,
        SubscribersCommand::Pause { email, until } => pause(service, email, until).await,
        SubscribersCommand::Resume { email } => resume(service, email).await,
        SubscribersCommand::Webhook { command } => webhook::run(service, command).await,
        SubscribersCommand::RevokeLinks { email } => revoke_links(service, email).await,
        SubscribersCommand::Delete { email } => delete(service, email).await,
    }
}

async fn show(service: &mut SubscriptionsClient, email: String, as_json: bool) -> Result<(), CommandError> {
    let answer = service.get_subscriber(GetSubscriberRequest { email }).await?;
    let subscription = answer.into_inner().subscription.unwrap_or_default();
    if as_json {
        println!("{}", view::to_json(&subscription));
    } else {
        view::print(&subscription);
    }
    Ok(())
}

async fn export(service: &mut SubscriptionsClient, email: String) -> Result<(), CommandError> {
    let token = token(service, email).await?;
    let answer = service.export_subscription(ExportSubscriptionRequest { token }).await?;
    println!("{}", answer.into_inner().json);
    Ok(())
}

async fn unsuppress(service: &mut SubscriptionsClient, email: String) -> Result<(), CommandError> {
    let request = UnsuppressAddressRequest { email: email.clone() };
    service.unsuppress_address(request).await?;
    println!("{email} may get mail again; a subscription that has ended needs new consent.");
    Ok(())
}

async fn pause(service: &mut SubscriptionsClient, email: String, until: Option<Timestamp>) -> Result<(), CommandError> {
    let token = token(service, email.clone()).await?;
    let until_time = until.map(to_wire_time);
    service
        .pause_subscription(PauseSubscriptionRequest { token, until_time })
        .await?;
    let end = until.map_or("the subscription is resumed".to_owned(), |until| until.to_string());
    println!("{email} gets nothing until {end}.");
    Ok(())
}

async fn resume(service: &mut SubscriptionsClient, email: String) -> Result<(), CommandError> {
    let token = token(service, email.clone()).await?;
    service.resume_subscription(ResumeSubscriptionRequest { token }).await?;
    println!("{email} gets digests again.");
    Ok(())
}

async fn revoke_links(service: &mut SubscriptionsClient, email: String) -> Result<(), CommandError> {
    let token = token(service, email.clone()).await?;
    service.revoke_links(RevokeLinksRequest { token }).await?;
    println!("Earlier links of {email} are revoked; those that unsubscribe still do.");
    Ok(())
}

async fn delete(service: &mut SubscriptionsClient, email: String) -> Result<(), CommandError> {
    let token = token(service, email.clone()).await?;
    let answer = service.delete_subscription(DeleteSubscriptionRequest { token }).await?;
    let kept = if answer.into_inner().suppression_kept {
        "; a hash of the address is kept, because it is suppressed"
    } else {
        ""
    };
    println!("Everything about {email} was deleted{kept}.");
    Ok(())
}

async fn token(service: &mut SubscriptionsClient, email: String) -> Result<String, CommandError> {
    let answer = service
        .get_subscriber_token(GetSubscriberTokenRequest { email })
        .await?;
    Ok(answer.into_inner().token)
}

async fn list(service: &mut SubscriptionsClient, state: Option<StateArg>, as_json: bool) -> Result<(), CommandError> {
    let state = state.map_or(SubscriptionState::Unspecified, |state| match state {
        StateArg::Pending => SubscriptionState::Pending,
        StateArg::Active => SubscriptionState::Active,
        StateArg::Paused => SubscriptionState::Paused,
        StateArg::Unsubscribed => SubscriptionState::Unsubscribed,
        StateArg::Suppressed => SubscriptionState::Suppressed,
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
                println!("{}", view::to_json(one));
            } else {
                view::print_line(one);
            }
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
}

async fn suppress(service: &mut SubscriptionsClient, email: String, reason: ReasonArg) -> Result<(), CommandError> {
    let reason = match reason {
        ReasonArg::Bounce => SuppressionReason::Bounce,
        ReasonArg::Complaint => SuppressionReason::Complaint,
        ReasonArg::Manual => SuppressionReason::Manual,
    };
    let request = SuppressAddressRequest {
        email: email.clone(),
        reason: reason.into(),
    };
    service.suppress_address(request).await?;
    println!("{email} gets no mail any more.");
    Ok(())
}

async fn suppressions(service: &mut SubscriptionsClient) -> Result<(), CommandError> {
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
                SuppressionReason::Declined => "declined",
                SuppressionReason::Manual | SuppressionReason::Unspecified => "manual",
            };
            let since = output::time(one.time);
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

async fn rebuild(service: &mut SubscriptionsClient) -> Result<(), CommandError> {
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
    Err(CommandError::unavailable(
        "the platform stopped before the rebuild was complete; run it again",
    ))
}
