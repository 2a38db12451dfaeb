//! What the handlers share: clients of the other services, cached answers of the search, the page renderer, the limits and the
//! clock.
//!
//! It knows no route and no page.

use std::sync::Arc;

use common::clock::Clock;
use common::grpc::{self, ServiceChannel};
use proto::attention::v1::attention_service_client::AttentionServiceClient;
use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use proto::operations::v1::operations_service_client::OperationsServiceClient;
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::subscriptions::v1::subscription_service_client::SubscriptionServiceClient;

use crate::caching::{AnswerCache, SearchRequest, SharedAnswer};
use crate::caller::Caller;
use crate::config::WebConfig;
use crate::limits::RateLimiter;
use crate::page::PageRenderer;
use crate::reader_ids::ReaderIds;

/// Largest answer of the search service, in bytes: a list of a thousand papers with their abstracts exceeds tonic's default.
const LARGEST_ANSWER: usize = 32 << 20;

/// Shared by all handlers.
pub struct AppState {
    pub search: SearchServiceClient<ServiceChannel>,
    pub subscriptions: SubscriptionServiceClient<ServiceChannel>,
    pub deliveries: DeliveryServiceClient<ServiceChannel>,
    pub attention: AttentionServiceClient<ServiceChannel>,
    pub operations: OperationsServiceClient<ServiceChannel>,
    pub channels: BackendChannels,
    pub pages: Arc<PageRenderer>,
    pub limiter: Arc<RateLimiter>,
    pub clock: Clock,
    pub readers: ReaderIds,
    /// Days for which backups may hold what readers delete; 0 without backups.
    pub backup_days: u32,
    answers: AnswerCache,
}

/// The way to each service, for health checks.
pub struct BackendChannels {
    pub search: ServiceChannel,
    pub subscriptions: ServiceChannel,
    pub intake: ServiceChannel,
}

impl AppState {
    /// Connects to a service when it is first needed.
    ///
    /// # Errors
    /// An address, or the key of readers' cookies, cannot be used.
    pub fn new(
        config: &WebConfig,
        pages: Arc<PageRenderer>,
        limiter: Arc<RateLimiter>,
        clock: Clock,
    ) -> Result<Self, String> {
        let channel = |url: &str| grpc::connect(url, &config.caller).map_err(|error| error.to_string());
        let channels = BackendChannels {
            search: channel(&config.search_url)?,
            subscriptions: channel(&config.subscriptions_url)?,
            intake: channel(&config.attention_url)?,
        };
        let search = SearchServiceClient::new(channels.search.clone()).max_decoding_message_size(LARGEST_ANSWER);
        Ok(Self {
            answers: AnswerCache::new(search.clone(), config.cache, clock.clone()),
            search,
            subscriptions: SubscriptionServiceClient::new(channels.subscriptions.clone()),
            deliveries: DeliveryServiceClient::new(channels.subscriptions.clone()),
            attention: AttentionServiceClient::new(channels.intake.clone()),
            operations: OperationsServiceClient::new(channels.intake.clone()),
            channels,
            pages,
            limiter,
            readers: ReaderIds::new(&config.reader_ids, clock.clone())?,
            clock,
            backup_days: config.backup_days,
        })
    }

    /// The answer of the search service, cached for a moment for all who send the same request.
    ///
    /// # Errors
    /// What the service answered.
    pub async fn fetch<R: SearchRequest>(
        &self,
        caller: &Caller,
        request: R,
    ) -> Result<SharedAnswer<R::Response>, tonic::Status> {
        self.answers.fetch(caller, request).await
    }
}

impl AsRef<PageRenderer> for AppState {
    fn as_ref(&self) -> &PageRenderer {
        &self.pages
    }
}
