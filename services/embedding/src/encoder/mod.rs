//! The port between this service and a model, and the models that stand behind it.
//!
//! It says nothing about transport, batching or sparse weights. A model computes and blocks; callers keep it off the
//! threads that serve requests.

mod model;
mod static_model;

use std::path::Path;

pub use model::{
    Crew, CrewError, Description, EncodeError, LoadError, Model, TextKind, TokenizeError, Tokens, Workspace,
};

/// Loads the model in a folder, whose last part is its name.
pub fn load(folder: &Path) -> Result<Box<dyn Model>, LoadError> {
    let name = folder
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    Ok(Box::new(static_model::StaticModel::load(&name, folder)?))
}
