//! The rules against plain arithmetic, and what they must withstand.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::PaperId;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// Where the tests' days begin.
const BEGIN: i64 = 20_000 * DAY;

fn event(reader: &str, paper: &str, kind: AttentionKind, second: i64) -> AttentionEvent {
    AttentionEvent {
        reader: reader.to_owned(),
        paper: PaperId::parse(&format!("x:{}", paper.replace(' ', "-"))).expect("an id"),
        kind,
        at: at(second),
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + second).expect("a time")
}

/// What makes a reader known on day 0.
fn known(reader: &str) -> Vec<AttentionEvent> {
    let days = 1..=i64::try_from(KNOWN_DAYS).expect("small");
    days.map(|day| event(reader, "long ago", AttentionKind::Click, -day * DAY))
        .collect()
}

fn tracker_of(events: &[AttentionEvent]) -> AttentionTracker {
    let mut tracker = AttentionTracker::default();
    for event in events {
        tracker.add(event);
    }
    tracker
}

fn kinds(attention: &AttentionTracker, window: TrendingWindow, now: Timestamp) -> BTreeMap<PaperId, [f64; 4]> {
    attention.papers(window, now).map(|one| (one.id, one.kinds)).collect()
}

fn total(attention: &AttentionTracker, paper: &str, window: TrendingWindow, now: Timestamp) -> f64 {
    let id = PaperId::parse(&format!("x:{paper}")).expect("an id");
    let found = attention.papers(window, now).find(|one| one.id == id);
    found.map_or(0.0, |one| one.score())
}

/// The formula of the module documentation, computed directly.
fn plain(events: &[AttentionEvent], window: TrendingWindow, now: Timestamp) -> BTreeMap<PaperId, [f64; 4]> {
    let day = |at: Timestamp| at.as_second().div_euclid(DAY);
    let (mut newest, mut days) = (BTreeMap::new(), BTreeMap::<&str, BTreeSet<i64>>::new());
    for event in events {
        let known = newest
            .entry((&event.reader, &event.paper, event.kind))
            .or_insert(event.at);
        *known = event.at.max(*known);
        days.entry(&event.reader).or_default().insert(day(event.at));
    }
    let mut spent = BTreeMap::<_, f64>::new();
    for ((reader, _, kind), at) in &newest {
        *spent.entry((*reader, day(*at))).or_default() += kind.weight();
    }
    let mut decayed = BTreeMap::<PaperId, [[f64; 4]; 3]>::new();
    for ((reader, paper, kind), at) in &newest {
        let share = (DAY_BUDGET / spent[&(*reader, day(*at))]).min(1.0);
        let age = now.duration_since(*at).as_secs_f64() / window.half_life().as_secs_f64();
        let seen_before = days[reader.as_str()].iter().filter(|seen| **seen < day(*at)).count();
        let trust = usize::from(seen_before < 5) + usize::from(seen_before < 2);
        let weight = kind.weight() * share * (-age).exp2();
        let decayed = decayed.entry((*paper).clone()).or_default();
        decayed[trust][*kind as usize] += weight;
    }
    let attention = |[known, seen, new]: [[f64; 4]; 3]| {
        let sum = |of: &[f64; 4]| of.iter().sum::<f64>();
        let limit = SEEN_FLOOR + DOUBTFUL_SHARE * sum(&known);
        let of_seen = limit / (limit + sum(&seen));
        let limit = NEW_FLOOR + DOUBTFUL_SHARE * (sum(&known) + of_seen * sum(&seen));
        let of_new = limit / (limit + sum(&new));
        std::array::from_fn(|kind| known[kind] + of_seen * seen[kind] + of_new * new[kind])
    };
    decayed
        .into_iter()
        .map(|(id, decayed)| (id, attention(decayed)))
        .collect()
}

fn close(a: &BTreeMap<PaperId, [f64; 4]>, b: &BTreeMap<PaperId, [f64; 4]>) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|((id, left), (other, right))| {
            let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * (1.0 + b.abs());
            id == other && left.iter().zip(right).all(near)
        })
}

prop_compose! {
    /// Few readers and papers, so that events are repeated and budgets are spent.
    fn events()(list in prop::collection::vec((0..5_u8, 0..12_u8, 0..4_usize, 0..20 * DAY), 0..150)) -> Vec<AttentionEvent> {
        let one = |(reader, paper, kind, second): (u8, u8, usize, i64)| {
            event(&format!("r{reader}"), &format!("p{paper}"), AttentionKind::ALL[kind], second)
        };
        list.into_iter().map(one).collect()
    }
}

proptest! {
    #[test]
    fn attention_follows_the_formula(events in events(), later in 0..5 * DAY) {
        let (attention, now) = (tracker_of(&events), at(20 * DAY + later));
        for window in TrendingWindow::ALL {
            prop_assert!(close(&kinds(&attention, window, now), &plain(&events, window, now)));
        }
    }

    #[test]
    fn the_order_of_events_changes_nothing(events in events(), seed in any::<u64>()) {
        let mut other = events.clone();
        other.sort_by_key(|event| {
            let text = format!("{event:?}{seed}");
            text.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
        });
        let now = at(21 * DAY);
        prop_assert!(close(&kinds(&tracker_of(&events), TrendingWindow::Week, now), &kinds(&tracker_of(&other), TrendingWindow::Week, now)));
    }

    #[test]
    fn what_is_forgotten_leaves_nothing_behind(events in events(), later in 0..25_i64) {
        let now = at((20 + later) * DAY);
        let mut attention = tracker_of(&events);
        attention.forget(now);
        let since = AttentionTracker::remembered_since(now);
        let rest: Vec<AttentionEvent> = events.into_iter().filter(|event| event.at >= since).collect();
        prop_assert!(close(&kinds(&attention, TrendingWindow::Month, now), &plain(&rest, TrendingWindow::Month, now)));
        prop_assert_eq!(attention.events(), tracker_of(&rest).events());
    }

    #[test]
    fn parts_add_up_to_the_score(events in events()) {
        let attention = tracker_of(&events);
        for window in TrendingWindow::ALL {
            let papers = attention.papers(window, at(20 * DAY)).enumerate();
            let papers = papers.map(|(number, attention)| TopicAttention { attention, topic: format!("t{}.x", number % 3) });
            for scored in rank(papers.collect()) {
                let sum: f64 = scored.parts.iter().map(|(_, value, _)| value).sum();
                prop_assert!((sum - scored.score).abs() < 1e-6, "{scored:?}");
                prop_assert!(scored.score.is_finite());
            }
        }
    }
}

#[test]
fn a_repeat_only_makes_an_event_new_again() {
    let mut attention = tracker_of(&known("a"));
    let vote = |second| event("a", "p", AttentionKind::Vote, second);
    assert_eq!(attention.add(&vote(0)), RecordOutcome::Counted);
    let once = total(&attention, "p", TrendingWindow::Day, at(0));
    assert!((once - AttentionKind::Vote.weight()).abs() < 1e-9, "{once}");
    for hour in 1..=12 {
        assert_eq!(attention.add(&vote(hour * HOUR)), RecordOutcome::Counted);
    }
    let again = total(&attention, "p", TrendingWindow::Day, at(12 * HOUR));
    assert!((again - once).abs() < 1e-9, "{again}");
    assert_eq!(
        attention.add(&vote(3 * HOUR)),
        RecordOutcome::Unchanged,
        "older than what is known"
    );
    assert_eq!((attention.events(), attention.len()), (2, 2));
}

#[test]
fn a_reader_weighs_no_more_than_the_budget_of_a_day() {
    let mut attention = tracker_of(&known("a"));
    for number in 0..10_000 {
        attention.add(&event("a", &format!("p{number}"), AttentionKind::Vote, 0));
    }
    let sum: f64 = attention
        .papers(TrendingWindow::Day, at(0))
        .map(|one| one.score())
        .sum();
    assert!(sum <= DAY_BUDGET + 1.0, "{sum}");
    assert_eq!(attention.events(), MAX_EVENTS_PER_DAY + 1);
}

#[test]
fn new_accounts_add_at_most_the_floor_and_half_of_known_readers() {
    let mut events = Vec::new();
    for number in 0..5 {
        let reader = format!("known{number}");
        events.extend(known(&reader));
        events.push(event(&reader, "loved", AttentionKind::Vote, 0));
    }
    let loved = total(&tracker_of(&events), "loved", TrendingWindow::Day, at(0));
    assert!((loved - 30.0).abs() < 1e-9, "{loved}");
    for number in 0..5_000 {
        for kind in AttentionKind::ALL {
            events.push(event(&format!("fake{number}"), "loved", kind, 0));
            events.push(event(&format!("fake{number}"), "pushed", kind, 0));
        }
    }
    let attention = tracker_of(&events);
    let most = total(&attention, "pushed", TrendingWindow::Day, at(0));
    assert!(most > NEW_FLOOR * 0.99 && most < NEW_FLOOR, "{most}");
    let most = total(&attention, "loved", TrendingWindow::Day, at(0));
    assert!(most > 50.9 && most < 1.5 * loved + NEW_FLOOR, "{most}");
}

#[test]
fn accounts_aged_for_a_day_are_new_and_for_days_add_little() {
    let pushed = |days: i64| {
        let mut events = Vec::new();
        for number in 0..1_000 {
            let fake = format!("fake{number}");
            events.extend((1..=days).map(|day| event(&fake, "far away", AttentionKind::Click, -day * DAY)));
            events.extend(AttentionKind::ALL.map(|kind| event(&fake, "pushed", kind, 0)));
        }
        total(&tracker_of(&events), "pushed", TrendingWindow::Day, at(0))
    };
    let (none, one, two, four, five) = (pushed(0), pushed(1), pushed(2), pushed(4), pushed(5));
    assert!((none - one).abs() < 1e-9 && one < NEW_FLOOR, "{none} {one}");
    assert!((two - four).abs() < 1e-9 && four < SEEN_FLOOR, "{two} {four}");
    assert!(five > 10_000.0, "who comes back for days is a reader: {five}");
}

#[test]
fn years_go_by_and_sums_stay_in_bounds() {
    let mut attention = AttentionTracker::default();
    for day in 0..1_500 {
        attention.forget(at(day * DAY));
        attention.add(&event("a", &format!("p{day}"), AttentionKind::Save, day * DAY));
    }
    let now = at(1_499 * DAY);
    let newest = total(&attention, "p1499", TrendingWindow::Day, now);
    assert!((newest - AttentionKind::Save.weight()).abs() < 1e-9, "{newest}");
    assert_eq!(attention.len(), usize::try_from(MEMORY_DAYS).expect("small"));
    assert_eq!(
        attention.add(&event("b", "late", AttentionKind::Save, 0)),
        RecordOutcome::TooOld
    );
}

/// Sixty readers who have been there for days look at forty papers of a large field, the first ones most, and one each at
/// fifteen papers of a small one.
fn two_fields() -> Vec<AttentionEvent> {
    let mut events = Vec::new();
    for reader in 0..60 {
        let name = format!("r{reader}");
        events.extend(known(&name));
        for paper in 0..40 {
            if reader * (paper + 1) < 60 {
                events.push(event(&name, &format!("large{paper}"), AttentionKind::Read, 0));
            }
        }
        if reader < 15 {
            events.push(event(&name, &format!("small{reader}"), AttentionKind::Click, 0));
        }
    }
    events
}

fn ranked(events: &[AttentionEvent], now: Timestamp) -> Vec<String> {
    let topic = |id: &str| if id.starts_with("x:small") { "math.CT" } else { "cs.LG" };
    let attention = tracker_of(events);
    let papers = attention
        .papers(TrendingWindow::Day, now)
        .map(|attention| TopicAttention {
            topic: topic(attention.id.as_str()).to_owned(),
            attention,
        });
    let ranking = rank(papers.collect());
    ranking.into_iter().map(|one| one.id.as_str()[2..].to_owned()).collect()
}

#[test]
fn a_burst_in_a_small_field_is_not_drowned_by_a_large_one() {
    let mut events = two_fields();
    let now = at(HOUR);
    let place = |events: &[AttentionEvent]| ranked(events, now).iter().position(|id| id == "small0");
    assert!(place(&events).is_some_and(|place| place > 20), "{:?}", place(&events));
    for reader in 20..28 {
        events.push(event(&format!("r{reader}"), "small0", AttentionKind::Read, 0));
    }
    // By attention alone six papers of the large field come before it.
    assert!(place(&events).is_some_and(|place| place < 3), "{:?}", place(&events));
}

#[test]
fn fake_accounts_move_a_paper_a_few_ranks() {
    let honest = two_fields();
    let now = at(HOUR);
    let place = |events: &[AttentionEvent]| ranked(events, now).iter().position(|id| id == "large30");
    let before = place(&honest).expect("in the list");
    let with = |fakes: i64| {
        let fake = |number| event(&format!("fake{number}"), "large30", AttentionKind::Vote, 0);
        let events: Vec<AttentionEvent> = honest.iter().cloned().chain((0..fakes).map(fake)).collect();
        before - place(&events).expect("in the list")
    };
    let (some, many) = (with(50), with(5_000));
    assert!(many - some <= 1, "{some} {many}: more accounts change next to nothing");
    assert!(
        place(&honest).is_some_and(|place| place - many >= 5),
        "the best stay before it"
    );
}

#[test]
fn papers_with_little_attention_leave_the_list() {
    let events = [
        event("a", "p", AttentionKind::Click, 0),
        event(
            "a",
            "q",
            AttentionKind::Click,
            SignedDuration::from_hours(24 * 3).as_secs(),
        ),
    ];
    assert_eq!(ranked(&events, at(3 * DAY)), ["q"]);
    assert_eq!(ranked(&events, at(9 * DAY)), Vec::<String>::new());
}
