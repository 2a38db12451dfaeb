//! Loads the model in a folder, of whichever architecture it is. It never downloads anything.

use std::path::Path;

use crate::bert::Bert;
use crate::error::LoadError;
use crate::layout::{Architecture, ConfigJson};
use crate::model::Model;
use crate::options::LoadOptions;
use crate::static_model::StaticModel;

/// Loads the model in a folder. `config.json` determines its architecture. Fails when a file is missing, damaged, or
/// describes a model that this crate does not compute, and when an option contradicts the model.
pub fn load(folder: &Path, options: &LoadOptions) -> Result<Box<dyn Model>, LoadError> {
    let config = ConfigJson::read(folder)?;
    Ok(match config.architecture()? {
        Architecture::Bert => Box::new(Bert::load(folder, &config, options)?),
        Architecture::Static => Box::new(StaticModel::load(folder, &config, options)?),
    })
}
