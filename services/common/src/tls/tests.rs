//! Files that cannot work, and files that change.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;

use super::current::TlsLook;
use super::*;

struct Folder(TempDir);

impl Folder {
    /// With an authority, and a certificate of it that is valid in 2026.
    fn make() -> Self {
        let this = Self(tempfile::tempdir().expect("a folder"));
        this.issue("server", (2026, 2027));
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// A certificate from January of one year to January of another, of an authority made for it.
    fn issue(&self, name: &str, (from, until): (i32, i32)) {
        let mut authority = CertificateParams::new(Vec::new()).expect("sound");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().expect("a key");
        let root = authority.self_signed(&authority_key).expect("a certificate");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("sound");
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        let key = KeyPair::generate().expect("a key");
        let issuer = Issuer::new(authority, authority_key);
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        self.write(&format!("{name}.ca"), &root.pem());
        self.write(&format!("{name}.pem"), &certificate.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }

    fn files(&self, name: &str) -> TlsFiles {
        TlsFiles {
            authorities: Some(self.path(&format!("{name}.ca"))),
            certificate: Some(self.path(&format!("{name}.pem"))),
            key: Some(self.path(&format!("{name}.key"))),
        }
    }
}

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().expect("a moment")
}

#[test]
fn what_cannot_work_is_refused_with_the_file_and_the_reason() {
    let folder = Folder::make();
    folder.issue("other", (2026, 2027));
    folder.issue("old", (2024, 2025));
    folder.issue("early", (2027, 2028));
    let text = folder.write("text", "no certificate");
    let sound = folder.files("server");
    let with = |change: &dyn Fn(&mut TlsFiles)| {
        let mut files = sound.clone();
        change(&mut files);
        files
    };
    for (files, part, reason) in [
        (
            with(&|f| f.certificate = Some(folder.path("none"))),
            TlsPart::Certificate,
            "cannot be read",
        ),
        (
            with(&|f| f.certificate = Some(text.clone())),
            TlsPart::Certificate,
            "no certificate in PEM",
        ),
        (
            with(&|f| f.key = Some(text.clone())),
            TlsPart::Key,
            "no private key in PEM",
        ),
        (
            with(&|f| f.key = Some(folder.path("other.key"))),
            TlsPart::Key,
            "is not the key",
        ),
        (
            with(&|f| f.authorities = Some(text.clone())),
            TlsPart::Authorities,
            "no certificate in PEM",
        ),
        (folder.files("old"), TlsPart::Certificate, "expired at 2025-01-01"),
        (
            folder.files("early"),
            TlsPart::Certificate,
            "not valid before 2027-01-01",
        ),
    ] {
        for error in [
            ServerTls::load(files.clone(), now()).expect_err("unusable"),
            ClientTls::load(files.clone(), now()).expect_err("unusable"),
        ] {
            assert_eq!(error.part, part, "{error}");
            assert!(error.to_string().contains(reason), "{reason}: {error}");
        }
    }
    ServerTls::load(sound.clone(), now()).expect("usable");
    ClientTls::load(sound, now()).expect("usable");
}

#[test]
fn a_large_file_is_not_read_to_its_end() {
    let folder = Folder::make();
    let mut files = folder.files("server");
    files.authorities = Some(folder.write("large", &"x".repeat(2 << 20)));
    let error = ServerTls::load(files, now()).expect_err("too large").to_string();
    assert!(error.contains("is larger than 1048576 bytes"), "{error}");
}

fn copy(folder: &Folder, from: &str, to: &str) {
    std::fs::copy(folder.path(from), folder.path(to)).expect("a copy");
}

#[test]
fn a_new_pair_is_used_and_half_of_one_is_not() {
    let folder = Folder::make();
    folder.issue("next", (2026, 2030));
    let tls = ServerTls::load(folder.files("server"), now()).expect("usable");
    let (first, expires) = (tls.config(), tls.0.expires());
    assert_eq!(tls.0.look(now()), TlsLook::Same);
    copy(&folder, "next.pem", "server.pem");
    let half = tls.0.look(now());
    assert!(
        matches!(&half, TlsLook::Bad(error) if error.part == TlsPart::Key),
        "{half:?}"
    );
    assert!(
        std::sync::Arc::ptr_eq(&first, &tls.config()),
        "the last good pair stays"
    );
    assert_eq!(tls.0.expires(), expires);
    copy(&folder, "next.key", "server.key");
    assert_eq!(tls.0.look(now()), TlsLook::New);
    assert!(!std::sync::Arc::ptr_eq(&first, &tls.config()));
    assert!(tls.0.expires() > expires);
    std::fs::remove_file(folder.path("server.pem")).expect("removed");
    assert!(matches!(tls.0.look(now()), TlsLook::Bad(_)));
}

#[tokio::test]
async fn who_makes_tls_of_the_files_hears_of_others() {
    let folder = Folder::make();
    folder.issue("next", (2026, 2030));
    let tls = ClientTls::load(folder.files("server"), now()).expect("usable");
    let used = tls.pem();
    let waiting = tls.clone();
    let changed = async move {
        waiting.changed_from(&used).await;
        waiting.pem()
    };
    for name in ["ca", "pem", "key"] {
        copy(&folder, &format!("next.{name}"), &format!("server.{name}"));
    }
    let (pem, look) = tokio::join!(changed, async { tls.current.look(now()) });
    assert_eq!(look, TlsLook::New);
    let expected = std::fs::read(Path::new(&folder.path("next.ca"))).expect("a file");
    assert_eq!(pem.authorities, Some(expected));
}

#[test]
fn a_key_is_never_printed() {
    let folder = Folder::make();
    let tls = ClientTls::load(folder.files("server"), now()).expect("usable");
    let shown = format!("{tls:?}");
    assert!(shown.contains("server.key") && !shown.contains("PRIVATE"), "{shown}");
}

#[test]
fn loopback_is_told_from_other_hosts() {
    for here in [
        "http://127.0.0.1:1",
        "http://127.9.9.9",
        "http://[::1]:7100",
        "http://localhost:1",
        "http://a.LOCALHOST",
    ] {
        assert!(is_loopback(here), "{here}");
    }
    for elsewhere in [
        "http://0.0.0.0:1",
        "http://10.0.0.1",
        "http://localhost.example.org",
        "http://127.0.0.1.example.org",
        "http://127.0.0.1@example.org",
        "",
    ] {
        assert!(!is_loopback(elsewhere), "{elsewhere}");
    }
}
