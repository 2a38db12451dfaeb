//! The webhook of a subscriber, a section of the preferences: where it stands, another one in its place, a new secret, none
//! any more.
//!
//! A secret is shown once, in the answer to the form that made it, and stands in no address. What the URL answers is shown as
//! text and believed in nothing else.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use minijinja::context;
use prost_types::FieldMask;
use proto::subscriptions::v1::{
    DeliveryChannel, RemoveWebhookRequest, RotateWebhookSecretRequest, SetWebhookRequest, Subscription,
    UpdateSubscriptionRequest, VerifyWebhookRequest, WebhookState,
};
use tonic::{Code, Status};

use super::desk::Desk;
use super::links;
use super::posted::Posted;
use super::preferences::{self, Shown, back};
use super::problems::Problems;
use super::standing::{Form, Section};
use super::words;

/// The webhook has its own time to answer, and the platform waits for it.
const PATIENCE: Duration = Duration::from_secs(40);

/// A secret on its way to its reader.
struct Shared<'a> {
    secret: &'a str,
    earlier_end: String,
}

/// Names a URL and the ways on which editions come, and shows the secret. Where the URL stays only the ways change.
pub async fn set(desk: Desk, posted: Posted) -> Response {
    let subscription = match links::subscription(&desk, posted.token()).await {
        Ok(subscription) => subscription,
        Err(error) => return links::failed(&desk, &error),
    };
    let form = Form::of(&posted);
    let Some(channel) = form.wanted() else {
        return wrong(&desk, &posted, "channel", "Choose one of these ways.").await;
    };
    if form.url.is_empty() {
        let problem = "Name the address that takes your digests; it begins with https://.";
        return wrong(&desk, &posted, "url", problem).await;
    }
    let kept = subscription.webhook.as_ref().map(|webhook| webhook.url.as_str());
    if kept == Some(form.url.as_str()) {
        return choose(&desk, &posted, &subscription, channel).await;
    }
    let request = SetWebhookRequest {
        token: posted.token().to_owned(),
        url: form.url,
        delivery_channel: channel.into(),
    };
    let answer = desk
        .front
        .subscriptions
        .clone()
        .set_webhook(patient(&desk, request))
        .await;
    match answer.map(tonic::Response::into_inner) {
        Ok(answer) => {
            let shared = Shared {
                secret: &answer.secret,
                earlier_end: String::new(),
            };
            share(&desk, &posted, &answer.subscription.unwrap_or_default(), &shared)
        }
        Err(error) => refused(&desk, &posted, &error).await,
    }
}

/// Asks the URL again whether it agrees.
pub async fn verify(desk: Desk, posted: Posted) -> Response {
    let request = VerifyWebhookRequest {
        token: posted.token().to_owned(),
    };
    let answer = desk
        .front
        .subscriptions
        .clone()
        .verify_webhook(patient(&desk, request))
        .await;
    match answer.map(tonic::Response::into_inner) {
        Ok(answer) => {
            let webhook = answer.subscription.and_then(|subscription| subscription.webhook);
            let agreed = webhook.is_some_and(|one| one.state() == WebhookState::Verified && one.detail.is_empty());
            back(posted.token(), if agreed { "agreed" } else { "refused" })
        }
        Err(error) => refused(&desk, &posted, &error).await,
    }
}

/// Makes a new secret and shows it.
pub async fn rotate(desk: Desk, posted: Posted) -> Response {
    let subscription = match links::subscription(&desk, posted.token()).await {
        Ok(subscription) => subscription,
        Err(error) => return links::failed(&desk, &error),
    };
    let request = RotateWebhookSecretRequest {
        token: posted.token().to_owned(),
    };
    let answer = desk
        .front
        .subscriptions
        .clone()
        .rotate_webhook_secret(desk.ask(request))
        .await;
    match answer.map(tonic::Response::into_inner) {
        Ok(answer) => {
            let shared = Shared {
                secret: &answer.secret,
                earlier_end: words::moment_of(answer.earlier_secret_end_time, &words::zone_of(&subscription)),
            };
            share(&desk, &posted, &subscription, &shared)
        }
        Err(error) => refused(&desk, &posted, &error).await,
    }
}

/// Forgets the webhook.
pub async fn remove(desk: Desk, posted: Posted) -> Response {
    let request = RemoveWebhookRequest {
        token: posted.token().to_owned(),
    };
    match desk.front.subscriptions.clone().remove_webhook(desk.ask(request)).await {
        Ok(_) => back(posted.token(), "removed"),
        Err(error) => refused(&desk, &posted, &error).await,
    }
}

/// Changes the ways alone: the secret of a URL that stays must stay, too.
async fn choose(desk: &Desk, posted: &Posted, subscription: &Subscription, channel: DeliveryChannel) -> Response {
    if subscription.delivery_channel() == channel {
        return back(posted.token(), "same");
    }
    let request = UpdateSubscriptionRequest {
        token: posted.token().to_owned(),
        subscription: Some(Subscription {
            delivery_channel: channel.into(),
            ..Subscription::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["delivery_channel".to_owned()],
        }),
    };
    let mut subscriptions = desk.front.subscriptions.clone();
    match subscriptions.update_subscription(desk.ask(request)).await {
        Ok(_) => back(posted.token(), "ways"),
        Err(error) => refused(desk, posted, &error).await,
    }
}

fn patient<T>(desk: &Desk, message: T) -> tonic::Request<T> {
    let mut request = desk.ask(message);
    request.set_timeout(PATIENCE);
    request
}

/// The page with a secret.
fn share(desk: &Desk, posted: &Posted, subscription: &Subscription, shared: &Shared<'_>) -> Response {
    let section = Section::of(subscription, None);
    let context = context! {
        secret => shared.secret,
        earlier_end => shared.earlier_end.as_str(),
        url => section.url,
        says => section.says,
        in_use => section.in_use,
        token => posted.token(),
    };
    desk.front.pages.render(StatusCode::OK, "webhook.html", context)
}

async fn wrong(desk: &Desk, posted: &Posted, field: &str, problem: &str) -> Response {
    let mut problems = Problems::default();
    problems.add(field, problem);
    let shown = Shown::refused(None, problems).with_webhook(Form::of(posted));
    preferences::show(desk, posted.token(), shown).await
}

/// What a service refused, beside its field; the form keeps what was typed.
async fn refused(desk: &Desk, posted: &Posted, error: &Status) -> Response {
    if let Some(problems) = Problems::of(error, &[]).filter(|problems| !problems.is_about("token")) {
        let shown = Shown::refused(None, problems).with_webhook(Form::of(posted));
        return preferences::show(desk, posted.token(), shown).await;
    }
    if error.code() != Code::ResourceExhausted {
        return links::failed(desk, error);
    }
    let wait = common::status::retry_delay(error).unwrap_or(Duration::from_mins(1));
    let shown = Shown::held_back(&minutes(wait)).with_webhook(Form::of(posted));
    let mut response = preferences::show(desk, posted.token(), shown).await;
    let seconds = HeaderValue::from(wait.as_secs().max(1));
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response
}

fn minutes(wait: Duration) -> String {
    match wait.as_secs().div_ceil(60) {
        0 | 1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_said_in_whole_minutes() {
        assert_eq!(minutes(Duration::from_secs(3)), "a minute");
        assert_eq!(minutes(Duration::from_secs(301)), "6 minutes");
    }
}
