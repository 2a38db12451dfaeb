//! The texts: titles with abstracts, and short queries made of titles.

use std::path::PathBuf;

use anyhow::Context as _;
use serde::Deserialize;

use crate::figures::print_line;

const FILE: &str = "seed-papers/papers.jsonl";
/// Where the data is unless `BROADSHEET_DATA` is set: beside the checkout.
const DATA: &str = "../shared/data";
/// Words of a title that form a query.
const QUERY_WORDS: usize = 6;

/// The texts to embed.
pub struct Corpus {
    /// `title. abstract`.
    pub papers: Vec<String>,
    /// The first words of the titles.
    pub queries: Vec<String>,
}

#[derive(Deserialize)]
struct Paper {
    title: String,
    r#abstract: String,
}

impl Corpus {
    /// Reads the papers under `BROADSHEET_DATA`, or beside the checkout. Without them it prints a note and generates texts of
    /// the same size.
    pub fn read() -> anyhow::Result<Self> {
        let folder = std::env::var_os("BROADSHEET_DATA").unwrap_or_else(|| DATA.into());
        let file = PathBuf::from(folder).join(FILE);
        let papers = if file.exists() {
            let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            let papers: Result<Vec<Paper>, _> = text.lines().map(serde_json::from_str).collect();
            papers?
        } else {
            print_line(&format!(
                "NOTE: {} does not exist; these figures are for generated texts, not for papers",
                file.display()
            ));
            (0..247).map(generated).collect()
        };
        let query = |paper: &Paper| {
            let words: Vec<&str> = paper.title.split_whitespace().take(QUERY_WORDS).collect();
            words.join(" ")
        };
        Ok(Self {
            queries: papers.iter().map(query).collect(),
            papers: papers
                .iter()
                .map(|paper| format!("{}. {}", paper.title, paper.r#abstract))
                .collect(),
        })
    }
}

impl Corpus {
    /// All papers `repeats` times, with this many queries per paper between them.
    pub fn mix(&self, repeats: usize, queries_per_paper: f64) -> Vec<&str> {
        let mut mix = Vec::new();
        let mut queries = self.queries.iter().cycle();
        let mut due = 0.0;
        for paper in (0..repeats).flat_map(|_| &self.papers) {
            mix.push(paper.as_str());
            due += queries_per_paper;
            while due >= 1.0 {
                mix.extend(queries.next().map(String::as_str));
                due -= 1.0;
            }
        }
        mix
    }
}

fn generated(number: usize) -> Paper {
    const WORDS: [&str; 12] = [
        "graph",
        "neural",
        "of",
        "learning",
        "the",
        "robust",
        "retrieval",
        "a",
        "language",
        "with",
        "quantum",
        "model",
    ];
    let text = |words: usize, step: usize| {
        let words: Vec<&str> = (0..words).map(|i| WORDS[(number + i * step) % WORDS.len()]).collect();
        words.join(" ")
    };
    Paper {
        title: text(9, 5),
        r#abstract: text(150 + number % 120, 7),
    }
}
