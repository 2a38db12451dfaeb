//! Finds the platform and connects to it.

use std::path::{Path, PathBuf};

use common::clock::Clock;
use common::config::{CallerConfig, Secret};
use common::grpc::{self, ServiceChannel};
use common::tls::{ClientTls, TlsFiles};
use standalone::{DataFolder, Endpoint};

use crate::ConnectArgs;
use crate::error::CommandError;

/// A channel to the platform: the given endpoint, or the one that runs over the data folder.
pub fn connect(connect: &ConnectArgs) -> Result<ServiceChannel, CommandError> {
    let url = match &connect.endpoint {
        Some(url) => url.clone(),
        None => running(connect)?.grpc,
    };
    grpc::connect(&url, &caller(connect)?).map_err(CommandError::data)
}

/// How commands call the platform.
fn caller(connect: &ConnectArgs) -> Result<CallerConfig, CommandError> {
    let tls = &connect.tls;
    let files = TlsFiles {
        authorities: tls.tls_ca.clone(),
        certificate: tls.tls_certificate.clone(),
        key: tls.tls_key.clone(),
    };
    let loaded = ClientTls::load(files, Clock::system().now()).map_err(CommandError::config)?;
    let named = loaded.with_server_name(tls.tls_server_name.as_deref().unwrap_or_default());
    Ok(CallerConfig {
        key: key(connect)?,
        tls: named.map_err(|error| CommandError::config(format!("--tls-server-name: {error}")))?,
        allow_plaintext: tls.allow_plaintext,
    })
}

fn key(connect: &ConnectArgs) -> Result<Option<Secret>, CommandError> {
    let Some(file) = &connect.key_file else {
        return Ok(connect.key.clone().map(Secret::new));
    };
    let key = Secret::from_file(file).map_err(|error| CommandError::data(format!("--key-file {error}")))?;
    Ok(Some(key))
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
