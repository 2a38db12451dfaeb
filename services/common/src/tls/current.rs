//! What was made of PEM files last, and making it anew.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use super::files::{PemContents, TlsFileError, TlsFiles, TlsMaterial};

/// Makes something of certificates.
type Build<T> = fn(&TlsFiles, TlsMaterial, &PemContents) -> Result<T, TlsFileError>;

/// The last good version of what is made of files. Clones share it.
pub(super) struct CurrentTls<T>(Arc<Inner<T>>);

struct Inner<T> {
    files: TlsFiles,
    build: Build<T>,
    current: watch::Sender<Loaded<T>>,
}

/// One version.
struct Loaded<T> {
    pem: PemContents,
    expires: Option<Timestamp>,
    value: T,
}

/// What a look at the files found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TlsLook {
    /// What is in use.
    Same,
    /// A new version, which is in use now.
    New,
    /// Something that cannot be used; the last good version stays.
    Bad(TlsFileError),
}

impl<T> Clone for CurrentTls<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Clone> CurrentTls<T> {
    /// Reads the files for the first time.
    pub fn load(files: TlsFiles, build: Build<T>, now: Timestamp) -> Result<Self, TlsFileError> {
        let loaded = Loaded::read(&files, build, now)?;
        Ok(Self(Arc::new(Inner {
            files,
            build,
            current: watch::Sender::new(loaded),
        })))
    }

    /// Where it comes from.
    pub fn files(&self) -> &TlsFiles {
        &self.0.files
    }

    /// The version in use.
    pub fn get(&self) -> T {
        self.0.current.borrow().value.clone()
    }

    /// When the certificate in use expires.
    pub fn expires(&self) -> Option<Timestamp> {
        self.0.current.borrow().expires
    }

    /// Returns when other files than these are in use.
    pub async fn changed_from(&self, pem: &PemContents) {
        let mut versions = self.0.current.subscribe();
        // Fails only when every sender is gone, and `self` holds one.
        let _ = versions.wait_for(|loaded| loaded.pem != *pem).await;
    }

    /// Reads the files again. Blocks for a moment.
    pub fn look(&self, now: Timestamp) -> TlsLook {
        let inner = &self.0;
        let pem = match inner.files.read() {
            Ok(pem) if pem == inner.current.borrow().pem => return TlsLook::Same,
            Ok(pem) => pem,
            Err(error) => return TlsLook::Bad(error),
        };
        match Loaded::parse(&inner.files, inner.build, pem, now) {
            Ok(loaded) => {
                inner.current.send_replace(loaded);
                TlsLook::New
            }
            Err(error) => TlsLook::Bad(error),
        }
    }
}

impl<T> Loaded<T> {
    fn read(files: &TlsFiles, build: Build<T>, now: Timestamp) -> Result<Self, TlsFileError> {
        Self::parse(files, build, files.read()?, now)
    }

    fn parse(files: &TlsFiles, build: Build<T>, pem: PemContents, now: Timestamp) -> Result<Self, TlsFileError> {
        let material = files.parse(&pem, now)?;
        let expires = material.expires;
        let value = build(files, material, &pem)?;
        Ok(Self { pem, expires, value })
    }
}
