//! PEM files: read within a bound, parsed, and checked against each other and against the time.

use std::fmt::Display;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// The largest PEM file, in bytes: every public authority together is a quarter of it.
const LARGEST: u64 = 1 << 20;

/// Where certificates are. What is not named is not used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates of the authorities that vouch for the other side.
    pub authorities: Option<PathBuf>,
    /// Our own certificate, and those between it and its authority.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

/// Which of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsPart {
    /// The authorities.
    Authorities,
    /// The certificate.
    Certificate,
    /// Its key.
    Key,
}

/// A file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} {problem}", path = .path.display())]
pub struct TlsFileError {
    /// Which one.
    pub part: TlsPart,
    path: PathBuf,
    problem: String,
}

/// The files as they are. It is never printed: it holds a key.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PemContents {
    /// Authorities.
    pub authorities: Option<Vec<u8>>,
    /// Certificate and key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// What the files mean.
pub(super) struct TlsMaterial {
    /// Authorities; `None` where no file names any.
    pub roots: Option<Arc<RootCertStore>>,
    /// Certificate and key.
    pub identity: Option<Arc<CertifiedKey>>,
    /// When the first certificate of the identity expires.
    pub expires: Option<Timestamp>,
}

impl TlsFiles {
    /// Whether no file is named.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads them. Blocks for a moment.
    pub(super) fn read(&self) -> Result<PemContents, TlsFileError> {
        let authorities = self.authorities.as_deref();
        let identity = self.certificate.as_deref().zip(self.key.as_deref());
        Ok(PemContents {
            authorities: authorities.map(|path| read(TlsPart::Authorities, path)).transpose()?,
            identity: identity
                .map(|(certificate, key)| Ok((read(TlsPart::Certificate, certificate)?, read(TlsPart::Key, key)?)))
                .transpose()?,
        })
    }

    /// Understands what was read, and refuses what cannot work now.
    pub(super) fn parse(&self, pem: &PemContents, now: Timestamp) -> Result<TlsMaterial, TlsFileError> {
        let (roots, identity) = (self.roots(pem, now)?, self.identity(pem, now)?);
        let (identity, expires) = identity.unzip();
        Ok(TlsMaterial {
            roots,
            identity,
            expires,
        })
    }

    fn roots(&self, pem: &PemContents, now: Timestamp) -> Result<Option<Arc<RootCertStore>>, TlsFileError> {
        let (Some(path), Some(bytes)) = (&self.authorities, &pem.authorities) else {
            return Ok(None);
        };
        let wrong = |problem: String| TlsFileError::new(TlsPart::Authorities, path, problem);
        let certificates = certificates(bytes).map_err(wrong)?;
        let mut roots = RootCertStore::empty();
        let mut expired = None;
        for certificate in certificates {
            // A bundle may still hold an old authority beside the new one.
            match check_validity(&certificate, now) {
                Ok(_) => roots
                    .add(certificate)
                    .map_err(|error| wrong(format!("holds an authority that cannot be used: {error}")))?,
                Err(problem) => expired = Some(problem),
            }
        }
        match expired {
            Some(problem) if roots.is_empty() => Err(wrong(problem)),
            _ => Ok(Some(Arc::new(roots))),
        }
    }

    fn identity(
        &self,
        pem: &PemContents,
        now: Timestamp,
    ) -> Result<Option<(Arc<CertifiedKey>, Timestamp)>, TlsFileError> {
        let (Some(path), Some(key_path), Some((certificate, key))) = (&self.certificate, &self.key, &pem.identity)
        else {
            return Ok(None);
        };
        let wrong = |problem: String| TlsFileError::new(TlsPart::Certificate, path, problem);
        let wrong_key = |problem: String| TlsFileError::new(TlsPart::Key, key_path, problem);
        let chain = certificates(certificate).map_err(wrong)?;
        let mut expires = Timestamp::MAX;
        for certificate in &chain {
            expires = expires.min(check_validity(certificate, now).map_err(wrong)?);
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| wrong_key(format!("holds no private key in PEM: {error}")))?;
        let identity = CertifiedKey::from_der(chain, key, &super::provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                wrong_key(format!("is not the key of the certificate in {}", path.display()))
            }
            error => wrong_key(format!("cannot be used: {error}")),
        })?;
        Ok(Some((Arc::new(identity), expires)))
    }
}

impl TlsFileError {
    pub(super) fn new(part: TlsPart, path: &Path, problem: String) -> Self {
        let path = path.to_owned();
        Self { part, path, problem }
    }
}

fn read(part: TlsPart, path: &Path) -> Result<Vec<u8>, TlsFileError> {
    let wrong = |problem: String| TlsFileError::new(part, path, problem);
    let unreadable = |error: std::io::Error| wrong(format!("cannot be read: {error}"));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(wrong(format!("is larger than {LARGEST} bytes")));
    }
    Ok(bytes)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|error| format!("is not PEM: {error}"))?;
    if read.is_empty() {
        return Err("holds no certificate in PEM".to_owned());
    }
    Ok(read)
}

/// Until when a certificate is valid, if it is valid now.
fn check_validity(certificate: &CertificateDer<'_>, now: Timestamp) -> Result<Timestamp, String> {
    let unreadable = |error: &dyn Display| format!("holds a certificate that cannot be parsed: {error}");
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).map_err(|error| unreadable(&error))?;
    let validity = parsed.validity();
    let moment = |time: x509_parser::time::ASN1Time| {
        // Times beyond what the clock knows, such as the year 9999, count as its end.
        Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MAX)
    };
    let (begins, expires) = (moment(validity.not_before), moment(validity.not_after));
    if now < begins {
        return Err(format!("holds a certificate that is not valid before {begins}"));
    }
    if now > expires {
        return Err(format!("holds a certificate that expired at {expires}"));
    }
    Ok(expires)
}
