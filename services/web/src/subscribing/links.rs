//! The links in mails: the subscription that a token opens, and the page for a token that opens none.

use axum::http::StatusCode;
use axum::response::Response;
use minijinja::context;
use proto::subscriptions::v1::{GetSubscriptionRequest, Subscription, SubscriptionState};
use serde::Deserialize;
use tonic::{Code, Status};

use super::context::SubscriberContext;

/// Longest token; ours are shorter than 200 characters.
const MAX_TOKEN_CHARS: usize = 1_024;

/// The token of a link.
#[derive(Debug, Default, Deserialize)]
pub struct TokenQuery {
    #[serde(default)]
    pub token: String,
}

/// The subscription that a token opens.
pub async fn subscription(ctx: &SubscriberContext, token: &str) -> Result<Subscription, Status> {
    check_length(token)?;
    let token = token.to_owned();
    let mut subscriptions = ctx.app.subscriptions.clone();
    let answer = subscriptions
        .get_subscription(ctx.request(GetSubscriptionRequest { token }))
        .await?;
    let subscription = answer.into_inner().subscription;
    subscription.ok_or_else(|| Status::internal("an answer without a subscription"))
}

/// Refuses what cannot be a token.
pub fn check_length(token: &str) -> Result<(), Status> {
    if token.is_empty() || token.len() > MAX_TOKEN_CHARS {
        let problem = "is not valid; open the link from the mail again, or copy all of it";
        return Err(common::status::invalid("token", problem));
    }
    Ok(())
}

/// The page for a failed call with the token of a link: what is wrong with the link, and what to do about it.
pub fn failure_page(ctx: &SubscriberContext, error: &Status) -> Response {
    let (status, title) = match error.code() {
        Code::InvalidArgument if common::status::blamed_field(error).as_deref() == Some("token") => {
            (StatusCode::BAD_REQUEST, "This link is not valid")
        }
        Code::NotFound => (StatusCode::NOT_FOUND, "This subscription has been deleted"),
        _ => return ctx.app.pages.failure(error),
    };
    let problem = error.message().strip_prefix("token ").unwrap_or_default();
    ctx.app.pages.render(status, "link.html", context! { title, problem })
}

/// The state of a subscription in words.
pub fn state_label(subscription: &Subscription) -> &'static str {
    match subscription.state() {
        SubscriptionState::Active => "active",
        SubscriptionState::Pending => "waiting for your confirmation",
        SubscriptionState::Paused => "paused",
        SubscriptionState::Unsubscribed => "ended",
        SubscriptionState::Suppressed => "ended, because mail to this address is rejected",
        SubscriptionState::Unspecified => "unknown",
    }
}
