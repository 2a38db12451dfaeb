//! What is counted elsewhere, from the words of the contract.

use common::bus::WindowItem;
use common::telemetry;
use domain::PaperId;
use domain::trending::{Report, Signal};
use jiff::Timestamp;
use proto::attention::v1::{SignalKind, SignalRecorded};
use proto::convert::from_wire_time;
use tracing::{info_span, warn};

use super::super::Trending;
use crate::metrics::SIGNALS;

pub(super) fn take(trending: &Trending, item: &WindowItem<SignalRecorded>) {
    let span = info_span!(
        "consume",
        otel.name = "indexing attention.counted",
        otel.kind = "consumer"
    );
    telemetry::set_parent_from_headers(&span, item.headers.as_ref());
    let _entered = span.enter();
    let now = Timestamp::now();
    let outcome = match parse(&item.message, now) {
        Ok(report) => trending.report(&report, now).name(),
        Err(problem) => {
            warn!(problem, "signal left out");
            "refused"
        }
    };
    SIGNALS.with_label_values(&[outcome]).inc();
}

fn parse(signal: &SignalRecorded, now: Timestamp) -> Result<Report, String> {
    let kind = match signal.kind() {
        SignalKind::Upvotes => Signal::Upvotes,
        SignalKind::Stars => Signal::Stars,
        SignalKind::Citations => Signal::Citations,
        SignalKind::Mentions => Signal::Mentions,
        SignalKind::Unspecified => return Err(format!("kind is {}", signal.kind)),
    };
    let time = |field, time| from_wire_time(field, time).map_err(|error| error.to_string());
    let at = time("count_time", signal.count_time.ok_or("count_time is missing")?)?;
    let since = signal.since_time.map(|since| time("since_time", since)).transpose()?;
    Ok(Report {
        paper: PaperId::parse(&signal.paper_id).map_err(|error| format!("paper_id {error}"))?,
        kind,
        provider: signal.provider.clone(),
        count: signal.count,
        // What a clock that runs ahead says is not hotter than now.
        at: at.min(now),
        since,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::convert::to_wire_time;

    #[test]
    fn signals_that_cannot_be_are_left_out_and_clocks_that_run_ahead_are_held_back() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().expect("a time");
        let ahead = now + jiff::SignedDuration::from_secs(90);
        let signal = SignalRecorded {
            paper_id: "arxiv:2402.14776".to_owned(),
            kind: SignalKind::Stars.into(),
            provider: "github".to_owned(),
            count: 3,
            count_time: Some(to_wire_time(ahead)),
            since_time: None,
        };
        let report = parse(&signal, now).expect("sound");
        assert_eq!((report.at, report.kind, report.since), (now, Signal::Stars, None));
        let broken = |change: fn(&mut SignalRecorded)| {
            let mut broken = signal.clone();
            change(&mut broken);
            parse(&broken, now).expect_err("broken")
        };
        assert_eq!(broken(|signal| signal.kind = 9), "kind is 9");
        assert_eq!(broken(|signal| signal.count_time = None), "count_time is missing");
        assert!(broken(|signal| signal.paper_id = "nonsense".to_owned()).starts_with("paper_id is"));
    }
}
