//! Confirming: GET shows what will come, POST says yes and what is next.

use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use proto::subscriptions::v1::{ConfirmSubscriptionRequest, SubscriptionState};

use super::desk::Desk;
use super::links::{self, Link};
use super::posted::Posted;
use super::reading::Wanted;
use super::wishes::Typed;
use super::words::{self, Summary};
use super::{preview, wishes};

/// Asks whether to confirm.
pub async fn page(desk: Desk, Query(link): Query<Link>) -> Response {
    let subscription = match links::subscription(&desk, &link.token).await {
        Ok(subscription) => subscription,
        Err(error) => return links::failed(&desk, &error),
    };
    let wanted = wishes::kept(&subscription);
    let pending = subscription.state() == SubscriptionState::Pending;
    let preview = if pending {
        let read = Wanted::read(&Typed::of(&wanted));
        preview::at_hand(&desk, &read).await.unwrap_or_default()
    } else {
        minijinja::Value::UNDEFINED
    };
    let context = context! {
        state => links::state(&subscription),
        pending,
        confirmed => matches!(subscription.state(), SubscriptionState::Active | SubscriptionState::Paused),
        email => subscription.email,
        summary => Serde(Summary::of(&wanted)),
        token => link.token,
        preview,
    };
    desk.front.pages.render(StatusCode::OK, "confirm.html", context)
}

/// Confirms. Doing it again changes nothing.
pub async fn confirm(desk: Desk, posted: Posted) -> Response {
    let token = posted.token().to_owned();
    let mut subscriptions = desk.front.subscriptions.clone();
    let answer = subscriptions
        .confirm_subscription(desk.ask(ConfirmSubscriptionRequest { token }))
        .await;
    let answer = match answer {
        Ok(answer) => answer.into_inner(),
        Err(error) if error.code() == tonic::Code::FailedPrecondition => {
            let context = context! {
                title => "This subscription has ended",
                problem => "belongs to a subscription that was ended since. Nothing is sent",
            };
            return desk.front.pages.render(StatusCode::CONFLICT, "link.html", context);
        }
        Err(error) => return links::failed(&desk, &error),
    };
    let subscription = answer.subscription.unwrap_or_default();
    let context = context! {
        next => words::next_of(&subscription),
        summary => Serde(Summary::of(&wishes::kept(&subscription))),
        email => subscription.email,
        token => answer.token,
    };
    desk.front.pages.render(StatusCode::OK, "confirmed.html", context)
}
