//! Web: the search page and the links inside the mail. Speaks gRPC alone and holds no data.
//!
//! GET never changes anything, because mail scanners follow links; what changes is a POST.

mod caching;
mod categories;
mod client;
mod config;
mod formats;
mod limits;
mod metrics;
mod page;
mod paper;
mod reader;
mod reading;
mod refusal;
mod same_site;
mod subscribing;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use common::grpc::{self, ChannelError, ServiceChannel};
use common::service::{Assembly, Bound, ServiceError};
use proto::attention::v1::attention_service_client::AttentionServiceClient;
use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use proto::operations::v1::operations_service_client::OperationsServiceClient;
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::subscriptions::v1::subscription_service_client::SubscriptionServiceClient;
use tower_http::set_header::SetResponseHeaderLayer;

pub use config::Config;

/// Name of the service.
pub const NAME: &str = "web";
/// Its defaults.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Largest answer of the search service, in bytes.
const LARGEST_ANSWER: usize = 32 << 20;
/// Nothing inline, no third party, no frame: the pages need none. Scripts are our own file, and it speaks to this site alone.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What the handlers share.
pub(crate) struct Front {
    search: SearchServiceClient<ServiceChannel>,
    subscriptions: SubscriptionServiceClient<ServiceChannel>,
    deliveries: DeliveryServiceClient<ServiceChannel>,
    attention: AttentionServiceClient<ServiceChannel>,
    pages: page::Pages,
    services: reading::state::Services,
    answers: caching::Answers,
    kept_pages: caching::Pages,
    rates: limits::Rates,
    buckets: limits::Buckets,
}

impl Front {
    /// One that speaks to the services at these addresses (search, subscriptions, intake), connecting when it first needs them.
    fn to(
        [search, subscriptions, intake]: [&str; 3],
        token: Option<&str>,
        freshness: caching::Freshness,
        rates: limits::Rates,
    ) -> Result<Self, ChannelError> {
        let channel = |url: &str| grpc::channel(url, token);
        let services = reading::state::Services {
            all: [
                ("Search and lists", channel(search)?),
                ("Subscriptions and mail", channel(subscriptions)?),
                ("New papers and votes", channel(intake)?),
            ],
            operations: OperationsServiceClient::new(channel(intake)?),
        };
        // A list of a thousand papers with their abstracts is larger than what is taken by default.
        let search = SearchServiceClient::new(channel(search)?).max_decoding_message_size(LARGEST_ANSWER);
        Ok(Self {
            answers: caching::Answers::new(search.clone(), freshness),
            kept_pages: caching::Pages::new(freshness),
            rates,
            buckets: limits::Buckets::new(rates.clients),
            search,
            subscriptions: SubscriptionServiceClient::new(channel(subscriptions)?),
            deliveries: DeliveryServiceClient::new(channel(subscriptions)?),
            attention: AttentionServiceClient::new(channel(intake)?),
            pages: page::Pages::new(),
            services,
        })
    }

    /// The answer of the search service to a question, kept for a moment for all who ask the same.
    ///
    /// # Errors
    /// What the service answered.
    pub(crate) async fn ask<Q: caching::Question>(
        &self,
        client: &client::Client,
        question: Q,
    ) -> Result<caching::Known<Q::Answer>, tonic::Status> {
        self.answers.ask(client, question).await
    }
}

/// Binds the port of the pages.
pub async fn bind(config: &Config) -> Result<Bound, ServiceError> {
    common::service::bind(config.listen, "web.listen").await
}

/// Adds the service to a process.
pub fn start(config: &Config, bound: Bound, assembly: &mut Assembly) -> Result<(), ServiceError> {
    metrics::touch();
    let urls = [&config.search_url, &config.subscriptions_url, &config.attention_url].map(String::as_str);
    let front = Front::to(urls, config.token.as_deref(), config.freshness, config.rates);
    let front = front.map_err(|error| ServiceError::start(NAME, error))?;
    tracing::info!(address = %bound.address, "pages");
    assembly.serve_http(bound, router(Arc::new(front), Arc::new(config.frontage.clone())));
    Ok(())
}

fn router(front: Arc<Front>, frontage: Arc<client::Frontage>) -> Router {
    let header = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    Router::new()
        .merge(reading::routes())
        .merge(subscribing::routes())
        .merge(formats::routes())
        .route("/style.css", get(page::style))
        .route("/script.js", get(page::script))
        .route("/favicon.svg", get(page::favicon))
        .fallback(page::not_found)
        .method_not_allowed_fallback(page::not_allowed)
        .layer(from_fn_with_state(Arc::clone(&front), caching::keep))
        .layer(from_fn_with_state(Arc::clone(&front), same_site::refuse_strangers))
        .layer(from_fn_with_state(Arc::clone(&front), limits::limit))
        .layer(from_fn(metrics::observe))
        .layer(header(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(header::REFERRER_POLICY, "same-origin"))
        .layer(from_fn_with_state(frontage, client::identify))
        .layer(DefaultBodyLimit::max(limits::LONGEST_BODY))
        .with_state(front)
}
