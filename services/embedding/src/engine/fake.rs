//! A model that does what tests tell it to: fails over certain words, and waits to be let go.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use encoder::{Crew, Description, EncodeError, Model, TextKind, TokenizeError, Tokens, Workspace};

const PLAIN: u32 = 0;
const REFUSED: u32 = 1;
const PANIC: u32 = 2;
const UNSOUND: u32 = 3;
/// Ids from here on number the words `#0`, `#1` and so on, by which tests know texts again.
const NUMBERED: u32 = 10;

/// One token per word, at most eight. Refuses `refused`, panics at `panic`, computes an unsound vector for `unsound`,
/// cannot split `unsplittable`, and gives all others the same vector.
pub struct Fake {
    description: Description,
    gate: Option<Gate>,
}

struct Gate {
    seen: Mutex<Sender<Seen>>,
    go: Mutex<Receiver<()>>,
}

/// What the model was given.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    /// A batch: the number of each text.
    Batch(Vec<u32>),
    /// A sequence to split over threads: the number of its text.
    Split(u32),
}

/// The other side of a gated model.
pub struct Keeper {
    /// What the model was given, as it begins with it.
    pub seen: Receiver<Seen>,
    go: Sender<()>,
}

impl Keeper {
    /// Lets the model finish one thing.
    pub fn let_go(&self) {
        self.go.send(()).expect("the model is there");
    }

    /// What the model begins with next; then lets it finish.
    pub fn pass(&self) -> Seen {
        let seen = self.seen.recv().expect("the model is there");
        self.let_go();
        seen
    }
}

impl Default for Fake {
    fn default() -> Self {
        let description = Description {
            name: "fake".to_owned(),
            weights_sha256: "0123456789abcdef".to_owned(),
            dimension: 2,
            max_tokens: 8,
            dtype: "f32",
            architecture: "fake",
            instructions: "portable",
        };
        Self {
            description,
            gate: None,
        }
    }
}

impl Fake {
    /// One of another name.
    pub fn named(name: &str) -> Self {
        let mut fake = Self::default();
        name.clone_into(&mut fake.description.name);
        fake
    }

    /// One that tells what it begins with and waits before it finishes.
    pub fn gated() -> (Arc<Self>, Keeper) {
        Self::gated_as("fake")
    }

    /// The same under another name.
    pub fn gated_as(name: &str) -> (Arc<Self>, Keeper) {
        let (told, seen) = channel();
        let (go, wait) = channel();
        let gate = Some(Gate {
            seen: Mutex::new(told),
            go: Mutex::new(wait),
        });
        let fake = Self {
            gate,
            ..Self::named(name)
        };
        (Arc::new(fake), Keeper { seen, go })
    }

    fn wait(&self, seen: Seen) {
        if let Some(gate) = &self.gate {
            // A keeper that went away lets everything pass.
            let _ = gate.seen.lock().expect("sound").send(seen);
            let _ = gate.go.lock().expect("sound").recv();
        }
    }

    fn compute(batch: &[&[u32]], out: &mut [f32]) -> Result<(), EncodeError> {
        for (ids, row) in batch.iter().zip(out.chunks_exact_mut(2)) {
            assert!(!ids.contains(&PANIC), "asked to panic");
            if ids.contains(&REFUSED) {
                return Err(EncodeError::UnknownId {
                    position: 1,
                    count: batch.len(),
                    id: REFUSED,
                    ids: 0,
                });
            }
            row.copy_from_slice(if ids.contains(&UNSOUND) {
                &[3.0, 4.0]
            } else {
                &[0.6, 0.8]
            });
        }
        Ok(())
    }
}

fn number(ids: &[u32]) -> u32 {
    ids.iter().find(|id| **id >= NUMBERED).map_or(0, |id| id - NUMBERED)
}

impl Model for Fake {
    fn description(&self) -> &Description {
        &self.description
    }

    fn tokenize(&self, _kind: TextKind, text: &str) -> Result<Tokens, TokenizeError> {
        if text.contains("unsplittable") {
            return Err(TokenizeError {
                reason: "asked not to".to_owned(),
            });
        }
        assert!(!text.contains("panicsplit"), "asked to panic early");
        let id = |word: &str| match word.trim_end_matches('.') {
            "refused" => REFUSED,
            "panic" => PANIC,
            "unsound" => UNSOUND,
            word => match word.strip_prefix('#') {
                Some(number) => NUMBERED + number.parse::<u32>().expect("a number"),
                None => PLAIN,
            },
        };
        let mut ids: Vec<u32> = text.split_whitespace().map(id).collect();
        let truncated = ids.len() > 8;
        ids.truncate(8);
        Ok(Tokens { ids, truncated })
    }

    fn encode(&self, batch: &[&[u32]], _workspace: &mut Workspace, out: &mut [f32]) -> Result<(), EncodeError> {
        self.wait(Seen::Batch(batch.iter().map(|ids| number(ids)).collect()));
        Self::compute(batch, out)
    }

    fn encode_split(
        &self,
        ids: &[u32],
        _crew: &Crew,
        _workspace: &mut Workspace,
        out: &mut [f32],
    ) -> Result<(), EncodeError> {
        self.wait(Seen::Split(number(ids)));
        Self::compute(&[ids], out)
    }
}
