//! Harvesting: keeps up with the sources that the operator names, so that papers flow in by themselves.
//!
//! What a feed says and how to ask for its next page is in `sources`; here are the schedule, the place in each feed, who of
//! the replicas reads it, back-fills, and what an operator sees and does. A cursor moves only behind a page whose papers
//! the stream has acknowledged, so a crash anywhere leads to a page being read again, never to one being skipped.

mod plan;
mod runner;
mod service;
mod settings;
mod shelf;
mod state;
mod taking;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::service::{Assembly, ServiceError};
use jiff::ToSpan as _;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use proto::ingest::v1::source_service_server::SourceServiceServer;
use sources::{Client, Span};
use uuid::Uuid;

use crate::NAME;
use crate::registry::Registry;
use runner::Runner;
use service::{Listed, Sources};
pub use settings::{SourcesConfig, read};
use shelf::Shelf;
use taking::Taker;

/// Starts a runner for each source, and the service that shows them.
pub async fn start(
    config: SourcesConfig,
    lease: Duration,
    registry: Arc<Registry>,
    concurrency: usize,
    assembly: &mut Assembly,
) -> Result<(), ServiceError> {
    let wrong = |error: &dyn std::fmt::Display| ServiceError::start(NAME, error);
    let shelf = Shelf::open(&assembly.bus).await.map_err(|error| wrong(&error))?;
    if config.sources.is_empty() {
        // Whoever asks nobody need not say where to be reached.
        assembly.add_grpc(SourceServiceServer::new(Sources::new(BTreeMap::new(), shelf)));
        return Ok(());
    }
    let client = Client::new(&config.http).map_err(|error| wrong(&error))?;
    let taker = Taker {
        registry,
        bus: assembly.bus.clone(),
        concurrency,
    };
    let owner = Uuid::new_v4().as_u64_pair().0;
    let mut listed = BTreeMap::new();
    for (name, scheduled) in config.sources {
        let source = sources::build(&scheduled.source, &client);
        watch::touch(&name);
        listed.insert(name, Listed::new(source.kind(), &scheduled));
        let runner = Runner {
            source,
            scheduled,
            shelf: shelf.clone(),
            taker: taker.clone(),
            owner,
            lease,
            stop: assembly.stop.clone(),
        };
        assembly.task(async move {
            runner.run().await;
            Ok(())
        });
    }
    assembly.add_grpc(SourceServiceServer::new(Sources::new(listed, shelf)));
    Ok(())
}

/// From the beginning of the first day to the end of the last, UTC.
fn span_of(first: Date, last: Date) -> Span {
    let start = |date: Date| {
        let midnight = TimeZone::UTC.to_ambiguous_timestamp(date.to_datetime(Time::midnight()));
        midnight.compatible().ok()
    };
    let end = start(last.saturating_add(1.days()));
    Span {
        from: start(first),
        until: end.map(|end| end - jiff::SignedDuration::from_secs(1)),
    }
}
