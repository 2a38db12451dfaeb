//! Whom a client trusts, and the certificate that it presents.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};

use super::current::CurrentTls;
use super::files::{PemContents, TlsFileError, TlsFiles, TlsMaterial, TlsPart};

/// How a client speaks TLS: with the public authorities where none are named, and without a certificate of its own where none
/// is named.
#[derive(Clone)]
pub struct ClientTls {
    pub(super) current: CurrentTls<ClientSide>,
    server_name: Option<ServerName<'static>>,
}

/// What is made of the files of a client.
#[derive(Clone)]
pub(super) struct ClientSide {
    config: Arc<ClientConfig>,
    pem: Arc<PemContents>,
}

impl ClientTls {
    /// Reads the files.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub fn load(files: TlsFiles, now: Timestamp) -> Result<Self, TlsFileError> {
        Ok(Self {
            current: CurrentTls::load(files, build, now)?,
            server_name: None,
        })
    }

    /// Expects this name in the certificates of servers instead of the host of their address, unless it is empty.
    ///
    /// # Errors
    /// It is not the name of a host.
    pub fn with_server_name(mut self, name: &str) -> Result<Self, String> {
        self.server_name = match name {
            "" => None,
            name => Some(ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?),
        };
        Ok(self)
    }

    /// Whether any file is named.
    pub fn has_files(&self) -> bool {
        !self.current.files().is_empty()
    }

    /// What holds for the next connection.
    pub fn config(&self) -> Arc<ClientConfig> {
        self.current.get().config
    }

    /// The files as they were read last, for clients that make their own TLS of them.
    pub fn pem(&self) -> Arc<PemContents> {
        self.current.get().pem
    }

    /// Returns when other files than these are in use.
    pub async fn changed_from(&self, pem: &PemContents) {
        self.current.changed_from(pem).await;
    }

    /// The name that the certificate of a server must have.
    pub(super) fn name_of(&self, host: &str) -> Result<ServerName<'static>, String> {
        if let Some(name) = &self.server_name {
            return Ok(name.clone());
        }
        let host = host.trim_matches(['[', ']']).to_owned();
        ServerName::try_from(host).map_err(|error| error.to_string())
    }
}

impl Default for ClientTls {
    fn default() -> Self {
        // Without files there is nothing that could be wrong, nor a time that matters.
        let loaded = Self::load(TlsFiles::default(), Timestamp::UNIX_EPOCH);
        loaded.unwrap_or_else(|error| unreachable!("no file was read: {error}"))
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("files", self.current.files())
            .field("server_name", &self.server_name)
            .finish()
    }
}

fn build(files: &TlsFiles, material: TlsMaterial, pem: &PemContents) -> Result<ClientSide, TlsFileError> {
    let path = files.authorities.as_deref().unwrap_or(Path::new(""));
    let roots = material.roots.unwrap_or_else(|| {
        let public: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        Arc::new(public)
    });
    let builder = ClientConfig::builder_with_provider(super::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsFileError::new(TlsPart::Authorities, path, error.to_string()))?
        .with_root_certificates(roots);
    let mut config = match material.identity {
        Some(identity) => {
            let resolver: Arc<dyn ResolvesClientCert> = Arc::new(SingleCertAndKey::from(identity));
            builder.with_client_cert_resolver(resolver)
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(ClientSide {
        config: Arc::new(config),
        pem: Arc::new(pem.clone()),
    })
}
