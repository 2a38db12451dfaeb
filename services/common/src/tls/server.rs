//! What a server shows its clients, and whether it asks them for a certificate.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::SingleCertAndKey;

use super::current::CurrentTls;
use super::files::{PemContents, TlsFileError, TlsFiles, TlsMaterial, TlsPart};

/// The certificate of a server. Where authorities are named, clients need a certificate of one of them.
#[derive(Clone)]
pub struct ServerTls(pub(super) CurrentTls<Arc<ServerConfig>>);

impl ServerTls {
    /// Reads the files, which name a certificate and its key.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub fn load(files: TlsFiles, now: Timestamp) -> Result<Self, TlsFileError> {
        CurrentTls::load(files, build, now).map(Self)
    }

    /// What holds for the next connection.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.0.get()
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerTls").field(self.0.files()).finish()
    }
}

fn build(files: &TlsFiles, material: TlsMaterial, _: &PemContents) -> Result<Arc<ServerConfig>, TlsFileError> {
    let path = files.certificate.clone().unwrap_or_default();
    let wrong = |problem: String| TlsFileError::new(TlsPart::Certificate, &path, problem);
    let identity = material.identity.ok_or_else(|| wrong("is not named".to_owned()))?;
    let provider = super::provider();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?;
    let builder = match material.roots {
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| wrong(error.to_string()))?)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}
