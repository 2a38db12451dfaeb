//! Confirming a subscription: GET shows what it will send, POST confirms.

use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use proto::subscriptions::v1::{ConfirmSubscriptionRequest, LinkScope, SubscriptionState};

use super::context::SubscriberContext;
use super::form_body::PostedForm;
use super::form_state::FormState;
use super::links::{self, TokenQuery};
use super::parsing::ParsedPreferences;
use super::wording::{self, SubscriptionSummary};
use super::{form_state, preview};

/// Asks whether to confirm.
pub async fn page(ctx: SubscriberContext, Query(link): Query<TokenQuery>) -> Response {
    let opened = match links::opened(&ctx, &link.token).await {
        Ok(opened) => opened,
        Err(error) => return links::failure_page(&ctx, &error),
    };
    if opened.scope == LinkScope::Unsubscribe {
        let error = common::status::invalid(
            "token",
            "belongs to another page; use the link in the mail for this page",
        );
        return links::failure_page(&ctx, &error);
    }
    let subscription = opened.subscription;
    let saved = form_state::saved_preferences(&subscription);
    let pending = subscription.state() == SubscriptionState::Pending;
    let preview = if pending {
        let parsed = ParsedPreferences::parse(&FormState::from_preferences(&saved));
        preview::quick_preview(&ctx, &parsed).await.unwrap_or_default()
    } else {
        minijinja::Value::UNDEFINED
    };
    let context = context! {
        state => links::state_label(&subscription),
        pending,
        confirmed => matches!(subscription.state(), SubscriptionState::Active | SubscriptionState::Paused),
        email => subscription.email,
        summary => Serde(SubscriptionSummary::new(&saved)),
        token => link.token,
        preview,
    };
    ctx.app.pages.render(StatusCode::OK, "confirm.html", context)
}

/// Confirms. Doing it again changes nothing.
pub async fn confirm(ctx: SubscriberContext, posted: PostedForm) -> Response {
    let token = posted.token().to_owned();
    let mut subscriptions = ctx.app.subscriptions.clone();
    let answer = subscriptions
        .confirm_subscription(ctx.request(ConfirmSubscriptionRequest { token }))
        .await;
    let answer = match answer {
        Ok(answer) => answer.into_inner(),
        Err(error) if error.code() == tonic::Code::FailedPrecondition => {
            let context = context! {
                title => "This subscription has ended",
                problem => "belongs to a subscription that has ended since. Nothing will be sent",
            };
            return ctx.app.pages.render(StatusCode::CONFLICT, "link.html", context);
        }
        Err(error) => return links::failure_page(&ctx, &error),
    };
    let subscription = answer.subscription.unwrap_or_default();
    let context = context! {
        next => wording::next_digest(&subscription),
        summary => Serde(SubscriptionSummary::new(&form_state::saved_preferences(&subscription))),
        email => subscription.email,
        token => answer.token,
        feed_token => answer.feed_token,
    };
    ctx.app.pages.render(StatusCode::OK, "confirmed.html", context)
}
