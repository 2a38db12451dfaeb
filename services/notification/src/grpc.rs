//! SubscriptionService and DeliveryService: requests checked, answers from subscribers and editions.

use std::pin::Pin;
use std::sync::Arc;

use common::status;
use domain::schedule::{Schedule as DailySchedule, ScheduleError};
use domain::{EmailAddress, text};
use futures::{Stream, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
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

use crate::Defaults;
use crate::editions::{Delivered, EditionError, Editions};
use crate::subscribers::{Record, State, Subscriber, Subscribers, SubscribersError};
use crate::tokens::{Scope, Tokens};

const MAX_INTERESTS: usize = 20;
const MAX_INTEREST_CHARS: usize = 1_000;
const MAX_PAPERS: i32 = 50;
/// One confirmation mail per address and this long, against subscription bombing.
const CONFIRMATION_PAUSE: SignedDuration = SignedDuration::from_mins(1);

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

struct Wishes {
    interests: Vec<String>,
    schedule: DailySchedule,
    paper_count: usize,
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

    async fn shown(&self, subscriber: &Subscriber) -> Result<Subscription, Status> {
        let due = self.subscribers.due(&subscriber.id).await.map_err(unavailable)?;
        Ok(to_wire(subscriber, due))
    }

    async fn activate(&self, mut subscriber: Subscriber, now: Timestamp) -> Result<Subscriber, Status> {
        if subscriber.state != State::Active {
            subscriber.state = State::Active;
            subscriber.confirmed = Some(now);
        }
        let schedule = subscriber.schedule().map_err(status::internal)?;
        self.subscribers
            .put(&subscriber, Some(schedule.next_slot(now)))
            .await
            .map_err(unavailable)?;
        Ok(subscriber)
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

    async fn deliver(&self, id: &str) -> Result<Option<SendEditionsResponse>, Status> {
        let Some(subscriber) = self.subscribers.get(id).await.map_err(unavailable)? else {
            return Ok(None);
        };
        let delivered = self
            .editions
            .deliver(&subscriber, Timestamp::now())
            .await
            .map_err(edition_failed)?;
        let Delivered { slot, record, before } = delivered;
        let delivery = Delivery {
            already_delivered: before,
            ..delivery(&subscriber.email, slot, record)
        };
        Ok(Some(SendEditionsResponse {
            delivery: Some(delivery),
        }))
    }
}

#[tonic::async_trait]
impl SubscriptionService for Notification {
    async fn subscribe(&self, request: Request<SubscribeRequest>) -> Result<Response<SubscribeResponse>, Status> {
        let request = request.into_inner();
        let email = address(&request.email)?;
        let wishes = self.wishes(&request)?;
        let now = Timestamp::now();
        let on_record = request.consent() == Consent::OnRecord;
        let answer = Response::new(SubscribeResponse {
            confirmation_required: !on_record,
        });
        let fresh = uuid::Uuid::now_v7().simple().to_string();
        let id = self.subscribers.reserve(&email, &fresh).await.map_err(unavailable)?;
        let known = self.subscribers.get(&id).await.map_err(unavailable)?;
        if let Some(known) = &known {
            let settled = matches!(known.state, State::Active | State::Suppressed);
            let asked_lately = known
                .asked
                .is_some_and(|asked| now.duration_since(asked) < CONFIRMATION_PAUSE);
            if !on_record && (settled || asked_lately) {
                return Ok(answer);
            }
        }
        let subscriber = Subscriber {
            id,
            email: email.to_string(),
            state: State::Pending,
            interests: wishes.interests,
            time: wishes.schedule.time(),
            time_zone: wishes.schedule.zone().to_owned(),
            paper_count: wishes.paper_count,
            created: known.as_ref().map_or(now, |known| known.created),
            confirmed: None,
            asked: (!on_record).then_some(now),
        };
        if on_record {
            self.activate(subscriber, now).await?;
            return Ok(answer);
        }
        self.editions
            .ask_to_confirm(&subscriber, now)
            .await
            .map_err(edition_failed)?;
        self.subscribers.put(&subscriber, None).await.map_err(unavailable)?;
        Ok(answer)
    }

    async fn confirm_subscription(
        &self,
        request: Request<ConfirmSubscriptionRequest>,
    ) -> Result<Response<ConfirmSubscriptionResponse>, Status> {
        let subscriber = self.by_token(&[Scope::Confirm], &request.into_inner().token).await?;
        let subscriber = match subscriber.state {
            State::Pending => self.activate(subscriber, Timestamp::now()).await?,
            State::Active => subscriber,
            State::Unsubscribed | State::Suppressed => {
                return Err(Status::failed_precondition(
                    "this subscription has ended; subscribe again",
                ));
            }
        };
        Ok(Response::new(ConfirmSubscriptionResponse {
            subscription: Some(self.shown(&subscriber).await?),
        }))
    }

    async fn unsubscribe(&self, request: Request<UnsubscribeRequest>) -> Result<Response<UnsubscribeResponse>, Status> {
        let mut subscriber = self.by_token(&[Scope::Manage], &request.into_inner().token).await?;
        if subscriber.state != State::Suppressed {
            subscriber.state = State::Unsubscribed;
        }
        self.subscribers.put(&subscriber, None).await.map_err(unavailable)?;
        Ok(Response::new(UnsubscribeResponse {
            subscription: Some(to_wire(&subscriber, None)),
        }))
    }

    async fn get_subscription(
        &self,
        request: Request<GetSubscriptionRequest>,
    ) -> Result<Response<GetSubscriptionResponse>, Status> {
        let scopes = [Scope::Confirm, Scope::Manage];
        let subscriber = self.by_token(&scopes, &request.into_inner().token).await?;
        Ok(Response::new(GetSubscriptionResponse {
            subscription: Some(self.shown(&subscriber).await?),
        }))
    }

    async fn get_subscriber(
        &self,
        request: Request<GetSubscriberRequest>,
    ) -> Result<Response<GetSubscriberResponse>, Status> {
        let subscriber = self.by_email(&request.into_inner().email).await?;
        Ok(Response::new(GetSubscriberResponse {
            subscription: Some(self.shown(&subscriber).await?),
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
        let papers = edition.papers.iter().map(|(chosen, reason)| EditionPaper {
            paper: Some((&chosen.paper).into()),
            reason: reason.clone(),
            score: f64::from(chosen.score),
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
        let email = request.into_inner().email;
        let ids = if email.is_empty() {
            self.subscribers.active().await.map_err(unavailable)?
        } else {
            let subscriber = self.by_email(&email).await?;
            if subscriber.state != State::Active {
                let problem = format!(
                    "{} is not an active subscriber; the subscription must be confirmed",
                    subscriber.email
                );
                return Err(Status::failed_precondition(problem));
            }
            vec![subscriber.id]
        };
        let this = self.clone();
        let deliveries = futures::stream::iter(ids).map(move |id| {
            let this = this.clone();
            async move { this.deliver(&id).await.transpose() }
        });
        Ok(Response::new(
            deliveries
                .buffer_unordered(16)
                .filter_map(async |delivery| delivery)
                .boxed(),
        ))
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
            deliveries.push(delivery(&subscriber.email, slot, record.unwrap_or_default()));
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
    let state = match record.state.as_str() {
        "sending" => DeliveryState::Sending,
        "sent" => DeliveryState::Sent,
        "failed" => DeliveryState::Failed,
        "empty" => DeliveryState::Empty,
        "deferred" => DeliveryState::Deferred,
        _ => DeliveryState::Unspecified,
    };
    Delivery {
        email: email.to_owned(),
        slot_time: Some(to_wire_time(slot)),
        state: state.into(),
        message_id: record.message_id,
        paper_ids: record.papers.iter().map(ToString::to_string).collect(),
        detail: record.detail,
        state_time: Some(to_wire_time(record.at)),
        already_delivered: false,
    }
}
