//! An authority of a test's own, and a certificate of it for 127.0.0.1.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// Files in PEM, in a folder that ends with the test.
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// Makes them.
    pub fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = authority.self_signed(&key).unwrap();
        let issuer = Issuer::new(authority, key);
        let of_server = KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let server = CertificateParams::new(names)
            .unwrap()
            .signed_by(&of_server, &issuer)
            .unwrap();
        let this = Self { folder };
        std::fs::write(this.authority(), root.pem()).unwrap();
        std::fs::write(this.certificate(), server.pem()).unwrap();
        std::fs::write(this.key(), of_server.serialize_pem()).unwrap();
        this
    }

    /// The certificate of the authority.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// The certificate of a server.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("server.pem")
    }

    /// Its key.
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("server.key")
    }
}
