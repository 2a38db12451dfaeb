//! The links of mails: what their token opens, and what to do where it opens nothing.

use axum::http::StatusCode;
use axum::response::Response;
use minijinja::context;
use proto::subscriptions::v1::{GetSubscriptionRequest, Subscription, SubscriptionState};
use serde::Deserialize;
use tonic::{Code, Status};

use super::desk::Desk;

/// Longest token; ours are shorter than 200 characters.
const MOST_TOKEN_CHARS: usize = 1_024;

/// The token of a link.
#[derive(Debug, Default, Deserialize)]
pub struct Link {
    #[serde(default)]
    pub token: String,
}

/// The subscription that a token opens.
pub async fn subscription(desk: &Desk, token: &str) -> Result<Subscription, Status> {
    if token.is_empty() || token.len() > MOST_TOKEN_CHARS {
        return Err(common::status::invalid(
            "token",
            "is not a link that was sent from here; open it from the mail again, or copy it whole",
        ));
    }
    let token = token.to_owned();
    let mut subscriptions = desk.front.subscriptions.clone();
    let answer = subscriptions
        .get_subscription(desk.ask(GetSubscriptionRequest { token }))
        .await?;
    let found = answer.into_inner().subscription;
    found.ok_or_else(|| Status::internal("an answer without a subscription"))
}

/// The page for a call that failed on behalf of a link: what is wrong with the link, and what to do about it.
pub fn failed(desk: &Desk, error: &Status) -> Response {
    let (status, title) = match error.code() {
        Code::InvalidArgument if common::status::blamed_field(error).as_deref() == Some("token") => {
            (StatusCode::BAD_REQUEST, "This link does not open anything")
        }
        Code::NotFound => (StatusCode::NOT_FOUND, "Nothing is kept under this link"),
        _ => return desk.front.pages.failure(error),
    };
    let problem = error.message().strip_prefix("token ").unwrap_or_default();
    desk.front
        .pages
        .render(status, "link.html", context! { title, problem })
}

/// A state in words.
pub fn state(subscription: &Subscription) -> &'static str {
    match subscription.state() {
        SubscriptionState::Active => "active",
        SubscriptionState::Pending => "waiting for your confirmation",
        SubscriptionState::Paused => "paused",
        SubscriptionState::Unsubscribed => "ended",
        SubscriptionState::Suppressed => "ended, because the address takes no mail",
        SubscriptionState::Unspecified => "unknown",
    }
}
