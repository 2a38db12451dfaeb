//! The certificate authorities that connections to the mail server and to webhooks trust: the public ones and the operator's.

use std::path::{Path, PathBuf};

use common::config::Settings;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// The operator's authorities, and the public ones.
#[derive(Debug, Clone, Default)]
pub struct TrustStore {
    file: Option<PathBuf>,
}

impl TrustStore {
    /// Reads the setting.
    pub fn read(settings: &mut Settings) -> Self {
        let file = settings.text("notification.ca_file");
        let this = Self {
            file: (!file.is_empty()).then(|| PathBuf::from(file)),
        };
        if let Err(problem) = this.roots() {
            settings.problem("notification.ca_file", &problem);
            return Self::default();
        }
        this
    }

    /// The operator's certificates; none where no file is named.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        self.file.as_deref().map_or(Ok(Vec::new()), certificates)
    }

    /// The operator's certificates and the public ones.
    pub fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        for certificate in self.certificates()? {
            let added = roots.add(certificate);
            added.map_err(|error| format!("holds an authority that cannot be used: {error}"))?;
        }
        Ok(roots)
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let problem = |what: &dyn std::fmt::Display| format!("{}: {what}", file.display());
    let read = CertificateDer::pem_file_iter(file).map_err(|error| problem(&error))?;
    let read: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| problem(&error))?;
    if read.is_empty() {
        return Err(problem(&"holds no certificate in PEM"));
    }
    Ok(read)
}
