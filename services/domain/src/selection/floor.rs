//! The match floor: the cosine from which a paper matches an interest. It depends on the encoder and is measured on recent
//! papers.
//!
//! Unrelated texts have a cosine of 0.1 with one encoder, 0.3 with another and 0.7 with a third, so no constant fits all.
//! [`CALIBRATION_QUERIES`] are interests from all of science, so that hardly any of them is related to a given paper. Their
//! cosines with recent papers show what chance reaches, and the floor is the quantile [`CHANCE`] of these cosines.
//!
//! ```text
//! floor = (papers · quantile(CHANCE) + PRIOR_PAPERS · MATCH_FLOOR) / (papers + PRIOR_PAPERS)     within LEAST_FLOOR and MOST_FLOOR
//! ```
//!
//! Papers that the encoder cannot read have a zero vector and tell nothing.
//!
//! It embeds nothing: callers pass the vectors of the calibration queries, made by the encoder of the papers.

use crate::DenseVector;
use crate::vectors::dot;

/// The floor where nothing was measured: that of all-MiniLM-L6-v2 with 1,200 arXiv papers.
pub const MATCH_FLOOR: f32 = 0.3;
/// Lower bound of the floor.
pub const LEAST_FLOOR: f32 = 0.1;
/// Upper bound of the floor: above it papers are near-duplicates.
pub const MOST_FLOOR: f32 = 0.9;
/// The share of the cosines of calibration queries that lies below the floor.
pub const CHANCE: f64 = 0.99;
/// With this many papers the measurement counts half.
pub const PRIOR_PAPERS: usize = 20;
/// Papers sampled, spread over all of them.
const SAMPLE: usize = 512;

/// Interests from all of science, in readers' words.
pub const CALIBRATION_QUERIES: [&str; 64] = [
    "graph neural networks for molecules",
    "large language models for code",
    "image generation with diffusion models",
    "speech recognition",
    "reinforcement learning for robots",
    "autonomous driving",
    "recommender systems",
    "database query optimisation",
    "operating systems and virtual machines",
    "network security and intrusion detection",
    "public-key cryptography",
    "quantum error correction",
    "formal verification of programs",
    "wireless communication",
    "human-computer interaction",
    "computational complexity of approximation",
    "algebraic topology and homotopy",
    "prime numbers in arithmetic progressions",
    "partial differential equations of fluids",
    "random matrices",
    "Bayesian statistics for clinical trials",
    "optimal transport",
    "dark matter in galaxies",
    "exoplanet atmospheres",
    "gravitational waves from black holes",
    "neutrino oscillations",
    "string theory and holography",
    "high-temperature superconductors",
    "topological insulators",
    "laser cooling of atoms",
    "plasma confinement in tokamaks",
    "polymer physics and soft matter",
    "photovoltaic cells of perovskite",
    "lithium batteries",
    "catalysts for carbon dioxide reduction",
    "organic synthesis of natural products",
    "protein structure prediction",
    "gene editing with CRISPR",
    "evolution of antibiotic resistance",
    "microbiome of the gut",
    "plant roots and drought",
    "bird migration",
    "coral reefs and ocean acidification",
    "forest fires and climate",
    "earthquake prediction",
    "glaciers and sea level",
    "volcanic eruptions",
    "air pollution in cities",
    "cancer immunotherapy",
    "medical image segmentation",
    "epidemiology of malaria",
    "sleep and memory",
    "depression in adolescents",
    "vaccination and public trust",
    "surgery of the knee",
    "monetary policy and inflation",
    "labour markets and migration",
    "auctions and mechanism design",
    "school reform and inequality",
    "constitutional courts",
    "medieval manuscripts",
    "archaeology of the bronze age",
    "philosophy of consciousness",
    "music of the baroque",
];

/// The floor for these papers; `queries` are the vectors of [`CALIBRATION_QUERIES`]. [`MATCH_FLOOR`] where either is empty.
pub fn match_floor(papers: &[&DenseVector], queries: &[DenseVector]) -> f32 {
    let read: Vec<&DenseVector> = papers.iter().copied().filter(|paper| !paper.is_zero()).collect();
    let step = read.len().div_ceil(SAMPLE).max(1);
    let sample = read.iter().step_by(step);
    let cosines_of = |paper: &&DenseVector| {
        let same = queries.iter().filter(|query| query.dimension() == paper.dimension());
        let cosines = same.map(|query| dot(query.as_slice(), paper.as_slice()));
        cosines.collect::<Vec<f32>>()
    };
    let mut cosines: Vec<f32> = sample.flat_map(cosines_of).collect();
    let Some(last) = cosines.len().checked_sub(1) else {
        return MATCH_FLOOR;
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let index = (last as f64 * CHANCE) as usize;
    let (_, measured, _) = cosines.select_nth_unstable_by(index, f32::total_cmp);
    let weight = read.len() as f32 / (read.len() + PRIOR_PAPERS) as f32;
    (MATCH_FLOOR + weight * (*measured - MATCH_FLOOR)).clamp(LEAST_FLOOR, MOST_FLOOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(angle: f32) -> DenseVector {
        DenseVector::new(vec![angle.cos(), angle.sin()]).expect("a vector")
    }

    /// The floor for papers with the same cosine to every calibration query.
    fn floor(papers: usize, cosine: f32) -> f32 {
        let papers = vec![vector(cosine.acos()); papers];
        let papers: Vec<&DenseVector> = papers.iter().collect();
        match_floor(&papers, &vec![vector(0.0); CALIBRATION_QUERIES.len()])
    }

    #[test]
    fn the_floor_is_what_chance_reaches_and_needs_many_papers() {
        assert!((floor(0, 0.7) - MATCH_FLOOR).abs() < 1e-6);
        assert!((floor(1, 0.7) - MATCH_FLOOR).abs() < 0.02);
        assert!((floor(PRIOR_PAPERS, 0.7) - 0.5).abs() < 1e-3);
        assert!((floor(2_000, 0.7) - 0.7).abs() < 0.01);
        assert!((floor(2_000, 0.2) - 0.2).abs() < 0.01);
    }

    #[test]
    fn it_stays_within_bounds_and_needs_queries() {
        assert!((floor(100_000, 1.0) - MOST_FLOOR).abs() < 1e-3);
        assert!((floor(100_000, -1.0) - LEAST_FLOOR).abs() < 1e-6);
        let paper = vector(0.0);
        assert!((match_floor(&[&paper; 50], &[]) - MATCH_FLOOR).abs() < 1e-6);
        let other = DenseVector::new(vec![1.0, 0.0, 0.0]).expect("a vector");
        assert!(
            (match_floor(&[&paper; 50], &[other]) - MATCH_FLOOR).abs() < 1e-6,
            "of another encoder"
        );
    }

    #[test]
    fn papers_that_cannot_be_read_do_not_lower_it() {
        let (read, unread) = (
            vector(0.7_f32.acos()),
            DenseVector::new(vec![0.0, 0.0]).expect("a vector"),
        );
        let mut papers = vec![&read; 100];
        let queries = vec![vector(0.0); CALIBRATION_QUERIES.len()];
        let alone = match_floor(&papers, &queries);
        papers.extend([&unread; 400]);
        assert!((match_floor(&papers, &queries) - alone).abs() < 1e-6);
    }

    #[test]
    fn a_few_related_papers_do_not_raise_it() {
        let mut papers = vec![vector(1.4); 1_000];
        papers[..8].fill(vector(0.1));
        let papers: Vec<&DenseVector> = papers.iter().collect();
        let chance = vector(1.4).as_slice()[0];
        let floor = match_floor(&papers, &vec![vector(0.0); CALIBRATION_QUERIES.len()]);
        assert!((floor - chance).abs() < 0.02, "{floor} {chance}");
    }
}
