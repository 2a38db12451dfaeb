//! How gRPC travels: certificates, whom to trust, and where plain h2c is allowed. What cannot work is refused here, before
//! anything starts.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Secret, Settings};
use crate::clock::Clock;
use crate::tls::{self, ClientTls, ServerTls, TlsFileError, TlsFiles, TlsPart};

const ALLOW_PLAINTEXT: &str = "grpc.allow_plaintext";

/// How this process calls other services.
#[derive(Debug, Clone, Default)]
pub struct CallerConfig {
    /// The key that it presents.
    pub key: Option<Secret>,
    /// Whom it trusts, and its certificate.
    pub tls: ClientTls,
    /// Whether it may call without TLS on other hosts.
    pub allow_plaintext: bool,
}

impl CallerConfig {
    /// Presents this key, and has no other settings.
    pub fn with_key(key: Option<&str>) -> Self {
        Self {
            key: key.map(Secret::new),
            ..Self::default()
        }
    }

    pub(super) fn read(settings: &mut Settings, key: Option<Secret>) -> Self {
        let keys = TlsKeys {
            authorities: "grpc.tls_ca",
            certificate: "grpc.tls_client_certificate",
            key: "grpc.tls_client_key",
        };
        let (tls, name) = (settings.client_tls(&keys), settings.text("grpc.tls_server_name"));
        let tls = tls.with_server_name(&name).unwrap_or_else(|_| {
            let expected = "must be empty or the name of a host, such as ingest.broadsheet.svc";
            settings.problem("grpc.tls_server_name", expected);
            ClientTls::default()
        });
        Self {
            key,
            tls,
            allow_plaintext: settings.allows_plaintext(),
        }
    }
}

/// The settings that name the files of one side.
#[derive(Debug, Clone, Copy)]
pub struct TlsKeys {
    /// Authorities of the other side.
    pub authorities: &'static str,
    /// Our certificate.
    pub certificate: &'static str,
    /// Its key.
    pub key: &'static str,
}

impl Settings {
    /// How a client speaks TLS, from the files that these settings name.
    pub fn client_tls(&mut self, keys: &TlsKeys) -> ClientTls {
        let files = self.tls_files(keys);
        // The check at the start is the one moment without a clock that was handed in.
        let loaded = ClientTls::load(files, Clock::system().now());
        loaded.unwrap_or_else(|error| {
            self.tls_problem(keys, &error);
            ClientTls::default()
        })
    }

    /// The same for a store, whose address must then ask for TLS: else everything would go in clear in spite of the files.
    pub fn store_tls(&mut self, keys: &TlsKeys, url_key: &str, scheme: &str) -> ClientTls {
        let tls = self.client_tls(keys);
        let url = self.shown(url_key).unwrap_or_default();
        if tls.has_files() && !url.is_empty() && !url.starts_with(scheme) {
            let expected = format!(
                "must begin with {scheme}, because {} or {} is set",
                keys.authorities, keys.certificate
            );
            self.problem(url_key, &expected);
        }
        tls
    }

    /// The address of a gRPC server. One without TLS on another host must be allowed.
    pub fn grpc_url(&mut self, key: &str) -> String {
        let url = self.url(key, &["http://", "https://"]);
        self.check_plaintext(key, &url);
        url
    }

    /// The address of a gRPC server, or empty for none.
    pub fn optional_grpc_url(&mut self, key: &str) -> Option<String> {
        let url = self.optional_url(key, &["http://", "https://"])?;
        self.check_plaintext(key, &url);
        Some(url)
    }

    fn check_plaintext(&mut self, key: &str, url: &str) {
        if url.starts_with("http://") && !tls::is_loopback(url) && !self.allows_plaintext() {
            self.problem(
                key,
                "must begin with https://, because it leads to another host; grpc.allow_plaintext = true allows it \
                 without TLS",
            );
        }
    }

    /// A setting that is yes or no.
    pub fn boolean(&mut self, key: &str) -> bool {
        self.get(key, "must be true or false", toml::Value::as_bool)
    }

    fn allows_plaintext(&mut self) -> bool {
        self.boolean(ALLOW_PLAINTEXT)
    }

    /// The files that are named. A certificate without its key, or the other way round, is a mistake.
    fn tls_files(&mut self, keys: &TlsKeys) -> TlsFiles {
        let mut path = |key| Some(self.text(key)).filter(|path| !path.is_empty()).map(PathBuf::from);
        let mut files = TlsFiles {
            authorities: path(keys.authorities),
            certificate: path(keys.certificate),
            key: path(keys.key),
        };
        if files.certificate.is_some() != files.key.is_some() {
            let expected = format!("must be set together with {}, or neither", keys.certificate);
            self.problem(keys.key, &expected);
            (files.certificate, files.key) = (None, None);
        }
        files
    }

    fn tls_problem(&mut self, keys: &TlsKeys, error: &TlsFileError) {
        let key = match error.part {
            TlsPart::Authorities => keys.authorities,
            TlsPart::Certificate => keys.certificate,
            TlsPart::Key => keys.key,
        };
        self.problem(key, &error.to_string());
    }
}

/// The certificate of the gRPC server; plain h2c must be allowed where others can listen in.
pub(super) fn read_server(settings: &mut Settings, listen: SocketAddr) -> Option<ServerTls> {
    let keys = TlsKeys {
        authorities: "grpc.tls_client_ca",
        certificate: "grpc.tls_certificate",
        key: "grpc.tls_key",
    };
    let named = [keys.certificate, keys.key]
        .iter()
        .any(|key| !settings.text(key).is_empty());
    let files = settings.tls_files(&keys);
    if files.certificate.is_none() {
        if files.authorities.is_some() && !named {
            settings.problem(
                keys.authorities,
                "must be empty, because grpc.tls_certificate is: without TLS nobody presents one",
            );
        }
        if !named && !listen.ip().is_loopback() && !settings.allows_plaintext() {
            settings.problem(
                "grpc.listen",
                "must be a loopback address, because there is no grpc.tls_certificate; grpc.allow_plaintext = true allows \
                 it without TLS",
            );
        }
        return None;
    }
    let loaded = ServerTls::load(files, Clock::system().now());
    loaded.map_err(|error| settings.tls_problem(&keys, &error)).ok()
}
