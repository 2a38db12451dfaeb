//! An authority of a test's own, and certificates of it: for servers on 127.0.0.1, for clients, and expired ones.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;

/// Files in PEM, in a folder that ends with the test.
pub struct Certificates {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    made: AtomicU64,
}

/// A certificate and its key, as files.
#[derive(Debug, Clone)]
pub struct IdentityFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Certificates {
    /// Makes an authority, and a certificate for servers on 127.0.0.1.
    pub fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Two authorities of one name would be taken for one another.
        authority.distinguished_name = named(&format!("authority {}", uuid::Uuid::new_v4()));
        let key = KeyPair::generate().unwrap();
        let root = authority.self_signed(&key).unwrap();
        let this = Self {
            issuer: Issuer::new(authority, key),
            folder,
            made: AtomicU64::new(0),
        };
        std::fs::write(this.authority(), root.pem()).unwrap();
        this.renew(&this.server());
        this
    }

    /// The certificate of the authority.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// The certificate of a server.
    pub fn certificate(&self) -> PathBuf {
        self.server().certificate
    }

    /// Its key.
    pub fn key(&self) -> PathBuf {
        self.server().key
    }

    /// Both.
    pub fn server(&self) -> IdentityFiles {
        self.files("server")
    }

    /// A certificate of another name, made now.
    pub fn identity(&self, name: &str) -> IdentityFiles {
        let files = self.files(name);
        self.renew(&files);
        files
    }

    /// One that expired long ago.
    pub fn expired(&self) -> IdentityFiles {
        let files = self.files("expired");
        let mut params = for_this_machine();
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
        self.write(&files, &params);
        files
    }

    /// Replaces a certificate and its key by others, one file after the other. Each expires a day later than the one before.
    pub fn renew(&self, files: &IdentityFiles) {
        let mut params = for_this_machine();
        let days = self.made.fetch_add(1, Ordering::Relaxed) % 25;
        params.not_after = date_time_ymd(2100, 1, 1 + u8::try_from(days).unwrap());
        self.write(files, &params);
    }

    /// What a server needs that asks its clients for a certificate, and what clients need: the same for all of a platform, from
    /// a file of the server and one of a client.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let client = self.files("client");
        if !client.certificate.exists() {
            self.renew(&client);
        }
        let text = |path: &Path| path.display().to_string();
        vec![
            ("BROADSHEET_GRPC__TLS_CERTIFICATE", text(&self.certificate())),
            ("BROADSHEET_GRPC__TLS_KEY", text(&self.key())),
            ("BROADSHEET_GRPC__TLS_CLIENT_CA", text(&self.authority())),
            ("BROADSHEET_GRPC__TLS_CA", text(&self.authority())),
            ("BROADSHEET_GRPC__TLS_CLIENT_CERTIFICATE", text(&client.certificate)),
            ("BROADSHEET_GRPC__TLS_CLIENT_KEY", text(&client.key)),
        ]
    }

    /// The certificate in the environment that clients present.
    pub fn client(&self) -> IdentityFiles {
        self.files("client")
    }

    fn files(&self, name: &str) -> IdentityFiles {
        let folder = self.folder.path();
        IdentityFiles {
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
        }
    }

    fn write(&self, files: &IdentityFiles, params: &CertificateParams) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
    }
}

fn for_this_machine() -> CertificateParams {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    params.distinguished_name = named("this machine");
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}
