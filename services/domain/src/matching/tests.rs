//! The kernels against sums written out in plain Rust.

use proptest::prelude::*;

use super::kernel::TileKernel;
use super::*;
use crate::DenseVector;

/// Vectors of norm 1 out of a seed, now and then a zero one or one that was there before, so that scores tie.
fn vectors(seed: u64, count: usize, dimension: usize) -> Vec<DenseVector> {
    let mut state = seed | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut made: Vec<DenseVector> = Vec::with_capacity(count);
    for _ in 0..count {
        let values: Vec<f32> = (0..dimension)
            .map(|_| (next() >> 40) as f32 / (1_u64 << 23) as f32 - 1.0)
            .collect();
        let norm = values.iter().map(|v| v * v).sum::<f32>().sqrt();
        let vector = match (next() % 8, made.last()) {
            (0, Some(before)) => before.clone(),
            (1, _) => DenseVector::new(vec![0.0; dimension]).expect("zeros"),
            _ => DenseVector::new(values.iter().map(|v| v / norm.max(1e-9)).collect()).expect("a vector"),
        };
        made.push(vector);
    }
    made
}

/// All scores in double precision.
fn written_out(interest: &Int8Vector, paper: &DenseVector) -> f64 {
    let products = interest.values().iter().zip(paper.as_slice());
    let sum: f64 = products.map(|(code, value)| f64::from(*code) * f64::from(*value)).sum();
    f64::from(interest.scale()) * sum
}

fn panels(dimension: usize, papers: &[DenseVector]) -> Vec<(&'static str, Panel)> {
    let panel = |kernel: TileKernel| {
        let panel = Panel::for_kernel(kernel, dimension, papers).expect("one dimension");
        (kernel.name, panel)
    };
    TileKernel::all().into_iter().map(panel).collect()
}

fn found(panel: &Panel, asked: &[InterestQuery<'_>], k: usize) -> Vec<Vec<Match>> {
    let mut workspace = Workspace::default();
    let matches = top(panel, asked, k, &mut workspace).expect("one dimension");
    (0..asked.len()).map(|interest| matches.of(interest).to_vec()).collect()
}

proptest! {
    #[test]
    fn every_kernel_finds_the_best_in_order(
        seed in any::<u64>(),
        dimension in 1_usize..70,
        papers in prop_oneof![Just(0_usize), Just(1), 2..150_usize],
        interests in prop_oneof![1..14_usize, 90..110_usize],
        k in prop_oneof![Just(0_usize), 1..30_usize, Just(1_000)],
    ) {
        let papers = vectors(seed, papers, dimension);
        let interests: Vec<Int8Vector> =
            vectors(!seed, interests, dimension).iter().map(Int8Vector::quantise).collect();
        let skip: PaperSet = (0..papers.len()).filter(|paper| seed >> (paper % 61) & 1 == 0).collect();
        let asked: Vec<InterestQuery<'_>> = (interests.iter().enumerate())
            .map(|(at, vector)| InterestQuery { vector, skip: (at % 2 == 1).then_some(&skip) })
            .collect();
        for (name, panel) in panels(dimension, &papers) {
            prop_assert_eq!(panel.papers(), papers.len());
            // Exact with regard to the kernel's own scores: all of them, sorted, cut and skipped in plain Rust.
            let all_asked: Vec<InterestQuery<'_>> = asked.iter().map(|one| InterestQuery { skip: None, ..*one }).collect();
            let all = found(&panel, &all_asked, papers.len());
            for (at, best) in found(&panel, &asked, k).iter().enumerate() {
                let mut expected = all[at].clone();
                prop_assert_eq!(expected.len(), papers.len());
                for one in &expected {
                    let score = written_out(&interests[at], &papers[one.paper as usize]);
                    prop_assert!((f64::from(one.score) - score).abs() < 1e-5, "{name}: {one:?} is {score}");
                }
                expected.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.paper.cmp(&b.paper)));
                expected.retain(|one| at % 2 == 0 || !skip.contains(one.paper as usize));
                expected.truncate(k);
                prop_assert_eq!(best, &expected, "{}", name);
            }
        }
    }
}

#[test]
fn kernels_with_vector_instructions_give_the_same_scores() {
    let papers = vectors(5, 77, 384);
    let interests: Vec<Int8Vector> = vectors(6, 25, 384).iter().map(Int8Vector::quantise).collect();
    let asked: Vec<InterestQuery<'_>> = interests
        .iter()
        .map(|vector| InterestQuery { vector, skip: None })
        .collect();
    let mut all = panels(384, &papers)
        .into_iter()
        .skip(1)
        .map(|(_, panel)| found(&panel, &asked, 20));
    if let Some(first) = all.next() {
        assert!(all.all(|other| other == first));
    }
}

#[test]
fn equal_scores_are_in_the_order_of_the_papers_also_at_the_cut() {
    let vector = DenseVector::new(vec![0.6, 0.8]).expect("a vector");
    let papers = vec![vector.clone(); 500];
    let interest = Int8Vector::quantise(&vector);
    let asked = [InterestQuery {
        vector: &interest,
        skip: None,
    }];
    for (name, panel) in panels(2, &papers) {
        let places: Vec<u32> = found(&panel, &asked, 20)[0].iter().map(|one| one.paper).collect();
        assert_eq!(places, (0..20).collect::<Vec<u32>>(), "{name}");
    }
}

#[test]
fn a_workspace_may_be_used_for_panels_of_any_shape() {
    let mut workspace = Workspace::default();
    for (dimension, count) in [(5, 40), (3, 0), (8, 100)] {
        let papers = vectors(9, count, dimension);
        let interests: Vec<Int8Vector> = vectors(2, 30, dimension).iter().map(Int8Vector::quantise).collect();
        let asked: Vec<InterestQuery<'_>> = interests
            .iter()
            .map(|vector| InterestQuery { vector, skip: None })
            .collect();
        let panel = Panel::new(dimension, &papers).expect("one dimension");
        let matches = top(&panel, &asked, 7, &mut workspace).expect("one dimension");
        let again: Vec<Vec<Match>> = (0..30).map(|interest| matches.of(interest).to_vec()).collect();
        assert_eq!(again, found(&panel, &asked, 7));
        assert!(top(&panel, &[], 7, &mut workspace).is_ok());
    }
}

#[test]
fn other_dimensions_are_refused() {
    let papers = vectors(1, 3, 4);
    let refused = DimensionError { found: 4, expected: 5 };
    assert_eq!(Panel::new(5, &papers).err(), Some(refused));
    assert_eq!(
        refused.to_string(),
        "vector has 4 values; those it is compared with have 5"
    );
    let panel = Panel::new(4, &papers).expect("one dimension");
    let interest = Int8Vector::quantise(&vectors(1, 1, 5)[0]);
    let asked = [InterestQuery {
        vector: &interest,
        skip: None,
    }];
    let refused = DimensionError { found: 5, expected: 4 };
    assert_eq!(top(&panel, &asked, 1, &mut Workspace::default()).err(), Some(refused));
}
