//! Sentence encoders that run on the CPU: text to token ids to vectors, without a native inference library.
//!
//! [`load`] reads a model folder in the Hugging Face layout. The folder holds either a BERT encoder, which is computed on
//! packed sequences in 16-bit integers or f32, or a static model in the model2vec format. Threads share a [`Model`]; each
//! thread has its own [`Workspace`]. [`encode_all`] splits a list into micro-batches and encodes them on several threads.
//!
//! The crate never downloads files and knows nothing about transport, queues or storage. The only threads that outlive a
//! call are those of a [`ThreadPool`], which the caller owns. Unsafe code is confined to `kernel::avx2`.

mod batch;
mod bert;
mod error;
mod files;
mod kernel;
mod layout;
mod load;
mod model;
mod options;
mod static_model;
mod tensors;
mod thread_pool;
mod tokens;
mod vectors;
mod vocabulary;
mod workspace;

pub use batch::{MICRO_BATCH_TOKENS, encode_all, micro_batches};
pub use error::{EncodeError, LoadError, TokenizeError};
pub use load::load;
pub use model::{Model, ModelDescription};
pub use options::{Instructions, LoadOptions, Pooling, Precision};
pub use thread_pool::{ThreadPool, ThreadPoolError};
pub use tokens::{TextKind, Tokens};
pub use workspace::Workspace;
