//! Sends digests while processes are killed (-9) and stopped, connections cut, answers and acknowledgements held up and
//! queues full, and counts that every subscriber has exactly one digest per slot on each way: by mail, to a webhook, or both.
//!
//! NATS, Redis, an SMTP server, a server that takes webhooks and two replicas of notification are processes of their own.
//! A digest that a receiver has on disk came, whether anybody was told. Doubles are allowed where SMTP and HTTP leave no
//! way out: between the receiver's yes and our record. Those have the same Message-ID, and the record of the delivery counts
//! them.
//!
//! `BROADSHEET_FAULTS_SUBSCRIBERS` and `BROADSHEET_FAULTS_KILLS` scale it, `BROADSHEET_FAULTS_SEED` repeats one.
#![expect(clippy::unwrap_used, reason = "tests")]

mod count;
mod stage;

use std::time::{Duration, Instant};

use count::{Counted, count};
use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use stage::{AT_ONCE, LEASE, REPLICAS, Stage, Way};

/// Between two faults, on average.
const PAUSE_MS: u64 = 500;
/// The longest delay of an answer of Redis or NATS, and for how long at most one is slow or a receiver's queue is full.
const SLOWEST_MS: u64 = 1_000;
const LONGEST_MS: u64 = 3_000;
/// One in so many subscribers leaves during the run.
const LEAVING: usize = 10;
/// Longest wait for the last digests once everything is left alone: too many failures pause sending for up to ten minutes.
const PATIENCE: Duration = Duration::from_mins(15);

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |value| value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_subscriber_gets_exactly_one_digest_per_slot() {
    let subscribers = usize::try_from(setting("BROADSHEET_FAULTS_SUBSCRIBERS", 300)).unwrap();
    let kills = setting("BROADSHEET_FAULTS_KILLS", 6);
    let seed = setting("BROADSHEET_FAULTS_SEED", 1);
    println!("faults: seed={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut stage = Stage::build().await;
    let readers = stage.subscribe(subscribers).await;
    let mut leavers = stage.tokens(readers.iter().step_by(LEAVING)).await;
    // So slow that the digests last as long as the faults, of which some are no kills and take longer.
    let at_once = REPLICAS as u64 * AT_ONCE;
    for way in Way::ALL {
        let digests = (0..subscribers).filter(|number| way.is_of(*number)).count() as u64;
        let per_digest = 2 * kills * PAUSE_MS * at_once / digests;
        stage
            .proxy(way)
            .delay(Duration::from_millis(per_digest / way.answers()));
    }
    stage.until_the_first_digest(subscribers).await;
    let mut struck = Struck::default();
    while struck.kills < kills {
        stage.supervise();
        strike(&mut stage, &mut random, &mut struck).await;
        if leavers.len() as u64 * kills > (kills - struck.kills) * (subscribers / LEAVING) as u64 {
            stage.unsubscribe(&mut leavers).await;
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..2 * PAUSE_MS))).await;
    }
    let begun = Instant::now();
    while !leavers.is_empty() {
        stage.unsubscribe(&mut leavers).await;
        assert!(
            begun.elapsed() < PATIENCE,
            "{} subscribers cannot leave:\n{}",
            leavers.len(),
            stage.last_words()
        );
    }
    stage.leave_alone().await;
    let counted = settled(&mut stage, &readers).await;
    println!(
        "faults: cuts={} delays={} full={} stops={} left={}",
        struck.cuts, struck.delays, struck.full, struck.stops, counted.left
    );
    println!(
        "faults: kills={} due={} lost={} doubled_outside_window={} in_window={} after_unsubscribe={}",
        struck.kills,
        counted.due,
        counted.lost.len(),
        counted.doubled_outside_window,
        counted.in_window,
        counted.after_unsubscribe,
    );
    assert!(
        counted.lost.is_empty(),
        "lost: {:?}\n{}",
        counted.lost,
        stage.last_words()
    );
    assert_eq!(counted.doubled_outside_window, 0);
    assert_eq!(counted.after_unsubscribe, 0);
    let open = (struck.kills + struck.cuts + struck.stops) * at_once * Way::ALL.len() as u64;
    assert!(counted.in_window <= open, "more than the open connections");
    stage.end();
}

/// What was done to them.
#[derive(Default)]
struct Struck {
    kills: u64,
    cuts: u64,
    /// Answers of Redis or NATS were held up.
    delays: u64,
    /// A receiver's queue was full.
    full: u64,
    stops: u64,
}

async fn strike(stage: &mut Stage, random: &mut StdRng, struck: &mut Struck) {
    match random.random_range(0..30) {
        0..16 => {
            kill(stage, random);
            struck.kills += 1;
        }
        16..26 => {
            let [mail, webhook] = Way::ALL.map(|way| stage.proxy(way));
            one_of(&[mail, webhook, &stage.store, &stage.bus], random).cut();
            struck.cuts += 1;
        }
        26 => {
            let slow = *one_of(&[&stage.store, &stage.bus], random);
            slow.delay(Duration::from_millis(random.random_range(0..SLOWEST_MS)));
            tokio::time::sleep(Duration::from_millis(random.random_range(0..LONGEST_MS))).await;
            slow.delay(Duration::ZERO);
            struck.delays += 1;
        }
        27 => {
            let way = *one_of(&Way::ALL, random);
            stage
                .fill(way, Duration::from_millis(random.random_range(0..LONGEST_MS)))
                .await;
            struck.full += 1;
        }
        _ => {
            // Stands still until its lease is over and somebody else has its work, then goes on where it was.
            let replica = one_of(&stage.replicas, random);
            replica.signal(Signal::SIGSTOP);
            tokio::time::sleep(LEASE + Duration::from_millis(random.random_range(0..1_000))).await;
            replica.signal(Signal::SIGCONT);
            struck.stops += 1;
        }
    }
}

fn kill(stage: &mut Stage, random: &mut StdRng) {
    let victim = match random.random_range(0..16) {
        0..8 => &mut stage.replicas[random.random_range(0..REPLICAS)],
        8..10 => &mut stage.redis,
        10..13 => &mut stage.mail_server,
        13..15 => &mut stage.webhook_server,
        _ => &mut stage.nats,
    };
    victim.kill();
}

fn one_of<'a, T>(these: &'a [T], random: &mut StdRng) -> &'a T {
    these.choose(random).unwrap()
}

/// Counts until nobody is lost, for as long as there is patience.
async fn settled(stage: &mut Stage, readers: &[String]) -> Counted {
    let begun = Instant::now();
    loop {
        stage.supervise();
        let counted = count(stage, readers).await;
        if counted.lost.is_empty() || begun.elapsed() > PATIENCE {
            return counted;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
