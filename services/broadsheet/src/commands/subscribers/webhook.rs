//! `subscribers webhook`: a URL that receives a subscriber's digests.

use clap::{Subcommand, ValueEnum};
use proto::subscriptions::v1::{
    DeliveryChannel, RemoveWebhookRequest, RotateWebhookSecretRequest, SetWebhookRequest, Subscription,
    VerifyWebhookRequest, Webhook, WebhookState,
};

use super::SubscriptionsClient;
use crate::error::CommandError;
use crate::output;

/// What to do with a webhook.
#[derive(Subcommand)]
pub enum WebhookCommand {
    /// Set the URL, print the secret that signs requests to it, and ask it for its agreement
    Set {
        /// E-mail address of the subscriber
        email: String,
        /// The URL, which must begin with https://
        url: String,
        /// How digests are delivered
        #[arg(long, value_enum, default_value = "webhook")]
        channel: ChannelArg,
    },
    /// Ask the URL for its agreement again
    Verify {
        /// E-mail address of the subscriber
        email: String,
    },
    /// Create a new secret and print it; requests are signed with the old one as well for a day
    Rotate {
        /// E-mail address of the subscriber
        email: String,
    },
    /// Delete the webhook; digests are mailed again
    Remove {
        /// E-mail address of the subscriber
        email: String,
    },
}

/// How digests are delivered.
#[derive(Clone, Copy, ValueEnum)]
pub enum ChannelArg {
    /// To the webhook, not by mail
    Webhook,
    /// To the webhook and by mail, with the same papers
    Both,
}

impl From<ChannelArg> for DeliveryChannel {
    fn from(channel: ChannelArg) -> Self {
        match channel {
            ChannelArg::Webhook => Self::Webhook,
            ChannelArg::Both => Self::MailAndWebhook,
        }
    }
}

/// Runs the command.
pub async fn run(service: &mut SubscriptionsClient, command: WebhookCommand) -> Result<(), CommandError> {
    match command {
        WebhookCommand::Set { email, url, channel } => {
            let token = super::token(service, email).await?;
            let request = SetWebhookRequest {
                token,
                url,
                delivery_channel: DeliveryChannel::from(channel).into(),
            };
            let answer = service.set_webhook(request).await?.into_inner();
            print_secret(&answer.secret, webhook_of(answer.subscription.as_ref()))
        }
        WebhookCommand::Verify { email } => {
            let token = super::token(service, email).await?;
            let answer = service.verify_webhook(VerifyWebhookRequest { token }).await?;
            print_agreement(webhook_of(answer.into_inner().subscription.as_ref()))
        }
        WebhookCommand::Rotate { email } => {
            let token = super::token(service, email).await?;
            let answer = service
                .rotate_webhook_secret(RotateWebhookSecretRequest { token })
                .await?
                .into_inner();
            println!("secret  {}", answer.secret);
            if let Some(end) = output::time(answer.earlier_secret_end_time) {
                println!("Until {end}, requests are signed with the old secret as well.");
            }
            Ok(())
        }
        WebhookCommand::Remove { email } => {
            let token = super::token(service, email.clone()).await?;
            service.remove_webhook(RemoveWebhookRequest { token }).await?;
            println!("{email} gets digests by mail.");
            Ok(())
        }
    }
}

/// Prints a secret, and whether the webhook agreed.
pub fn print_secret(secret: &str, webhook: Option<&Webhook>) -> Result<(), CommandError> {
    println!("secret  {secret}");
    println!("It is not shown again. Receivers check signatures with it.");
    print_agreement(webhook)
}

fn print_agreement(webhook: Option<&Webhook>) -> Result<(), CommandError> {
    let Some(webhook) = webhook else {
        return Err(CommandError::other("the subscription has no webhook any more"));
    };
    let url = &webhook.url;
    match webhook.state() {
        // A webhook in use that fails once stays in use, but has not agreed.
        WebhookState::Verified if webhook.detail.is_empty() => {
            println!("{url} agreed to receive digests.");
            Ok(())
        }
        state => {
            let still = if state == WebhookState::Verified {
                "; it stays in use"
            } else {
                "; try again with: broadsheet subscribers webhook verify"
            };
            Err(CommandError::other(format!(
                "{url} did not agree: {}{still}",
                webhook.detail
            )))
        }
    }
}

fn webhook_of(subscription: Option<&Subscription>) -> Option<&Webhook> {
    subscription?.webhook.as_ref()
}

/// Its last answer, and since when it fails.
pub fn detail(webhook: &Webhook) -> String {
    match output::time(webhook.failing_since_time) {
        Some(since) => format!(
            "every digest since {since} failed ({}), the last one with {}",
            webhook.failed_digests, webhook.detail
        ),
        None => webhook.detail.clone(),
    }
}

/// Its state as one word.
pub fn state(webhook: &Webhook) -> &'static str {
    match webhook.state() {
        WebhookState::Verified => "verified",
        WebhookState::Gone => "gone",
        WebhookState::Disabled => "disabled",
        WebhookState::Unverified | WebhookState::Unspecified => "unverified",
    }
}
