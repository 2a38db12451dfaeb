//! Fills the window from the bus: indexed papers in, withdrawn ones out, old ones forgotten.

use std::sync::Arc;
use std::time::Duration;

use common::admin::NotReady;
use common::bus::{Bus, BusError};
use common::replay::{self, ReplayedMessage};
use common::telemetry::{self, TraceLink};
use domain::{Paper, PaperId, PaperVectors};
use jiff::{SignedDuration, Timestamp};
use proto::convert::from_wire_time;
use proto::papers::v1::{PaperIndexed, PaperWithdrawn};
use tokio_util::sync::CancellationToken;
use tracing::info_span;

use crate::window::{SharedWindow, WindowEntry};

/// Between two looks for papers that are too old.
const SWEEP: Duration = Duration::from_mins(10);

/// Reads until the stop. Drops the tickets once everything that was there at the start has been read.
pub async fn fill(
    bus: Bus,
    window: SharedWindow,
    length: SignedDuration,
    not_ready: [NotReady; 2],
    stop: CancellationToken,
) -> Result<(), BusError> {
    let clock = bus.clock().clone();
    let since = clock.now().saturating_sub(length).unwrap_or(Timestamp::MIN);
    let [papers_not_read, withdrawals_not_read] = not_ready;
    let add = |item| add(&window, item);
    let withdraw = |item: ReplayedMessage<PaperWithdrawn>| withdraw(&window, &item.message);
    let expire = async {
        while !stop.is_cancelled() {
            window.write().expire(clock.now(), length);
            tokio::select! {
                () = stop.cancelled() => {}
                () = clock.sleep(SWEEP) => {}
            }
        }
        Ok(())
    };
    tokio::try_join!(
        replay::run(&bus, "notification-indexed", since, papers_not_read, &stop, add),
        replay::run(
            &bus,
            "notification-withdrawn",
            since,
            withdrawals_not_read,
            &stop,
            withdraw
        ),
        expire
    )?;
    Ok(())
}

fn add(window: &SharedWindow, item: ReplayedMessage<PaperIndexed>) -> Result<(), String> {
    let span = info_span!(
        "consume",
        otel.name = "notification papers.indexed",
        otel.kind = "consumer"
    );
    telemetry::set_parent_from_headers(&span, item.headers.as_ref());
    let _entered = span.enter();
    let trace = TraceLink::from_headers(item.headers.as_ref());
    let entry = parse(item.message)?;
    window.write().add(WindowEntry { trace, ..entry });
    Ok(())
}

fn withdraw(window: &SharedWindow, event: &PaperWithdrawn) -> Result<(), String> {
    let id = PaperId::parse(&event.paper_id).map_err(|error| format!("paper_id {error}"))?;
    window.write().withdraw(id, event.revision);
    Ok(())
}

fn parse(event: PaperIndexed) -> Result<WindowEntry, String> {
    let indexed = event.indexed_time.ok_or("indexed_time is missing")?;
    Ok(WindowEntry {
        paper: Arc::new(Paper::try_from(event.paper.unwrap_or_default()).map_err(|error| error.to_string())?),
        vectors: PaperVectors::try_from(event.vectors.unwrap_or_default()).map_err(|error| error.to_string())?,
        indexed: from_wire_time("indexed_time", indexed).map_err(|error| error.to_string())?,
        trace: None,
    })
}
