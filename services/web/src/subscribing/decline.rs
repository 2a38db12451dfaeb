//! Declining a subscription that somebody else asked for, with the link of its confirmation mail.

use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use minijinja::context;
use proto::subscriptions::v1::DeclineSubscriptionRequest;

use super::context::SubscriberContext;
use super::form_body::PostedForm;
use super::links::{self, TokenQuery};

/// Asks whether to send no more mail. It calls nobody: the token says all, and is checked when it is used.
pub async fn page(ctx: SubscriberContext, Query(link): Query<TokenQuery>) -> Response {
    if let Err(error) = links::check_length(&link.token) {
        return links::failure_page(&ctx, &error);
    }
    let context = context! { token => link.token };
    ctx.app.pages.render(StatusCode::OK, "decline.html", context)
}

/// Declines. Doing it again changes nothing.
pub async fn decline(ctx: SubscriberContext, posted: PostedForm) -> Response {
    let token = posted.token().to_owned();
    let mut subscriptions = ctx.app.subscriptions.clone();
    let request = ctx.request(DeclineSubscriptionRequest { token });
    match subscriptions.decline_subscription(request).await {
        Ok(_) => ctx.app.pages.render(StatusCode::OK, "declined.html", context! {}),
        Err(error) => links::failure_page(&ctx, &error),
    }
}
