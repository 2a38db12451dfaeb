//! Real papers, and the pages that people would open with them.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

/// Distinct searches and papers that are asked for in turn.
const DISTINCT: usize = 400;

/// The newest of the data, newest last.
pub struct Papers(Vec<Value>);

impl Papers {
    /// The last so many, moved in time so that the newest are of today; none where there is no data.
    pub fn read(most: usize) -> anyhow::Result<Option<Self>> {
        let Some(file) = tests::data::find("arxiv-daily/papers.jsonl.zst") else {
            return Ok(None);
        };
        let unpacked = ruzstd::decoding::StreamingDecoder::new(BufReader::new(std::fs::File::open(file)?))?;
        let mut lines = VecDeque::new();
        for line in BufReader::new(unpacked).lines() {
            lines.push_back(line?);
            if lines.len() > most {
                lines.pop_front();
            }
        }
        let papers: Result<Vec<Value>, _> = lines.iter().map(|line| serde_json::from_str(line)).collect();
        let mut papers = Self(papers?);
        papers.move_to_today()?;
        Ok(Some(papers))
    }

    fn move_to_today(&mut self) -> anyhow::Result<()> {
        let published =
            |paper: &Value| -> anyhow::Result<Date> { Ok(paper["published"].as_str().context("published")?.parse()?) };
        let newest = published(self.0.last().context("papers")?)?;
        let today = TimeZone::UTC.to_datetime(Timestamp::now()).date();
        for paper in &mut self.0 {
            let age = published(paper)?.until(newest)?.get_days();
            paper["published"] = json!(today.checked_sub(age.days())?.to_string());
            // Some have a whole list of subject codes as one category, which is longer than a category may be.
            if let Some(categories) = paper["categories"].as_array_mut() {
                categories.retain(|category| category.as_str().is_some_and(|category| category.len() <= 64));
            }
        }
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Newest first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().rev().filter_map(|paper| paper["id"].as_str())
    }

    /// As a file of JSON lines.
    pub fn write(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let path = folder.join("papers.jsonl");
        let mut out = std::io::BufWriter::new(std::fs::File::create(&path)?);
        for paper in &self.0 {
            writeln!(out, "{paper}")?;
        }
        out.flush()?;
        Ok(path)
    }

    /// Kinds of pages, each with the addresses that are asked for in turn.
    pub fn pages(&self) -> Vec<(&'static str, Vec<String>)> {
        let one = |path: &str| vec![path.to_owned()];
        vec![
            ("today", one("/")),
            ("month, cs.CL", one("/?window=month&category=cs.CL")),
            ("search", self.searches().collect()),
            (
                "paper",
                self.ids().take(DISTINCT).map(|id| format!("/papers/{id}")).collect(),
            ),
            ("feed of today", one("/feeds/today.atom")),
            ("about", one("/about")),
        ]
    }

    /// Words of titles, as people search for what they half remember.
    fn searches(&self) -> impl Iterator<Item = String> {
        let titles = self.0.iter().rev().filter_map(|paper| paper["title"].as_str());
        let words = titles.map(|title| {
            let word = |word: &str| word.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
            title
                .split_whitespace()
                .skip(1)
                .take(4)
                .map(word)
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>()
                .join("+")
        });
        words
            .filter(|words| words.len() > 8)
            .take(DISTINCT)
            .map(|words| format!("/search?q={words}"))
    }
}
