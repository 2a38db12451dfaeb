//! The data held about a subscriber: exporting and deleting it.

use axum::extract::Query;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use minijinja::context;
use proto::delivery::v1::ListDeliveriesRequest;
use proto::subscriptions::v1::{DeleteSubscriptionRequest, ExportSubscriptionRequest, Subscription};

use super::account;
use super::context::SubscriberContext;
use super::form_body::PostedForm;
use super::links::{self, TokenQuery};

/// Deliveries counted before the page says "more than".
const MAX_COUNTED: i32 = 100;

/// All data as a file.
pub async fn export(ctx: SubscriberContext, Query(link): Query<TokenQuery>) -> Response {
    let request = ExportSubscriptionRequest { token: link.token };
    match ctx
        .app
        .subscriptions
        .clone()
        .export_subscription(ctx.request(request))
        .await
    {
        Ok(answer) => {
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
                (
                    header::CONTENT_DISPOSITION,
                    HeaderValue::from_static("attachment; filename=\"broadsheet.json\""),
                ),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            ];
            (StatusCode::OK, headers, answer.into_inner().json).into_response()
        }
        Err(error) => links::failure_page(&ctx, &error),
    }
}

/// Asks whether to delete everything, and lists what that is.
pub async fn delete_page(ctx: SubscriberContext, Query(link): Query<TokenQuery>) -> Response {
    let opened = match links::opened(&ctx, &link.token).await {
        Ok(opened) => opened,
        Err(error) => return links::failure_page(&ctx, &error),
    };
    if !opened.opens_account() {
        return account::request_page(&ctx, &link.token);
    }
    let subscription = opened.subscription;
    let context = context! {
        held => held(&ctx, &subscription).await,
        email => subscription.email,
        token => link.token,
        backup_days => ctx.app.backup_days,
    };
    ctx.app.pages.render(StatusCode::OK, "delete.html", context)
}

/// Deletes everything, and lists what that was.
pub async fn delete(ctx: SubscriberContext, posted: PostedForm) -> Response {
    let subscription = match links::managed(&ctx, posted.token()).await {
        Ok(link) => link.subscription,
        Err(error) => return links::failure_page(&ctx, &error),
    };
    let held = held(&ctx, &subscription).await;
    let request = DeleteSubscriptionRequest {
        token: posted.token().to_owned(),
    };
    match ctx
        .app
        .subscriptions
        .clone()
        .delete_subscription(ctx.request(request))
        .await
    {
        Ok(answer) => {
            let context = context! {
                held,
                email => subscription.email,
                backup_days => ctx.app.backup_days,
                suppression_kept => answer.into_inner().suppression_kept,
            };
            ctx.app.pages.render(StatusCode::OK, "deleted.html", context)
        }
        Err(error) => links::failure_page(&ctx, &error),
    }
}

/// The data held about a subscriber, in words.
async fn held(ctx: &SubscriberContext, subscription: &Subscription) -> Vec<String> {
    let counted = |count: usize, one: &str, many: &str| match count {
        0 => None,
        1 => Some(format!("one {one}")),
        count => Some(format!("{count} {many}")),
    };
    let request = ListDeliveriesRequest {
        email: subscription.email.clone(),
        page_size: MAX_COUNTED,
        ..ListDeliveriesRequest::default()
    };
    let listed = ctx.app.deliveries.clone().list_deliveries(ctx.request(request)).await;
    let listed = listed.map(tonic::Response::into_inner).unwrap_or_default();
    let digests = if listed.next_page_token.is_empty() {
        counted(listed.deliveries.len(), "digest record", "digest records")
    } else {
        Some(format!("more than {MAX_COUNTED} digest records"))
    };
    let always = [
        "when and how you gave your consent".to_owned(),
        "the schedule and format of your digest".to_owned(),
    ];
    let interests = counted(subscription.interests.len(), "interest", "interests");
    interests.into_iter().chain(digests).chain(always).collect()
}
