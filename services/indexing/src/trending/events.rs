//! Acts of attention and reports of signals, read from the messages of the contract.

use domain::PaperId;
use domain::trending::{AttentionEvent, AttentionKind, Signal, SignalReport};
use jiff::Timestamp;
use proto::attention::v1::{self as wire, AttentionRecorded, SignalKind, SignalRecorded};
use proto::convert::from_wire_time;

/// The act of a message that was read at `now`, or why there is none in it.
pub(super) fn act(event: &AttentionRecorded, now: Timestamp) -> Result<AttentionEvent, String> {
    let kind = match event.kind() {
        wire::AttentionKind::Click => AttentionKind::Click,
        wire::AttentionKind::Read => AttentionKind::Read,
        wire::AttentionKind::Save => AttentionKind::Save,
        wire::AttentionKind::Vote => AttentionKind::Vote,
        wire::AttentionKind::Unspecified => return Err(format!("kind is {}", event.kind)),
    };
    let time = event.event_time.ok_or("event_time is missing")?;
    let at = from_wire_time("event_time", time).map_err(|error| error.to_string())?;
    Ok(AttentionEvent {
        reader: event.reader_id.clone(),
        paper: paper(&event.paper_id)?,
        kind,
        // A clock that runs ahead gives no advantage.
        at: at.min(now),
    })
}

/// The report of a message that was read at `now`, or why there is none in it.
pub(super) fn report(signal: &SignalRecorded, now: Timestamp) -> Result<SignalReport, String> {
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
    Ok(SignalReport {
        paper: paper(&signal.paper_id)?,
        kind,
        provider: signal.provider.clone(),
        count: signal.count,
        // A clock that runs ahead gives no advantage.
        at: at.min(now),
        since,
    })
}

fn paper(id: &str) -> Result<PaperId, String> {
    PaperId::parse(id).map_err(|error| format!("paper_id {error}"))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proto::convert::to_wire_time;

    use super::*;

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().expect("a time")
    }

    #[test]
    fn unusable_acts_are_refused_and_fast_clocks_held_back() {
        let event = AttentionRecorded {
            event_id: "e".to_owned(),
            paper_id: "arxiv:2402.14776".to_owned(),
            kind: wire::AttentionKind::Save.into(),
            reader_id: "ada".to_owned(),
            event_time: Some(to_wire_time(now() + SignedDuration::from_secs(90))),
        };
        let sound = act(&event, now()).expect("sound");
        assert_eq!((sound.at, sound.kind), (now(), AttentionKind::Save));
        let broken = |change: fn(&mut AttentionRecorded)| {
            let mut broken = event.clone();
            change(&mut broken);
            act(&broken, now()).expect_err("broken")
        };
        assert_eq!(broken(|event| event.kind = 9), "kind is 9");
        assert_eq!(broken(|event| event.event_time = None), "event_time is missing");
        assert!(broken(|event| event.paper_id = "nonsense".to_owned()).starts_with("paper_id is"));
    }

    #[test]
    fn unusable_signals_are_refused_and_fast_clocks_held_back() {
        let signal = SignalRecorded {
            paper_id: "arxiv:2402.14776".to_owned(),
            kind: SignalKind::Stars.into(),
            provider: "github".to_owned(),
            count: 3,
            count_time: Some(to_wire_time(now() + SignedDuration::from_secs(90))),
            since_time: None,
        };
        let sound = report(&signal, now()).expect("sound");
        assert_eq!((sound.at, sound.kind, sound.since), (now(), Signal::Stars, None));
        let broken = |change: fn(&mut SignalRecorded)| {
            let mut broken = signal.clone();
            change(&mut broken);
            report(&broken, now()).expect_err("broken")
        };
        assert_eq!(broken(|signal| signal.kind = 9), "kind is 9");
        assert_eq!(broken(|signal| signal.count_time = None), "count_time is missing");
        assert!(broken(|signal| signal.paper_id = "nonsense".to_owned()).starts_with("paper_id is"));
    }
}
