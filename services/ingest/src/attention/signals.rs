//! RecordSignals: checks each report of a batch separately and publishes it. Indexing decides the weight of an increase.

use common::bus::{Bus, BusError};
use common::status;
use domain::PaperId;
use domain::identity::hex;
use domain::submission::DEFAULT_SOURCE;
use domain::text::shorten;
use futures::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use prost::Message as _;
use proto::attention::v1::{
    RecordSignalsRequest, RecordSignalsResponse, SignalKind, SignalRecorded, SignalReport, SignalResult,
};
use proto::convert::{from_wire_time, to_wire_time};
use sha2::{Digest as _, Sha256};
use tonic::Status;
use tracing::warn;

use crate::metrics::SIGNALS;

/// The most reports of one call.
const MAX_REPORTS: usize = 1_000;
/// Reports that are published at the same time.
const CONCURRENCY: usize = 64;
const MAX_PROVIDER_BYTES: usize = 64;
const MAX_COUNT: u64 = 1_000_000_000_000;
/// How far the clocks of others may be ahead.
const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Records a batch.
pub async fn record(bus: &Bus, request: RecordSignalsRequest) -> Result<RecordSignalsResponse, Status> {
    let reports = request.reports;
    if !(1..=MAX_REPORTS).contains(&reports.len()) {
        let description = format!("has {} entries; 1 to {MAX_REPORTS} are allowed", reports.len());
        return Err(status::invalid("reports", description));
    }
    let now = bus.clock().now();
    let results = stream::iter(reports).map(|report| async move {
        match parse(report, now) {
            Ok(signal) => accept(bus, signal).await,
            Err(refusal) => {
                SIGNALS.with_label_values(&["rejected"]).inc();
                SignalResult {
                    refusal,
                    ..SignalResult::default()
                }
            }
        }
    });
    Ok(RecordSignalsResponse {
        results: results.buffered(CONCURRENCY).collect().await,
    })
}

/// Publishes a valid report.
pub async fn publish(bus: &Bus, signal: &SignalRecorded) -> Result<(), BusError> {
    // The same report has the same message id, so a repeat is stored once.
    let id = format!("signal:{}", hex(&Sha256::digest(signal.encode_to_vec())));
    bus.publish(&id, signal).await?;
    SIGNALS.with_label_values(&["accepted"]).inc();
    Ok(())
}

async fn accept(bus: &Bus, signal: SignalRecorded) -> SignalResult {
    match publish(bus, &signal).await {
        Ok(()) => SignalResult {
            paper_id: signal.paper_id,
            ..SignalResult::default()
        },
        Err(error) => {
            warn!(%error, "signal not published");
            SIGNALS.with_label_values(&["failed"]).inc();
            SignalResult {
                refusal: "something needed for this is unavailable; try again".to_owned(),
                retry: true,
                ..SignalResult::default()
            }
        }
    }
}

/// What is published of a report.
///
/// # Errors
/// What is wrong with it, beginning with the field.
fn parse(report: SignalReport, now: Timestamp) -> Result<SignalRecorded, String> {
    if report.kind() == SignalKind::Unspecified {
        return Err(format!(
            "kind is {}; allowed are UPVOTES (1), STARS (2), CITATIONS (3) and MENTIONS (4)",
            report.kind
        ));
    }
    let paper_id = report.paper_id.trim();
    let id = PaperId::parse(paper_id).or_else(|_| PaperId::from_submission(paper_id, DEFAULT_SOURCE));
    let id = id.map_err(|error| format!("paper_id {error}"))?;
    if !is_provider(&report.provider) {
        return Err(format!(
            "provider is {:?}; allowed are 1 to {MAX_PROVIDER_BYTES} lower-case letters, digits, dots and hyphens",
            shorten(&report.provider)
        ));
    }
    if report.count > MAX_COUNT {
        return Err(format!("count is {}; at most {MAX_COUNT} is allowed", report.count));
    }
    let time = |field: &'static str, time: Option<prost_types::Timestamp>| {
        let time = time.map(|time| from_wire_time(field, time));
        time.transpose().map_err(|error| format!("{field} {error}"))
    };
    let at = time("count_time", report.count_time)?.unwrap_or(now);
    if at.duration_since(now) > MAX_CLOCK_SKEW {
        return Err(format!("count_time is {at}, which is in the future"));
    }
    let since = time("since_time", report.since_time)?;
    if let Some(since) = since.filter(|since| *since >= at) {
        return Err(format!("since_time is {since}, which is not before count_time, {at}"));
    }
    Ok(SignalRecorded {
        paper_id: id.to_string(),
        kind: report.kind,
        provider: report.provider,
        count: report.count,
        count_time: Some(to_wire_time(at.min(now))),
        since_time: since.map(to_wire_time),
    })
}

fn is_provider(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    (1..=MAX_PROVIDER_BYTES).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests::RegistryFixture;

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().expect("a time")
    }

    fn report() -> SignalReport {
        SignalReport {
            paper_id: "2402.14776v2".to_owned(),
            kind: SignalKind::Upvotes.into(),
            provider: "huggingface".to_owned(),
            count: 42,
            count_time: Some(to_wire_time(now())),
            since_time: None,
        }
    }

    #[test]
    fn a_report_names_a_canonical_paper_and_is_not_ahead() {
        let ahead = SignalReport {
            count_time: Some(to_wire_time(now() + SignedDuration::from_secs(90))),
            ..report()
        };
        let signal = parse(ahead, now()).expect("valid");
        assert_eq!(signal.paper_id, "arxiv:2402.14776");
        assert_eq!(signal.count_time, Some(to_wire_time(now())));
        let timeless = SignalReport {
            count_time: None,
            ..report()
        };
        assert_eq!(parse(timeless, now()).expect("valid"), signal);
    }

    #[test]
    fn mistakes_name_field_value_and_what_is_allowed() {
        type Change = fn(&mut SignalReport);
        let hour = SignedDuration::from_hours(1);
        let broken: [(Change, &str); 7] = [
            (|one| one.kind = 9, "kind is 9; allowed are UPVOTES (1)"),
            (|one| one.paper_id = String::new(), "paper_id is"),
            (
                |one| one.provider = "Hugging Face".to_owned(),
                "provider is \"Hugging Face\"; allowed are 1 to 64",
            ),
            (|one| one.provider = "x".repeat(1_000), "provider is"),
            (|one| one.count = u64::MAX, "at most 1000000000000 is allowed"),
            (
                |one| {
                    one.count_time = Some(prost_types::Timestamp {
                        seconds: i64::MAX,
                        nanos: 0,
                    });
                },
                "count_time",
            ),
            (
                |one| one.since_time = one.count_time,
                "since_time is 2026-03-01T12:00:00Z, which is not before",
            ),
        ];
        for (change, expected) in broken {
            let mut report = report();
            change(&mut report);
            let refusal = parse(report, now()).expect_err(expected);
            assert!(refusal.contains(expected), "{refusal}");
            assert!(refusal.len() < 300, "{refusal}");
        }
        let tomorrow = SignalReport {
            count_time: Some(to_wire_time(now() + hour)),
            ..report()
        };
        assert!(parse(tomorrow, now()).expect_err("ahead").contains("in the future"));
    }

    #[tokio::test]
    async fn a_batch_is_stored_and_a_repeat_is_stored_once() {
        let fixture = RegistryFixture::start().await;
        let bad = SignalReport {
            provider: "?".to_owned(),
            ..report()
        };
        let request = RecordSignalsRequest {
            reports: vec![report(), bad, report()],
        };
        let results = record(&fixture.bus, request).await.expect("results").results;
        let accepted: Vec<bool> = results.iter().map(|one| one.refusal.is_empty()).collect();
        assert_eq!(accepted, [true, false, true]);
        assert!(!results[1].retry);
        let mut stored = common::replay::follow::<SignalRecorded>(&fixture.bus, "indexing-signals", Some(0))
            .await
            .expect("a stream");
        let first = stored.next().await.expect("the one that was stored");
        assert_eq!(first.message.count, report().count);
        assert!(futures::poll!(stored.next()).is_pending(), "there is no second one");
        for count in [0, MAX_REPORTS + 1] {
            let reports = vec![report(); count];
            let refused = record(&fixture.bus, RecordSignalsRequest { reports }).await;
            let refused = refused.expect_err("refused");
            assert_eq!(status::blamed_field(&refused).as_deref(), Some("reports"));
        }
        fixture.stop().await;
    }
}
