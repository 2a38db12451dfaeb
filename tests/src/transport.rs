//! How a suite of tests speaks gRPC to what it starts: plain, or with certificates on both sides of every hop where the name of
//! the suite begins with `mtls`.

use std::path::PathBuf;
use std::sync::OnceLock;

use common::clock::Clock;
use common::config::CallerConfig;
use common::grpc::{ServiceChannel, connect};
use common::tls::{ClientTls, TlsFiles};

use crate::certificates::Certificates;

/// The certificates of this suite, if it has any.
pub fn certificates() -> Option<&'static Certificates> {
    static CERTIFICATES: OnceLock<Option<Certificates>> = OnceLock::new();
    let suite = || {
        let program = std::env::current_exe().unwrap();
        let name = program.file_name().unwrap().to_string_lossy();
        name.starts_with("mtls").then(Certificates::make)
    };
    CERTIFICATES.get_or_init(suite).as_ref()
}

/// The settings of this suite, for the platform and for commands.
pub fn environment() -> Vec<(&'static str, String)> {
    certificates().map(Certificates::environment).unwrap_or_default()
}

/// A channel the way this suite speaks.
pub fn channel(url: &str, key: Option<&str>) -> ServiceChannel {
    let caller = CallerConfig {
        tls: certificates().map(client_tls).unwrap_or_default(),
        ..CallerConfig::with_key(key)
    };
    connect(url, &caller).unwrap()
}

/// What a client is that has a certificate of the authority and trusts it.
pub fn client_tls(certificates: &Certificates) -> ClientTls {
    let client = certificates.client();
    client_tls_of(Some(certificates.authority()), Some((client.certificate, client.key)))
}

/// What a client is that trusts an authority and presents a certificate.
pub fn client_tls_of(authorities: Option<PathBuf>, identity: Option<(PathBuf, PathBuf)>) -> ClientTls {
    let (certificate, key) = identity.unzip();
    let files = TlsFiles {
        authorities,
        certificate,
        key,
    };
    ClientTls::load(files, Clock::system().now()).unwrap()
}
