//! The links inside the mail: confirm, preferences, unsubscribe. GET shows, POST acts.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use minijinja::{Value, context};
use proto::subscriptions::v1::{
    ConfirmSubscriptionRequest, Frequency, GetSubscriptionRequest, PauseSubscriptionRequest, ResumeSubscriptionRequest,
    Subscription, SubscriptionState, UnsubscribeRequest,
};
use serde::Deserialize;
use tonic::Status;

use crate::Front;

/// The token of a link.
#[derive(Deserialize)]
pub struct Link {
    #[serde(default)]
    pub token: String,
}

/// What a mail program posts for one-click unsubscribing (RFC 8058), or our own form does.
#[derive(Deserialize)]
pub struct Posted {
    #[serde(default)]
    token: String,
}

/// Asks whether to confirm.
pub async fn confirm_page(State(front): State<Arc<Front>>, Query(link): Query<Link>) -> Response {
    show(&front, "confirm.html", link).await
}

/// Confirms.
pub async fn confirm(State(front): State<Arc<Front>>, Query(link): Query<Link>, Form(form): Form<Posted>) -> Response {
    let token = either(form.token, link.token);
    match front
        .subscriptions
        .clone()
        .confirm_subscription(ConfirmSubscriptionRequest { token })
        .await
    {
        Ok(answer) => {
            let email = answer.into_inner().subscription.map(|s| s.email).unwrap_or_default();
            let text = format!("The digest will come to {email}. Every mail has a link to end it.");
            front.pages.message(StatusCode::OK, "You are subscribed", &text)
        }
        Err(error) => front.pages.failure(&error),
    }
}

/// Asks whether to unsubscribe.
pub async fn unsubscribe_page(State(front): State<Arc<Front>>, Query(link): Query<Link>) -> Response {
    show(&front, "unsubscribe.html", link).await
}

/// Unsubscribes, in force when the page is shown. Takes the one-click POST of mail programs, whose token is in the URL.
pub async fn unsubscribe(
    State(front): State<Arc<Front>>,
    Query(link): Query<Link>,
    Form(form): Form<Posted>,
) -> Response {
    let token = either(form.token, link.token);
    match front
        .subscriptions
        .clone()
        .unsubscribe(UnsubscribeRequest { token })
        .await
    {
        Ok(_) => front.pages.message(
            StatusCode::OK,
            "You are unsubscribed",
            "No further digest will be sent.",
        ),
        Err(error) => front.pages.failure(&error),
    }
}

/// Shows what a subscriber asked for.
pub async fn preferences_page(State(front): State<Arc<Front>>, Query(link): Query<Link>) -> Response {
    show(&front, "preferences.html", link).await
}

/// Sends nothing until resumed.
pub async fn pause(State(front): State<Arc<Front>>, Form(form): Form<Posted>) -> Response {
    let token = form.token.clone();
    let request = PauseSubscriptionRequest {
        token,
        until_time: None,
    };
    match front.subscriptions.clone().pause_subscription(request).await {
        Ok(_) => show(&front, "preferences.html", Link { token: form.token }).await,
        Err(error) => front.pages.failure(&error),
    }
}

/// Ends a pause.
pub async fn resume(State(front): State<Arc<Front>>, Form(form): Form<Posted>) -> Response {
    let token = form.token.clone();
    let request = ResumeSubscriptionRequest { token };
    match front.subscriptions.clone().resume_subscription(request).await {
        Ok(_) => show(&front, "preferences.html", Link { token: form.token }).await,
        Err(error) => front.pages.failure(&error),
    }
}

async fn show(front: &Front, template: &str, link: Link) -> Response {
    let token = link.token;
    let found = front
        .subscriptions
        .clone()
        .get_subscription(GetSubscriptionRequest { token: token.clone() })
        .await;
    let subscription = found.and_then(|answer| {
        answer
            .into_inner()
            .subscription
            .ok_or_else(|| Status::internal("an answer without a subscription"))
    });
    match subscription {
        Ok(subscription) => front.pages.render(StatusCode::OK, template, shown(subscription, token)),
        Err(error) => front.pages.failure(&error),
    }
}

fn shown(subscription: Subscription, token: String) -> Value {
    let state = match subscription.state() {
        SubscriptionState::Active => "active",
        SubscriptionState::Pending => "waiting for confirmation",
        SubscriptionState::Paused => "paused",
        SubscriptionState::Unsubscribed => "ended",
        SubscriptionState::Suppressed => "ended because the address takes no mail",
        SubscriptionState::Unspecified => "unknown",
    };
    let interests: Vec<String> = subscription
        .interests
        .iter()
        .map(|interest| interest.text.clone())
        .collect();
    let schedule = subscription.schedule.unwrap_or_default();
    let days = match schedule.frequency() {
        Frequency::Weekdays => "from Monday to Friday",
        Frequency::Weekly => "once a week",
        Frequency::Daily | Frequency::Unspecified => "every day",
    };
    context! {
        token,
        state,
        interests,
        email => subscription.email,
        days,
        time => schedule.time,
        time_zone => schedule.time_zone,
        paper_count => subscription.paper_count,
    }
}

fn either(first: String, second: String) -> String {
    if first.is_empty() { second } else { first }
}
