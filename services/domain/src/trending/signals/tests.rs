//! Counts from elsewhere against plain arithmetic, and what they must withstand.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::trending::{
    AttentionEvent, AttentionKind, AttentionTracker, KNOWN_DAYS, MIN_ATTENTION, PaperAttention, TopicAttention, rank,
};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const BEGIN: i64 = 20_000 * DAY;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + second).expect("a time")
}

fn paper(name: &str) -> PaperId {
    PaperId::parse(&format!("x:{name}")).expect("an id")
}

fn report(name: &str, kind: Signal, provider: &str, count: u64, second: i64) -> SignalReport {
    SignalReport {
        paper: paper(name),
        kind,
        provider: provider.to_owned(),
        count,
        at: at(second),
        since: None,
    }
}

fn stars(count: u64, second: i64) -> SignalReport {
    report("p", Signal::Stars, "github", count, second)
}

fn tracker_of(reports: &[SignalReport]) -> AttentionTracker {
    let mut tracker = AttentionTracker::default();
    for report in reports {
        tracker.add_report(report);
    }
    tracker
}

fn of(attention: &AttentionTracker, name: &str, window: TrendingWindow, second: i64) -> Option<PaperAttention> {
    attention.papers(window, at(second)).find(|one| one.id == paper(name))
}

fn total(reports: &[SignalReport], window: TrendingWindow, second: i64) -> f64 {
    of(&tracker_of(reports), "p", window, second).map_or(0.0, |one| one.score())
}

/// What an unlimited sum becomes for a paper without readers.
fn bounded(decayed: f64) -> f64 {
    let of_provider = PROVIDER_LIMIT * decayed / (PROVIDER_LIMIT + decayed);
    SIGNALS_FLOOR * of_provider / (SIGNALS_FLOOR + of_provider)
}

#[test]
fn the_first_report_adds_nothing_and_an_increase_does() {
    assert!(total(&[stars(10_000, 0)], TrendingWindow::Day, 0) < f64::EPSILON);
    let grown = [stars(10_000, 0), stars(10_040, 7 * HOUR)];
    let attention = total(&grown, TrendingWindow::Month, 7 * HOUR);
    // Forty stars of a quarter, on average half of seven hours old.
    let expected = bounded(10.0 * (-3.5 / 288.0_f64).exp2());
    assert!((attention - expected).abs() < 1e-3, "{attention} {expected}");
    assert!(total(&grown, TrendingWindow::Day, 7 * HOUR) < attention);
    assert!(total(&grown, TrendingWindow::Day, 7 * DAY) < 0.01, "it decays");
}

#[test]
fn ten_thousand_citations_of_ten_years_are_no_burst() {
    let old = SignalReport {
        since: Some(at(-3_650 * DAY)),
        ..report("p", Signal::Citations, "openalex", 10_000, 0)
    };
    let new = SignalReport {
        since: Some(at(-DAY)),
        ..report("p", Signal::Citations, "openalex", 10, 0)
    };
    let (old, new) = (
        total(&[old], TrendingWindow::Day, 0),
        total(&[new], TrendingWindow::Day, 0),
    );
    // 2.74 a day of 4 each, over a half-life of half a day.
    let expected = bounded(4.0 * 10_000.0 / 3_650.0 * 0.5 / LN_2);
    assert!((old - expected).abs() < 1e-6, "{old} {expected}");
    assert!(new > 1.4 * old, "{new} {old}");
}

#[test]
fn what_falls_and_comes_back_gives_nothing() {
    let steady = [stars(100, 0), stars(130, DAY)];
    let wavering = [
        stars(100, 0),
        stars(130, DAY),
        stars(80, 2 * DAY),
        stars(129, 3 * DAY),
        stars(10, 4 * DAY),
        stars(130, 5 * DAY),
    ];
    let attention = |reports: &[SignalReport]| total(reports, TrendingWindow::Month, 5 * DAY);
    assert!((attention(&steady) - attention(&wavering)).abs() < 1e-9);
    let counts = of(&tracker_of(&wavering), "p", TrendingWindow::Day, 5 * DAY)
        .expect("there")
        .counts;
    assert_eq!(counts, [0, 130, 0, 0]);
}

#[test]
fn only_the_newest_report_of_some_hours_is_kept() {
    let mut attention = tracker_of(&[stars(10, 0)]);
    for minute in 1..1_000 {
        attention.add_report(&stars(10 + minute, i64::try_from(minute).expect("small") * 60));
    }
    assert_eq!(attention.reports(), 3, "16 hours and 39 minutes");
    assert_eq!(
        attention.add_report(&stars(700, 5 * HOUR)),
        RecordOutcome::Unchanged,
        "a newer one is known"
    );
    assert_eq!(
        attention.add_report(&stars(1_009, 999 * 60)),
        RecordOutcome::Unchanged,
        "it is known"
    );
    assert_eq!(
        attention.add_report(&stars(1_010, 999 * 60)),
        RecordOutcome::Counted,
        "the higher one of that moment"
    );
}

#[test]
fn bought_counts_stay_below_the_limit_of_their_provider() {
    let bought = |provider: &str| [0, u64::MAX].map(|count| report("p", Signal::Stars, provider, count, 0));
    let push = |providers: usize| -> Vec<SignalReport> {
        let all = (0..providers).flat_map(|number| bought(&format!("shop-{number}")));
        all.zip(0..)
            .map(|(report, hour)| SignalReport {
                at: at(hour % 2 * 6 * HOUR),
                ..report
            })
            .collect()
    };
    let one = total(&push(1), TrendingWindow::Day, 6 * HOUR);
    assert!(
        one > 0.9 * bounded(f64::from(u32::MAX)) && one < PROVIDER_LIMIT,
        "{one}"
    );
    let many = total(&push(500), TrendingWindow::Day, 6 * HOUR);
    assert!(many > 2.0 * one && many < SIGNALS_FLOOR, "{many}");
}

#[test]
fn known_readers_raise_the_limit_of_signals() {
    let reports = [stars(0, 0), stars(1_000_000, HOUR * 7)];
    let mut attention = tracker_of(&reports);
    let alone = of(&attention, "p", TrendingWindow::Month, 7 * HOUR)
        .expect("in the list")
        .signals[1];
    for reader in 0..10 {
        for day in 0..=i64::try_from(KNOWN_DAYS).expect("small") {
            attention.add(&AttentionEvent {
                reader: format!("r{reader}"),
                paper: paper("p"),
                kind: AttentionKind::Vote,
                at: at((day - 5) * DAY + 7 * HOUR),
            });
        }
    }
    let loved = of(&attention, "p", TrendingWindow::Month, 7 * HOUR).expect("in the list");
    assert!((loved.kinds[3] - 60.0).abs() < 1e-6, "{loved:?}");
    assert!(
        loved.signals[1] > alone && loved.signals[1] < PROVIDER_LIMIT,
        "{loved:?}"
    );
}

#[test]
fn the_same_citations_count_once_whoever_counts_them() {
    let cited = |provider: &str, count: u64| {
        [(0, 0), (count, DAY)].map(|(count, at)| report("p", Signal::Citations, provider, count, at))
    };
    let one = cited("openalex", 5);
    let two = [one.clone(), cited("semantic-scholar", 4)].concat();
    let attention = |reports: &[SignalReport]| total(reports, TrendingWindow::Day, DAY);
    assert!((attention(&one) - attention(&two)).abs() < 1e-9);
    assert_eq!(
        of(&tracker_of(&two), "p", TrendingWindow::Day, DAY)
            .expect("in the list")
            .counts,
        [0, 0, 5, 0]
    );
    let voted =
        |provider: &str| [(0, 0), (5, DAY)].map(|(count, at)| report("p", Signal::Upvotes, provider, count, at));
    let (one, two) = (voted("a").to_vec(), [voted("a"), voted("b")].concat());
    assert!(
        attention(&two) > 1.5 * attention(&one),
        "votes on two sites are of two crowds"
    );
}

#[test]
fn parts_of_signals_are_named_and_add_up() {
    let reports = [
        report("p", Signal::Upvotes, "huggingface", 0, 0),
        report("p", Signal::Upvotes, "huggingface", 12, DAY),
        report("p", Signal::Mentions, "news", 0, 0),
        report("p", Signal::Mentions, "news", 3, DAY),
    ];
    let attention = tracker_of(&reports);
    let papers = attention
        .papers(TrendingWindow::Day, at(DAY))
        .map(|attention| TopicAttention {
            attention,
            topic: "cs.CL".to_owned(),
        });
    let ranking = rank(papers.collect());
    let names: Vec<&str> = ranking[0].parts.iter().map(|(name, ..)| *name).collect();
    assert_eq!(names, ["upvotes", "mentions", "topic"]);
    let sum: f64 = ranking[0].parts.iter().map(|(_, value, _)| value).sum();
    assert!((sum - ranking[0].score).abs() < 1e-9 && ranking[0].attention > MIN_ATTENTION);
    assert_eq!(ranking[0].counts, [12, 0, 0, 3]);
}

#[test]
fn a_since_that_is_not_before_the_report_is_none() {
    let odd = SignalReport {
        since: Some(at(0)),
        ..stars(50, 0)
    };
    assert!(total(&[odd], TrendingWindow::Day, 0) < f64::EPSILON);
}

fn reports() -> impl Strategy<Value = Vec<SignalReport>> {
    let provider = prop_oneof![Just("github"), Just("gitlab")];
    let kind = (0..4_usize).prop_map(|kind| Signal::ALL[kind]);
    let since = prop_oneof![3 => Just(None), 1 => (-50_i64..20).prop_map(|day| Some(at(day * DAY)))];
    let count = prop_oneof![3 => 0..500_u64, 1 => Just(u64::MAX), 1 => Just(7)];
    let one = (0..2_usize, kind, provider, count, 0..20 * DAY, since).prop_map(
        |(name, kind, provider, count, second, since)| SignalReport {
            since,
            ..report(["p", "q"][name], kind, provider, count, second)
        },
    );
    prop::collection::vec(one, 0..60)
}

fn signals(attention: &AttentionTracker, window: TrendingWindow, second: i64) -> BTreeMap<PaperId, [f64; 4]> {
    attention
        .papers(window, at(second))
        .map(|one| (one.id, one.signals))
        .collect()
}

/// The formula of the module documentation, computed directly.
fn plain(reports: &[SignalReport], window: TrendingWindow, now: Timestamp) -> BTreeMap<PaperId, [f64; 4]> {
    type Key = (PaperId, String, Signal);
    type Slots = BTreeMap<i64, (Timestamp, u64, Option<Timestamp>)>;
    let mut slots: BTreeMap<Key, Slots> = BTreeMap::new();
    for one in reports {
        let slot = one.at.as_second().div_euclid(SIGNAL_HOURS * HOUR);
        let series = slots
            .entry((one.paper.clone(), one.provider.clone(), one.kind))
            .or_default();
        let new = (one.at, one.count, one.since.filter(|since| *since < one.at));
        let kept = series.entry(slot).or_insert(new);
        *kept = (*kept).max(new);
    }
    let age = |at: Timestamp| now.duration_since(at).as_secs_f64() / window.half_life().as_secs_f64();
    let mut decayed: BTreeMap<(PaperId, String), [f64; 4]> = BTreeMap::new();
    for ((paper, provider, kind), series) in slots {
        let of_paper = decayed.entry((paper, provider)).or_default();
        let series: Vec<_> = series.into_values().collect();
        for (place, (at, count, since)) in series.iter().enumerate() {
            let highest = series[..place].iter().map(|(_, count, _)| *count).max().unwrap_or(0);
            let Some(from) = place.checked_sub(1).map(|before| series[before].0).or(*since) else {
                continue;
            };
            // By Simpson's rule over pieces of an eighth of a half-life and less.
            let (from, to) = (age(from), age(*at));
            let pieces = 2.0 * ((from - to) * 8.0).ceil().max(1.0);
            let width = (from - to) / pieces;
            let mut mean = 0.0;
            let mut piece = 0.0;
            while piece < pieces {
                let value = |step: f64| (-(from - width * step)).exp2();
                mean += (value(piece) + 4.0 * value(piece + 1.0) + value(piece + 2.0)) / (3.0 * pieces);
                piece += 2.0;
            }
            of_paper[kind as usize] += kind.weight() * count.saturating_sub(highest) as f64 * mean;
        }
    }
    let mut papers: BTreeMap<PaperId, [f64; 4]> = BTreeMap::new();
    for ((paper, _), kinds) in decayed {
        let shares = PROVIDER_LIMIT / (PROVIDER_LIMIT + kinds.iter().sum::<f64>());
        let of_paper = papers.entry(paper).or_default();
        for kind in [0, 1, 3] {
            of_paper[kind] += kinds[kind] * shares;
        }
        of_paper[2] = of_paper[2].max(kinds[2] * shares);
    }
    for kinds in papers.values_mut() {
        let shares = SIGNALS_FLOOR / (SIGNALS_FLOOR + kinds.iter().sum::<f64>());
        *kinds = kinds.map(|kind| kind * shares);
    }
    papers
}

fn close(here: &BTreeMap<PaperId, [f64; 4]>, there: &BTreeMap<PaperId, [f64; 4]>) -> bool {
    let ids = here.keys().chain(there.keys());
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-6 * (1.0 + a.abs());
    let of = |map: &BTreeMap<PaperId, [f64; 4]>, id: &PaperId| map.get(id).copied().unwrap_or_default();
    ids.into_iter()
        .all(|id| of(here, id).iter().zip(of(there, id)).all(|(a, b)| near(*a, b)))
}

proptest! {
    #[test]
    fn attention_follows_the_formula(reports in reports(), later in 0..20 * DAY) {
        let (attention, second) = (tracker_of(&reports), 20 * DAY + later);
        for window in TrendingWindow::ALL {
            let (is, should) = (signals(&attention, window, second), plain(&reports, window, at(second)));
            prop_assert!(close(&is, &should), "{is:?} {should:?}");
        }
    }

    #[test]
    fn order_and_repeats_change_nothing(reports in reports().prop_shuffle(), again in reports()) {
        let mut other = reports.clone();
        other.extend(again.clone());
        other.reverse();
        other.extend(reports.iter().cloned());
        let once: Vec<SignalReport> = reports.into_iter().chain(again).collect();
        let (once, other) = (tracker_of(&once), tracker_of(&other));
        prop_assert_eq!(once.reports(), other.reports());
        prop_assert_eq!(signals(&once, TrendingWindow::Week, 21 * DAY), signals(&other, TrendingWindow::Week, 21 * DAY));
    }

    #[test]
    fn a_replay_gives_the_same_attention(reports in reports(), later in 0..40_i64) {
        let now = at((20 + later) * DAY);
        let mut attention = tracker_of(&reports);
        attention.forget(now);
        let since = AttentionTracker::remembered_since(now);
        let anew: Vec<SignalReport> = reports.into_iter().filter(|one| one.at >= since).collect();
        let anew = tracker_of(&anew);
        prop_assert_eq!(attention.reports(), anew.reports());
        prop_assert_eq!(signals(&attention, TrendingWindow::Month, (20 + later) * DAY), signals(&anew, TrendingWindow::Month, (20 + later) * DAY));
    }
}
