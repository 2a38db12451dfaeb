//! Notification: subscribers, their digests, and the mail.
//!
//! It owns subscriber state in Redis and the way to the mail server. It never touches the catalogue: papers come from the
//! bus.
//!
//! A paper comes in through [`pipeline`] and lies in the [`window`]. When readers are due the [`scheduler`] has their
//! [`digests`] planned, composed, delivered and settled. [`ports`] says what is needed of a store, [`store`] has the
//! adapters, [`subscribers`] the rules of subscriptions, and [`grpc`] the calls.

mod config;
mod digests;
mod feedback;
mod grpc;
mod housekeeping;
mod interests;
mod limits;
mod mail_ids;
mod mailer;
mod mails;
mod metrics;
mod pipeline;
mod ports;
mod scheduler;
pub mod sender_check;
mod signing_keys;
mod store;
mod subscribers;
#[cfg(test)]
mod testing;
mod tokens;
mod trending;
mod trust;
mod webhooks;
mod window;

use std::sync::Arc;

use common::clock::Clock;
use common::flow;
use common::journal::{Journal, LogRetention};
use common::service::{Assembly, ServiceError};
use proto::delivery::v1::delivery_service_server::DeliveryServiceServer;
use proto::subscriptions::v1::subscription_service_server::SubscriptionServiceServer;
use tracing::info;

pub use crate::config::NotificationConfig;

use crate::digests::{DigestDependencies, DigestSettings, Digests, EmptyReason};
use crate::feedback::FeedbackHandler;
use crate::grpc::{Forwarded, Notification};
use crate::interests::{ExampleSource, IndexedExamples, InterestEmbedder, RemoteEncoder};
use crate::mail_ids::MailIds;
use crate::mails::MailWriter;
use crate::ports::{RecoveryExtent, StoreRecovery as _, StoreTimes};
use crate::scheduler::{Scheduler, SendingPace};
use crate::store::redis::{RedisStore, erasure, reconciler};
use crate::subscribers::confirmations::Confirmations;
use crate::subscribers::pending::WAITING_TIME;
use crate::subscribers::{Channel, Subscriptions, unconfirmed};
use crate::tokens::Tokens;
use crate::trending::{NothingTrending, TrendingIndex, TrendingSource};
use crate::webhooks::secrets::WebhookSecrets;
use crate::window::SharedWindow;

/// Name of the service.
pub const NAME: &str = "notification";
/// Its defaults.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Adds the service to a process. It becomes ready once it has read the window.
pub async fn start(config: NotificationConfig, assembly: &mut Assembly) -> Result<(), ServiceError> {
    let empty_reasons = EmptyReason::ALL.map(EmptyReason::name);
    metrics::register_metrics(Channel::ALL.map(Channel::name), &empty_reasons);
    let store = open_store(&config, assembly).await?;
    let window = SharedWindow::default();
    let needed = dependencies(&config, &store, &window, assembly).map_err(failed)?;
    let digests = Arc::new(Digests::new(needed.clone(), digest_settings(&config).map_err(failed)?));
    let confirmations = Confirmations {
        subscriptions: needed.subscriptions.clone(),
        pending: store.pending.clone(),
        rate_limiter: store.rate_limiter.clone(),
        limits: config.confirmations,
        budget: assembly.bus().limit_of(flow::PENDING),
        clock: needed.clock.clone(),
    };
    let feedback = FeedbackHandler::new(
        confirmations.clone(),
        Arc::clone(&needed.ledger),
        Arc::clone(&needed.tokens),
        Arc::clone(&needed.mail_ids),
        config.soft_bounces,
        assembly.clock(),
    );
    serve(
        &config,
        assembly,
        &store,
        &needed,
        &digests,
        (&confirmations, &feedback),
    );
    fill_window(&config, assembly, window).map_err(failed)?;
    run_tasks(config, assembly, &store, needed, &digests, feedback);
    Ok(())
}

fn failed(problem: String) -> ServiceError {
    ServiceError::start(NAME, problem)
}

/// The store, brought up to its log: whom a lost Redis has forgotten must not be mailed, or subscribed, anew.
async fn open_store(config: &NotificationConfig, assembly: &Assembly) -> Result<RedisStore, ServiceError> {
    let times = StoreTimes::new(config.lease, config.window);
    let retention = LogRetention {
        deliveries: times.retention.unsigned_abs(),
        pending: WAITING_TIME.unsigned_abs(),
    };
    let log = Journal::open(assembly.bus(), retention).await?;
    let (clock, tasks) = (assembly.clock(), assembly.tasks());
    let (url, tls) = (&config.redis_url, &config.redis_tls);
    let store = RedisStore::connect(url, tls, Some(log), times, clock, &tasks).await;
    let store = store.map_err(|error| failed(error.to_string()))?;
    let recovered = store.recovery.recover(RecoveryExtent::SinceMark, &mut |_| {}).await;
    let progress = recovered.map_err(|error| failed(error.to_string()))?;
    info!(?progress, "redis is up to the log of subscribers");
    Ok(store)
}

fn dependencies(
    config: &NotificationConfig,
    store: &RedisStore,
    window: &SharedWindow,
    assembly: &Assembly,
) -> Result<DigestDependencies, String> {
    let keys = config.signing_keys()?;
    let tokens = Arc::new(Tokens::new(keys.clone()));
    let mail_ids = Arc::new(MailIds::new(keys.clone(), config.mail.domain()));
    let clock = assembly.clock();
    Ok(DigestDependencies {
        subscriptions: Subscriptions::new(store.subscribers.clone(), clock.clone()),
        store: store.subscribers.clone(),
        ledger: store.ledger.clone(),
        due_queue: store.due_queue.clone(),
        window: window.clone(),
        interests: Arc::new(interests(config, store, window, clock.clone())?),
        transport: config.mail.transport(&tokens, &mail_ids, &clock, &assembly.tasks())?,
        webhook_client: config.webhooks.client(clock.clone())?,
        mail_writer: Arc::new(MailWriter::new(config.templates.as_deref(), &config.imprint)?),
        tokens,
        secrets: Arc::new(WebhookSecrets::new(keys)),
        mail_ids,
        clock,
        tasks: assembly.tasks(),
    })
}

fn digest_settings(config: &NotificationConfig) -> Result<DigestSettings, String> {
    let public_url = config.public_url.as_deref();
    let public_url =
        public_url.ok_or("notification.public_url is empty; set it to the address at which readers find the pages")?;
    Ok(DigestSettings {
        public_url: public_url.trim_end_matches('/').to_owned(),
        first_pause: config.first_pause,
        expire: config.expire,
        connections: config.connections,
        calls_at_once: config.webhooks.concurrency,
        send_timeout: config.lease.unsigned_abs() * 3 / 4,
        tolerance: config.webhooks.tolerance,
    })
}

fn interests(
    config: &NotificationConfig,
    store: &RedisStore,
    window: &SharedWindow,
    clock: Clock,
) -> Result<InterestEmbedder, String> {
    let caller = &config.caller;
    let examples = match &config.indexing_url {
        Some(url) => {
            Some(Arc::new(IndexedExamples::new(url, &config.embedding_url, caller)?) as Arc<dyn ExampleSource>)
        }
        None => None,
    };
    Ok(InterestEmbedder {
        store: store.subscribers.clone(),
        window: window.clone(),
        encoder: Arc::new(RemoteEncoder::new(&config.embedding_url, caller)?),
        examples,
        clock,
    })
}

/// Adds the calls.
fn serve(
    config: &NotificationConfig,
    assembly: &mut Assembly,
    store: &RedisStore,
    needed: &DigestDependencies,
    digests: &Arc<Digests>,
    (confirmations, feedback): (&Confirmations, &FeedbackHandler),
) {
    let service = Notification {
        subscriptions: needed.subscriptions.clone(),
        confirmations: confirmations.clone(),
        store: store.subscribers.clone(),
        ledger: store.ledger.clone(),
        due_queue: store.due_queue.clone(),
        rate_limiter: store.rate_limiter.clone(),
        recovery: store.recovery.clone(),
        digests: Arc::clone(digests),
        interests: Arc::clone(&needed.interests),
        tokens: Arc::clone(&needed.tokens),
        secrets: Arc::clone(&needed.secrets),
        schemes: config.webhooks.allowed_schemes,
        allowed: config.webhooks.allowed_addresses.clone(),
        feedback: feedback.clone(),
        defaults: Arc::new(config.defaults.clone()),
        limits: config.limits,
        // Where no key is required only this machine can call, see `grpc.listen`.
        forwarded: if config.requires_key {
            Forwarded::ByAll
        } else {
            Forwarded::ByLoopback
        },
        clock: needed.clock.clone(),
        tasks: needed.tasks.clone(),
    };
    assembly.add_grpc(SubscriptionServiceServer::new(service.clone()));
    assembly.add_grpc(DeliveryServiceServer::new(service));
}

/// Fills the window with papers, and says what is trending among them.
fn fill_window(config: &NotificationConfig, assembly: &mut Assembly, window: SharedWindow) -> Result<(), String> {
    let trending: Arc<dyn TrendingSource> = match &config.indexing_url {
        Some(url) => Arc::new(TrendingIndex::new(url, &config.caller)?),
        None => Arc::new(NothingTrending),
    };
    let following = trending::follow(
        trending,
        window.clone(),
        config.trending,
        assembly.clock(),
        assembly.stop.clone(),
    );
    assembly.tasks().run_infallible("trending", following);
    let not_ready = [assembly.readiness.ticket(), assembly.readiness.ticket()];
    let filling = pipeline::fill(
        assembly.bus().clone(),
        window,
        config.window,
        not_ready,
        assembly.stop.clone(),
    );
    assembly.task("window of papers", filling);
    Ok(())
}

/// Starts what goes on until the stop.
fn run_tasks(
    config: NotificationConfig,
    assembly: &mut Assembly,
    store: &RedisStore,
    needed: DigestDependencies,
    digests: &Arc<Digests>,
    feedback: FeedbackHandler,
) {
    let (tasks, stop, clock) = (assembly.tasks(), assembly.stop.clone(), assembly.clock());
    if let Some(folder) = config.bounce_maildir {
        let reading = feedback::maildir::run(folder, feedback, clock.clone(), stop.clone());
        tasks.run_infallible("bounces from a maildir", reading);
    }
    let reconciling = reconciler::run(Arc::clone(&store.recovery), clock.clone(), stop.clone());
    tasks.run_infallible("reconciler of redis and its log", reconciling);
    let erasing = erasure::run(Arc::clone(&store.erasure), stop.clone());
    tasks.run_infallible("erasure of deleted subscribers", erasing);
    let forgetting = unconfirmed::run(store.subscribers.clone(), clock.clone(), stop.clone());
    tasks.run_infallible("end of subscriptions that nobody confirmed", forgetting);
    let housekeeping = housekeeping::run(
        needed.subscriptions,
        store.due_queue.clone(),
        clock.clone(),
        stop.clone(),
    );
    tasks.run_infallible("housekeeping of subscriptions", housekeeping);
    for channel in Channel::ALL {
        let scheduler = Scheduler {
            channel,
            due_queue: store.due_queue.clone(),
            digests: Arc::clone(digests),
            pace: SendingPace::new(config.lease.unsigned_abs(), config.chunk),
            clock: clock.clone(),
        };
        let (readiness, stop) = (assembly.readiness.clone(), stop.clone());
        tasks.run_infallible("scheduler of digests", async move {
            // A digest made before the window is read would be an empty one.
            readiness.wait().await;
            Box::pin(scheduler.run(stop)).await;
        });
    }
}
