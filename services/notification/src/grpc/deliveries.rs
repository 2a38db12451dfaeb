//! DeliveryService: editions composed and sent on demand, and what was sent.

use std::pin::Pin;

use common::status;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use proto::convert::to_wire_time;
use proto::delivery::v1::delivery_service_server::DeliveryService;
use proto::delivery::v1::{
    Delivery, DeliveryState, Edition as WireEdition, EditionPaper, ListDeliveriesRequest, ListDeliveriesResponse,
    PreviewEditionRequest, PreviewEditionResponse, ReportFeedbackRequest, ReportFeedbackResponse, SendEditionsRequest,
    SendEditionsResponse,
};
use tonic::{Request, Response, Status};
use tracing::{Instrument as _, Span, error};

use super::{Notification, edition_failed, unavailable};
use crate::editions::Delivered;
use crate::metrics::EDITIONS;
use crate::subscribers::State;
use crate::subscribers::deliveries::{Record, Stage};

const SENT_AT_ONCE: usize = 16;

impl Notification {
    /// Ids to send to: the given subscriber, or all active ones, page by page.
    async fn recipients(&self, email: &str) -> Result<BoxStream<'static, Result<String, Status>>, Status> {
        if !email.is_empty() {
            let subscriber = self.by_email(email).await?;
            if subscriber.state != State::Active {
                let problem = format!(
                    "{} is not an active subscriber; the subscription must be confirmed",
                    subscriber.email
                );
                return Err(Status::failed_precondition(problem));
            }
            return Ok(futures::stream::iter([Ok(subscriber.id)]).boxed());
        }
        let subscribers = self.subscribers.clone();
        let pages = futures::stream::try_unfold(Some(0), move |cursor| {
            let subscribers = subscribers.clone();
            async move {
                let Some(cursor) = cursor else {
                    return Ok::<_, Status>(None);
                };
                let (next, ids) = subscribers.active(cursor).await.map_err(unavailable)?;
                let page = futures::stream::iter(ids.into_iter().map(Ok));
                Ok(Some((page, (next != 0).then_some(next))))
            }
        });
        Ok(pages.try_flatten().boxed())
    }

    /// One subscriber's outcome. A problem is one, too: it must not end the stream for the others.
    async fn deliver(&self, id: String) -> Option<SendEditionsResponse> {
        let now = Timestamp::now();
        let (email, outcome) = match self.subscribers.get(&id).await {
            Ok(None) => return None,
            Ok(Some(subscriber)) => {
                let email = subscriber.email.clone();
                (email, self.editions.deliver_to_the_end(subscriber, now).await)
            }
            Err(error) => (String::new(), Err(error.into())),
        };
        let delivery = match outcome {
            Ok(Delivered { slot, record, before }) => Delivery {
                already_delivered: before,
                ..delivery(&email, slot, record)
            },
            Err(error) => {
                EDITIONS.with_label_values(&["error"]).inc();
                error!(subscriber = %id, %error, "edition not made");
                Delivery {
                    email,
                    state: DeliveryState::Failed.into(),
                    detail: "not made because of a problem here; the log of notification says which".to_owned(),
                    state_time: Some(to_wire_time(now)),
                    ..Delivery::default()
                }
            }
        };
        Some(SendEditionsResponse {
            delivery: Some(delivery),
        })
    }
}

#[tonic::async_trait]
impl DeliveryService for Notification {
    async fn preview_edition(
        &self,
        request: Request<PreviewEditionRequest>,
    ) -> Result<Response<PreviewEditionResponse>, Status> {
        let subscriber = self.by_email(&request.into_inner().email).await?;
        let edition = self
            .editions
            .compose(&subscriber, Timestamp::now())
            .await
            .map_err(edition_failed)?;
        let papers = edition.papers.iter().map(|one| EditionPaper {
            paper: Some((&one.paper).into()),
            reason: one.reason.clone(),
            score: f64::from(one.score),
        });
        let edition = WireEdition {
            email: subscriber.email,
            slot_time: Some(to_wire_time(edition.slot)),
            papers: papers.collect(),
            subject: edition.mail.subject,
            text: edition.mail.text,
            html: edition.mail.html.unwrap_or_default(),
        };
        Ok(Response::new(PreviewEditionResponse { edition: Some(edition) }))
    }

    type SendEditionsStream = Pin<Box<dyn Stream<Item = Result<SendEditionsResponse, Status>> + Send>>;

    async fn send_editions(
        &self,
        request: Request<SendEditionsRequest>,
    ) -> Result<Response<Self::SendEditionsStream>, Status> {
        let recipients = self.recipients(&request.into_inner().email).await?;
        let this = self.clone();
        // The answers are made after this call has returned; their spans belong to it all the same.
        let span = Span::current();
        let outcomes = recipients.map(move |id| {
            let this = this.clone();
            let outcome = async move {
                match id {
                    Ok(id) => this.deliver(id).await.map(Ok),
                    Err(status) => Some(Err(status)),
                }
            };
            outcome.instrument(span.clone())
        });
        let outcomes = outcomes.buffer_unordered(SENT_AT_ONCE).filter_map(async |one| one);
        Ok(Response::new(outcomes.boxed()))
    }

    async fn list_deliveries(
        &self,
        request: Request<ListDeliveriesRequest>,
    ) -> Result<Response<ListDeliveriesResponse>, Status> {
        let request = request.into_inner();
        let subscriber = self.by_email(&request.email).await?;
        let size = status::page_size(request.page_size, 20, 100)?;
        let before = match request.page_token.as_str() {
            "" => None,
            token => {
                let slot = token
                    .parse()
                    .ok()
                    .and_then(|slot| Timestamp::from_millisecond(slot).ok());
                Some(slot.ok_or_else(|| status::invalid("page_token", "is not one that a response gave"))?)
            }
        };
        let mut slots = self
            .subscribers
            .slots(&subscriber.id, before, size + 1)
            .await
            .map_err(unavailable)?;
        let more = slots.len() > size;
        slots.truncate(size);
        let next_page_token = match slots.last() {
            Some(last) if more => last.as_millisecond().to_string(),
            _ => String::new(),
        };
        let mut deliveries = Vec::with_capacity(slots.len());
        for slot in slots {
            let record = self
                .subscribers
                .record(&subscriber.id, slot)
                .await
                .map_err(unavailable)?;
            deliveries.push(delivery(&subscriber.email, slot, record));
        }
        Ok(Response::new(ListDeliveriesResponse {
            deliveries,
            next_page_token,
        }))
    }

    async fn report_feedback(
        &self,
        request: Request<ReportFeedbackRequest>,
    ) -> Result<Response<ReportFeedbackResponse>, Status> {
        Ok(Response::new(
            super::feedback::report(self, request.into_inner()).await?,
        ))
    }
}

fn delivery(email: &str, slot: Timestamp, record: Record) -> Delivery {
    let state = match record.stage {
        Stage::None => DeliveryState::Unspecified,
        Stage::Intended => DeliveryState::Intended,
        Stage::Sending => DeliveryState::Sending,
        Stage::Sent => DeliveryState::Sent,
        Stage::Failed => DeliveryState::Failed,
        Stage::Empty => DeliveryState::Empty,
        Stage::Deferred => DeliveryState::Deferred,
    };
    Delivery {
        email: email.to_owned(),
        slot_time: Some(to_wire_time(slot)),
        state: state.into(),
        message_id: record.message_id,
        paper_ids: record.picks.into_iter().map(|pick| pick.id).collect(),
        detail: record.detail,
        state_time: Some(to_wire_time(record.at)),
        already_delivered: false,
    }
}
