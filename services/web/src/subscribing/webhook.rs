//! Changes to the webhook of a subscriber: setting or replacing it, verifying it, a new secret, removing it.
//!
//! A secret is shown once, in the response to the form that created it, and never in an address. What the URL answers is only
//! ever shown as text.

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

use super::context::SubscriberContext;
use super::form_body::PostedForm;
use super::links;
use super::preferences::{self, PreferencesPage, back};
use super::problems::FormProblems;
use super::webhook_section::{WebhookForm, WebhookSection};
use super::wording;

/// Longer than other calls, because the platform waits for the webhook to answer.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(40);

/// A new secret, to be shown once.
struct NewSecret<'a> {
    secret: &'a str,
    earlier_end: String,
}

/// Sets the URL and the delivery channel, and shows the new secret. If the URL stays, only the channel changes.
pub async fn set(ctx: SubscriberContext, posted: PostedForm) -> Response {
    let subscription = match links::managed(&ctx, posted.token()).await {
        Ok(link) => link.subscription,
        Err(error) => return links::failure_page(&ctx, &error),
    };
    let form = WebhookForm::from_posted(&posted);
    let Some(channel) = form.delivery_channel() else {
        return field_problem(&ctx, &posted, "channel", "Choose one of these.").await;
    };
    if form.url.is_empty() {
        let problem = "Enter the address that receives your digests; it begins with https://.";
        return field_problem(&ctx, &posted, "url", problem).await;
    }
    let current = subscription.webhook.as_ref().map(|webhook| webhook.url.as_str());
    if current == Some(form.url.as_str()) {
        return set_channel(&ctx, &posted, &subscription, channel).await;
    }
    let request = SetWebhookRequest {
        token: posted.token().to_owned(),
        url: form.url,
        delivery_channel: channel.into(),
    };
    let answer = ctx
        .app
        .subscriptions
        .clone()
        .set_webhook(webhook_request(&ctx, request))
        .await;
    match answer.map(tonic::Response::into_inner) {
        Ok(answer) => {
            let secret = NewSecret {
                secret: &answer.secret,
                earlier_end: String::new(),
            };
            secret_page(&ctx, &posted, &answer.subscription.unwrap_or_default(), &secret)
        }
        Err(error) => refused(&ctx, &posted, &error).await,
    }
}

/// Sends the URL another verification request.
pub async fn verify(ctx: SubscriberContext, posted: PostedForm) -> Response {
    let request = VerifyWebhookRequest {
        token: posted.token().to_owned(),
    };
    let answer = ctx
        .app
        .subscriptions
        .clone()
        .verify_webhook(webhook_request(&ctx, request))
        .await;
    match answer.map(tonic::Response::into_inner) {
        Ok(answer) => {
            let webhook = answer.subscription.and_then(|subscription| subscription.webhook);
            let is_verified = webhook.is_some_and(|one| one.state() == WebhookState::Verified && one.detail.is_empty());
            back(posted.token(), if is_verified { "verified" } else { "unverified" })
        }
        Err(error) => refused(&ctx, &posted, &error).await,
    }
}

/// Creates a new secret and shows it.
pub async fn rotate(ctx: SubscriberContext, posted: PostedForm) -> Response {
    let subscription = match links::managed(&ctx, posted.token()).await {
        Ok(link) => link.subscription,
        Err(error) => return links::failure_page(&ctx, &error),
    };
    let request = RotateWebhookSecretRequest {
        token: posted.token().to_owned(),
    };
    let answer = ctx
        .app
        .subscriptions
        .clone()
        .rotate_webhook_secret(ctx.request(request))
        .await;
    match answer.map(tonic::Response::into_inner) {
        Ok(answer) => {
            let secret = NewSecret {
                secret: &answer.secret,
                earlier_end: wording::moment(answer.earlier_secret_end_time, &wording::zone_of(&subscription)),
            };
            secret_page(&ctx, &posted, &subscription, &secret)
        }
        Err(error) => refused(&ctx, &posted, &error).await,
    }
}

/// Removes the webhook.
pub async fn remove(ctx: SubscriberContext, posted: PostedForm) -> Response {
    let request = RemoveWebhookRequest {
        token: posted.token().to_owned(),
    };
    match ctx.app.subscriptions.clone().remove_webhook(ctx.request(request)).await {
        Ok(_) => back(posted.token(), "removed"),
        Err(error) => refused(&ctx, &posted, &error).await,
    }
}

/// Changes the channel alone, so that the secret stays the same.
async fn set_channel(
    ctx: &SubscriberContext,
    posted: &PostedForm,
    subscription: &Subscription,
    channel: DeliveryChannel,
) -> Response {
    if subscription.delivery_channel() == channel {
        return back(posted.token(), "unchanged");
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
    let mut subscriptions = ctx.app.subscriptions.clone();
    match subscriptions.update_subscription(ctx.request(request)).await {
        Ok(_) => back(posted.token(), "channel"),
        Err(error) => refused(ctx, posted, &error).await,
    }
}

fn webhook_request<T>(ctx: &SubscriberContext, message: T) -> tonic::Request<T> {
    let mut request = ctx.request(message);
    request.set_timeout(WEBHOOK_TIMEOUT);
    request
}

/// The page that shows a secret.
fn secret_page(
    ctx: &SubscriberContext,
    posted: &PostedForm,
    subscription: &Subscription,
    secret: &NewSecret<'_>,
) -> Response {
    let section = WebhookSection::new(subscription, None);
    let context = context! {
        secret => secret.secret,
        earlier_end => secret.earlier_end.as_str(),
        url => section.url,
        status => section.status,
        in_use => section.in_use,
        token => posted.token(),
    };
    ctx.app.pages.render(StatusCode::OK, "webhook_secret.html", context)
}

async fn field_problem(ctx: &SubscriberContext, posted: &PostedForm, field: &str, problem: &str) -> Response {
    let mut problems = FormProblems::default();
    problems.add(field, problem);
    let page = PreferencesPage::refused(None, problems).with_webhook(WebhookForm::from_posted(posted));
    preferences::show(ctx, posted.token(), page).await
}

/// The preferences with what the service refused, beside its field; the form keeps what was typed.
async fn refused(ctx: &SubscriberContext, posted: &PostedForm, error: &Status) -> Response {
    if let Some(problems) = FormProblems::from_status(error, &[]).filter(|problems| !problems.is_about("token")) {
        let page = PreferencesPage::refused(None, problems).with_webhook(WebhookForm::from_posted(posted));
        return preferences::show(ctx, posted.token(), page).await;
    }
    if error.code() != Code::ResourceExhausted {
        return links::failure_page(ctx, error);
    }
    let wait = common::status::retry_delay(error).unwrap_or(Duration::from_mins(1));
    let page = PreferencesPage::rate_limited(&minutes(wait)).with_webhook(WebhookForm::from_posted(posted));
    let mut response = preferences::show(ctx, posted.token(), page).await;
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
    fn waits_are_given_in_whole_minutes() {
        assert_eq!(minutes(Duration::from_secs(3)), "a minute");
        assert_eq!(minutes(Duration::from_secs(301)), "6 minutes");
    }
}
