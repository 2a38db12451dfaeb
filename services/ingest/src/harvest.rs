//! Harvesting: reads the sources that the operator names on their schedules, so that papers come in by themselves.
//!
//! What a feed contains and how to fetch its pages is in `sources`. Here are the schedule, the stored state of each source,
//! the lease that decides which replica reads it, back-fills, and the operator's view. A cursor moves only after the stream
//! has acknowledged the papers of its page, so after a crash a page may be read again but never skipped.
//!
//! What is stored per source (cursor, next run, lease,
//! quarantined records, back-fills) is one entry of a key-value bucket, changed by compare-and-swap only. One replica holds
//! the lease of a source and sends heartbeats. Another takes over after it has observed, by its own monotonic clock, no
//! heartbeat for the length of a lease. A write by the former holder is then refused, and papers it still submits are
//! harmless because submission is idempotent.
//!
//! A page is processed record by record while it is downloaded, in bounded memory. The cursor moves once the stream has
//! acknowledged every paper of the page; until then the page is read again. A record that cannot be used is quarantined with
//! its reason (`sources show` lists it). An error of the source is retried with growing pauses. A permanent error, such as a
//! refused key, stops the source until an operator acts or its configuration changes. An open back-fill is read between
//! scheduled runs, never instead of one.
//!
//! A source's silence is compared with the same weekday of the preceding eight weeks ([`domain::freshness`]): it is late only
//! if papers have usually arrived by that time of day.

mod page_ingest;
mod plan;
mod runner;
mod service;
mod settings;
mod source_metrics;
mod state;
mod state_store;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::service::{Assembly, ServiceError};
use jiff::ToSpan as _;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use proto::ingest::v1::source_service_server::SourceServiceServer;
use sources::{DateRange, SourceClient};
use uuid::Uuid;

use crate::NAME;
use crate::registry::Registry;
use page_ingest::PageIngester;
use runner::SourceRunner;
use service::{ConfiguredSource, SourceApi};
pub use settings::{SourcesConfig, read};
use state_store::SourceStateStore;

/// Starts a runner for each source, and the service that shows them.
pub async fn start(
    config: SourcesConfig,
    lease: Duration,
    registry: Arc<Registry>,
    concurrency: usize,
    assembly: &mut Assembly,
) -> Result<(), ServiceError> {
    let failed = |error: &dyn std::fmt::Display| ServiceError::start(NAME, error);
    let clock = assembly.clock();
    let store = SourceStateStore::open(assembly.bus())
        .await
        .map_err(|error| failed(&error))?;
    let mut configured = BTreeMap::new();
    // Without sources there are no requests, and no contact address is needed.
    if !config.sources.is_empty() {
        let client = SourceClient::new(&config.http, clock.clone()).map_err(|error| failed(&error))?;
        let ingester = PageIngester {
            registry,
            bus: assembly.bus().clone(),
            concurrency,
            clock: clock.clone(),
        };
        let owner = Uuid::new_v4().as_u64_pair().0;
        for (name, scheduled) in config.sources {
            let source = sources::build(&scheduled.source, &client);
            source_metrics::register_source(&name);
            configured.insert(name, ConfiguredSource::new(source.kind(), &scheduled));
            let runner = SourceRunner {
                source,
                scheduled,
                store: store.clone(),
                ingester: ingester.clone(),
                owner,
                lease,
                clock: clock.clone(),
                stop: assembly.stop.clone(),
            };
            assembly.tasks().run_infallible("harvest of a source", runner.run());
        }
    }
    assembly.add_grpc(SourceServiceServer::new(SourceApi::new(configured, store, clock)));
    Ok(())
}

/// From the beginning of the first day to the end of the last, UTC.
fn range_of(first: Date, last: Date) -> DateRange {
    let start = |date: Date| {
        let midnight = TimeZone::UTC.to_ambiguous_timestamp(date.to_datetime(Time::midnight()));
        midnight.compatible().ok()
    };
    let end = start(last.saturating_add(1.days()));
    DateRange {
        from: start(first),
        until: end.map(|end| end - jiff::SignedDuration::from_secs(1)),
    }
}
