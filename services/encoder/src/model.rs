//! The port of this crate: what a model can do, and how one is loaded.

use std::path::Path;

use crate::bert::{Bert, Workspace};
use crate::crew::Crew;
use crate::error::{EncodeError, LoadError, TokenizeError};
use crate::layout::{Config, Kind};
use crate::options::Options;
use crate::static_model::StaticModel;
use crate::tokens::{TextKind, Tokens};

/// A model that turns text into vectors of length one. Everything here computes and blocks.
pub trait Model: Send + Sync {
    /// Which model this is and what it can read.
    fn description(&self) -> &Description;

    /// Splits a text into token ids: the model's prefix for its kind, special tokens included, cut to
    /// [`Description::max_tokens`].
    fn tokenize(&self, kind: TextKind, text: &str) -> Result<Tokens, TokenizeError>;

    /// Encodes token sequences, packed one after the other without padding. `out` is row-major, one row of
    /// [`Description::dimension`] values per sequence, each of length one; a sequence without any token, or one whose
    /// tokens cancel out, gives zeros. A row does not depend on the sequences beside it.
    fn encode(&self, batch: &[&[u32]], workspace: &mut Workspace, out: &mut [f32]) -> Result<(), EncodeError>;

    /// Encodes one sequence on several threads, for the shortest wait when the machine is otherwise idle. The result is the
    /// same as that of [`Model::encode`].
    fn encode_split(
        &self,
        ids: &[u32],
        crew: &Crew,
        workspace: &mut Workspace,
        out: &mut [f32],
    ) -> Result<(), EncodeError> {
        let _ = crew;
        self.encode(&[ids], workspace, out)
    }
}

/// A model's identity and limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Name of the model.
    pub name: String,
    /// SHA-256 of `model.safetensors`, hex, computed when it was loaded.
    pub weights_sha256: String,
    /// Values in a vector.
    pub dimension: usize,
    /// Most tokens of one text, special tokens included; what is longer is cut.
    pub max_tokens: usize,
    /// Arithmetic: `int16` or `f32`.
    pub dtype: &'static str,
    /// `bert` or `static`.
    pub architecture: &'static str,
    /// Instructions that it computes with: `avx512vnni`, `avx2` or `portable`.
    pub instructions: &'static str,
}

/// Loads the model in a folder. `config.json` decides which kind it is.
pub fn load(folder: &Path, options: &Options) -> Result<Box<dyn Model>, LoadError> {
    let config = Config::read(folder)?;
    Ok(match config.kind()? {
        Kind::Bert => Box::new(Bert::load(folder, &config, options)?),
        Kind::Static => Box::new(StaticModel::load(folder, &config, options)?),
    })
}

/// The name that a model goes by.
pub(crate) fn name_of(folder: &Path, options: &Options) -> String {
    let of_folder = || folder.file_name().map(|name| name.to_string_lossy().into_owned());
    options.name.clone().or_else(of_folder).unwrap_or_default()
}
