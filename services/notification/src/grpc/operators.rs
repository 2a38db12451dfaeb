//! What operators do with subscribers: list, suppress, rebuild.

use std::pin::Pin;
use std::sync::Arc;

use common::status;
use futures::{Stream, StreamExt as _};
use proto::convert::to_wire_time;
use proto::subscriptions::v1::{
    ListSubscribersRequest, ListSubscribersResponse, ListSuppressionsRequest, ListSuppressionsResponse,
    RebuildSubscribersResponse, SubscriptionState, SuppressAddressRequest, Suppression, SuppressionReason,
};
use tokio::sync::mpsc;
use tonic::Status;

use super::answers::to_wire;
use super::{Notification, address, unavailable};
use crate::ports::{RecoveryExtent, RecoveryProgress};
use crate::subscribers::SubscriberState;
use crate::subscribers::suppressions::{SuppressionCause, address_hash};

/// How far a rebuild is.
pub type RebuildAnswers = Pin<Box<dyn Stream<Item = Result<RebuildSubscribersResponse, Status>> + Send>>;

impl Notification {
    pub(super) async fn list(&self, request: ListSubscribersRequest) -> Result<ListSubscribersResponse, Status> {
        let size = status::page_size(request.page_size, 100, 1_000)?;
        let after = number("page_token", &request.page_token)?;
        let state = match request.state() {
            SubscriptionState::Unspecified if request.state != 0 => {
                let problem = format!("is {}, which no subscription can be in", request.state);
                return Err(status::invalid("state", problem));
            }
            SubscriptionState::Unspecified => None,
            SubscriptionState::Pending => Some(SubscriberState::Pending),
            SubscriptionState::Active => Some(SubscriberState::Active),
            SubscriptionState::Unsubscribed => Some(SubscriberState::Unsubscribed),
            SubscriptionState::Suppressed => Some(SubscriberState::Suppressed),
            SubscriptionState::Paused => Some(SubscriberState::Paused),
        };
        let (found, next) = self.store.page(after, size).await.map_err(unavailable)?;
        let mut subscribers = Vec::with_capacity(found.len());
        for one in found
            .into_iter()
            .filter(|one| state.is_none_or(|state| one.state == state))
        {
            let due = self.due_queue.due(&one.id).await.map_err(unavailable)?;
            subscribers.push(to_wire(&one, due));
        }
        Ok(ListSubscribersResponse {
            subscribers,
            next_page_token: next.map_or(String::new(), |next| next.to_string()),
        })
    }

    pub(super) async fn suppress(&self, request: SuppressAddressRequest) -> Result<Suppression, Status> {
        let email = address(&request.email)?;
        let reason = match request.reason() {
            SuppressionReason::Bounce => SuppressionCause::Bounce,
            SuppressionReason::Complaint => SuppressionCause::Complaint,
            SuppressionReason::Manual | SuppressionReason::Unspecified => SuppressionCause::Manual,
            SuppressionReason::Declined => SuppressionCause::Declined,
        };
        let now = self.clock.now();
        self.subscriptions
            .suppress_address(&email, reason)
            .await
            .map_err(unavailable)?;
        let reason = self
            .subscriptions
            .suppression(&email)
            .await
            .map_err(unavailable)?
            .unwrap_or(reason);
        Ok(Suppression {
            address_hash: address_hash(&email),
            reason: SuppressionReason::from(reason).into(),
            time: Some(to_wire_time(now)),
        })
    }

    pub(super) async fn unsuppress(&self, email: &str) -> Result<(), Status> {
        let email = address(email)?;
        if self
            .subscriptions
            .suppression(&email)
            .await
            .map_err(unavailable)?
            .is_none()
        {
            return Err(status::not_found("suppression", email.as_str()));
        }
        self.subscriptions.lift_suppression(&email).await.map_err(unavailable)
    }

    pub(super) async fn suppressions(
        &self,
        request: ListSuppressionsRequest,
    ) -> Result<ListSuppressionsResponse, Status> {
        let size = status::page_size(request.page_size, 100, 1_000)?;
        let cursor = number("page_token", &request.page_token)?;
        let (next, found) = self.store.suppressions(cursor, size).await.map_err(unavailable)?;
        let suppressions = found.into_iter().map(|one| Suppression {
            address_hash: one.hash,
            reason: SuppressionReason::from(one.cause).into(),
            time: Some(to_wire_time(one.since)),
        });
        Ok(ListSuppressionsResponse {
            suppressions: suppressions.collect(),
            next_page_token: if next == 0 { String::new() } else { next.to_string() },
        })
    }

    /// Rebuilds to the end, even when nobody listens any more.
    pub(super) fn rebuild(&self) -> RebuildAnswers {
        let (report, reports) = mpsc::unbounded_channel();
        let recovery = Arc::clone(&self.recovery);
        let job = async move {
            let reporting = report.clone();
            let mut report_progress = move |progress| {
                // Nobody may be listening.
                let _ = reporting.send(Ok(answer(progress, Done::No)));
            };
            let recovered = recovery.recover(RecoveryExtent::Everything, &mut report_progress).await;
            let last = recovered
                .map(|progress| answer(progress, Done::Yes))
                .map_err(unavailable);
            let _ = report.send(last);
        };
        drop(self.tasks.job("rebuild of subscribers", job));
        futures::stream::unfold(
            reports,
            |mut reports| async move { Some((reports.recv().await?, reports)) },
        )
        .boxed()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    Yes,
    No,
}

fn answer(progress: RecoveryProgress, done: Done) -> RebuildSubscribersResponse {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    RebuildSubscribersResponse {
        read: count(progress.read),
        total: count(progress.total),
        restored: count(progress.restored),
        logged: count(progress.logged),
        done: done == Done::Yes,
    }
}

fn number(field: &str, token: &str) -> Result<u64, Status> {
    if token.is_empty() {
        return Ok(0);
    }
    token
        .parse()
        .map_err(|_| status::invalid(field, "is not one that was given here; begin without one"))
}
