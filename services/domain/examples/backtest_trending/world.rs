//! The made-up world: papers of large and small fields, readers who look at what is new in their field, bursts, and what other
//! sites count meanwhile.

use domain::PaperId;
use domain::trending::{AttentionEvent, AttentionKind, SignalReport};
use jiff::Timestamp;

use crate::counted;
use crate::random::Random;

pub const DAYS: i64 = 60;
pub const HOUR: i64 = 3_600;
pub const DAY: i64 = 24 * HOUR;
/// Midnight of the first day, 1 January 2026, in seconds since the epoch.
const BEGIN: i64 = 1_767_225_600;
/// Fields with their papers per day: from a flood to a trickle.
pub const FIELDS: [(&str, i64); 12] = [
    ("cs.LG", 120),
    ("cs.CV", 60),
    ("cs.CL", 40),
    ("quant-ph", 25),
    ("math.AP", 12),
    ("stat.ML", 8),
    ("math.NT", 6),
    ("q-bio.NC", 4),
    ("math.CT", 3),
    ("cs.SC", 2),
    ("hep-lat", 1),
    ("math.KT", 1),
];
/// Readers of a field with one paper a day; a field has this many times the root of its papers.
const READERS: i64 = 87;
/// Readers of a field with this many papers a day look at other fields half of the time; of smaller fields more often.
const ABROAD: f64 = 20.0;
/// Readers look back this many days.
const LOOK_BACK: i64 = 7;
/// Of all events, those by readers who were never seen before.
const NEW_READERS: f64 = 0.05;
const BURSTS: usize = 60;
/// Share of the readers of a field that a burst reaches within a day: of a small one more, as people know each other.
const REACH: [f64; 2] = [0.12, 0.25];

/// A paper.
pub struct Paper {
    pub id: PaperId,
    /// Its place in [`FIELDS`].
    pub field: usize,
    /// In seconds after the begin.
    pub appears: i64,
    /// How often it is looked at beside others of its field: heavy-tailed.
    pub appeal: f64,
}

/// A paper that many suddenly look at.
pub struct Burst {
    pub paper: usize,
    /// In seconds after the begin.
    pub begin: i64,
}

/// Everything that happens, in the order of time.
pub struct World {
    pub papers: Vec<Paper>,
    /// Second, paper, and the event.
    pub events: Vec<(i64, usize, AttentionEvent)>,
    pub bursts: Vec<Burst>,
    /// Papers that burst on other sites alone.
    pub elsewhere: Vec<Burst>,
    /// Second and report.
    pub reports: Vec<(i64, SignalReport)>,
}

/// A moment of the simulation.
pub fn moment(second: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + second).unwrap_or(Timestamp::MAX)
}

impl World {
    /// The one of a seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let papers = papers(&mut random);
        let mut world = Self {
            papers,
            events: Vec::new(),
            bursts: Vec::new(),
            elsewhere: Vec::new(),
            reports: Vec::new(),
        };
        world.look_around(&mut random);
        world.burst(&mut random);
        world.events.sort_by_key(|(second, ..)| *second);
        counted::elsewhere(&mut world, &mut random);
        world
    }

    /// What goes on every day: half of the readers look at about three papers. Those of small fields look at large ones too.
    fn look_around(&mut self, random: &mut Random) {
        let mut strangers = 0;
        let sizes = FIELDS.iter().scan(0.0, |sum, (_, per_day)| {
            *sum += *per_day as f64;
            Some(*sum)
        });
        let sizes: Vec<f64> = sizes.collect();
        for day in 0..DAYS {
            let recent: Vec<_> = (0..FIELDS.len()).map(|field| self.recent(field, day * DAY)).collect();
            for field in 0..FIELDS.len() {
                let at_home = FIELDS[field].1 as f64 / (FIELDS[field].1 as f64 + ABROAD);
                for reader in 0..readers(field) {
                    let events = if random.share() < 0.5 { 1 + random.below(5) } else { 0 };
                    for _ in 0..events {
                        let is_home = random.share() < at_home;
                        let (candidates, sums) = &recent[if is_home { field } else { random.weighted(&sizes) }];
                        if candidates.is_empty() {
                            continue;
                        }
                        let paper = candidates[random.weighted(sums)];
                        let second = day * DAY + random.below(DAY);
                        let mut name = format!("{field}:{reader}");
                        if random.share() < NEW_READERS {
                            strangers += 1;
                            name = format!("stranger:{strangers}");
                        }
                        self.event(name, paper, kind(random, [70, 20, 6, 4]), second);
                    }
                }
            }
        }
    }

    /// Papers of a field that were there and not old at a moment, and the sums of what draws readers to them.
    fn recent(&self, field: usize, second: i64) -> (Vec<usize>, Vec<f64>) {
        let (mut candidates, mut sums, mut sum) = (Vec::new(), Vec::new(), 0.0);
        for (place, paper) in self.papers.iter().enumerate() {
            let age = second - paper.appears;
            if paper.field == field && (0..LOOK_BACK * DAY).contains(&age) {
                sum += paper.appeal * (-(age as f64) / (2.0 * DAY as f64)).exp2();
                candidates.push(place);
                sums.push(sum);
            }
        }
        (candidates, sums)
    }

    /// Bursts, half of them in small fields, of papers that nobody cared for so far.
    fn burst(&mut self, random: &mut Random) {
        for number in 0..BURSTS {
            let wants_small = number % 2 == 0;
            let begin = (10 + random.below(DAYS - 14)) * DAY + random.below(24) * HOUR;
            let fits = |paper: &Paper| {
                let is_small = FIELDS[paper.field].1 <= 4;
                is_small == wants_small && (DAY..15 * DAY).contains(&(begin - paper.appears)) && paper.appeal < 2.0
            };
            let places = self.papers.iter().enumerate().filter(|(_, paper)| fits(paper));
            let places: Vec<usize> = places.map(|(place, _)| place).collect();
            let paper = places[random.place(places.len())];
            let field = self.papers[paper].field;
            for reader in 0..readers(field) {
                if random.share() < REACH[usize::from(wants_small)] {
                    let second = begin + random.below(DAY);
                    let kind = kind(random, [50, 25, 10, 15]);
                    self.event(format!("{field}:{reader}"), paper, kind, second);
                }
            }
            self.bursts.push(Burst { paper, begin });
        }
    }

    fn event(&mut self, reader: String, paper: usize, kind: AttentionKind, second: i64) {
        let event = AttentionEvent {
            reader,
            paper: self.papers[paper].id.clone(),
            kind,
            at: moment(second),
        };
        self.events.push((second, paper, event));
    }
}

fn papers(random: &mut Random) -> Vec<Paper> {
    let mut papers = Vec::new();
    for day in 0..DAYS {
        for (field, (_, per_day)) in FIELDS.iter().enumerate() {
            for _ in 0..*per_day {
                let Ok(id) = PaperId::parse(&format!("simulated:{}", papers.len())) else {
                    continue;
                };
                papers.push(Paper {
                    id,
                    field,
                    appears: day * DAY + random.below(DAY),
                    // Pareto with exponent 1: as Zipf has it.
                    appeal: (1.0 - random.share()).recip().min(300.0),
                });
            }
        }
    }
    papers
}

fn readers(field: usize) -> i64 {
    (READERS * READERS * FIELDS[field].1).isqrt()
}

/// One kind of attention, drawn by percentages.
fn kind(random: &mut Random, percent: [i64; 4]) -> AttentionKind {
    let mut drawn = random.below(100);
    for (kind, percent) in AttentionKind::ALL.into_iter().zip(percent) {
        if drawn < percent {
            return kind;
        }
        drawn -= percent;
    }
    AttentionKind::Click
}
