//! Plays sixty days of a made-up literature, its readers and what other sites count, and measures what trending makes of it: how
//! soon planted bursts are in the list of the day, and how far fake accounts and bought stars move a paper; beside plain counts
//! of the last 24 hours. Five worlds, so that the constants fit more than one.
//!
//! `just backtest-trending` runs it. Everything comes from the seeds, so every run prints the same. It measures; it never judges.
#![expect(clippy::print_stdout, reason = "figures are what it is for")]

mod counted;
mod fakes;
mod lists;
mod random;
mod world;

use self::fakes::{Figures, Worst};
use self::lists::{Lists, TOP};
use self::world::{Burst, FIELDS, HOUR, World};

const SEEDS: [u64; 5] = [20_260_301, 1, 2, 3, 4];
/// After this many hours a burst that is in no list counts as missed.
const PATIENCE_HOURS: i64 = 48;

/// When a burst came into each list, in hours after its begin.
struct Found {
    is_small: bool,
    trending: Option<i64>,
    counts: Option<i64>,
}

/// What one world gave.
struct Played {
    bursts: Vec<Found>,
    /// Those on other sites alone.
    elsewhere: Vec<Found>,
    fakes: Figures,
    stars: Worst,
}

fn main() {
    println!(
        "seed        papers  events reports  lead h  in plain counts h  found  new accounts  aged a day  bought stars"
    );
    let played = SEEDS.map(|seed| {
        let world = World::new(seed);
        let played = play(&world);
        let (lead, counts) = (
            lead(&played.bursts, |one| one.trending),
            lead(&played.bursts, |one| one.counts),
        );
        let (new, aged) = played.fakes.of_few();
        let worst = |worst: Worst| format!("{} / {}", worst.moved, worst.from_nothing);
        println!(
            "{seed:<10} {:>7} {:>7} {:>7} {lead:>7.1} {counts:>18.1} {:>3}/{} {:>13} {:>11} {:>13}",
            world.papers.len(),
            world.events.len(),
            world.reports.len(),
            found(&played.bursts, |one| one.trending),
            played.bursts.len(),
            worst(new),
            worst(aged),
            worst(played.stars),
        );
        played
    });
    tell(&played);
}

fn play(world: &World) -> Played {
    let mut lists = Lists::new(world);
    let all = |bursts: &[Burst]| bursts.iter().map(|burst| Found::nowhere(world, burst)).collect();
    let mut played = Played {
        bursts: all(&world.bursts),
        elsewhere: all(&world.elsewhere),
        fakes: Figures::default(),
        stars: Worst::default(),
    };
    for hour in 0..world::DAYS * 24 {
        lists.advance(hour * HOUR);
        let watched = |burst: &Burst| (0..=PATIENCE_HOURS).contains(&(hour - burst.begin / HOUR));
        let bursts = world.bursts.iter().zip(&mut played.bursts);
        let elsewhere = world.elsewhere.iter().zip(&mut played.elsewhere);
        let mut watched: Vec<_> = bursts.chain(elsewhere).filter(|(burst, _)| watched(burst)).collect();
        if !watched.is_empty() {
            let (trending, counts) = (lists.trending(), lists.counts());
            for (burst, found) in &mut watched {
                let hours = hour - burst.begin / HOUR;
                let is_in = |list: &[usize]| list.iter().take(TOP).any(|paper| *paper == burst.paper);
                found.trending = found.trending.or(is_in(&trending).then_some(hours));
                found.counts = found.counts.or(is_in(&counts).then_some(hours));
            }
        }
        // Noon of every tenth day, once there is a past.
        if hour % 240 == 108 {
            played.fakes.measure(&lists);
            played.stars.add(counted::bought(&lists));
        }
    }
    played
}

impl Found {
    fn nowhere(world: &World, burst: &Burst) -> Self {
        Self {
            is_small: FIELDS[world.papers[burst.paper].field].1 <= 4,
            trending: None,
            counts: None,
        }
    }
}

/// Mean hours until bursts are in a list; a missed one counts as long as was waited for it.
fn lead<'a>(bursts: impl IntoIterator<Item = &'a Found>, hours: impl Fn(&Found) -> Option<i64>) -> f64 {
    let hours: Vec<i64> = bursts
        .into_iter()
        .map(|one| hours(one).unwrap_or(PATIENCE_HOURS))
        .collect();
    hours.iter().sum::<i64>() as f64 / hours.len().max(1) as f64
}

fn found<'a>(bursts: impl IntoIterator<Item = &'a Found>, hours: impl Fn(&Found) -> Option<i64>) -> usize {
    bursts.into_iter().filter(|one| hours(one).is_some()).count()
}

/// Prints what all worlds together gave.
fn tell(played: &[Played]) {
    println!("\nbursts in the first {TOP} of the day, all worlds (a missed one counts {PATIENCE_HOURS} h):");
    println!("  fields     bursts  trending h  found  counts h  found");
    let bursts: Vec<&Found> = played.iter().flat_map(|one| &one.bursts).collect();
    let small: Vec<&Found> = bursts.iter().copied().filter(|one| one.is_small).collect();
    let large: Vec<&Found> = bursts.iter().copied().filter(|one| !one.is_small).collect();
    let elsewhere: Vec<&Found> = played.iter().flat_map(|one| &one.elsewhere).collect();
    for (name, some) in [
        ("small", &small),
        ("large", &large),
        ("all", &bursts),
        ("elsewhere", &elsewhere),
    ] {
        println!(
            "  {name:<9} {:>7} {:>11.1} {:>6} {:>9.1} {:>6}",
            some.len(),
            lead(some.iter().copied(), |one| one.trending),
            found(some.iter().copied(), |one| one.trending),
            lead(some.iter().copied(), |one| one.counts),
            found(some.iter().copied(), |one| one.counts),
        );
    }
    let (mut fakes, mut stars) = (Figures::default(), Worst::default());
    for one in played {
        fakes.add(&one.fakes);
        stars.add(one.stars);
    }
    fakes.tell();
    let leads = played.iter().map(|one| lead(&one.bursts, |found| found.trending));
    let (fastest, slowest) = leads.fold((f64::MAX, 0.0_f64), |(least, most), lead| {
        (least.min(lead), most.max(lead))
    });
    let (new, aged) = fakes.of_few();
    println!(
        "signals: bought_stars={} ranks_moved_max={} best_rank_from_nothing={} signal_limit={} found_elsewhere={}/{}",
        counted::BOUGHT,
        stars.moved,
        stars.from_nothing,
        domain::trending::PROVIDER_LIMIT,
        found(elsewhere.iter().copied(), |one| one.trending),
        elsewhere.len()
    );
    println!(
        "trending: lead_hours={:.1} baseline_lead_hours={:.1} found={}/{} fake_accounts=20 ranks_moved_max={} \
         best_rank_from_nothing={} aged_ranks_moved_max={} aged_best_rank_from_nothing={} seeds={} \
         lead_hours_of_seeds={fastest:.1}..{slowest:.1}",
        lead(bursts.iter().copied(), |one| one.trending),
        lead(bursts.iter().copied(), |one| one.counts),
        found(bursts.iter().copied(), |one| one.trending),
        bursts.len(),
        new.moved,
        new.from_nothing,
        aged.moved,
        aged.from_nothing,
        SEEDS.len()
    );
}
