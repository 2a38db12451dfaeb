//! From heat to the list that a reader sees: levels, what is usual for a topic, scores and their parts.

use std::collections::HashMap;

use super::{Attention, COLD, PaperHeat, Signal};
use crate::PaperId;

/// What a level counts by itself, beside how far it lies above what is usual.
pub const ABSOLUTE: f64 = 0.5;
/// A topic is taken to have this much more heat, spread as is usual in its archive.
pub const PRIOR_HEAT: f64 = 5.0;
/// What is usual where nothing is known: the heat of a vote.
const FIRST_GUESS: f64 = 6.0;

/// A paper's heat and what it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicHeat {
    /// The heat.
    pub heat: PaperHeat,
    /// Its primary category; empty where it has none.
    pub topic: String,
}

/// A paper of a trending list.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The paper.
    pub id: PaperId,
    /// What it is ranked by: the sum of its parts.
    pub score: f64,
    /// Name, what it adds, and what it was made of: the heat of a kind, or what is usual for the topic.
    pub parts: Vec<(&'static str, f64, f64)>,
    /// All its heat.
    pub heat: f64,
    /// Readers behind each kind of attention, in the order of [`Attention::ALL`].
    pub readers: [u32; 4],
    /// The newest count of each kind of signal, in the order of [`Signal::ALL`].
    pub counts: [u64; 4],
}

/// Sums over the heat of papers.
#[derive(Debug, Default, Clone, Copy)]
struct Sums {
    heat: f64,
    squares: f64,
}

impl Sums {
    fn add(&mut self, heat: f64) {
        self.heat += heat;
        self.squares += heat * heat;
    }

    /// The heat that an act finds the paper at which it is done to have, without one paper.
    fn usual_without(&self, heat: f64, prior: f64) -> f64 {
        let squares = (self.squares - heat * heat).max(0.0);
        (squares + PRIOR_HEAT * prior) / ((self.heat - heat).max(0.0) + PRIOR_HEAT)
    }
}

/// The sums of all papers, of those of each archive, and of those of each topic.
#[derive(Default)]
struct Usual<'a> {
    all: Sums,
    archives: HashMap<&'a str, Sums>,
    topics: HashMap<&'a str, Sums>,
}

impl<'a> Usual<'a> {
    fn of(papers: &'a [TopicHeat]) -> Self {
        let mut usual = Self::default();
        for paper in papers {
            let heat = paper.heat.total();
            usual.all.add(heat);
            usual.archives.entry(archive(&paper.topic)).or_default().add(heat);
            usual.topics.entry(&paper.topic).or_default().add(heat);
        }
        usual
    }

    /// What is usual for the topic of a paper, beside the paper itself.
    fn beside(&self, paper: &TopicHeat) -> f64 {
        let heat = paper.heat.total();
        let all = self.all.usual_without(heat, FIRST_GUESS);
        let archive = self.archives.get(archive(&paper.topic)).copied().unwrap_or_default();
        let topic = self.topics.get(paper.topic.as_str()).copied().unwrap_or_default();
        topic.usual_without(heat, archive.usual_without(heat, all))
    }
}

/// The warm papers, best first, equal scores by id.
pub fn rank(papers: Vec<TopicHeat>) -> Vec<Scored> {
    let mut warm: Vec<TopicHeat> = papers.into_iter().filter(|one| one.heat.total() >= COLD).collect();
    // Sums of floating point numbers depend on their order.
    warm.sort_by(|a, b| a.heat.id.cmp(&b.heat.id));
    let usual = Usual::of(&warm);
    let one = |paper: &TopicHeat| scored(&paper.heat, usual.beside(paper));
    let mut ranking: Vec<Scored> = warm.iter().map(one).collect();
    ranking.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
    ranking
}

/// `cs` of `cs.CL`.
fn archive(topic: &str) -> &str {
    topic.split_once('.').map_or(topic, |(archive, _)| archive)
}

fn scored(heat: &PaperHeat, usual: f64) -> Scored {
    let total = heat.total();
    let level = total.ln_1p() * (1.0 + ABSOLUTE);
    let attention = Attention::ALL.map(Attention::name).into_iter().zip(heat.kinds);
    let signals = Signal::ALL.map(Signal::name).into_iter().zip(heat.signals);
    let kinds = attention.chain(signals).filter(|(_, heat)| *heat > 0.0);
    let part = |(name, heat): (&'static str, f64)| (name, level * heat / total, heat);
    let mut parts: Vec<_> = kinds.map(part).collect();
    parts.push(("topic", -usual.ln_1p(), usual));
    Scored {
        id: heat.id.clone(),
        score: parts.iter().map(|(_, value, _)| value).sum(),
        parts,
        heat: total,
        readers: heat.readers,
        counts: heat.counts,
    }
}
