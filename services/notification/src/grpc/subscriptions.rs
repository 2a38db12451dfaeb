//! SubscriptionService: who subscribes to what, by token or by an operator.

use common::{access, status};
use domain::PaperId;
use proto::access::Scope as KeyScope;
use proto::convert::from_wire_time;
use proto::subscriptions::v1::subscription_service_server::SubscriptionService;
use proto::subscriptions::v1::{
    ConfirmSubscriptionRequest, ConfirmSubscriptionResponse, Consent, DeclineSubscriptionRequest,
    DeclineSubscriptionResponse, DeleteSubscriptionRequest, DeleteSubscriptionResponse, ExportSubscriptionRequest,
    ExportSubscriptionResponse, GetSubscriberRequest, GetSubscriberResponse, GetSubscriberTokenRequest,
    GetSubscriberTokenResponse, GetSubscriptionRequest, GetSubscriptionResponse, ImportSubscribersRequest, LinkScope,
    ListSubscribersRequest, ListSubscribersResponse, ListSuppressionsRequest, ListSuppressionsResponse,
    PauseSubscriptionRequest, PauseSubscriptionResponse, ReactToPaperRequest, ReactToPaperResponse, Reaction,
    RebuildSubscribersRequest, RemoveWebhookRequest, RemoveWebhookResponse, RequestAccountLinkRequest,
    RequestAccountLinkResponse, ResumeSubscriptionRequest, ResumeSubscriptionResponse, RevokeLinksRequest,
    RevokeLinksResponse, RotateWebhookSecretRequest, RotateWebhookSecretResponse, SetWebhookRequest,
    SetWebhookResponse, SubscribeRequest, SubscribeResponse, Subscription, SuppressAddressRequest,
    SuppressAddressResponse, UnsubscribeRequest, UnsubscribeResponse, UnsuppressAddressRequest,
    UnsuppressAddressResponse, UpdateSubscriptionRequest, UpdateSubscriptionResponse, VerifyWebhookRequest,
    VerifyWebhookResponse,
};
use tonic::{Request, Response, Status, Streaming};
use tracing::{Instrument as _, Span};

use super::answers::to_wire;
use super::updates::check_mask;
use super::{Notification, address, import, operators, refused, unavailable};
use crate::metrics::SUBSCRIBE_REQUESTS_LIMITED;
use crate::subscribers::{Subscriber, SubscriberState};
use crate::tokens::{ENDING, MANAGING, Scope};

impl Notification {
    /// Refuses requests to subscribe, and challenges of webhooks, that come too fast.
    pub(super) async fn admit<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let buckets = self.limits.buckets(self.caller(request));
        let wait = self.rate_limiter.take(&buckets, self.clock.now()).await;
        match wait.map_err(unavailable)? {
            None => Ok(()),
            Some(wait) => {
                SUBSCRIBE_REQUESTS_LIMITED.inc();
                let problem = "too many such calls at once; try again later";
                Err(status::exhausted(problem, wait))
            }
        }
    }

    async fn end(&self, token: &str) -> Result<Subscriber, Status> {
        // Not looked for in Redis first: an unsubscription is taken while Redis does not answer, too.
        let id = self.claim(&ENDING, token)?.subscriber;
        let subscriptions = self.subscriptions.clone();
        // Brought to its end when the caller hangs up or its deadline passes: whoever pressed the button has left.
        let ending = async move { subscriptions.unsubscribe(&id).await };
        let ending = self.tasks.job("unsubscription", ending.instrument(Span::current()));
        let ended = ending.result().await.map_err(status::unavailable)?;
        let ended = ended.map_err(unavailable)?;
        ended.ok_or_else(|| status::not_found("subscription", "of this link"))
    }

    async fn update(&self, request: UpdateSubscriptionRequest) -> Result<Subscription, Status> {
        let known = self.by_token(&MANAGING, &request.token).await?;
        let paths = request.update_mask.unwrap_or_default().paths;
        check_mask(&paths)?;
        let given = request.subscription.unwrap_or_default();
        let wanted = self.updated(&known, &given, &paths).map_err(refused)?;
        if paths.iter().any(|path| path == "interests") {
            self.check_examples(&wanted).await?;
        }
        let change = |known: &Subscriber| self.updated(known, &given, &paths);
        let changed = self.subscriptions.set_preferences(&known.id, change).await;
        if let Some(changed) = changed.map_err(unavailable)?.map_err(refused)? {
            self.interests.prepare(&changed).await;
        }
        self.shown(&known.id).await
    }

    async fn pause(&self, request: PauseSubscriptionRequest) -> Result<Subscription, Status> {
        let known = self.by_token(&MANAGING, &request.token).await?;
        let now = self.clock.now();
        let until = request
            .until_time
            .map(|until| from_wire_time("until_time", until))
            .transpose();
        let until = until.map_err(|error| status::invalid("until_time", error.to_string()))?;
        if let Some(past) = until.filter(|until| *until <= now) {
            return Err(status::invalid(
                "until_time",
                format!("is {past}, which is over; it must be in the future"),
            ));
        }
        let paused = self.subscriptions.pause(&known.id, until).await.map_err(unavailable)?;
        if paused.is_none_or(|paused| paused.state != SubscriberState::Paused) {
            return Err(ended("paused"));
        }
        self.shown(&known.id).await
    }

    async fn resume(&self, token: &str) -> Result<Subscription, Status> {
        let known = self.by_token(&MANAGING, token).await?;
        if known.takes_nothing() {
            return Err(Status::failed_precondition(
                "the webhook is the only way on which digests come, and it takes none; verify it, or choose mail",
            ));
        }
        let resumed = self.subscriptions.resume(&known.id).await.map_err(unavailable)?;
        if resumed.is_none_or(|resumed| resumed.state != SubscriberState::Active) {
            return Err(ended("resumed"));
        }
        self.shown(&known.id).await
    }

    async fn react(&self, request: ReactToPaperRequest) -> Result<String, Status> {
        let scopes = [Scope::React, Scope::Preferences, Scope::Account];
        let reader = self.by_token(&scopes, &request.token).await?;
        let paper = PaperId::parse(&request.paper_id);
        let paper = paper.map_err(|error| status::invalid("paper_id", error.to_string()))?;
        let pseudonym = match request.reaction() {
            Reaction::Vote => {
                let voted = self.subscriptions.vote(&reader.id, &paper).await;
                voted.map_err(unavailable)?
            }
            Reaction::NotInterested => self.not_interested(&reader, &paper).await?,
            Reaction::Unspecified => {
                let problem = format!("is {}; allowed are VOTE and NOT_INTERESTED", request.reaction);
                return Err(status::invalid("reaction", problem));
            }
        };
        // None where the reader was deleted meanwhile.
        pseudonym.ok_or_else(|| status::not_found("subscription", "of this link"))
    }
}

fn ended(done: &str) -> Status {
    Status::failed_precondition(format!(
        "only a confirmed subscription that has not ended can be {done}; subscribe again"
    ))
}

#[tonic::async_trait]
impl SubscriptionService for Notification {
    async fn subscribe(&self, request: Request<SubscribeRequest>) -> Result<Response<SubscribeResponse>, Status> {
        let answer = match request.get_ref().consent() {
            Consent::OnRecord => {
                access::require(&request, KeyScope::Operate, "consent on record")?;
                self.subscribe_on_record(request.into_inner()).await?
            }
            Consent::Unspecified | Consent::DoubleOptIn => self.ask_to_confirm(request).await?,
        };
        Ok(Response::new(answer))
    }

    async fn confirm_subscription(
        &self,
        request: Request<ConfirmSubscriptionRequest>,
    ) -> Result<Response<ConfirmSubscriptionResponse>, Status> {
        let confirmed = self.confirm(&request.into_inner().token).await?;
        Ok(Response::new(confirmed))
    }

    async fn decline_subscription(
        &self,
        request: Request<DeclineSubscriptionRequest>,
    ) -> Result<Response<DeclineSubscriptionResponse>, Status> {
        let mailbox = self.claim(&[Scope::Decline], &request.into_inner().token)?.subscriber;
        self.confirmations.decline(&mailbox).await.map_err(unavailable)?;
        Ok(Response::new(DeclineSubscriptionResponse {}))
    }

    async fn unsubscribe(&self, request: Request<UnsubscribeRequest>) -> Result<Response<UnsubscribeResponse>, Status> {
        let ended = self.end(&request.into_inner().token).await?;
        Ok(Response::new(UnsubscribeResponse {
            subscription: Some(to_wire(&ended, None)),
        }))
    }

    async fn get_subscription(
        &self,
        request: Request<GetSubscriptionRequest>,
    ) -> Result<Response<GetSubscriptionResponse>, Status> {
        let token = request.into_inner().token;
        if let Some(requested) = self.requested(&token).await? {
            return Ok(Response::new(GetSubscriptionResponse {
                subscription: Some(requested),
                scope: LinkScope::Confirm.into(),
                ..GetSubscriptionResponse::default()
            }));
        }
        Ok(Response::new(self.opened(&token).await?))
    }

    async fn request_account_link(
        &self,
        request: Request<RequestAccountLinkRequest>,
    ) -> Result<Response<RequestAccountLinkResponse>, Status> {
        self.admit(&request).await?;
        self.mail_account_link(request.into_inner()).await?;
        Ok(Response::new(RequestAccountLinkResponse {}))
    }

    async fn revoke_links(
        &self,
        request: Request<RevokeLinksRequest>,
    ) -> Result<Response<RevokeLinksResponse>, Status> {
        let token = self.revoke(&request.into_inner().token).await?;
        Ok(Response::new(RevokeLinksResponse { token }))
    }

    async fn update_subscription(
        &self,
        request: Request<UpdateSubscriptionRequest>,
    ) -> Result<Response<UpdateSubscriptionResponse>, Status> {
        let subscription = Some(self.update(request.into_inner()).await?);
        Ok(Response::new(UpdateSubscriptionResponse { subscription }))
    }

    async fn pause_subscription(
        &self,
        request: Request<PauseSubscriptionRequest>,
    ) -> Result<Response<PauseSubscriptionResponse>, Status> {
        let subscription = Some(self.pause(request.into_inner()).await?);
        Ok(Response::new(PauseSubscriptionResponse { subscription }))
    }

    async fn resume_subscription(
        &self,
        request: Request<ResumeSubscriptionRequest>,
    ) -> Result<Response<ResumeSubscriptionResponse>, Status> {
        let subscription = Some(self.resume(&request.into_inner().token).await?);
        Ok(Response::new(ResumeSubscriptionResponse { subscription }))
    }

    async fn delete_subscription(
        &self,
        request: Request<DeleteSubscriptionRequest>,
    ) -> Result<Response<DeleteSubscriptionResponse>, Status> {
        let known = self.by_token(&[Scope::Account], &request.into_inner().token).await?;
        let email = address(&known.email).map_err(status::internal)?;
        let suppression = self.subscriptions.suppression(&email).await.map_err(unavailable)?;
        self.confirmations.forget(&email).await.map_err(unavailable)?;
        self.subscriptions.forget(&known).await.map_err(unavailable)?;
        Ok(Response::new(DeleteSubscriptionResponse {
            suppression_kept: suppression.is_some(),
        }))
    }

    async fn export_subscription(
        &self,
        request: Request<ExportSubscriptionRequest>,
    ) -> Result<Response<ExportSubscriptionResponse>, Status> {
        let known = self.by_token(&[Scope::Account], &request.into_inner().token).await?;
        let json = self.export(&known).await?.to_string();
        Ok(Response::new(ExportSubscriptionResponse { json }))
    }

    async fn set_webhook(&self, request: Request<SetWebhookRequest>) -> Result<Response<SetWebhookResponse>, Status> {
        self.admit(&request).await?;
        Ok(Response::new(
            Notification::set_webhook(self, request.into_inner()).await?,
        ))
    }

    async fn verify_webhook(
        &self,
        request: Request<VerifyWebhookRequest>,
    ) -> Result<Response<VerifyWebhookResponse>, Status> {
        self.admit(&request).await?;
        let subscription = Notification::verify_webhook(self, &request.into_inner().token).await?;
        Ok(Response::new(VerifyWebhookResponse {
            subscription: Some(subscription),
        }))
    }

    async fn rotate_webhook_secret(
        &self,
        request: Request<RotateWebhookSecretRequest>,
    ) -> Result<Response<RotateWebhookSecretResponse>, Status> {
        Ok(Response::new(self.rotate_secret(&request.into_inner().token).await?))
    }

    async fn remove_webhook(
        &self,
        request: Request<RemoveWebhookRequest>,
    ) -> Result<Response<RemoveWebhookResponse>, Status> {
        let subscription = Notification::remove_webhook(self, &request.into_inner().token).await?;
        Ok(Response::new(RemoveWebhookResponse {
            subscription: Some(subscription),
        }))
    }

    async fn react_to_paper(
        &self,
        request: Request<ReactToPaperRequest>,
    ) -> Result<Response<ReactToPaperResponse>, Status> {
        let reader_id = self.react(request.into_inner()).await?;
        Ok(Response::new(ReactToPaperResponse { reader_id }))
    }

    async fn get_subscriber(
        &self,
        request: Request<GetSubscriberRequest>,
    ) -> Result<Response<GetSubscriberResponse>, Status> {
        let subscription = Some(self.shown_by_email(&request.into_inner().email).await?);
        Ok(Response::new(GetSubscriberResponse { subscription }))
    }

    async fn get_subscriber_token(
        &self,
        request: Request<GetSubscriberTokenRequest>,
    ) -> Result<Response<GetSubscriberTokenResponse>, Status> {
        let subscriber = self.by_email(&request.into_inner().email).await?;
        let holder = subscriber.link_holder();
        let token = self.tokens.issue(Scope::Account, holder, self.clock.now());
        Ok(Response::new(GetSubscriberTokenResponse { token }))
    }

    async fn list_subscribers(
        &self,
        request: Request<ListSubscribersRequest>,
    ) -> Result<Response<ListSubscribersResponse>, Status> {
        Ok(Response::new(self.list(request.into_inner()).await?))
    }

    type ImportSubscribersStream = import::Answers;

    async fn import_subscribers(
        &self,
        request: Request<Streaming<ImportSubscribersRequest>>,
    ) -> Result<Response<Self::ImportSubscribersStream>, Status> {
        Ok(Response::new(self.import(request.into_inner())))
    }

    async fn suppress_address(
        &self,
        request: Request<SuppressAddressRequest>,
    ) -> Result<Response<SuppressAddressResponse>, Status> {
        let suppression = Some(self.suppress(request.into_inner()).await?);
        Ok(Response::new(SuppressAddressResponse { suppression }))
    }

    async fn unsuppress_address(
        &self,
        request: Request<UnsuppressAddressRequest>,
    ) -> Result<Response<UnsuppressAddressResponse>, Status> {
        self.unsuppress(&request.into_inner().email).await?;
        Ok(Response::new(UnsuppressAddressResponse {}))
    }

    async fn list_suppressions(
        &self,
        request: Request<ListSuppressionsRequest>,
    ) -> Result<Response<ListSuppressionsResponse>, Status> {
        Ok(Response::new(self.suppressions(request.into_inner()).await?))
    }

    type RebuildSubscribersStream = operators::RebuildAnswers;

    async fn rebuild_subscribers(
        &self,
        _: Request<RebuildSubscribersRequest>,
    ) -> Result<Response<Self::RebuildSubscribersStream>, Status> {
        Ok(Response::new(self.rebuild()))
    }
}
