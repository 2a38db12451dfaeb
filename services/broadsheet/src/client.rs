//! Finds the platform and connects to it.

use std::path::{Path, PathBuf};

use common::config::Secret;
use common::grpc::{ServiceChannel, channel};
use standalone::{DataFolder, Endpoint};

use crate::ConnectArgs;
use crate::error::CommandError;

/// A channel to the platform: the given endpoint, or the one that runs over the data folder.
pub fn connect(connect: &ConnectArgs) -> Result<ServiceChannel, CommandError> {
    let url = match &connect.endpoint {
        Some(url) => url.clone(),
        None => running(connect)?.grpc,
    };
    channel(&url, key(connect)?.as_deref()).map_err(CommandError::data)
}

fn key(connect: &ConnectArgs) -> Result<Option<String>, CommandError> {
    let Some(file) = &connect.key_file else {
        return Ok(connect.key.clone());
    };
    let key = Secret::from_file(file).map_err(|error| CommandError::data(format!("--key-file {error}")))?;
    Ok(Some(key.expose().to_owned()))
}

/// The given data folder, or the user's default one.
pub fn data_folder(given: Option<&Path>) -> Result<PathBuf, CommandError> {
    match given {
        Some(folder) => Ok(folder.to_owned()),
        None => standalone::default_data_folder().map_err(CommandError::other),
    }
}

/// The platform that runs over the data folder.
fn running(connect: &ConnectArgs) -> Result<Endpoint, CommandError> {
    let folder = data_folder(connect.data.as_deref())?;
    DataFolder::endpoint(&folder).map_err(CommandError::unavailable)
}
