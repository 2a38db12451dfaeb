//! From attention to the trending list: what is usual for a topic, trending scores and their parts.

use std::collections::HashMap;

use super::{AttentionKind, MIN_ATTENTION, PaperAttention, Signal};
use crate::PaperId;

/// Weight of the attention itself, besides how far it lies above what is usual.
pub const ABSOLUTE: f64 = 0.5;
/// Attention that a topic is assumed to have in addition, distributed as in its archive.
pub const PRIOR_ATTENTION: f64 = 5.0;
/// What is usual where nothing is known: a vote.
const FIRST_GUESS: f64 = 6.0;

/// A paper's attention and its topic.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicAttention {
    /// The attention.
    pub attention: PaperAttention,
    /// The primary category; empty where there is none.
    pub topic: String,
}

/// A paper of a trending list.
#[derive(Debug, Clone, PartialEq)]
pub struct TrendingScore {
    /// The paper.
    pub id: PaperId,
    /// The trending score, which is the sum of its parts.
    pub score: f64,
    /// Name, value, and what the value was made of: the attention of a kind, or what is usual for the topic.
    pub parts: Vec<(&'static str, f64, f64)>,
    /// The attention score.
    pub attention: f64,
    /// Readers behind each kind of attention, in the order of [`AttentionKind::ALL`].
    pub readers: [u32; 4],
    /// The newest total of each kind of signal, in the order of [`Signal::ALL`].
    pub counts: [u64; 4],
}

/// Sums over the attention scores of papers.
#[derive(Debug, Default, Clone, Copy)]
struct TopicSums {
    attention: f64,
    squares: f64,
}

impl TopicSums {
    fn add(&mut self, attention: f64) {
        self.attention += attention;
        self.squares += attention * attention;
    }

    /// The mean attention score weighted by attention, without one paper.
    fn usual_without(&self, attention: f64, prior: f64) -> f64 {
        let squares = (self.squares - attention * attention).max(0.0);
        (squares + PRIOR_ATTENTION * prior) / ((self.attention - attention).max(0.0) + PRIOR_ATTENTION)
    }
}

/// What is usual overall, per archive and per topic.
#[derive(Default)]
struct Baselines<'a> {
    all: TopicSums,
    archives: HashMap<&'a str, TopicSums>,
    topics: HashMap<&'a str, TopicSums>,
}

impl<'a> Baselines<'a> {
    fn of(papers: &'a [TopicAttention]) -> Self {
        let mut baselines = Self::default();
        for paper in papers {
            let attention = paper.attention.score();
            baselines.all.add(attention);
            baselines
                .archives
                .entry(archive(&paper.topic))
                .or_default()
                .add(attention);
            baselines.topics.entry(&paper.topic).or_default().add(attention);
        }
        baselines
    }

    /// What is usual for the topic of a paper, without the paper itself.
    fn without(&self, paper: &TopicAttention) -> f64 {
        let attention = paper.attention.score();
        let all = self.all.usual_without(attention, FIRST_GUESS);
        let archive = self.archives.get(archive(&paper.topic)).copied().unwrap_or_default();
        let topic = self.topics.get(paper.topic.as_str()).copied().unwrap_or_default();
        topic.usual_without(attention, archive.usual_without(attention, all))
    }
}

/// Papers with an attention score of at least [`MIN_ATTENTION`], best first, ties by id.
pub fn rank(papers: Vec<TopicAttention>) -> Vec<TrendingScore> {
    let mut ranked: Vec<TopicAttention> = papers
        .into_iter()
        .filter(|one| one.attention.score() >= MIN_ATTENTION)
        .collect();
    // Sums of floating point numbers depend on their order.
    ranked.sort_by(|a, b| a.attention.id.cmp(&b.attention.id));
    let baselines = Baselines::of(&ranked);
    let one = |paper: &TopicAttention| scored(&paper.attention, baselines.without(paper));
    let mut ranking: Vec<TrendingScore> = ranked.iter().map(one).collect();
    ranking.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
    ranking
}

/// `cs` of `cs.CL`.
fn archive(topic: &str) -> &str {
    topic.split_once('.').map_or(topic, |(archive, _)| archive)
}

fn scored(paper: &PaperAttention, usual: f64) -> TrendingScore {
    let total = paper.score();
    let level = total.ln_1p() * (1.0 + ABSOLUTE);
    let attention = AttentionKind::ALL.map(AttentionKind::name).into_iter().zip(paper.kinds);
    let signals = Signal::ALL.map(Signal::name).into_iter().zip(paper.signals);
    let kinds = attention.chain(signals).filter(|(_, attention)| *attention > 0.0);
    let part = |(name, attention): (&'static str, f64)| (name, level * attention / total, attention);
    let mut parts: Vec<_> = kinds.map(part).collect();
    parts.push(("topic", -usual.ln_1p(), usual));
    TrendingScore {
        id: paper.id.clone(),
        score: parts.iter().map(|(_, value, _)| value).sum(),
        parts,
        attention: total,
        readers: paper.readers,
        counts: paper.counts,
    }
}
