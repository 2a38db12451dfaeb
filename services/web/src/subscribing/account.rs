//! The link to an account, which is mailed on request, and revoking links.
//!
//! The links in digests are forwarded with them, so they neither export nor delete, and set no webhook. Whoever asks with an
//! address alone is not told whether it is known.

use axum::extract::Query;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use proto::subscriptions::v1::{RequestAccountLinkRequest, RevokeLinksRequest};
use tonic::{Code, Status};

use super::context::SubscriberContext;
use super::form_body::PostedForm;
use super::links::{self, TokenQuery};
use super::preferences::back;
use super::problems::FormProblems;

/// Longest address that is passed on.
const MAX_EMAIL_BYTES: usize = 1_000;

/// Offers to mail a link.
pub async fn page(ctx: SubscriberContext, Query(link): Query<TokenQuery>) -> Response {
    request_page(&ctx, &link.token)
}

/// The same, where a page needs such a link.
pub fn request_page(ctx: &SubscriberContext, token: &str) -> Response {
    let context = context! { token };
    ctx.app.pages.render(StatusCode::OK, "account.html", context)
}

/// Mails a link to the address of a token, or to the one that was typed.
pub async fn request(ctx: SubscriberContext, posted: PostedForm) -> Response {
    let (token, email) = (posted.token().to_owned(), posted.value("email").trim().to_owned());
    if token.is_empty() && (email.is_empty() || email.len() > MAX_EMAIL_BYTES) {
        let mut problems = FormProblems::default();
        problems.add("email", "Enter the address of your subscription.");
        return refused(&ctx, StatusCode::BAD_REQUEST, &email, problems);
    }
    let by_token = !token.is_empty();
    let request = RequestAccountLinkRequest {
        email: if by_token { String::new() } else { email.clone() },
        token,
    };
    let mut subscriptions = ctx.app.subscriptions.clone();
    match subscriptions.request_account_link(ctx.request(request)).await {
        Ok(_) => {
            let context = context! { by_token };
            ctx.app.pages.render(StatusCode::OK, "account_mailed.html", context)
        }
        Err(error) => failed(&ctx, &email, &error),
    }
}

/// Revokes all earlier links; the page has a new one.
pub async fn revoke(ctx: SubscriberContext, posted: PostedForm) -> Response {
    let request = RevokeLinksRequest {
        token: posted.token().to_owned(),
    };
    match ctx.app.subscriptions.clone().revoke_links(ctx.request(request)).await {
        Ok(answer) => back(&answer.into_inner().token, "revoked"),
        Err(error) => links::failure_page(&ctx, &error),
    }
}

fn failed(ctx: &SubscriberContext, email: &str, error: &Status) -> Response {
    let wrong = FormProblems::from_status(error, &[]);
    if let Some(problems) = wrong.filter(|problems| problems.is_about("email")) {
        return refused(ctx, StatusCode::BAD_REQUEST, email, problems);
    }
    let (status, title) = match error.code() {
        Code::ResourceExhausted => (StatusCode::TOO_MANY_REQUESTS, "No link was mailed"),
        Code::FailedPrecondition => (StatusCode::CONFLICT, "No link was mailed"),
        _ => return links::failure_page(ctx, error),
    };
    let mut response = ctx.app.pages.message(status, title, &sentence(error.message()));
    if let Some(wait) = common::status::retry_delay(error) {
        let seconds = HeaderValue::from(wait.as_secs().max(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

fn refused(ctx: &SubscriberContext, status: StatusCode, email: &str, problems: FormProblems) -> Response {
    let context = context! { email, problems => Serde(problems) };
    ctx.app.pages.render(status, "account.html", context)
}

fn sentence(message: &str) -> String {
    let mut rest = message.chars();
    let first = rest.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), rest.as_str())
}
