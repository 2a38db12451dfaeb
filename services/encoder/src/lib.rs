//! Sentence encoders on the processor: text to token ids to vectors, with no native library.
//!
//! [`load`] reads a model folder as Hugging Face lays it out and picks what it holds: a BERT encoder, computed on packed
//! sequences with 16-bit integers or f32, or a static model in the model2vec format. A [`Model`] is shared by threads;
//! each brings its own [`Workspace`]. [`encode_all`] spreads a list over threads in micro-batches.
//!
//! The crate never fetches files, knows nothing about transport, queues or storage, and starts no thread that outlives a
//! call, except those of a [`Crew`] that the caller owns. Unsafe code is in `kernel::avx2` alone.

mod batch;
mod bert;
mod crew;
mod error;
mod files;
mod kernel;
mod layout;
mod model;
mod options;
mod static_model;
mod tensors;
mod tokens;

pub use batch::{MICRO_BATCH_TOKENS, encode_all, micro_batches};
pub use bert::Workspace;
pub use crew::{Crew, CrewError};
pub use error::{EncodeError, LoadError, TokenizeError};
pub use model::{Description, Model, load};
pub use options::{Instructions, Options, Pooling, Precision};
pub use tokens::{TextKind, Tokens};
