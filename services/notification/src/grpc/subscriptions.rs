//! SubscriptionService: who subscribes to what, by token or by an operator.

use common::status;
use domain::schedule::{Schedule as DomainSchedule, ScheduleError};
use domain::{Interest as DomainInterest, Preferences, text};
use jiff::Timestamp;
use proto::convert::to_wire_time;
use proto::subscriptions::v1::subscription_service_server::SubscriptionService;
use proto::subscriptions::v1::{
    ConfirmSubscriptionRequest, ConfirmSubscriptionResponse, Consent, GetSubscriberRequest, GetSubscriberResponse,
    GetSubscriptionRequest, GetSubscriptionResponse, Interest, ReactToPaperRequest, ReactToPaperResponse, Reaction,
    Schedule, SubscribeRequest, SubscribeResponse, Subscription, SubscriptionState, UnsubscribeRequest,
    UnsubscribeResponse,
};
use tonic::{Request, Response, Status};

use super::{Notification, address, edition_failed, unavailable};
use crate::subscribers::{Next, Opting, State, Subscriber};
use crate::tokens::Scope;

const MAX_INTERESTS: usize = 20;
const MAX_INTEREST_CHARS: usize = 1_000;
const MAX_PAPERS: i32 = 50;

impl Notification {
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

    fn wishes(&self, request: &SubscribeRequest) -> Result<Preferences, Status> {
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
            interests.push(DomainInterest::in_words(&words));
        }
        let schedule = request.schedule.clone().unwrap_or_default();
        let time = non_empty(&schedule.time, &self.defaults.time);
        let zone = non_empty(&schedule.time_zone, &self.defaults.time_zone);
        let schedule = DomainSchedule::parse(time, zone).map_err(|error| match error {
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
        Ok(Preferences {
            interests,
            ..Preferences::plain(schedule, paper_count)
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
        let schedule = &subscriber.preferences.schedule;
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

    async fn react_to_paper(
        &self,
        request: Request<ReactToPaperRequest>,
    ) -> Result<Response<ReactToPaperResponse>, Status> {
        let request = request.into_inner();
        let subscriber = self.by_token(&[Scope::React], &request.token).await?;
        match request.reaction() {
            Reaction::Vote => Ok(Response::new(ReactToPaperResponse {
                reader_id: subscriber.id,
            })),
            Reaction::NotInterested => Err(Status::unimplemented("unwanted papers are not kept yet")),
            Reaction::Unspecified => Err(status::invalid("reaction", "is missing")),
        }
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

fn non_empty<'a>(given: &'a str, default: &'a str) -> &'a str {
    if given.is_empty() { default } else { given }
}

fn to_wire(subscriber: &Subscriber, due: Option<Timestamp>) -> Subscription {
    let state = match subscriber.state {
        State::Pending => SubscriptionState::Pending,
        State::Active => SubscriptionState::Active,
        State::Unsubscribed => SubscriptionState::Unsubscribed,
        State::Suppressed => SubscriptionState::Suppressed,
    };
    let preferences = &subscriber.preferences;
    Subscription {
        subscriber_id: subscriber.id.clone(),
        email: subscriber.email.clone(),
        state: state.into(),
        interests: preferences
            .interests
            .iter()
            .map(|interest| Interest {
                text: interest.words.clone(),
            })
            .collect(),
        schedule: Some(Schedule {
            time: preferences.schedule.time(),
            time_zone: preferences.schedule.zone().to_owned(),
        }),
        paper_count: i32::try_from(preferences.paper_count).unwrap_or(i32::MAX),
        created_time: Some(to_wire_time(subscriber.created)),
        confirmed_time: subscriber.confirmed.map(to_wire_time),
        next_due_time: due.map(to_wire_time),
    }
}
