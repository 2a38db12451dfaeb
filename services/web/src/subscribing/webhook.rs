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
    UpdateSubscriptionRequest, VerifyWebhookRequest, Webhook, WebhookState,
};
use serde::Serialize;
use tonic::{Code, Status};

use super::desk::Desk;
use super::links;
use super::posted::Posted;
use super::preferences::{self, Shown, back};
use super::problems::Problems;
use super::words;

/// The webhook has its own time to answer, and the platform waits for it.
const PATIENCE: Duration = Duration::from_secs(40);

/// The section as it is to be shown.
#[derive(Debug, PartialEq, Serialize)]
pub struct Section {
    exists: bool,
    in_use: bool,
    url: String,
    says: String,
    form: Form,
}

/// What the form of the section says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Form {
    url: String,
    channel: String,
}

/// A secret on its way to its reader.
struct Shared<'a> {
    secret: &'a str,
    earlier_end: String,
}

impl Section {
    /// Of a subscription, with what was typed where something was.
    pub fn of(subscription: &Subscription, typed: Option<Form>) -> Self {
        let webhook = subscription.webhook.as_ref();
        let url = webhook.map(|webhook| webhook.url.clone()).unwrap_or_default();
        let kept = Form {
            url: url.clone(),
            channel: channel(subscription).to_owned(),
        };
        Self {
            exists: webhook.is_some(),
            in_use: webhook.is_some_and(|webhook| webhook.state() == WebhookState::Verified),
            says: webhook.map(|webhook| says(webhook, subscription)).unwrap_or_default(),
            form: typed.unwrap_or(kept),
            url,
        }
    }
}

impl Form {
    fn of(posted: &Posted) -> Self {
        Self {
            url: posted.value("url").trim().to_owned(),
            channel: posted.value("channel").to_owned(),
        }
    }

    fn wanted(&self) -> Option<DeliveryChannel> {
        match self.channel.as_str() {
            "mail" => Some(DeliveryChannel::Mail),
            "webhook" | "" => Some(DeliveryChannel::Webhook),
            "both" => Some(DeliveryChannel::MailAndWebhook),
            _ => None,
        }
    }
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
    let wait = common::status::retry_delay(error).unwrap_or(Duration::from_secs(60));
    let shown = Shown::held_back(minutes(wait)).with_webhook(Form::of(posted));
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

fn channel(subscription: &Subscription) -> &'static str {
    match subscription.delivery_channel() {
        // Whoever names one for the first time wants to have it used.
        _ if subscription.webhook.is_none() => "webhook",
        DeliveryChannel::Webhook => "webhook",
        DeliveryChannel::MailAndWebhook => "both",
        DeliveryChannel::Mail | DeliveryChannel::Unspecified => "mail",
    }
}

/// Where it stands, why, and since when.
fn says(webhook: &Webhook, subscription: &Subscription) -> String {
    let zone = words::zone_of(subscription);
    let since = words::day(webhook.state_time, &zone);
    let failing = words::day(webhook.failing_since_time, &zone);
    let (count, said) = (webhook.failed_editions, quoted(&webhook.detail));
    match webhook.state() {
        WebhookState::Verified if !failing.is_empty() => format!(
            "In use, but no digest has reached it since {failing}: {}.{said} If that goes on for days it goes out of use, and \
             you get a mail.",
            in_a_row(count)
        ),
        WebhookState::Verified if !said.is_empty() => {
            format!("In use since {since}. When it was asked again it did not agree.{said}")
        }
        WebhookState::Verified if channel(subscription) == "mail" => {
            format!("It agreed on {since}, but your digests come by mail alone.")
        }
        WebhookState::Verified => format!("In use since {since}: it agreed to take your digests."),
        WebhookState::Gone => format!("Out of use since {since}, when it answered that it is gone for good.{said}"),
        WebhookState::Disabled => format!(
            "Out of use since {since}: no digest has reached it since {failing}, {}.{said}",
            in_a_row(count)
        ),
        WebhookState::Unverified | WebhookState::Unspecified => {
            format!("Not in use: it has not agreed to take your digests.{said}")
        }
    }
}

fn in_a_row(count: i32) -> String {
    match count {
        1 => "one failed".to_owned(),
        count => format!("{count} failed in a row"),
    }
}

/// What became of the last request, as a sentence behind another one.
fn quoted(detail: &str) -> String {
    match detail.trim_end_matches('.') {
        "" => String::new(),
        detail => format!(" The last time: {detail}."),
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    fn subscription(state: WebhookState, detail: &str, failed_editions: i32) -> Subscription {
        let day = |days: i64| {
            Some(Timestamp {
                seconds: 86_400 * days,
                nanos: 0,
            })
        };
        Subscription {
            delivery_channel: DeliveryChannel::Webhook.into(),
            webhook: Some(Webhook {
                url: "https://hooks.example.org/".to_owned(),
                state: state.into(),
                detail: detail.to_owned(),
                state_time: day(6),
                failing_since_time: day(1).filter(|_| failed_editions > 0),
                failed_editions,
            }),
            ..Subscription::default()
        }
    }

    #[test]
    fn where_a_webhook_stands_is_said_with_why_and_since_when() {
        use WebhookState::{Disabled, Gone, Unverified, Verified};
        for (state, detail, failed, said) in [
            (Verified, "", 0, vec!["In use since Wednesday, 7 January 1970"]),
            (
                Verified,
                "500",
                1,
                vec!["since Friday, 2 January 1970: one failed.", "time: 500."],
            ),
            (Verified, "503", 0, vec!["did not agree. The last time: 503."]),
            (Unverified, "", 0, vec!["Not in use", "take your digests."]),
            (Unverified, "403 Forbidden", 0, vec!["time: 403 Forbidden."]),
            (Gone, "410 Gone", 0, vec!["gone for good. The last time: 410 Gone."]),
            (
                Disabled,
                "500",
                5,
                vec!["Out of use since Wednesday", "2 January 1970, 5 failed in a row."],
            ),
        ] {
            let section = Section::of(&subscription(state, detail, failed), None);
            for one in said {
                assert!(section.says.contains(one), "{}", section.says);
            }
            assert_eq!(section.in_use, state == Verified);
        }
    }

    #[test]
    fn the_form_keeps_what_was_typed_and_offers_the_webhook_to_who_has_none() {
        let fresh = Section::of(&Subscription::default(), None);
        assert_eq!(
            (fresh.exists, fresh.form.channel.as_str(), fresh.says.as_str()),
            (false, "webhook", "")
        );
        let typed = Form {
            url: "ftp://x".to_owned(),
            channel: "both".to_owned(),
        };
        let section = Section::of(&subscription(WebhookState::Verified, "", 0), Some(typed.clone()));
        assert_eq!(
            (section.form, section.url.as_str()),
            (typed, "https://hooks.example.org/")
        );
        let odd = Form {
            url: String::new(),
            channel: "pigeon".to_owned(),
        };
        assert_eq!(odd.wanted(), None);
        assert_eq!(
            (minutes(Duration::from_secs(3)), minutes(Duration::from_secs(300))),
            ("a minute".to_owned(), "5 minutes".to_owned())
        );
    }
}
