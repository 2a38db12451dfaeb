//! What other sites count: up-votes and stars of papers of computing, as they draw readers there; bursts that are there alone;
//! and stars that somebody buys.

use domain::trending::{Signal, SignalReport};

use crate::fakes::{Worst, worst};
use crate::lists::Lists;
use crate::random::Random;
use crate::world::{Burst, DAY, DAYS, FIELDS, HOUR, World, moment};

/// Papers below this appeal are not noticed elsewhere: two of three.
const NOTICED: f64 = 3.0;
/// Other sites lose interest after this many days.
const FOLLOWED: i64 = 10;
const BURSTS: usize = 20;
/// Stars that are bought for one paper, all at once.
pub const BOUGHT: u64 = 5_000;

/// Adds the reports: once a day of what goes on, four times a day of bursts.
pub fn elsewhere(world: &mut World, random: &mut Random) {
    let mut reports = Vec::new();
    for paper in 0..world.papers.len() {
        let of = &world.papers[paper];
        let of_computing = FIELDS[of.field].0.starts_with("cs.") || FIELDS[of.field].0.starts_with("stat.");
        if !of_computing || of.appeal < NOTICED {
            continue;
        }
        let has_code = random.share() < 0.5;
        let (mut upvotes, mut stars) = (0.0, 0.0);
        for day in 0..FOLLOWED {
            let second = of.appears + day * DAY + random.below(DAY);
            let interest = of.appeal * (-(day as f64) / 2.0).exp2() * (0.5 + random.share());
            upvotes += interest;
            stars += 3.0 * interest;
            let since = of.appears;
            reports.push(report(
                world,
                paper,
                (Signal::Upvotes, "huggingface"),
                upvotes,
                second,
                since,
            ));
            if has_code {
                reports.push(report(world, paper, (Signal::Stars, "github"), stars, second, since));
            }
        }
    }
    for _ in 0..BURSTS {
        let begin = (10 + random.below(DAYS - 14)) * DAY + random.below(24) * HOUR;
        let fresh = |paper: &crate::world::Paper| {
            let is_new = (0..3 * DAY).contains(&(begin - paper.appears));
            is_new && paper.appeal < NOTICED && FIELDS[paper.field].0.starts_with("cs.")
        };
        let places: Vec<usize> = (0..world.papers.len())
            .filter(|place| fresh(&world.papers[*place]))
            .collect();
        let paper = places[random.place(places.len())];
        for step in 0..=4_i32 {
            let second = begin + i64::from(step) * 6 * HOUR;
            for (signal, all) in [
                ((Signal::Upvotes, "huggingface"), 200.0),
                ((Signal::Stars, "github"), 1_000.0),
            ] {
                let count = all * f64::from(step) / 4.0;
                reports.push(report(world, paper, signal, count, second, begin - 1));
            }
        }
        world.elsewhere.push(Burst { paper, begin });
    }
    reports.retain(|(second, _)| *second < DAYS * DAY);
    reports.sort_by_key(|(second, _)| *second);
    world.reports = reports;
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers above zero"
)]
fn report(
    world: &World,
    paper: usize,
    (kind, provider): (Signal, &str),
    count: f64,
    second: i64,
    since: i64,
) -> (i64, SignalReport) {
    let report = SignalReport {
        paper: world.papers[paper].id.clone(),
        kind,
        provider: provider.to_owned(),
        count: count as u64,
        at: moment(second),
        since: Some(moment(since)),
    };
    (second, report)
}

/// What stars achieve that somebody buys within an hour, known there since yesterday.
pub fn bought(lists: &Lists<'_>) -> Worst {
    let buy = |paper: usize| {
        let stars = |count, second| SignalReport {
            paper: lists.world.papers[paper].id.clone(),
            kind: Signal::Stars,
            provider: "bought".to_owned(),
            count,
            at: moment(second),
            since: None,
        };
        let reports = [stars(0, lists.now - 7 * HOUR), stars(BOUGHT, lists.now - 1)];
        lists.trending_with(&[], &reports)
    };
    worst(lists, &lists.trending(), buy)
}
