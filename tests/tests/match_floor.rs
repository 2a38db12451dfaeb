//! The floor of matches fits the encoders that come with the platform, measured with real papers and interests that are none of
//! the calibration queries.
//!
//! It needs `arxiv-daily`, which is not part of the repository (see `tests::data`).
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests, which print what they measured"
)]

use std::io::{BufRead as _, BufReader};

use domain::DenseVector;
use domain::selection::floor::{CALIBRATION_QUERIES, MATCH_FLOOR, match_floor};
use encoder::{Model, TextKind, Tokens};
use serde_json::Value;

/// Papers of the window.
const PAPERS: usize = 300;

/// As readers put them.
const INTERESTS: [&str; 12] = [
    "hallucination detection",
    "retrieval-augmented generation",
    "3D Gaussian splatting",
    "federated learning and privacy",
    "time series forecasting",
    "adversarial robustness",
    "theorem proving with language models",
    "video understanding",
    "low-resource languages",
    "remote sensing of crops",
    "agents that use tools",
    "fairness in machine learning",
];

fn texts() -> Option<Vec<String>> {
    let packed = std::fs::File::open(tests::data::find("arxiv-daily/papers.jsonl.zst")?).unwrap();
    let unpacked = ruzstd::decoding::StreamingDecoder::new(BufReader::new(packed)).unwrap();
    let lines = BufReader::new(unpacked).lines().take(PAPERS);
    let text = |line: std::io::Result<String>| {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        format!(
            "{}. {}",
            line["title"].as_str().unwrap(),
            line["abstract"].as_str().unwrap()
        )
    };
    Some(lines.map(text).collect())
}

fn embed(encoder: &dyn Model, kind: TextKind, texts: &[&str]) -> Vec<DenseVector> {
    let tokens: Vec<Tokens> = texts.iter().map(|text| encoder.tokenize(kind, text).unwrap()).collect();
    let sequences: Vec<&[u32]> = tokens.iter().map(|tokens| tokens.ids.as_slice()).collect();
    let dimension = encoder.description().dimension;
    let mut out = vec![0.0; sequences.len() * dimension];
    let mut workspaces = [encoder::Workspace::default(), encoder::Workspace::default()];
    encoder::encode_all(encoder, &sequences, &mut workspaces, &mut out).unwrap();
    out.chunks_exact(dimension)
        .map(|values| DenseVector::new(values.to_vec()).unwrap())
        .collect()
}

/// All cosines of some interests with papers, lowest first.
fn cosines(interests: &[DenseVector], papers: &[DenseVector]) -> Vec<f32> {
    let of = |interest: &DenseVector| {
        let of_paper = |paper: &DenseVector| {
            interest
                .as_slice()
                .iter()
                .zip(paper.as_slice())
                .map(|(a, b)| a * b)
                .sum()
        };
        papers.iter().map(of_paper).collect::<Vec<f32>>()
    };
    let mut cosines: Vec<f32> = interests.iter().flat_map(of).collect();
    cosines.sort_by(f32::total_cmp);
    cosines
}

/// The floor of an encoder, after a look at what it leaves of interests that are none of the calibration queries.
fn measured(model: &str, texts: &[String]) -> f32 {
    let folder = standalone::Toolbox::from_env().model(model).unwrap();
    let encoder = encoder::load(&folder, &encoder::LoadOptions::default()).unwrap();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let papers = embed(encoder.as_ref(), TextKind::Document, &texts);
    let calibration = embed(encoder.as_ref(), TextKind::Query, &CALIBRATION_QUERIES);
    let interests = embed(encoder.as_ref(), TextKind::Query, &INTERESTS);
    let of_papers: Vec<&DenseVector> = papers.iter().collect();
    let floor = match_floor(&of_papers, &calibration);
    let few = match_floor(&of_papers[..40], &calibration);
    let (chance, wanted) = (cosines(&calibration, &papers), cosines(&interests, &papers));
    let at = |cosines: &[f32], percent: usize| cosines[(cosines.len() - 1) * percent / 100];
    let above = wanted.iter().filter(|cosine| **cosine >= floor).count() as f64 / wanted.len() as f64;
    let best: Vec<f32> = interests
        .iter()
        .map(|one| *cosines(std::slice::from_ref(one), &papers).last().unwrap())
        .collect();
    eprintln!(
        "{model}: floor {floor:.3}, of 40 papers {few:.3}; cosines of calibration queries p50 {:.3} p90 {:.3} p95 {:.3} p97 {:.3} p98 {:.3} p99 {:.3}; of interests \
         p50 {:.3} p90 {:.3} p95 {:.3} p98 {:.3}, {:.1} % above the floor, best {best:.3?}",
        at(&chance, 50),
        at(&chance, 90),
        at(&chance, 95),
        at(&chance, 97),
        at(&chance, 98),
        at(&chance, 99),
        at(&wanted, 50),
        at(&wanted, 90),
        at(&wanted, 95),
        at(&wanted, 98),
        100.0 * above,
    );
    assert!((0.005..0.12).contains(&above), "{model}: {above} of all pairs match");
    let served = best.iter().filter(|best| **best >= floor).count();
    assert!(
        served + 1 >= INTERESTS.len(),
        "{model}: {served} interests find a paper"
    );
    assert!((floor - few).abs() < 0.08, "{model}: {floor} and {few} of few papers");
    floor
}

#[test]
fn each_shipped_encoder_has_the_floor_that_fits_it() {
    let Some(texts) = texts() else { return };
    let minilm = measured("all-MiniLM-L6-v2", &texts);
    let potion = measured("potion-base-8M", &texts);
    assert!((minilm - MATCH_FLOOR).abs() < 0.04, "{minilm}");
    assert!((0.35..0.44).contains(&potion), "{potion}");
}
