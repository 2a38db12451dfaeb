//! Plays sixty days of a made-up literature and its readers, and measures what trending makes of it: how soon planted bursts
//! are in the list of the day, and how far fake accounts move a paper; both beside plain counts of the last 24 hours.
//!
//! `just backtest-trending` runs it. Everything comes from one seed, so every run prints the same. It measures; it never judges.
#![expect(clippy::print_stdout, reason = "figures are what it is for")]

mod fakes;
mod lists;
mod random;
mod world;

use self::lists::{Lists, TOP};
use self::world::{Burst, FIELDS, HOUR, World};

/// After this many hours a burst that is in no list counts as missed.
const PATIENCE_HOURS: i64 = 48;

/// When a burst came into each list, in hours after its begin.
#[derive(Default)]
struct Found {
    trending: Option<i64>,
    counts: Option<i64>,
}

fn main() {
    let world = World::new(20_260_301);
    println!(
        "{} papers of {} fields over {} days, {} acts, {} bursts",
        world.papers.len(),
        FIELDS.len(),
        world::DAYS,
        world.acts.len(),
        world.bursts.len()
    );
    let mut lists = Lists::new(&world);
    let mut found: Vec<Found> = world.bursts.iter().map(|_| Found::default()).collect();
    let mut fakes = fakes::Figures::default();
    for hour in 0..world::DAYS * 24 {
        lists.advance(hour * HOUR);
        let watched = |burst: &Burst| (0..=PATIENCE_HOURS).contains(&(hour - burst.begin / HOUR));
        if world.bursts.iter().any(watched) {
            let (trending, counts) = (lists.trending(), lists.counts());
            for (burst, found) in world.bursts.iter().zip(&mut found).filter(|(burst, _)| watched(burst)) {
                let hours = hour - burst.begin / HOUR;
                let is_in = |list: &[usize]| list.iter().take(TOP).any(|paper| *paper == burst.paper);
                found.trending = found.trending.or(is_in(&trending).then_some(hours));
                found.counts = found.counts.or(is_in(&counts).then_some(hours));
            }
        }
        // Noon of every fifth day, once there is a past.
        if hour % 120 == 108 {
            fakes.measure(&lists);
        }
    }
    let (lead, baseline, caught) = tell_bursts(&world, &found);
    let worst = fakes.tell();
    println!(
        "trending: lead_hours={lead:.1} baseline_lead_hours={baseline:.1} found={caught}/{} fake_accounts=20 \
         ranks_moved_max={} best_rank_from_nothing={}",
        world.bursts.len(),
        worst.moved,
        worst.from_nothing
    );
}

/// Prints a line for each size of field, and gives the mean lead of both lists and how many bursts were found.
fn tell_bursts(world: &World, found: &[Found]) -> (f64, f64, usize) {
    let of = |wanted: &dyn Fn(&Burst) -> bool| {
        let all = world.bursts.iter().zip(found).filter(|(burst, _)| wanted(burst));
        let all: Vec<&Found> = all.map(|(_, found)| found).collect();
        let mean = |hours: &dyn Fn(&Found) -> Option<i64>| {
            let sum: i64 = all.iter().map(|one| hours(one).unwrap_or(PATIENCE_HOURS)).sum();
            sum as f64 / all.len() as f64
        };
        let (trending, counts) = (mean(&|one| one.trending), mean(&|one| one.counts));
        let caught = |hours: &dyn Fn(&Found) -> Option<i64>| all.iter().filter(|one| hours(one).is_some()).count();
        let both = (caught(&|one| one.trending), caught(&|one| one.counts));
        (all.len(), trending, both.0, counts, both.1)
    };
    println!("bursts in the first {TOP} of the day (a missed one counts {PATIENCE_HOURS} h):");
    println!("  fields     bursts  trending h  found  counts h  found");
    let line = |name: &str, (bursts, trending, found, counts, baseline): (usize, f64, usize, f64, usize)| {
        println!("  {name:<9} {bursts:>7} {trending:>11.1} {found:>6} {counts:>9.1} {baseline:>6}");
    };
    let is_small = |burst: &Burst| FIELDS[world.papers[burst.paper].field].1 <= 4;
    line("small", of(&is_small));
    line("large", of(&|burst| !is_small(burst)));
    let all = of(&|_| true);
    line("all", all);
    (all.1, all.3, all.2)
}
