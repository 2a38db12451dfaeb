//! Matches synthetic readers with a window of real papers, and chooses for each: what the core of a digest costs.
//!
//! `just bench-matching` runs it. The window is the 1,200 newest papers of `arxiv-daily`. Every reader has three interests, each a
//! mixture of one to three of the 2,400 papers before those and some noise, kept as int8, and has seen some papers. `SUBSCRIBERS`
//! is how many there are. Vectors are of all-MiniLM-L6-v2, or of the static model where `MODEL=static`; the first run embeds the
//! papers in a process of its own (two minutes) and keeps the vectors in the user's cache. Readers' vectors are all made before
//! anything is measured, for they are what memory is for; what is beyond them is told.
//!
//! Times are of the processor, and the peak is measured in the same run. It measures; it never judges.
#![expect(clippy::print_stdout, reason = "figures are what it is for")]

mod meter;
mod papers;
mod readers;
mod run;

use anyhow::Context as _;
use domain::matching::Panel;
use domain::matching::kernel::TileKernel;
use domain::selection::floor::MATCH_FLOOR;
use domain::selection::{Candidate, CandidatePool, initial_k};

use self::papers::Papers;
use self::run::{Figures, THREADS};

/// Readers on whom kernels are compared.
const FEW: usize = 6_000;

fn main() -> anyhow::Result<()> {
    let model = std::env::var("MODEL").unwrap_or_else(|_| "minilm".to_owned());
    if std::env::args().nth(1).as_deref() == Some(papers::EMBED) {
        return papers::embed(&model);
    }
    let Some(papers) = Papers::open(&model)? else {
        return Ok(());
    };
    let subscribers = std::env::var("SUBSCRIBERS").ok().map(|count| count.parse());
    let subscribers: usize = subscribers
        .transpose()
        .context("SUBSCRIBERS is a number")?
        .unwrap_or(1_000_000);
    measure(&papers, subscribers)
}

fn measure(papers: &Papers, subscribers: usize) -> anyhow::Result<()> {
    let pool = pool(papers);
    let dimension = papers.dimension();
    let panel = pool.panel(dimension)?;
    println!(
        "{} papers of {dimension} values, {} interests of each reader, k = {}, {THREADS} threads",
        panel.papers(),
        readers::INTERESTS,
        initial_k(readers::PAPERS)
    );
    print_floor(papers);
    let before = meter::rss_mb("VmRSS")?;
    let vectors = readers::vectors(&papers.sources, subscribers);
    let kept = meter::rss_mb("VmRSS")?.saturating_sub(before);
    println!("vectors of {subscribers} readers: {kept} MB");
    print_kernels(
        &pool,
        dimension,
        &vectors[..vectors.len().min(FEW * readers::INTERESTS)],
    )?;

    let (plain, with_words) = (
        readers::preferences(&[]),
        readers::preferences(&["quantum", "medical images"]),
    );
    let few = vectors.len().min(20_000 * readers::INTERESTS);
    let words = run::run(&pool, &panel, &vectors[..few], &with_words)?;
    let peak = run::peak(TileKernel::choose());
    let mut last = None;
    println!(
        "\nsubscribers  cpu s  wall s  of peak  selection µs each  papers each  nothing  more needed  MB beyond vectors"
    );
    let mut counts = vec![subscribers.min(100_000), subscribers];
    counts.dedup();
    for count in counts {
        meter::forget_most()?;
        let figures = run::run(&pool, &panel, &vectors[..count * readers::INTERESTS], &plain)?;
        let rss = meter::rss_mb("VmHWM")?.saturating_sub(kept);
        let of_peak = figures.products(&panel) / figures.matching_s / peak;
        println!(
            "{count:>11} {:>6.1} {:>7.1} {of_peak:>8.3} {:>18.2} {:>12.2} {:>8} {:>12} {rss:>18}",
            figures.matching_s,
            figures.wall_s,
            figures.selection_us(),
            figures.chosen as f64 / figures.readers as f64,
            figures.empty,
            figures.again,
        );
        last = Some((count, figures.matching_s, of_peak, rss));
    }
    println!(
        "selection with two excluded words: {:.1} µs each\n",
        words.selection_us()
    );
    let (count, cpu, of_peak, rss) = last.context("at least one reader")?;
    println!("matching: subscribers={count} cpu_s={cpu:.1} of_peak={of_peak:.2} rss_mb={rss}");
    Ok(())
}

/// The window, a tenth of which is trending.
fn pool(papers: &Papers) -> CandidatePool<'_> {
    let candidates = (0_u16..).zip(&papers.window).map(|(at, (paper, dense))| Candidate {
        paper,
        dense,
        indexed_ms: i64::from(at),
        trending: if at % 10 == 0 { f32::from(at % 97) } else { 0.0 },
    });
    CandidatePool::new(candidates.collect())
}

/// Where the floor lies among the cosines of interests in words with all papers of the window, few of which fit any.
fn print_floor(papers: &Papers) {
    let mut cosines: Vec<f32> = Vec::new();
    let mut best: Vec<f32> = Vec::new();
    for words in &papers.words {
        let of_window = papers.window.iter().map(|(_, dense)| {
            let pairs = words.as_slice().iter().zip(dense.as_slice());
            pairs.map(|(a, b)| a * b).sum::<f32>()
        });
        let from = cosines.len();
        cosines.extend(of_window);
        best.push(cosines[from..].iter().copied().fold(f32::MIN, f32::max));
    }
    cosines.sort_by(f32::total_cmp);
    best.sort_by(f32::total_cmp);
    let at = |percent: usize| cosines[(cosines.len() - 1) * percent / 100];
    let above = cosines.iter().filter(|cosine| **cosine >= MATCH_FLOOR).count();
    println!(
        "cosines of {} interests in words with the window: median {:.3}, p90 {:.3}, p95 {:.3}, p99 {:.3}; best of an interest {:.3} to {:.3}; {:.1} % above the floor of {MATCH_FLOOR}",
        papers.words.len(),
        at(50),
        at(90),
        at(95),
        at(99),
        best[0],
        best[best.len() - 1],
        100.0 * above as f64 / cosines.len() as f64,
    );
}

/// Each kernel beside the peak of its instructions.
fn print_kernels(pool: &CandidatePool<'_>, dimension: usize, vectors: &[domain::Int8Vector]) -> anyhow::Result<()> {
    println!("\nkernel    peak GFMA/s  product alone  of peak  with the best 20  of peak");
    for kernel in TileKernel::all() {
        let panel = Panel::for_kernel(kernel, dimension, pool.candidates().iter().map(|one| one.dense))?;
        // It is many times slower.
        let vectors = if kernel.name == "portable" {
            &vectors[..vectors.len().min(600)]
        } else {
            vectors
        };
        let peak = run::peak(kernel);
        let rate = |k: usize| -> anyhow::Result<f64> {
            let seconds = run::matching_alone(&panel, vectors, k)?;
            Ok(Figures::products_of(&panel, vectors.len()) / seconds)
        };
        let (alone, best) = (rate(0)?, rate(initial_k(readers::PAPERS))?);
        println!(
            "{:<9} {:>11.1} {:>14.1} {:>8.3} {:>17.1} {:>8.3}",
            kernel.name,
            peak / 1e9,
            alone / 1e9,
            alone / peak,
            best / 1e9,
            best / peak
        );
    }
    Ok(())
}
