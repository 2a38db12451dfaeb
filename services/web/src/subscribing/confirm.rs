//! Confirming: GET shows what will come, POST says yes and what is next.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use proto::subscriptions::v1::{ConfirmSubscriptionRequest, SubscriptionState};

use super::links::{self, Link};
use super::posted::Posted;
use super::words::{self, Summary};
use super::{preview, wishes};
use crate::Front;

/// Asks whether to confirm.
pub async fn page(State(front): State<Arc<Front>>, Query(link): Query<Link>) -> Response {
    let subscription = match links::subscription(&front, &link.token).await {
        Ok(subscription) => subscription,
        Err(error) => return links::failed(&front, &error),
    };
    let wanted = wishes::kept(&subscription);
    let pending = subscription.state() == SubscriptionState::Pending;
    let preview = if pending {
        preview::at_hand(&front, &wanted).await
    } else {
        minijinja::Value::UNDEFINED
    };
    let context = context! {
        email => subscription.email,
        state => links::state(&subscription),
        pending,
        confirmed => matches!(subscription.state(), SubscriptionState::Active | SubscriptionState::Paused),
        summary => Serde(Summary::of(&wanted)),
        token => link.token,
        preview,
    };
    front.pages.render(StatusCode::OK, "confirm.html", context)
}

/// Confirms. Doing it again changes nothing.
pub async fn confirm(State(front): State<Arc<Front>>, posted: Posted) -> Response {
    let token = posted.token().to_owned();
    let mut subscriptions = front.subscriptions.clone();
    let answer = subscriptions
        .confirm_subscription(ConfirmSubscriptionRequest { token })
        .await;
    let answer = match answer {
        Ok(answer) => answer.into_inner(),
        Err(error) if error.code() == tonic::Code::FailedPrecondition => {
            let context = context! {
                title => "This subscription has ended",
                problem => "belongs to a subscription that was ended since. Nothing is sent",
            };
            return front.pages.render(StatusCode::CONFLICT, "link.html", context);
        }
        Err(error) => return links::failed(&front, &error),
    };
    let subscription = answer.subscription.unwrap_or_default();
    let context = context! {
        next => words::next_of(&subscription),
        summary => Serde(Summary::of(&wishes::kept(&subscription))),
        email => subscription.email,
        token => answer.token,
    };
    front.pages.render(StatusCode::OK, "confirmed.html", context)
}
