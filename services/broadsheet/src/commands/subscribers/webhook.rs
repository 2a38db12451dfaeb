//! `subscribers webhook`: a URL that takes a subscriber's editions.

use clap::{Subcommand, ValueEnum};
use common::grpc::ServiceChannel;
use proto::subscriptions::v1::subscription_service_client::SubscriptionServiceClient;
use proto::subscriptions::v1::{
    DeliveryChannel, RemoveWebhookRequest, RotateWebhookSecretRequest, SetWebhookRequest, Subscription,
    VerifyWebhookRequest, Webhook, WebhookState,
};

use crate::commands::search::moment;
use crate::failure::Failure;

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Name the URL, print the secret that signs requests to it, and ask it whether it agrees
    Set {
        /// E-mail address of the subscriber
        email: String,
        /// The URL, which has to begin with https://
        url: String,
        /// On which ways editions come
        #[arg(long, value_enum, default_value = "webhook")]
        channel: Channel,
    },
    /// Ask the URL again whether it agrees
    Verify {
        /// E-mail address of the subscriber
        email: String,
    },
    /// Make a new secret and print it; the one before signs, too, for a day
    Rotate {
        /// E-mail address of the subscriber
        email: String,
    },
    /// Forget the webhook; editions come by mail again
    Remove {
        /// E-mail address of the subscriber
        email: String,
    },
}

/// On which ways editions come.
#[derive(Clone, Copy, ValueEnum)]
pub enum Channel {
    /// To the webhook, and not by mail
    Webhook,
    /// To the webhook and by mail, with the same papers
    Both,
}

impl From<Channel> for DeliveryChannel {
    fn from(channel: Channel) -> Self {
        match channel {
            Channel::Webhook => Self::Webhook,
            Channel::Both => Self::MailAndWebhook,
        }
    }
}

type Client = SubscriptionServiceClient<ServiceChannel>;

/// Runs the command.
pub async fn run(service: &mut Client, command: Command) -> Result<(), Failure> {
    match command {
        Command::Set { email, url, channel } => {
            let token = super::token(service, email).await?;
            let request = SetWebhookRequest {
                token,
                url,
                delivery_channel: DeliveryChannel::from(channel).into(),
            };
            let answer = service.set_webhook(request).await?.into_inner();
            tell(&answer.secret, webhook_of(answer.subscription.as_ref()))
        }
        Command::Verify { email } => {
            let token = super::token(service, email).await?;
            let answer = service.verify_webhook(VerifyWebhookRequest { token }).await?;
            agreed(webhook_of(answer.into_inner().subscription.as_ref()))
        }
        Command::Rotate { email } => {
            let token = super::token(service, email).await?;
            let answer = service
                .rotate_webhook_secret(RotateWebhookSecretRequest { token })
                .await?
                .into_inner();
            println!("secret  {}", answer.secret);
            if let Some(end) = moment(answer.earlier_secret_end_time) {
                println!("Requests are signed with the secret before it, too, until {end}.");
            }
            Ok(())
        }
        Command::Remove { email } => {
            let token = super::token(service, email.clone()).await?;
            service.remove_webhook(RemoveWebhookRequest { token }).await?;
            println!("{email} gets editions by mail.");
            Ok(())
        }
    }
}

/// Prints a secret, and whether the webhook agreed.
pub fn tell(secret: &str, webhook: Option<&Webhook>) -> Result<(), Failure> {
    println!("secret  {secret}");
    println!("It is not shown again. Receivers check signatures with it.");
    agreed(webhook)
}

fn agreed(webhook: Option<&Webhook>) -> Result<(), Failure> {
    let Some(webhook) = webhook else {
        return Err(Failure::other("the subscription has no webhook any more"));
    };
    let url = &webhook.url;
    match webhook.state() {
        // What a webhook in use answers in a bad moment does not end its use, and is no agreement.
        WebhookState::Verified if webhook.detail.is_empty() => {
            println!("{url} agreed and takes editions.");
            Ok(())
        }
        state => {
            let still = if state == WebhookState::Verified {
                "; it stays in use"
            } else {
                "; ask again with: broadsheet subscribers webhook verify"
            };
            Err(Failure::other(format!(
                "{url} did not agree: {}{still}",
                webhook.detail
            )))
        }
    }
}

fn webhook_of(subscription: Option<&Subscription>) -> Option<&Webhook> {
    subscription?.webhook.as_ref()
}

/// What it last said, and how long it has failed.
pub fn detail(webhook: &Webhook) -> String {
    match moment(webhook.failing_since_time) {
        Some(since) => format!(
            "every edition since {since} failed ({}), the last one with {}",
            webhook.failed_editions, webhook.detail
        ),
        None => webhook.detail.clone(),
    }
}

/// As people and programs are shown it.
pub fn state(webhook: &Webhook) -> &'static str {
    match webhook.state() {
        WebhookState::Verified => "verified",
        WebhookState::Gone => "gone",
        WebhookState::Disabled => "disabled",
        WebhookState::Unverified | WebhookState::Unspecified => "unverified",
    }
}
