//! Holds a model and obeys a driver line by line, so that several encoders can be timed in turn on the same texts.
//!
//! It takes no time itself but that of the wall: the driver reads the process's CPU time from outside, for all workers in
//! the same way. `worker FOLDER SEQUENCES [int16|f32] [auto|portable]`, where a line of the file SEQUENCES is the token ids of
//! one text. Commands, one a line; each is answered by one line:
//!
//! * `batches THREADS SIZE STEP`: cut the list into batches of SIZE and encode every STEP-th; answers nanoseconds and tokens
//! * `alone THREADS NUMBER COUNT`: encode one sequence COUNT times by itself; answers the same
//! * `vectors SIZE PATH`: encode everything in batches of SIZE and write the vectors as little-endian f32

use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use encoder::{Crew, Instructions, Model, Options, Precision, Workspace, encode_all, load};

struct Worker {
    model: Box<dyn Model>,
    sequences: Vec<Vec<u32>>,
    workspaces: Vec<Workspace>,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, sequences, rest @ ..] = &arguments[..] else {
        bail!("usage: worker FOLDER SEQUENCES [int16|f32] [auto|portable]")
    };
    let has = |word: &str| rest.iter().any(|argument| argument == word);
    let options = Options {
        precision: if has("f32") { Precision::F32 } else { Precision::Int16 },
        instructions: if has("portable") {
            Instructions::Portable
        } else {
            Instructions::Auto
        },
        ..Options::default()
    };
    let start = Instant::now();
    let model = load(Path::new(folder), &options)?;
    let loaded = start.elapsed();
    let text = std::fs::read_to_string(sequences).with_context(|| sequences.clone())?;
    let parse = |line: &str| line.split_whitespace().map(str::parse).collect::<Result<Vec<u32>, _>>();
    let sequences = text.lines().map(parse).collect::<Result<Vec<_>, _>>()?;
    let mut worker = Worker {
        model,
        sequences,
        workspaces: Vec::new(),
    };
    let mut out = std::io::stdout();
    writeln!(out, "{} {:?}", loaded.as_nanos(), worker.model.description())?;
    for line in std::io::stdin().lock().lines() {
        let answer = worker.obey(&line?)?;
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

impl Worker {
    fn obey(&mut self, line: &str) -> anyhow::Result<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["batches", threads, size, step] => self.batches(threads.parse()?, size.parse()?, step.parse()?),
            ["alone", threads, number, count] => self.alone(threads.parse()?, number.parse()?, count.parse()?),
            ["vectors", size, path] => self.vectors(size.parse()?, path),
            _ => bail!("no such command: {line}"),
        }
    }

    fn batches(&mut self, threads: usize, size: usize, step: usize) -> anyhow::Result<String> {
        ensure!(threads > 0 && size > 0 && step > 0);
        self.workspaces
            .resize_with(threads.max(self.workspaces.len()), Workspace::default);
        let mut tokens = 0;
        let start = Instant::now();
        for batch in self.sequences.chunks(size).step_by(step) {
            let ids: Vec<&[u32]> = batch.iter().map(Vec::as_slice).collect();
            let mut vectors = vec![0.0; ids.len() * self.model.description().dimension];
            encode_all(&*self.model, &ids, &mut self.workspaces[..threads], &mut vectors)?;
            tokens += ids.iter().map(|ids| ids.len()).sum::<usize>();
        }
        Ok(format!("{} {tokens}", start.elapsed().as_nanos()))
    }

    fn alone(&mut self, threads: usize, number: usize, count: usize) -> anyhow::Result<String> {
        let ids = self.sequences.get(number).context("no such sequence")?;
        let crew = Crew::new(threads)?;
        let mut workspace = Workspace::default();
        let mut vector = vec![0.0; self.model.description().dimension];
        let start = Instant::now();
        for _ in 0..count {
            if threads > 1 {
                self.model.encode_split(ids, &crew, &mut workspace, &mut vector)?;
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
