//! The texts: titles with abstracts, and short queries made of titles.

use std::path::PathBuf;

use anyhow::Context as _;
use serde::Deserialize;

use crate::figures::say;

const FILE: &str = "seed-papers/papers.jsonl";
/// Where the data is unless `BROADSHEET_DATA` says otherwise: beside the checkout.
const DATA: &str = "../shared/data";
/// Words of a title that make a query.
const QUERY_WORDS: usize = 6;

/// What is embedded.
pub struct Corpus {
    /// `title. abstract`.
    pub papers: Vec<String>,
    /// Short.
    pub queries: Vec<String>,
}

#[derive(Deserialize)]
struct Paper {
    title: String,
    r#abstract: String,
}

impl Corpus {
    /// Reads the papers under `BROADSHEET_DATA`, or beside the checkout. Where they are absent it says so and makes texts of the same size.
    pub fn read() -> anyhow::Result<Self> {
        let folder = std::env::var_os("BROADSHEET_DATA").unwrap_or_else(|| DATA.into());
        let file = PathBuf::from(folder).join(FILE);
        let papers = if file.exists() {
            let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            let papers: Result<Vec<Paper>, _> = text.lines().map(serde_json::from_str).collect();
            papers?
        } else {
            say(&format!(
                "NOTE: there is no {}; these figures are of made-up texts, not of papers",
                file.display()
            ));
            (0..247).map(made_up).collect()
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
    /// All papers so many times, with so many queries to each paper among them.
    pub fn mix(&self, repeats: usize, queries_per_paper: f64) -> Vec<&str> {
        let mut mix = Vec::new();
        let mut queries = self.queries.iter().cycle();
        let mut owed = 0.0;
        for paper in (0..repeats).flat_map(|_| &self.papers) {
            mix.push(paper.as_str());
            owed += queries_per_paper;
            while owed >= 1.0 {
                mix.extend(queries.next().map(String::as_str));
                owed -= 1.0;
            }
        }
        mix
    }
}

fn made_up(number: usize) -> Paper {
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
