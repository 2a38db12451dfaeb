//! Real papers and their vectors.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use domain::document::document_text;
use domain::{DenseVector, Paper, PaperId};
use encoder::TextKind;
use jiff::Timestamp;
use serde_json::Value;

/// The argument for the process that embeds.
pub const EMBED: &str = "embed";
const WINDOW: usize = 1_200;
const SOURCES: usize = 2_400;

/// Interests as readers put them into words.
const WORDS: [&str; 24] = [
    "graph neural networks for molecules",
    "protein structure prediction",
    "large language models for code",
    "diffusion models for image generation",
    "reinforcement learning from human feedback",
    "medical image segmentation",
    "autonomous driving perception",
    "speech recognition for low-resource languages",
    "federated learning and privacy",
    "quantum error correction",
    "retrieval-augmented generation",
    "3D Gaussian splatting",
    "robot manipulation",
    "time series forecasting",
    "adversarial attacks and robustness",
    "fairness in machine learning",
    "mechanism design and auctions",
    "wireless communication and beamforming",
    "remote sensing of crops",
    "hallucination detection",
    "theorem proving with language models",
    "video understanding",
    "recommender systems",
    "climate and weather models",
];

/// The window, newest last, the papers before it, and interests in words, as vectors of one model.
pub struct Papers {
    pub window: Vec<(Paper, DenseVector)>,
    pub sources: Vec<DenseVector>,
    pub words: Vec<DenseVector>,
}

impl Papers {
    /// From the data and the cache; none where there is no data.
    pub fn open(model: &str) -> anyhow::Result<Option<Self>> {
        if data().is_none() {
            return Ok(None);
        }
        let kept = kept(model)?;
        if !kept.exists() {
            println!(
                "embedding the papers once; their vectors are kept in {}",
                kept.display()
            );
            // In a process of its own, so that the model's memory is not counted.
            let embedding = std::process::Command::new(std::env::current_exe()?)
                .arg(EMBED)
                .status()?;
            ensure!(embedding.success(), "the papers are not embedded");
        }
        let mut vectors = read(&kept)?;
        let papers = read_papers()?;
        ensure!(
            vectors.len() == papers.len() + WORDS.len(),
            "{} is of other papers",
            kept.display()
        );
        let words = vectors.split_off(papers.len());
        let of_window = vectors.split_off(SOURCES);
        let window = papers.into_iter().skip(SOURCES).zip(of_window).collect();
        Ok(Some(Self {
            window,
            sources: vectors,
            words,
        }))
    }

    /// Values in a vector.
    pub fn dimension(&self) -> usize {
        self.sources.first().map_or(0, DenseVector::dimension)
    }
}

/// Embeds papers and words and keeps their vectors.
pub fn embed(model: &str) -> anyhow::Result<()> {
    let name = if model == "static" {
        "potion-base-8M"
    } else {
        "all-MiniLM-L6-v2"
    };
    let folder = standalone::Toolbox::from_env().model(name)?;
    let encoder = encoder::load(&folder, &encoder::LoadOptions::default())?;
    let papers = read_papers()?;
    let documents = papers.iter().map(|paper| (TextKind::Document, document_text(paper)));
    let words = WORDS.iter().map(|words| (TextKind::Query, (*words).to_owned()));
    let tokens = documents.chain(words).map(|(kind, text)| encoder.tokenize(kind, &text));
    let tokens: Vec<encoder::Tokens> = tokens.collect::<Result<_, _>>()?;
    let sequences: Vec<&[u32]> = tokens.iter().map(|tokens| tokens.ids.as_slice()).collect();
    let mut out = vec![0.0; sequences.len() * encoder.description().dimension];
    let mut workspaces = [encoder::Workspace::default(), encoder::Workspace::default()];
    encoder::encode_all(encoder.as_ref(), &sequences, &mut workspaces, &mut out)?;
    let bytes: Vec<u8> = out.iter().flat_map(|value| value.to_le_bytes()).collect();
    let kept = kept(model)?;
    std::fs::create_dir_all(kept.parent().context("a folder")?)?;
    let unfinished = kept.with_extension("unfinished");
    std::fs::write(&unfinished, bytes)?;
    Ok(std::fs::rename(unfinished, kept)?)
}

fn read(kept: &Path) -> anyhow::Result<Vec<DenseVector>> {
    let bytes = std::fs::read(kept)?;
    let values = bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value));
    let values: Vec<f32> = values.collect();
    let dimension = values.len() / (SOURCES + WINDOW + WORDS.len());
    let vectors = values
        .chunks_exact(dimension.max(1))
        .map(|values| DenseVector::new(values.to_vec()));
    Ok(vectors.collect::<Result<_, _>>()?)
}

fn data() -> Option<PathBuf> {
    tests::data::find("arxiv-daily/papers.jsonl.zst")
}

fn kept(model: &str) -> anyhow::Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = cache.or_else(home).context("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(cache.join(format!("broadsheet/bench-matching/arxiv-daily-{model}.vectors")))
}

/// The newest, which come last.
fn read_papers() -> anyhow::Result<Vec<Paper>> {
    let packed = std::fs::File::open(data().context("the papers are needed")?)?;
    let unpacked = ruzstd::decoding::StreamingDecoder::new(BufReader::new(packed))?;
    let mut lines = VecDeque::new();
    for line in BufReader::new(unpacked).lines() {
        lines.push_back(line?);
        if lines.len() > SOURCES + WINDOW {
            lines.pop_front();
        }
    }
    ensure!(lines.len() == SOURCES + WINDOW, "too few papers");
    lines.iter().map(|line| paper(&serde_json::from_str(line)?)).collect()
}

fn paper(line: &Value) -> anyhow::Result<Paper> {
    let text = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
    let list = |field: &str| -> Vec<String> {
        let entries = line[field].as_array().into_iter().flatten();
        entries.filter_map(|entry| Some(entry.as_str()?.to_owned())).collect()
    };
    Ok(Paper {
        id: PaperId::parse(&text("id"))?,
        title: text("title"),
        abstract_text: text("abstract"),
        authors: domain::names::each(list("authors")),
        categories: list("categories"),
        published: Some(Timestamp::UNIX_EPOCH),
        updated: None,
        links: Vec::new(),
        source: "arxiv".into(),
        revision: 1,
        content_hash: String::new(),
        language: String::new(),
        accepted: Timestamp::UNIX_EPOCH,
        revised: Timestamp::UNIX_EPOCH,
    })
}
