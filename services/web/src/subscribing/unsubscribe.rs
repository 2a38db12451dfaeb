//! Unsubscribing, and the milder choice of a weekly digest.
//!
//! Unsubscribing is one step, whatever else the page offers.

use std::time::Duration;

use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use minijinja::context;
use prost_types::FieldMask;
use proto::subscriptions::v1::{
    Frequency, LinkScope, Schedule, Subscription, SubscriptionState, UnsubscribeRequest, UpdateSubscriptionRequest,
};

use tonic::{Code, Status};

use super::context::SubscriberContext;
use super::form_body::PostedForm;
use super::links::{self, TokenQuery};
use super::preferences;

/// How long the page waits to show whose subscription it is about. Leaving must be possible without.
const PATIENCE: Duration = Duration::from_millis(700);

/// Asks whether to unsubscribe, and offers alternatives where they can be had.
pub async fn page(ctx: SubscriberContext, Query(link): Query<TokenQuery>) -> Response {
    let asked = links::opened(&ctx, &link.token);
    let opened = match ctx.app.clock.timeout(PATIENCE, asked).await {
        Some(Ok(opened)) => opened,
        Some(Err(error)) if !is_silence(&error) => return links::failure_page(&ctx, &error),
        silence => {
            let error = silence.and_then(Result::err);
            tracing::warn!(
                ?error,
                "unsubscribing is offered without the subscription, which cannot be had now"
            );
            let context = context! { token => link.token };
            return ctx.app.pages.render(StatusCode::OK, "unsubscribe.html", context);
        }
    };
    if opened.scope == LinkScope::Confirm {
        let error = common::status::invalid(
            "token",
            "belongs to another page; use the link in the mail for this page",
        );
        return links::failure_page(&ctx, &error);
    }
    let manages = opened.opens_preferences();
    let subscription = opened.subscription;
    let schedule = subscription.schedule.clone().unwrap_or_default();
    let state = subscription.state();
    let context = context! {
        state => links::state_label(&subscription),
        email => subscription.email,
        active => state == SubscriptionState::Active,
        ended => matches!(state, SubscriptionState::Unsubscribed | SubscriptionState::Suppressed),
        manages,
        weekly => schedule.frequency() == Frequency::Weekly,
        token => link.token,
    };
    ctx.app.pages.render(StatusCode::OK, "unsubscribe.html", context)
}

/// Whether a call failed because something did not answer.
fn is_silence(error: &Status) -> bool {
    matches!(
        error.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::Internal
    )
}

/// Unsubscribes; it has taken effect when the page is shown. Accepts the one-click POST of mail programs, whose token is in the
/// address.
pub async fn unsubscribe(ctx: SubscriberContext, posted: PostedForm) -> Response {
    let token = posted.token().to_owned();
    let request = UnsubscribeRequest { token: token.clone() };
    match ctx.app.subscriptions.clone().unsubscribe(ctx.request(request)).await {
        Ok(_) => ctx
            .app
            .pages
            .render(StatusCode::OK, "unsubscribed.html", context! { token }),
        Err(error) => links::failure_page(&ctx, &error),
    }
}

/// Changes the frequency to once a week.
pub async fn weekly(ctx: SubscriberContext, posted: PostedForm) -> Response {
    let schedule = Schedule {
        frequency: Frequency::Weekly.into(),
        ..Schedule::default()
    };
    let request = UpdateSubscriptionRequest {
        token: posted.token().to_owned(),
        subscription: Some(Subscription {
            schedule: Some(schedule),
            ..Subscription::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["schedule.frequency".to_owned()],
        }),
    };
    match ctx
        .app
        .subscriptions
        .clone()
        .update_subscription(ctx.request(request))
        .await
    {
        Ok(_) => preferences::back(posted.token(), "weekly"),
        Err(error) => links::failure_page(&ctx, &error),
    }
}
