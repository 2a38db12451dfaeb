//! The port between this service and a model, and the models that stand behind it.
//!
//! It says nothing about transport, batching or sparse weights. A model computes and blocks; callers keep it off the
//! threads that serve requests.

mod model;
mod static_model;

pub use model::{Crew, Description, EncodeError, Model, ModelError, TextKind, TokenizeError, Tokens, Workspace};
pub use static_model::StaticModel;
