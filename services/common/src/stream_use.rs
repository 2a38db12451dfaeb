//! Looks how full the streams are, for metrics, readiness and admission, and makes room in the stream of papers.
//!
//! Of papers only those are dropped that every service has handled, the oldest first: recent papers reach less far back
//! then, and a withdrawn one that is sent again has lost its reason, but no work is lost.

use std::sync::LazyLock;
use std::time::Duration;

use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use prometheus::IntGaugeVec;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::bus::{Bus, BusError, request};
use crate::flow::{self, Consumption, FLOW, STORAGE, StreamStorage};
use crate::metrics::{as_gauge, gauges};
use crate::storage::promised_bytes;
use crate::streams::WorkConsumer;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(5);
/// Parts of its limit, in percent, from which the stream of papers is trimmed, and how full it is then.
const TRIMMED_FROM_PERCENT: u64 = 70;
const TRIMMED_TO_PERCENT: u64 = 60;

static BYTES: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauges(
        "broadsheet_stream_bytes",
        "Bytes in a stream or bucket, and what it does at its limit.",
        &["stream", "when_full"],
    )
});

static LIMIT: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauges(
        "broadsheet_stream_limit_bytes",
        "Bytes that a stream or bucket may take, and what it does at that limit.",
        &["stream", "when_full"],
    )
});

/// The streams that a process uses: of one service, or of all where it is none of them.
pub(crate) fn streams_of(process: &str) -> Vec<&'static StreamStorage> {
    let is_service = flow::SERVICES.contains(&process);
    let used = STORAGE.iter();
    used.filter(|storage| !is_service || storage.used_by.contains(&process))
        .collect()
}

/// Looks at the streams of a process until the stop.
pub(crate) async fn watch(bus: Bus, process: &'static str, stop: CancellationToken) {
    let streams = streams_of(process);
    for storage in &streams {
        let labels = [storage.stream, storage.when_full.name()];
        BYTES.with_label_values(&labels);
        LIMIT.with_label_values(&labels);
    }
    let mut beat = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = beat.tick() => {}
        }
        look_at(&bus, &streams).await;
    }
}

/// Looks at streams now.
pub(crate) async fn look_at(bus: &Bus, streams: &[&'static StreamStorage]) {
    for storage in streams {
        // A stream exists once its owner has run for the first time.
        if let Err(error) = look(bus, storage).await {
            debug!(stream = storage.stream, %error, "cannot see how full the stream is");
        }
    }
}

async fn look(bus: &Bus, storage: &StreamStorage) -> Result<(), BusError> {
    let stream = bus.context.get_stream(storage.stream).await.map_err(request)?;
    let state = &stream.cached_info().state;
    let before = bus.store().of(storage.stream).is_closed();
    // The limit is that of the server: another process may have made the stream, and with other settings.
    let limit = u64::try_from(stream.cached_info().config.max_bytes).unwrap_or(u64::MAX);
    let promised = if storage.stream == flow::STREAM {
        promised(&stream).await?
    } else {
        0
    };
    bus.store()
        .note(storage.stream, state.messages, state.bytes, promised, limit);
    let now = bus.store().of(storage.stream);
    let labels = [storage.stream, storage.when_full.name()];
    BYTES.with_label_values(&labels).set(as_gauge(now.bytes));
    LIMIT.with_label_values(&labels).set(as_gauge(now.limit));
    if now.is_closed() && !before {
        let (stream, setting, percent) = (storage.stream, storage.setting, now.percent());
        warn!(stream, setting, percent, "a stream is full and takes nothing new");
    }
    Ok(())
}

/// What services will still publish for the papers that they have not handled.
async fn promised(stream: &Stream) -> Result<u64, BusError> {
    let state = &stream.cached_info().state;
    let average = state.bytes / state.messages.max(1);
    let mut sum = 0_u64;
    for route in &FLOW {
        let each = promised_bytes(route.subject, average);
        let Consumption::WorkQueue { consumer, .. } = route.consumption else {
            continue;
        };
        if each == 0 {
            continue;
        }
        let unhandled = match stream.consumer_info(consumer).await {
            Ok(info) => {
                let under_way = u64::try_from(info.num_ack_pending).unwrap_or(u64::MAX);
                info.num_pending.saturating_add(under_way)
            }
            // Its service has never run.
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => state.messages,
            Err(error) => return Err(request(error)),
        };
        sum = sum.saturating_add(unhandled.saturating_mul(each));
    }
    Ok(sum)
}

/// Drops handled papers from the stream where it fills up, until the stop. Any number of replicas may do so.
pub(crate) async fn trim_papers(bus: Bus, stop: CancellationToken) {
    let mut beat = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = beat.tick() => {}
        }
        if let Err(error) = trim_once(&bus).await {
            debug!(%error, "cannot make room in the stream of papers");
        }
    }
}

async fn trim_once(bus: &Bus) -> Result<(), BusError> {
    let stream = bus.context.get_stream(flow::STREAM).await.map_err(request)?;
    let state = stream.cached_info().state.clone();
    let Ok(limit) = u64::try_from(stream.cached_info().config.max_bytes) else {
        return Ok(());
    };
    let Some(wanted) = first_kept(state.first_sequence, state.messages, state.bytes, limit) else {
        return Ok(());
    };
    let mut handled = state.last_sequence;
    for route in &FLOW {
        let Consumption::WorkQueue { consumer, .. } = route.consumption else {
            continue;
        };
        // A consumer exists once its service has run for the first time; until then nothing was handled.
        let consumer: WorkConsumer = stream.get_consumer(consumer).await.map_err(request)?;
        // Its first message that is not acknowledged may lie far behind the last one that is: others lie between.
        let after = consumer.cached_info().ack_floor.stream_sequence;
        let next = stream.get_first_raw_message_by_subject(route.subject, after + 1).await;
        match next {
            Ok(next) => handled = handled.min(next.sequence - 1),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => {}
            Err(error) => return Err(request(error)),
        }
    }
    let first = wanted.min(handled.saturating_add(1));
    if first > state.first_sequence {
        let purged = stream.purge().sequence(first).await.map_err(request)?.purged;
        info!(
            messages = purged,
            "dropped the oldest handled papers, to make room in the stream"
        );
    }
    Ok(())
}

/// The sequence of the first message to keep, for a stream of messages of about one size; `None` where there is room.
fn first_kept(first: u64, messages: u64, bytes: u64, limit: u64) -> Option<u64> {
    if bytes.saturating_mul(100) < limit.saturating_mul(TRIMMED_FROM_PERCENT) {
        return None;
    }
    let surplus = bytes.saturating_sub(limit / 100 * TRIMMED_TO_PERCENT);
    let dropped = u128::from(messages) * u128::from(surplus) / u128::from(bytes.max(1));
    Some(first.saturating_add(u64::try_from(dropped).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_dropped_until_the_stream_is_less_full() {
        assert_eq!(first_kept(1, 100, 699, 1_000), None);
        assert_eq!(first_kept(1, 100, 800, 1_000), Some(26), "200 of 800 bytes");
        assert_eq!(first_kept(500, 1_000, 1_000, 1_000), Some(900));
        assert_eq!(first_kept(1, 0, 0, 1_000), None);
    }

    #[test]
    fn a_service_looks_at_what_it_uses_and_the_platform_at_all() {
        let names = |process| streams_of(process).iter().map(|one| one.stream).collect::<Vec<_>>();
        assert_eq!(names("up").len(), STORAGE.len());
        assert!(names("web").is_empty());
        assert!(!names("embedding").contains(&flow::SUBSCRIBERS));
    }
}
