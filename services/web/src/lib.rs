//! Web: the search page and the links inside the mail. Speaks gRPC alone and holds no data.
//!
//! GET never changes anything, because mail scanners follow links; what changes is a POST.

mod categories;
mod client;
mod config;
mod formats;
mod metrics;
mod page;
mod paper;
mod reader;
mod reading;
mod same_site;
mod subscribing;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use common::grpc::{self, ServiceChannel};
use common::service::{Assembly, Bound, ServiceError};
use proto::attention::v1::attention_service_client::AttentionServiceClient;
use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use proto::operations::v1::operations_service_client::OperationsServiceClient;
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::subscriptions::v1::subscription_service_client::SubscriptionServiceClient;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

pub use config::Config;

/// Name of the service.
pub const NAME: &str = "web";
/// Its defaults.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Longest a page may take, gRPC calls included.
const PAGE_DEADLINE: Duration = Duration::from_secs(10);
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
}

/// Binds the port of the pages.
pub async fn bind(config: &Config) -> Result<Bound, ServiceError> {
    common::service::bind(config.listen, "web.listen").await
}

/// Adds the service to a process.
pub fn start(config: &Config, bound: Bound, assembly: &mut Assembly) -> Result<(), ServiceError> {
    metrics::touch();
    let channel =
        |url: &str| grpc::channel(url, config.token.as_deref()).map_err(|error| ServiceError::start(NAME, error));
    let [search, subscriptions, intake] = [&config.search_url, &config.subscriptions_url, &config.attention_url];
    let services = reading::state::Services {
        all: [
            ("Search and lists", channel(search)?),
            ("Subscriptions and mail", channel(subscriptions)?),
            ("New papers and votes", channel(intake)?),
        ],
        operations: OperationsServiceClient::new(channel(intake)?),
    };
    let front = Front {
        search: SearchServiceClient::new(channel(&config.search_url)?),
        subscriptions: SubscriptionServiceClient::new(channel(&config.subscriptions_url)?),
        deliveries: DeliveryServiceClient::new(channel(&config.subscriptions_url)?),
        attention: AttentionServiceClient::new(channel(&config.attention_url)?),
        pages: page::Pages::new(),
        services,
    };
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
        .layer(from_fn_with_state(Arc::clone(&front), same_site::refuse_strangers))
        .layer(from_fn(metrics::observe))
        .layer(header(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(header::REFERRER_POLICY, "same-origin"))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            PAGE_DEADLINE,
        ))
        .layer(from_fn_with_state(frontage, client::identify))
        .with_state(front)
}
