//! Reads attention and signals from the bus: all that is remembered at the start, then what comes.

mod signals;

use std::sync::Arc;
use std::time::Duration;

use common::admin::NotReady;
use common::bus::{Bus, BusError, WindowItem};
use common::telemetry;
use domain::PaperId;
use domain::trending::{Act, Added, Attention, Heat};
use futures::StreamExt as _;
use jiff::Timestamp;
use prost::{Message, Name};
use proto::attention::v1::{AttentionKind, AttentionRecorded};
use proto::convert::from_wire_time;
use tokio_util::sync::CancellationToken;
use tracing::{info, info_span, warn};

use super::{Read, Trending};
use crate::metrics::{ATTENTION, ATTENTION_LAST};

/// Between two looks for acts that are too old to count.
const SWEEP: Duration = Duration::from_mins(10);

/// Reads what readers do until the stop. Drops the ticket once everything that was there at the start has been read.
pub async fn fill(
    bus: Bus,
    trending: Arc<Trending>,
    not_ready: NotReady,
    stop: CancellationToken,
) -> Result<(), BusError> {
    let mut sweep = tokio::time::interval(SWEEP);
    let sweeping = async {
        loop {
            sweep.tick().await;
            trending.forget(Timestamp::now());
        }
    };
    tokio::select! {
        () = sweeping => Ok(()),
        ended = follow(&bus, not_ready, &stop, |item| take(&trending, item)) => ended,
    }
}

/// Reads what is counted elsewhere, likewise.
pub async fn fill_signals(
    bus: Bus,
    trending: Arc<Trending>,
    not_ready: NotReady,
    stop: CancellationToken,
) -> Result<(), BusError> {
    follow(&bus, not_ready, &stop, |item| signals::take(&trending, item)).await
}

async fn follow<M: Message + Name + Default>(
    bus: &Bus,
    not_ready: NotReady,
    stop: &CancellationToken,
    take: impl Fn(&WindowItem<M>),
) -> Result<(), BusError> {
    let mut window = bus.window::<M>(Heat::remembered_since(Timestamp::now())).await?;
    let mut not_ready = Some(not_ready).filter(|_| window.waiting > 0);
    loop {
        let item = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            item = window.items.next() => item,
        };
        let Some(item) = item else {
            return Err(BusError::Request(format!("the window of {} ended", M::NAME)));
        };
        take(&item);
        if item.waiting == 0 && not_ready.take().is_some() {
            info!(messages = M::NAME, "all that is remembered is read");
        }
    }
}

fn take(trending: &Trending, item: &WindowItem<AttentionRecorded>) {
    let span = info_span!(
        "consume",
        otel.name = "indexing attention.recorded",
        otel.kind = "consumer"
    );
    telemetry::set_parent_from_headers(&span, item.headers.as_ref());
    let _entered = span.enter();
    let now = Timestamp::now();
    let outcome = match parse(&item.message, now) {
        Ok(act) => {
            ATTENTION_LAST.set(ATTENTION_LAST.get().max(act.at.as_second()));
            trending.record(&item.message.event_id, &act, now).name()
        }
        Err(problem) => {
            warn!(problem, "act of attention left out");
            "refused"
        }
    };
    ATTENTION.with_label_values(&[outcome]).inc();
}

impl Read {
    /// The outcome in metrics.
    fn name(self) -> &'static str {
        match self {
            Self::Added(Added::Counted) => "counted",
            Self::Added(Added::Unchanged) => "unchanged",
            Self::Added(Added::TooOld) => "too_old",
            Self::Repeated => "repeated",
            Self::NoRoom => "no_room",
        }
    }
}

fn parse(event: &AttentionRecorded, now: Timestamp) -> Result<Act, String> {
    let kind = match event.kind() {
        AttentionKind::Click => Attention::Click,
        AttentionKind::Read => Attention::Read,
        AttentionKind::Save => Attention::Save,
        AttentionKind::Vote => Attention::Vote,
        AttentionKind::Unspecified => return Err(format!("kind is {}", event.kind)),
    };
    let time = event.event_time.ok_or("event_time is missing")?;
    let at = from_wire_time("event_time", time).map_err(|error| error.to_string())?;
    Ok(Act {
        reader: event.reader_id.clone(),
        paper: PaperId::parse(&event.paper_id).map_err(|error| format!("paper_id {error}"))?,
        kind,
        // What a clock that runs ahead says is not hotter than now.
        at: at.min(now),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::convert::to_wire_time;

    #[test]
    fn acts_that_cannot_be_are_left_out_and_clocks_that_run_ahead_are_held_back() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().expect("a time");
        let ahead = now + jiff::SignedDuration::from_secs(90);
        let event = AttentionRecorded {
            event_id: "e".to_owned(),
            paper_id: "arxiv:2402.14776".to_owned(),
            kind: AttentionKind::Save.into(),
            reader_id: "ada".to_owned(),
            event_time: Some(to_wire_time(ahead)),
        };
        let act = parse(&event, now).expect("sound");
        assert_eq!((act.at, act.kind), (now, Attention::Save));
        let broken = |change: fn(&mut AttentionRecorded)| {
            let mut broken = event.clone();
            change(&mut broken);
            parse(&broken, now).expect_err("broken")
        };
        assert_eq!(broken(|event| event.kind = 9), "kind is 9");
        assert_eq!(broken(|event| event.event_time = None), "event_time is missing");
        assert!(broken(|event| event.paper_id = "nonsense".to_owned()).starts_with("paper_id is"));
    }
}
