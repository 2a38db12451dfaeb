//! Loads a model and executes the commands of a driver, so that several encoders can be timed in turn on the same texts.
//!
//! It measures wall-clock time only: the driver, `tests/bench-encoder`, reads the CPU time of every worker process from
//! outside. Usage: `worker FOLDER [f32] [avx2|portable]`. The first line of output says how long loading took. Commands,
//! one per line; each is answered by one line:
//!
//! * `tokens TEXTS IDS`: write the token ids of each line of the file TEXTS into the file IDS
//! * `sequences IDS`: read a list of sequences, one per line
//! * `batches THREADS SIZE FIRST STEP`: split the list into batches of SIZE and encode every STEP-th from FIRST on; answers
//!   nanoseconds and tokens
//! * `alone THREADS COUNT ID…`: encode one sequence COUNT times by itself; the answer has the same form
//! * `vectors SIZE PATH`: encode everything in batches of SIZE and write the vectors as little-endian f32

use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use encoder::{Instructions, LoadOptions, Model, Precision, TextKind, ThreadPool, Workspace, encode_all, load};

struct Worker {
    model: Box<dyn Model>,
    sequences: Vec<Vec<u32>>,
    workspaces: Vec<Workspace>,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, choices @ ..] = &arguments[..] else {
        bail!("usage: worker FOLDER [f32] [avx2|portable]")
    };
    let has = |word: &str| choices.iter().any(|choice| choice == word);
    let options = LoadOptions {
        precision: if has("f32") { Precision::F32 } else { Precision::Int16 },
        instructions: match choices {
            _ if has("portable") => Instructions::Portable,
            _ if has("avx2") => Instructions::Avx2,
            _ => Instructions::Auto,
        },
        // As many as the model has positions, so that no text is truncated.
        max_tokens: Some(512),
        ..LoadOptions::default()
    };
    let start = Instant::now();
    let model = load(Path::new(folder), &options)?;
    let loaded = start.elapsed();
    let mut worker = Worker {
        model,
        sequences: Vec::new(),
        workspaces: Vec::new(),
    };
    let mut out = std::io::stdout();
    writeln!(out, "{} {:?}", loaded.as_nanos(), worker.model.description())?;
    for line in std::io::stdin().lock().lines() {
        let answer = worker.execute(&line?)?;
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

impl Worker {
    fn execute(&mut self, line: &str) -> anyhow::Result<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["tokens", texts, ids] => self.tokens(texts, ids),
            ["sequences", path] => self.sequences(path),
            ["batches", threads, size, first, step] => {
                self.batches(threads.parse()?, size.parse()?, first.parse()?, step.parse()?)
            }
            ["alone", threads, count, ref ids @ ..] => self.alone(threads.parse()?, count.parse()?, &parse(ids)?),
            ["vectors", size, path] => self.vectors(size.parse()?, path),
            _ => bail!("no such command: {line}"),
        }
    }

    fn tokens(&self, texts: &str, ids: &str) -> anyhow::Result<String> {
        let mut lines = Vec::new();
        for text in std::fs::read_to_string(texts)?.lines() {
            let tokens = self.model.tokenize(TextKind::Document, text)?;
            lines.push(tokens.ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
        }
        std::fs::write(ids, lines.join("\n"))?;
        Ok(format!("{} texts", lines.len()))
    }

    fn sequences(&mut self, path: &str) -> anyhow::Result<String> {
        let text = std::fs::read_to_string(path).with_context(|| path.to_owned())?;
        let lines = text
            .lines()
            .map(|line| parse(&line.split_whitespace().collect::<Vec<_>>()));
        self.sequences = lines.collect::<Result<_, _>>()?;
        Ok(format!("{} sequences", self.sequences.len()))
    }

    fn batches(&mut self, threads: usize, size: usize, first: usize, step: usize) -> anyhow::Result<String> {
        ensure!(threads > 0 && size > 0 && step > 0);
        self.workspaces
            .resize_with(threads.max(self.workspaces.len()), Workspace::default);
        let mut tokens = 0;
        let start = Instant::now();
        for batch in self.sequences.chunks(size).skip(first).step_by(step) {
            let ids: Vec<&[u32]> = batch.iter().map(Vec::as_slice).collect();
            let mut vectors = vec![0.0; ids.len() * self.model.description().dimension];
            encode_all(&*self.model, &ids, &mut self.workspaces[..threads], &mut vectors)?;
            tokens += ids.iter().map(|ids| ids.len()).sum::<usize>();
        }
        Ok(format!("{} {tokens}", start.elapsed().as_nanos()))
    }

    fn alone(&self, threads: usize, count: usize, ids: &[u32]) -> anyhow::Result<String> {
        let thread_pool = ThreadPool::new(threads)?;
        let mut workspace = Workspace::default();
        let mut vector = vec![0.0; self.model.description().dimension];
        let start = Instant::now();
        for _ in 0..count {
            if threads > 1 {
                self.model
                    .encode_split(ids, &thread_pool, &mut workspace, &mut vector)?;
            } else {
                self.model.encode(&[ids], &mut workspace, &mut vector)?;
            }
        }
        Ok(format!("{} {}", start.elapsed().as_nanos(), ids.len() * count))
    }

    fn vectors(&mut self, size: usize, path: &str) -> anyhow::Result<String> {
        ensure!(size > 0);
        let mut workspace = Workspace::default();
        let mut bytes = Vec::new();
        for batch in self.sequences.chunks(size) {
            let ids: Vec<&[u32]> = batch.iter().map(Vec::as_slice).collect();
            let mut vectors = vec![0.0; ids.len() * self.model.description().dimension];
            self.model.encode(&ids, &mut workspace, &mut vectors)?;
            bytes.extend(vectors.iter().flat_map(|value| value.to_le_bytes()));
        }
        std::fs::write(path, bytes)?;
        Ok(format!("{} sequences", self.sequences.len()))
    }
}

fn parse(ids: &[&str]) -> Result<Vec<u32>, std::num::ParseIntError> {
    ids.iter().copied().map(str::parse).collect()
}
