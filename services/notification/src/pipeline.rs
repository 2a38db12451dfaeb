//! Fills the window from the bus: indexed papers in, withdrawn ones out, old ones forgotten.

use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use common::admin::NotReady;
use common::bus::{Bus, BusError, WindowItem};
use common::telemetry::{self, TraceLink};
use domain::{Paper, PaperId, PaperVectors};
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use proto::convert::from_wire_time;
use proto::papers::v1::{PaperIndexed, PaperWithdrawn};
use tokio_util::sync::CancellationToken;
use tracing::{info, info_span, warn};

use crate::window::{Entry, Window};

/// Reads until the stop. Drops the ticket once everything that was there at the start has been read.
pub async fn fill(
    bus: Bus,
    window: Arc<RwLock<Window>>,
    length: SignedDuration,
    not_ready: NotReady,
    stop: CancellationToken,
) -> Result<(), BusError> {
    let since = Timestamp::now().saturating_sub(length).unwrap_or(Timestamp::MIN);
    let mut withdrawn = bus.window::<PaperWithdrawn>(since).await?;
    let mut indexed = bus.window::<PaperIndexed>(since).await?;
    let mut not_ready = Some(not_ready);
    if indexed.waiting == 0 {
        not_ready = None;
    }
    let mut sweep = tokio::time::interval(std::time::Duration::from_mins(10));
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = sweep.tick() => write(&window).expire(Timestamp::now(), length),
            item = withdrawn.items.next() => match item {
                Some(item) => take_out(&window, &item.message),
                None => return Err(BusError::Request("the window of withdrawals ended".to_owned())),
            },
            item = indexed.items.next() => match item {
                Some(item) => {
                    let caught_up = item.waiting == 0;
                    put_in(&window, item);
                    if caught_up && not_ready.take().is_some() {
                        info!("window read");
                    }
                }
                None => return Err(BusError::Request("the window of papers ended".to_owned())),
            },
        }
    }
}

fn put_in(window: &RwLock<Window>, item: WindowItem<PaperIndexed>) {
    let span = info_span!(
        "consume",
        otel.name = "notification papers.indexed",
        otel.kind = "consumer"
    );
    telemetry::set_parent_from_headers(&span, item.headers.as_ref());
    let _entered = span.enter();
    let trace = TraceLink::from_headers(item.headers.as_ref());
    match parse(item.message) {
        Ok(entry) => write(window).add(Entry { trace, ..entry }),
        Err(problem) => warn!(problem, "indexed paper left out of the window"),
    }
}

fn take_out(window: &RwLock<Window>, event: &PaperWithdrawn) {
    match PaperId::parse(&event.paper_id) {
        Ok(id) => write(window).withdraw(id, event.revision),
        Err(error) => warn!(%error, "withdrawal of no paper"),
    }
}

fn parse(event: PaperIndexed) -> Result<Entry, String> {
    let indexed = event.indexed_time.ok_or("indexed_time is missing")?;
    Ok(Entry {
        paper: Arc::new(Paper::try_from(event.paper.unwrap_or_default()).map_err(|error| error.to_string())?),
        vectors: PaperVectors::try_from(event.vectors.unwrap_or_default()).map_err(|error| error.to_string())?,
        indexed: from_wire_time("indexed_time", indexed).map_err(|error| error.to_string())?,
        trace: None,
    })
}

fn write(window: &RwLock<Window>) -> RwLockWriteGuard<'_, Window> {
    window.write().unwrap_or_else(PoisonError::into_inner)
}
