//! What is forgotten where there is no more room, and that nothing of it is left.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::trending::{AttentionKind, Signal};

const BEGIN: i64 = 20_000 * DAY_SECONDS;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + second).expect("a time")
}

fn event(reader: &str, paper: u8, kind: AttentionKind, second: i64) -> AttentionEvent {
    AttentionEvent {
        reader: reader.to_owned(),
        paper: PaperId::parse(&format!("x:{paper}")).expect("an id"),
        kind,
        at: at(second),
    }
}

fn tracker_of<'a>(events: impl IntoIterator<Item = &'a AttentionEvent>) -> AttentionTracker {
    let mut tracker = AttentionTracker::default();
    for event in events {
        tracker.add(event);
    }
    tracker
}

/// Votes of a reader on so many days in a row before [`BEGIN`].
fn votes_on(reader: &str, days: usize) -> Vec<AttentionEvent> {
    let days = 1..=i64::try_from(days).expect("small");
    days.map(|day| event(reader, 1, AttentionKind::Vote, -day * DAY_SECONDS))
        .collect()
}

fn scores(tracker: &AttentionTracker) -> BTreeMap<PaperId, (Vec<i64>, [u32; 4])> {
    // To a thousandth, because sums in another order are rounded in another way.
    #[expect(clippy::cast_possible_truncation, reason = "small scores")]
    let rounded = |one: &PaperAttention| one.kinds.map(|kind| (kind * 1_000.0).round() as i64).to_vec();
    let papers = tracker.papers(TrendingWindow::Week, at(0));
    papers
        .map(|one| (one.id.clone(), (rounded(&one), one.readers)))
        .collect()
}

#[test]
fn a_flood_of_strangers_pushes_out_strangers_alone() {
    let mut tracker = AttentionTracker::default();
    for reader in 0..20 {
        for event in votes_on(&format!("real-{reader}"), KNOWN_DAYS) {
            tracker.add(&event);
        }
    }
    let (real, limit) = (tracker.clone(), tracker.bytes() + 50_000);
    let mut forgotten = 0;
    for stranger in 0..5_000 {
        tracker.add(&event(
            &format!("stranger-{stranger}"),
            9,
            AttentionKind::Vote,
            stranger,
        ));
        forgotten += tracker.make_room(limit);
        assert!(tracker.bytes() <= limit, "{} bytes", tracker.bytes());
    }
    assert!(forgotten > 4_900, "{forgotten} of 5000");
    for reader in 0..20 {
        assert!(tracker.readers.contains_key(format!("real-{reader}").as_str()));
    }
    assert!(
        tracker.readers.contains_key("stranger-4999"),
        "of strangers the newest stay"
    );
    tracker.make_room(real.bytes());
    assert_eq!(scores(&tracker), scores(&real), "nothing of them is left");
}

#[test]
fn room_for_reports_costs_no_reader() {
    let mut tracker = tracker_of(&votes_on("ada", KNOWN_DAYS));
    let before = scores(&tracker);
    for (count, day) in [(1, 3), (2, 2), (3, 0)] {
        tracker.add_report(&SignalReport {
            paper: PaperId::parse("x:1").expect("an id"),
            kind: Signal::Stars,
            provider: "github".to_owned(),
            count,
            at: at(-day * DAY_SECONDS),
            since: None,
        });
    }
    assert!(tracker.forget_oldest_reports(at(0)) && tracker.forget_oldest_reports(at(0)));
    assert_eq!(tracker.reports(), 1);
    assert!(!tracker.forget_oldest_reports(at(0)), "today's stay");
    assert_eq!(scores(&tracker), before);
}

proptest! {
    /// Whoever is forgotten is no better known than anybody who stays, and what stays is as if the others had never been.
    #[test]
    fn the_best_known_readers_are_forgotten_last(
        events in prop::collection::vec((0_u8..12, 0_u8..4, 0_usize..4, -8_i64..0), 1..120),
        share in 0_usize..100,
    ) {
        let events: Vec<AttentionEvent> = events
            .into_iter()
            .map(|(reader, paper, kind, day)| {
                // A few are there every day.
                let day = if reader < 3 { -1 - i64::from(paper) - day.rem_euclid(3) } else { day };
                event(&reader.to_string(), paper, AttentionKind::ALL[kind], day * DAY_SECONDS)
            })
            .collect();
        let mut tracker = tracker_of(&events);
        let all = tracker.clone();
        let limit = all.bytes() * share / 100;
        let forgotten = tracker.make_room(limit);
        prop_assert!(tracker.bytes() <= limit || tracker.readers.is_empty());
        prop_assert_eq!(forgotten + tracker.readers(), all.readers());
        let standing = |reader: &Arc<str>| {
            let history = &all.readers[reader];
            (history.days().min(KNOWN_DAYS), history.last_seen())
        };
        let is_kept = |reader: &Arc<str>| tracker.readers.contains_key(reader);
        let lost = all.readers.keys().filter(|reader| !is_kept(reader)).map(standing).max();
        let kept = all.readers.keys().filter(|reader| is_kept(reader)).map(standing).min();
        if let (Some(lost), Some(kept)) = (lost, kept) {
            prop_assert!(lost <= kept, "{lost:?} was forgotten before {kept:?}");
        }
        let others = events.iter().filter(|event| tracker.readers.contains_key(event.reader.as_str()));
        let fresh = tracker_of(others);
        prop_assert_eq!(scores(&tracker), scores(&fresh));
        prop_assert_eq!((tracker.events(), tracker.bytes()), (fresh.events(), fresh.bytes()));
        // Room that is not needed costs nobody.
        prop_assert_eq!(tracker.make_room(usize::MAX), 0);
    }
}
