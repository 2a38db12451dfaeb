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

fn act(reader: &str, paper: &str, kind: Attention, second: i64) -> Act {
    Act {
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
fn known(reader: &str) -> Vec<Act> {
    let days = 1..=i64::try_from(KNOWN_DAYS).expect("small");
    days.map(|day| act(reader, "long ago", Attention::Click, -day * DAY))
        .collect()
}

fn heat_of(acts: &[Act]) -> Heat {
    let mut heat = Heat::default();
    for act in acts {
        heat.add(act);
    }
    heat
}

fn kinds(heat: &Heat, window: Window, now: Timestamp) -> BTreeMap<PaperId, [f64; 4]> {
    heat.papers(window, now).map(|one| (one.id, one.kinds)).collect()
}

fn total(heat: &Heat, paper: &str, window: Window, now: Timestamp) -> f64 {
    let id = PaperId::parse(&format!("x:{paper}")).expect("an id");
    let found = heat.papers(window, now).find(|one| one.id == id);
    found.map_or(0.0, |one| one.total())
}

/// The formula of the module's page, read off word by word.
fn plain(acts: &[Act], window: Window, now: Timestamp) -> BTreeMap<PaperId, [f64; 4]> {
    let day = |at: Timestamp| at.as_second().div_euclid(DAY);
    let (mut newest, mut days) = (BTreeMap::new(), BTreeMap::<&str, BTreeSet<i64>>::new());
    for act in acts {
        let known = newest.entry((&act.reader, &act.paper, act.kind)).or_insert(act.at);
        *known = act.at.max(*known);
        days.entry(&act.reader).or_default().insert(day(act.at));
    }
    let mut spent = BTreeMap::<_, f64>::new();
    for ((reader, _, kind), at) in &newest {
        *spent.entry((*reader, day(*at))).or_default() += kind.weight();
    }
    let mut warmth = BTreeMap::<PaperId, [[f64; 4]; 3]>::new();
    for ((reader, paper, kind), at) in &newest {
        let share = (DAY_BUDGET / spent[&(*reader, day(*at))]).min(1.0);
        let age = now.duration_since(*at).as_secs_f64() / window.half_life().as_secs_f64();
        let seen_before = days[reader.as_str()].iter().filter(|seen| **seen < day(*at)).count();
        let standing = usize::from(seen_before < 5) + usize::from(seen_before < 2);
        let weight = kind.weight() * share * (-age).exp2();
        let warmth = warmth.entry((*paper).clone()).or_default();
        warmth[standing][*kind as usize] += weight;
    }
    let heat = |[known, seen, new]: [[f64; 4]; 3]| {
        let sum = |of: &[f64; 4]| of.iter().sum::<f64>();
        let room = SEEN_FLOOR + DOUBTFUL_SHARE * sum(&known);
        let of_seen = room / (room + sum(&seen));
        let room = NEW_FLOOR + DOUBTFUL_SHARE * (sum(&known) + of_seen * sum(&seen));
        let of_new = room / (room + sum(&new));
        std::array::from_fn(|kind| known[kind] + of_seen * seen[kind] + of_new * new[kind])
    };
    warmth.into_iter().map(|(id, warmth)| (id, heat(warmth))).collect()
}

fn close(a: &BTreeMap<PaperId, [f64; 4]>, b: &BTreeMap<PaperId, [f64; 4]>) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|((id, left), (other, right))| {
            let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * (1.0 + b.abs());
            id == other && left.iter().zip(right).all(near)
        })
}

prop_compose! {
    /// Few readers and papers, so that acts are repeated and budgets are spent.
    fn acts()(list in prop::collection::vec((0..5_u8, 0..12_u8, 0..4_usize, 0..20 * DAY), 0..150)) -> Vec<Act> {
        let one = |(reader, paper, kind, second): (u8, u8, usize, i64)| {
            act(&format!("r{reader}"), &format!("p{paper}"), Attention::ALL[kind], second)
        };
        list.into_iter().map(one).collect()
    }
}

proptest! {
    #[test]
    fn heat_is_what_the_formula_says(acts in acts(), later in 0..5 * DAY) {
        let (heat, now) = (heat_of(&acts), at(20 * DAY + later));
        for window in Window::ALL {
            prop_assert!(close(&kinds(&heat, window, now), &plain(&acts, window, now)));
        }
    }

    #[test]
    fn the_order_of_acts_changes_nothing(acts in acts(), seed in any::<u64>()) {
        let mut other = acts.clone();
        other.sort_by_key(|act| {
            let text = format!("{act:?}{seed}");
            text.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
        });
        let now = at(21 * DAY);
        prop_assert!(close(&kinds(&heat_of(&acts), Window::Week, now), &kinds(&heat_of(&other), Window::Week, now)));
    }

    #[test]
    fn what_is_forgotten_leaves_nothing_behind(acts in acts(), later in 0..25_i64) {
        let now = at((20 + later) * DAY);
        let mut heat = heat_of(&acts);
        heat.forget(now);
        let since = Heat::remembered_since(now);
        let rest: Vec<Act> = acts.into_iter().filter(|act| act.at >= since).collect();
        prop_assert!(close(&kinds(&heat, Window::Month, now), &plain(&rest, Window::Month, now)));
        prop_assert_eq!(heat.acts(), heat_of(&rest).acts());
    }

    #[test]
    fn parts_add_up_to_the_score(acts in acts()) {
        let heat = heat_of(&acts);
        for window in Window::ALL {
            let papers = heat.papers(window, at(20 * DAY)).enumerate();
            let papers = papers.map(|(number, heat)| TopicHeat { heat, topic: format!("t{}.x", number % 3) });
            for scored in rank(papers.collect()) {
                let sum: f64 = scored.parts.iter().map(|(_, value, _)| value).sum();
                prop_assert!((sum - scored.score).abs() < 1e-6, "{scored:?}");
                prop_assert!(scored.score.is_finite());
            }
        }
    }
}

#[test]
fn a_repeat_makes_an_act_new_again_and_no_more() {
    let mut heat = heat_of(&known("a"));
    let vote = |second| act("a", "p", Attention::Vote, second);
    assert_eq!(heat.add(&vote(0)), Added::Counted);
    let once = total(&heat, "p", Window::Day, at(0));
    assert!((once - Attention::Vote.weight()).abs() < 1e-9, "{once}");
    for hour in 1..=12 {
        assert_eq!(heat.add(&vote(hour * HOUR)), Added::Counted);
    }
    let again = total(&heat, "p", Window::Day, at(12 * HOUR));
    assert!((again - once).abs() < 1e-9, "{again}");
    assert_eq!(heat.add(&vote(3 * HOUR)), Added::Unchanged, "older than what is known");
    assert_eq!((heat.acts(), heat.len()), (2, 2));
}

#[test]
fn a_reader_weighs_no_more_than_a_days_budget_however_much_they_do() {
    let mut heat = heat_of(&known("a"));
    for number in 0..10_000 {
        heat.add(&act("a", &format!("p{number}"), Attention::Vote, 0));
    }
    let sum: f64 = heat.papers(Window::Day, at(0)).map(|one| one.total()).sum();
    assert!(sum <= DAY_BUDGET + 1.0, "{sum}");
    assert_eq!(heat.acts(), MOST_ACTS_PER_DAY + 1);
}

#[test]
fn new_accounts_add_no_more_than_the_floor_and_half_of_what_known_readers_give() {
    let mut acts = Vec::new();
    for number in 0..5 {
        let reader = format!("known{number}");
        acts.extend(known(&reader));
        acts.push(act(&reader, "loved", Attention::Vote, 0));
    }
    let loved = total(&heat_of(&acts), "loved", Window::Day, at(0));
    assert!((loved - 30.0).abs() < 1e-9, "{loved}");
    for number in 0..5_000 {
        for kind in Attention::ALL {
            acts.push(act(&format!("fake{number}"), "loved", kind, 0));
            acts.push(act(&format!("fake{number}"), "pushed", kind, 0));
        }
    }
    let heat = heat_of(&acts);
    let most = total(&heat, "pushed", Window::Day, at(0));
    assert!(most > NEW_FLOOR * 0.99 && most < NEW_FLOOR, "{most}");
    let most = total(&heat, "loved", Window::Day, at(0));
    assert!(most > 50.9 && most < 1.5 * loved + NEW_FLOOR, "{most}");
}

#[test]
fn accounts_that_were_aged_for_a_day_are_new_and_for_some_days_add_a_little_more() {
    let pushed = |days: i64| {
        let mut acts = Vec::new();
        for number in 0..1_000 {
            let fake = format!("fake{number}");
            acts.extend((1..=days).map(|day| act(&fake, "far away", Attention::Click, -day * DAY)));
            acts.extend(Attention::ALL.map(|kind| act(&fake, "pushed", kind, 0)));
        }
        total(&heat_of(&acts), "pushed", Window::Day, at(0))
    };
    let (none, one, two, four, five) = (pushed(0), pushed(1), pushed(2), pushed(4), pushed(5));
    assert!((none - one).abs() < 1e-9 && one < NEW_FLOOR, "{none} {one}");
    assert!((two - four).abs() < 1e-9 && four < SEEN_FLOOR, "{two} {four}");
    assert!(five > 10_000.0, "who comes back for days is a reader: {five}");
}

#[test]
fn years_go_by_and_sums_stay_in_bounds() {
    let mut heat = Heat::default();
    for day in 0..1_500 {
        heat.forget(at(day * DAY));
        heat.add(&act("a", &format!("p{day}"), Attention::Save, day * DAY));
    }
    let now = at(1_499 * DAY);
    let newest = total(&heat, "p1499", Window::Day, now);
    assert!((newest - Attention::Save.weight()).abs() < 1e-9, "{newest}");
    assert_eq!(heat.len(), usize::try_from(MEMORY_DAYS).expect("small"));
    assert_eq!(heat.add(&act("b", "late", Attention::Save, 0)), Added::TooOld);
}

/// Sixty readers who have been there for days look at forty papers of a large field, the first ones most, and one each at
/// fifteen papers of a small one.
fn two_fields() -> Vec<Act> {
    let mut acts = Vec::new();
    for reader in 0..60 {
        let name = format!("r{reader}");
        acts.extend(known(&name));
        for paper in 0..40 {
            if reader * (paper + 1) < 60 {
                acts.push(act(&name, &format!("large{paper}"), Attention::Read, 0));
            }
        }
        if reader < 15 {
            acts.push(act(&name, &format!("small{reader}"), Attention::Click, 0));
        }
    }
    acts
}

fn ranked(acts: &[Act], now: Timestamp) -> Vec<String> {
    let topic = |id: &str| if id.starts_with("x:small") { "math.CT" } else { "cs.LG" };
    let heat = heat_of(acts);
    let papers = heat.papers(Window::Day, now).map(|heat| TopicHeat {
        topic: topic(heat.id.as_str()).to_owned(),
        heat,
    });
    let ranking = rank(papers.collect());
    ranking.into_iter().map(|one| one.id.as_str()[2..].to_owned()).collect()
}

#[test]
fn a_burst_in_a_small_field_is_not_drowned_by_a_large_one() {
    let mut acts = two_fields();
    let now = at(HOUR);
    let place = |acts: &[Act]| ranked(acts, now).iter().position(|id| id == "small0");
    assert!(place(&acts).is_some_and(|place| place > 20), "{:?}", place(&acts));
    for reader in 20..28 {
        acts.push(act(&format!("r{reader}"), "small0", Attention::Read, 0));
    }
    // By heat alone six papers of the large field come before it.
    assert!(place(&acts).is_some_and(|place| place < 3), "{:?}", place(&acts));
}

#[test]
fn fake_accounts_move_a_paper_a_few_ranks() {
    let honest = two_fields();
    let now = at(HOUR);
    let place = |acts: &[Act]| ranked(acts, now).iter().position(|id| id == "large30");
    let before = place(&honest).expect("warm");
    let with = |fakes: i64| {
        let fake = |number| act(&format!("fake{number}"), "large30", Attention::Vote, 0);
        let acts: Vec<Act> = honest.iter().cloned().chain((0..fakes).map(fake)).collect();
        before - place(&acts).expect("warm")
    };
    let (some, many) = (with(50), with(5_000));
    assert!(many - some <= 1, "{some} {many}: more accounts change next to nothing");
    assert!(
        place(&honest).is_some_and(|place| place - many >= 5),
        "the best stay before it"
    );
}

#[test]
fn cold_papers_leave_the_list() {
    let acts = [
        act("a", "p", Attention::Click, 0),
        act("a", "q", Attention::Click, SignedDuration::from_hours(24 * 3).as_secs()),
    ];
    assert_eq!(ranked(&acts, at(3 * DAY)), ["q"]);
    assert_eq!(ranked(&acts, at(9 * DAY)), Vec::<String>::new());
}
