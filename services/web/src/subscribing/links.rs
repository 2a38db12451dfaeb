//! The links in mails: the subscription that a token opens, and the page for a token that opens none.

use axum::http::StatusCode;
use axum::response::Response;
use minijinja::context;
use proto::subscriptions::v1::{
    GetSubscriptionRequest, GetSubscriptionResponse, LinkScope, Subscription, SubscriptionState,
};
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

/// What a token opens: a subscription, and what it allows.
#[derive(Debug)]
pub struct OpenedLink {
    /// The subscription; for a link that only unsubscribes, no more than its address and state.
    pub subscription: Subscription,
    /// What the token allows.
    pub scope: LinkScope,
    /// Reads the digests; empty where the token opens no account.
    pub feed_token: String,
}

impl OpenedLink {
    /// Whether it also exports, deletes, and sets webhooks.
    pub fn opens_account(&self) -> bool {
        self.scope == LinkScope::Account
    }

    /// Whether it sees and changes the preferences.
    pub fn opens_preferences(&self) -> bool {
        matches!(self.scope, LinkScope::Preferences | LinkScope::Account)
    }
}

/// The subscription of a link that sees and changes it.
pub async fn managed(ctx: &SubscriberContext, token: &str) -> Result<OpenedLink, Status> {
    let link = opened(ctx, token).await?;
    if link.opens_preferences() {
        return Ok(link);
    }
    Err(common::status::invalid(
        "token",
        "belongs to another page; use the preferences link in a newer mail, or have a link mailed to you",
    ))
}

/// The subscription that a token opens, whatever it allows.
pub async fn opened(ctx: &SubscriberContext, token: &str) -> Result<OpenedLink, Status> {
    check_length(token)?;
    let token = token.to_owned();
    let mut subscriptions = ctx.app.subscriptions.clone();
    let answer = subscriptions
        .get_subscription(ctx.request(GetSubscriptionRequest { token }))
        .await?;
    let answer: GetSubscriptionResponse = answer.into_inner();
    let scope = answer.scope();
    let subscription = answer
        .subscription
        .ok_or_else(|| Status::internal("an answer without a subscription"))?;
    Ok(OpenedLink {
        subscription,
        scope,
        feed_token: answer.feed_token,
    })
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
