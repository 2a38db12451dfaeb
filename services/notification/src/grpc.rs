//! SubscriptionService and DeliveryService: requests checked, answers from subscribers and editions.

use std::pin::Pin;
use std::sync::Arc;

use common::status;
use domain::schedule::{Schedule as DailySchedule, ScheduleError};
use domain::{EmailAddress, text};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use proto::convert::to_wire_time;
use proto::delivery::v1::delivery_service_server::DeliveryService;
use proto::delivery::v1::{
    Delivery, DeliveryState, Edition as WireEdition, EditionPaper, ListDeliveriesRequest, ListDeliveriesResponse,
    PreviewEditionRequest, PreviewEditionResponse, SendEditionsRequest, SendEditionsResponse,
};
use proto::subscriptions::v1::subscription_service_server::SubscriptionService;
use proto::subscriptions::v1::{
    ConfirmSubscriptionRequest, ConfirmSubscriptionResponse, Consent, GetSubscriberRequest, GetSubscriberResponse,
    GetSubscriptionRequest, GetSubscriptionResponse, Interest, Schedule, SubscribeRequest, SubscribeResponse,
    Subscription, SubscriptionState, UnsubscribeRequest, UnsubscribeResponse,
};
use tonic::{Request, Response, Status};
use tracing::{Instrument as _, Span, error};

use crate::Defaults;
use crate::editions::{Delivered, EditionError, Editions};
use crate::metrics::EDITIONS;
use crate::subscribers::deliveries::{Record, Stage};
use crate::subscribers::{Next, Opting, State, Subscriber, Subscribers, SubscribersError, Wishes};
use crate::tokens::{Scope, Tokens};

const MAX_INTERESTS: usize = 20;
const MAX_INTEREST_CHARS: usize = 1_000;
const MAX_PAPERS: i32 = 50;
const SENT_AT_ONCE: usize = 16;

/// Both services.
#[derive(Clone)]
pub struct Notification {
    /// Subscribers and deliveries.
    pub subscribers: Subscribers,
    /// Makes and delivers.
    pub editions: Arc<Editions>,
    /// Checks links.
    pub tokens: Arc<Tokens>,
    /// For who says nothing.
    pub defaults: Arc<Defaults>,
}

impl Notification {
    async fn by_token(&self, scopes: &[Scope], token: &str) -> Result<Subscriber, Status> {
        let id = self.tokens.check(scopes, token, Timestamp::now());
        let id = id.map_err(|error| status::invalid("token", error.to_string()))?;
        let found = self.subscribers.get(&id).await.map_err(unavailable)?;
        found.ok_or_else(|| status::not_found("subscription", "of this link"))
    }

    async fn by_email(&self, email: &str) -> Result<Subscriber, Status> {
        let address = address(email)?;
        let found = self.subscribers.by_email(&address).await.map_err(unavailable)?;
        found.ok_or_else(|| status::not_found("subscriber", address.as_str()))
    }

    async fn shown(&self, id: &str) -> Result<Subscription, Status> {
        let found = self.subscribers.get(id).await.map_err(unavailable)?;
        let subscriber = found.ok_or_else(|| status::not_found("subscription", id))?;
        let due = self.subscribers.due(id).await.map_err(unavailable)?;
        Ok(to_wire(&subscriber, due))
    }

    async fn ask_to_confirm(&self, id: &str, now: Timestamp) -> Result<(), Status> {
        let found = self.subscribers.get(id).await.map_err(unavailable)?;
        let subscriber = found.ok_or_else(|| status::internal("a subscriber that was just written is not there"))?;
        let Err(error) = self.editions.ask_to_confirm(&subscriber, now).await else {
            return Ok(());
        };
        // Else the reader's next try within the minute would be answered as if a mail were on its way.
        self.subscribers.not_asked(id).await.map_err(unavailable)?;
        Err(edition_failed(error))
    }

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

    fn wishes(&self, request: &SubscribeRequest) -> Result<Wishes, Status> {
        if request.interests.len() > MAX_INTERESTS {
            let count = request.interests.len();
            return Err(status::invalid(
                "interests",
                format!("has {count} entries; at most {MAX_INTERESTS} are allowed"),
            ));
        }
        let mut interests = Vec::with_capacity(request.interests.len());
        for (index, interest) in request.interests.iter().enumerate() {
            let words = text::one_line(&interest.text);
            let length = words.chars().count();
            if !(1..=MAX_INTEREST_CHARS).contains(&length) {
                let description = format!("has {length} characters; 1 to {MAX_INTEREST_CHARS} are required");
                return Err(status::invalid(format!("interests[{index}].text"), description));
            }
            interests.push(words);
        }
        let schedule = request.schedule.clone().unwrap_or_default();
        let time = non_empty(&schedule.time, &self.defaults.time);
        let zone = non_empty(&schedule.time_zone, &self.defaults.time_zone);
        let schedule = DailySchedule::parse(time, zone).map_err(|error| match error {
            ScheduleError::Time(_) => status::invalid("schedule.time", error.to_string()),
            ScheduleError::Zone(_) => status::invalid("schedule.time_zone", error.to_string()),
        })?;
        let paper_count = match request.paper_count {
            0 => self.defaults.paper_count,
            count if (1..=MAX_PAPERS).contains(&count) => count.unsigned_abs() as usize,
            count => {
                return Err(status::invalid(
                    "paper_count",
                    format!("is {count}; allowed are 1 to {MAX_PAPERS}, or 0"),
                ));
            }
        };
        Ok(Wishes {
            interests,
            schedule,
            paper_count,
        })
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
impl SubscriptionService for Notification {
    async fn subscribe(&self, request: Request<SubscribeRequest>) -> Result<Response<SubscribeResponse>, Status> {
        let request = request.into_inner();
        let email = address(&request.email)?;
        let wishes = self.wishes(&request)?;
        let now = Timestamp::now();
        let opting = match request.consent() {
            Consent::OnRecord => Opting::OnRecord,
            Consent::Unspecified | Consent::DoubleOptIn => Opting::Ask,
        };
        let fresh = uuid::Uuid::now_v7().simple().to_string();
        let next = self.subscribers.subscribe(&email, &fresh, &wishes, opting, now).await;
        if let Next::Ask(id) = next.map_err(unavailable)? {
            self.ask_to_confirm(&id, now).await?;
        }
        Ok(Response::new(SubscribeResponse {
            confirmation_required: opting == Opting::Ask,
        }))
    }

    async fn confirm_subscription(
        &self,
        request: Request<ConfirmSubscriptionRequest>,
    ) -> Result<Response<ConfirmSubscriptionResponse>, Status> {
        let subscriber = self.by_token(&[Scope::Confirm], &request.into_inner().token).await?;
        let now = Timestamp::now();
        let schedule = subscriber.schedule().map_err(status::internal)?;
        let confirmed = self.subscribers.confirm(&subscriber.id, schedule.next_slot(now), now);
        if confirmed.await.map_err(unavailable)? != Some(State::Active) {
            return Err(Status::failed_precondition(
                "this subscription has ended; subscribe again",
            ));
        }
        Ok(Response::new(ConfirmSubscriptionResponse {
            subscription: Some(self.shown(&subscriber.id).await?),
        }))
    }

    async fn unsubscribe(&self, request: Request<UnsubscribeRequest>) -> Result<Response<UnsubscribeResponse>, Status> {
        let subscriber = self.by_token(&[Scope::Manage], &request.into_inner().token).await?;
        let ended = self.subscribers.unsubscribe(&subscriber.id, Timestamp::now()).await;
        ended.map_err(unavailable)?;
        Ok(Response::new(UnsubscribeResponse {
            subscription: Some(self.shown(&subscriber.id).await?),
        }))
    }

    async fn get_subscription(
        &self,
        request: Request<GetSubscriptionRequest>,
    ) -> Result<Response<GetSubscriptionResponse>, Status> {
        let scopes = [Scope::Confirm, Scope::Manage];
        let subscriber = self.by_token(&scopes, &request.into_inner().token).await?;
        Ok(Response::new(GetSubscriptionResponse {
            subscription: Some(self.shown(&subscriber.id).await?),
        }))
    }

    async fn get_subscriber(
        &self,
        request: Request<GetSubscriberRequest>,
    ) -> Result<Response<GetSubscriberResponse>, Status> {
        let subscriber = self.by_email(&request.into_inner().email).await?;
        Ok(Response::new(GetSubscriberResponse {
            subscription: Some(self.shown(&subscriber.id).await?),
        }))
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
            html: edition.mail.html,
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
}

fn address(email: &str) -> Result<EmailAddress, Status> {
    EmailAddress::parse(email).map_err(|error| status::invalid("email", error.to_string()))
}

fn non_empty<'a>(given: &'a str, default: &'a str) -> &'a str {
    if given.is_empty() { default } else { given }
}

fn unavailable(error: SubscribersError) -> Status {
    status::unavailable(error)
}

fn edition_failed(error: EditionError) -> Status {
    match error {
        EditionError::Template(_) => status::internal(error),
        other => status::unavailable(other),
    }
}

fn to_wire(subscriber: &Subscriber, due: Option<Timestamp>) -> Subscription {
    let state = match subscriber.state {
        State::Pending => SubscriptionState::Pending,
        State::Active => SubscriptionState::Active,
        State::Unsubscribed => SubscriptionState::Unsubscribed,
        State::Suppressed => SubscriptionState::Suppressed,
    };
    Subscription {
        subscriber_id: subscriber.id.clone(),
        email: subscriber.email.clone(),
        state: state.into(),
        interests: subscriber
            .interests
            .iter()
            .map(|text| Interest { text: text.clone() })
            .collect(),
        schedule: Some(Schedule {
            time: subscriber.time.clone(),
            time_zone: subscriber.time_zone.clone(),
        }),
        paper_count: i32::try_from(subscriber.paper_count).unwrap_or(i32::MAX),
        created_time: Some(to_wire_time(subscriber.created)),
        confirmed_time: subscriber.confirmed.map(to_wire_time),
        next_due_time: due.map(to_wire_time),
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

#[cfg(test)]
mod tests;
