//! A fake model: it fails on certain words, and waits until a test releases it.

use std::sync::Mutex;
use std::sync::{Arc, mpsc};

use encoder::{EncodeError, Model, ModelDescription, TextKind, ThreadPool, TokenizeError, Tokens, Workspace};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::TIME_LIMIT;

const PLAIN: u32 = 0;
const REFUSED: u32 = 1;
const PANIC: u32 = 2;
const INVALID: u32 = 3;
/// Ids from here on number the words `#0`, `#1` and so on, by which tests recognise texts.
const NUMBERED: u32 = 10;

/// One token per word, at most eight. It refuses `refused`, panics on `panic`, computes an invalid vector for `invalid`,
/// cannot tokenize `untokenizable`, panics on tokenizing `panictokenizing`, and gives all other texts the same vector.
pub struct FakeModel {
    description: ModelDescription,
    gate: Option<Gate>,
}

struct Gate {
    calls: UnboundedSender<ModelCall>,
    released: Mutex<mpsc::Receiver<()>>,
}

/// A call of the model.
#[derive(Debug, PartialEq, Eq)]
pub enum ModelCall {
    /// A batch: the number of each text.
    Batch(Vec<u32>),
    /// A sequence to split over threads: the number of its text.
    Split(u32),
}

/// Sees the calls of a gated model, and releases them. When it is dropped, all calls go through.
pub struct ModelControl {
    calls: UnboundedReceiver<ModelCall>,
    release: mpsc::Sender<()>,
}

impl ModelControl {
    /// Lets the model finish one call.
    pub fn release(&self) {
        self.release.send(()).expect("the model exists");
    }

    /// Waits for the next call, which goes on until it is released.
    pub async fn next_call(&mut self) -> ModelCall {
        let call = timeout(TIME_LIMIT, self.calls.recv()).await;
        call.expect("a call in time").expect("the model exists")
    }

    /// Waits for the next call and releases it.
    pub async fn release_next(&mut self) -> ModelCall {
        let call = self.next_call().await;
        self.release();
        call
    }
}

impl Default for FakeModel {
    fn default() -> Self {
        let description = ModelDescription {
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

impl FakeModel {
    /// The plain fake model under another name.
    pub fn named(name: &str) -> Self {
        let mut fake = Self::default();
        name.clone_into(&mut fake.description.name);
        fake
    }

    /// A model that reports each call and waits until it is released.
    pub fn gated(name: &str) -> (Arc<Self>, ModelControl) {
        let (sender, calls) = unbounded_channel();
        let (release, released) = mpsc::channel();
        let gate = Some(Gate {
            calls: sender,
            released: Mutex::new(released),
        });
        let fake = Self {
            gate,
            ..Self::named(name)
        };
        (Arc::new(fake), ModelControl { calls, release })
    }

    fn wait(&self, call: ModelCall) {
        if let Some(gate) = &self.gate {
            // Both fail when the control was dropped, and then nothing waits.
            let _ = gate.calls.send(call);
            let _ = gate.released.lock().expect("not poisoned").recv();
        }
    }

    fn compute(batch: &[&[u32]], out: &mut [f32]) -> Result<(), EncodeError> {
        for (ids, row) in batch.iter().zip(out.chunks_exact_mut(2)) {
            assert!(!ids.contains(&PANIC), "told to panic");
            if ids.contains(&REFUSED) {
                return Err(EncodeError::UnknownId {
                    position: 1,
                    count: batch.len(),
                    id: REFUSED,
                    ids: 0,
                });
            }
            row.copy_from_slice(if ids.contains(&INVALID) {
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

impl Model for FakeModel {
    fn description(&self) -> &ModelDescription {
        &self.description
    }

    fn tokenize(&self, _kind: TextKind, text: &str) -> Result<Tokens, TokenizeError> {
        if text.contains("untokenizable") {
            return Err(TokenizeError {
                reason: "told not to".to_owned(),
            });
        }
        assert!(!text.contains("panictokenizing"), "told to panic early");
        let id = |word: &str| match word.trim_end_matches('.') {
            "refused" => REFUSED,
            "panic" => PANIC,
            "invalid" => INVALID,
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
        self.wait(ModelCall::Batch(batch.iter().map(|ids| number(ids)).collect()));
        Self::compute(batch, out)
    }

    fn encode_split(
        &self,
        ids: &[u32],
        _thread_pool: &ThreadPool,
        _workspace: &mut Workspace,
        out: &mut [f32],
    ) -> Result<(), EncodeError> {
        self.wait(ModelCall::Split(number(ids)));
        Self::compute(&[ids], out)
    }
}
