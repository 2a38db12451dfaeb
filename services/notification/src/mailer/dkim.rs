//! Signs mails (RFC 6376) with RSA, with Ed25519 (RFC 8463), or with both.
//!
//! Receivers differ on Ed25519: some take a mail that has no other signature for an unsigned one. So a mail has a signature
//! per key, over the same headers and the same hash of the body, which is computed once.
//!
//! Headers and body are signed in their relaxed form, because mail servers on the way fold headers and trim lines anew. A
//! body is in that form as it is written (see [`super::quoted_printable`]), so it is hashed as it stands.

use std::fmt::Write as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Digest, SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use super::private_key_file;

/// Headers that are signed. Content-Type is not among them: lists rewrite it.
const SIGNED: [(&str, SignedTimes); 16] = [
    ("From", SignedTimes::OnceMore),
    ("To", SignedTimes::OnceMore),
    ("Cc", SignedTimes::OnceMore),
    ("Reply-To", SignedTimes::OnceMore),
    ("Subject", SignedTimes::OnceMore),
    ("Date", SignedTimes::OnceMore),
    ("Message-ID", SignedTimes::OnceMore),
    ("MIME-Version", SignedTimes::OnceMore),
    ("List-Id", SignedTimes::WherePresent),
    ("List-Unsubscribe", SignedTimes::OnceMore),
    ("List-Unsubscribe-Post", SignedTimes::OnceMore),
    ("Feedback-ID", SignedTimes::OnceMore),
    ("CFBL-Address", SignedTimes::OnceMore),
    ("CFBL-Feedback-ID", SignedTimes::OnceMore),
    ("Auto-Submitted", SignedTimes::WherePresent),
    ("Precedence", SignedTimes::WherePresent),
];
/// Longest line of the list of signed headers.
const LINE: usize = 76;

/// How often a header is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignedTimes {
    /// Once more than the mail has it, so that nobody can add one to a signed mail (RFC 6376, section 8.15).
    OnceMore,
    /// As often as the mail has it. A mailing list on the way may add its own.
    WherePresent,
}

/// The algorithm of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DkimAlgorithm {
    /// RSA with SHA-256, which every receiver verifies.
    Rsa,
    /// Ed25519 with SHA-256, which some receivers do not verify.
    Ed25519,
}

/// A private key and where its public half is published: `<selector>._domainkey.<domain>`.
#[derive(Debug, Clone)]
pub struct DkimKeySettings {
    /// What the key is.
    pub algorithm: DkimAlgorithm,
    /// The first label of the record.
    pub selector: String,
    /// The domain that signs.
    pub domain: String,
    /// The private key in PEM: PKCS#8, or PKCS#1 for RSA.
    pub file: PathBuf,
}

/// A key that signs.
pub struct DkimKey {
    algorithm: DkimAlgorithm,
    selector: String,
    domain: String,
    pair: DkimKeyPair,
}

enum DkimKeyPair {
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>, SystemRandom),
}

/// Signs mails with each of its keys.
pub struct DkimSigner {
    keys: Vec<DkimKey>,
}

impl DkimSigner {
    /// With keys; `None` where there are none. Their signatures stand in this order.
    pub fn new(keys: Vec<DkimKey>) -> Option<Self> {
        (!keys.is_empty()).then_some(Self { keys })
    }

    /// The headers that sign a mail: those of `headers` (name, folded value) that are signed, and all of the body, which is
    /// in its relaxed form but for empty lines at its end.
    pub fn sign(&self, headers: &[(&'static str, String)], body: &str) -> Vec<(&'static str, String)> {
        let body_hash = STANDARD.encode(body_hash(body));
        let mut signed = String::with_capacity(2048);
        let mut names = String::with_capacity(512);
        let mut line = " h=".len();
        for (name, times) in SIGNED {
            let present = headers.iter().find(|(known, _)| *known == name);
            if let Some((_, value)) = present {
                relaxed_header(name, value, &mut signed);
                signed.push_str("\r\n");
            }
            let times = usize::from(present.is_some()) + usize::from(times == SignedTimes::OnceMore);
            for _ in 0..times {
                add_name(name, &mut names, &mut line);
            }
        }
        let common = signed.len();
        let signatures = self.keys.iter().map(|key| {
            signed.truncate(common);
            let mut value = format!(
                "v=1; a={}; c=relaxed/relaxed; d={}; s={};\r\n h={names};\r\n bh={body_hash};\r\n b=",
                key.algorithm.name(),
                key.domain,
                key.selector,
            );
            relaxed_header("DKIM-Signature", &value, &mut signed);
            let signature = STANDARD.encode(key.sign(signed.as_bytes()));
            let mut rest = signature.as_str();
            while rest.len() > 72 {
                let (line, behind) = rest.split_at(72);
                let _ = write!(value, "{line}\r\n ");
                rest = behind;
            }
            value.push_str(rest);
            ("DKIM-Signature", value)
        });
        signatures.collect()
    }
}

/// Adds a name to a list with colons between, which is folded.
fn add_name(name: &str, names: &mut String, line: &mut usize) {
    if !names.is_empty() {
        names.push(':');
        *line += 1;
        if *line + name.len() > LINE {
            names.push_str("\r\n  ");
            *line = 2;
        }
    }
    names.push_str(name);
    *line += name.len();
}

impl DkimAlgorithm {
    /// As signatures spell it.
    fn name(self) -> &'static str {
        match self {
            Self::Rsa => "rsa-sha256",
            Self::Ed25519 => "ed25519-sha256",
        }
    }

    /// As records spell the type of the key.
    pub fn key_type(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }

    /// The setting that names the file.
    pub fn key_file_setting(self) -> &'static str {
        match self {
            Self::Rsa => "notification.dkim_rsa_key_file",
            Self::Ed25519 => "notification.dkim_ed25519_key_file",
        }
    }

    /// The setting that names the record.
    pub fn selector_setting(self) -> &'static str {
        match self {
            Self::Rsa => "notification.dkim_rsa_selector",
            Self::Ed25519 => "notification.dkim_ed25519_selector",
        }
    }
}

impl DkimKeySettings {
    /// The name of the record in DNS.
    pub fn record_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }
}

impl DkimKey {
    /// Reads the private key.
    pub fn read(settings: &DkimKeySettings) -> Result<Self, String> {
        let problem = |what: &str| {
            format!(
                "{}: {}: {what}",
                settings.algorithm.key_file_setting(),
                settings.file.display()
            )
        };
        let pem = private_key_file::read(&settings.file).map_err(|what| problem(&what))?;
        let der = PrivateKeyDer::from_pem_slice(&pem);
        let der = der.map_err(|_| problem("holds no private key in PEM form (PKCS#8, or PKCS#1 for RSA)"))?;
        let pair = key_pair(settings.algorithm, &der).map_err(|what| problem(&what))?;
        Ok(Self {
            algorithm: settings.algorithm,
            selector: settings.selector.clone(),
            domain: settings.domain.clone(),
            pair,
        })
    }

    /// The public key as its record holds it, before base64: a SubjectPublicKeyInfo for RSA, 32 bytes for Ed25519.
    pub fn public_key(&self) -> Vec<u8> {
        match &self.pair {
            DkimKeyPair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
            DkimKeyPair::Rsa(pair, _) => rsa_subject_public_key_info(pair.public_key().as_ref()),
        }
    }

    fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        match &self.pair {
            // RFC 8463: the hash is what is signed.
            DkimKeyPair::Ed25519(pair) => pair.sign(digest(&SHA256, bytes).as_ref()).as_ref().to_vec(),
            DkimKeyPair::Rsa(pair, random) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, random, bytes, &mut signature)
                    .expect("a signature as long as the modulus");
                signature
            }
        }
    }
}

fn key_pair(algorithm: DkimAlgorithm, der: &PrivateKeyDer<'_>) -> Result<DkimKeyPair, String> {
    match algorithm {
        DkimAlgorithm::Ed25519 => {
            let PrivateKeyDer::Pkcs8(der) = der else {
                return Err("is no Ed25519 key; make one with openssl genpkey -algorithm ed25519".to_owned());
            };
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der());
            let problem =
                |error| format!("is no Ed25519 key ({error}); make one with openssl genpkey -algorithm ed25519");
            pair.map(DkimKeyPair::Ed25519).map_err(problem)
        }
        DkimAlgorithm::Rsa => {
            let pair = match der {
                PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
                PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
                _ => return Err("is no RSA key".to_owned()),
            };
            let problem = |error| {
                format!(
                    "is no RSA key of 2048 to 4096 bits ({error}); make one with openssl genpkey -algorithm rsa -pkeyopt \
                     rsa_keygen_bits:2048"
                )
            };
            let pair = pair.map_err(problem)?;
            Ok(DkimKeyPair::Rsa(Box::new(pair), SystemRandom::new()))
        }
    }
}

/// An RSAPublicKey with what says that it is one (RFC 8017, appendix A.1.1; RFC 5280, section 4.1.2.7).
fn rsa_subject_public_key_info(public_key: &[u8]) -> Vec<u8> {
    /// The sequence of the OID rsaEncryption and NULL.
    const ALGORITHM: [u8; 15] = [
        0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    ];
    let bits = [&[0], public_key].concat();
    der_value(0x30, &[ALGORITHM.to_vec(), der_value(0x03, &bits)].concat())
}

/// A value in DER, of at most 65,535 bytes.
fn der_value(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    let length = match (high, low) {
        (0, 0..0x80) => vec![low],
        (0, _) => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [&[tag], length.as_slice(), content].concat()
}

/// RFC 6376, section 3.4.2: name in lower case, value unfolded, white space single and never at the ends.
fn relaxed_header(name: &str, value: &str, out: &mut String) {
    out.push_str(&name.to_ascii_lowercase());
    out.push(':');
    for (index, word) in value.split_ascii_whitespace().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        out.push_str(word);
    }
}

/// Without empty lines at the end (RFC 6376, section 3.4.4).
fn body_hash(body: &str) -> Digest {
    let kept = body.trim_end_matches("\r\n");
    let end = if kept.is_empty() { 0 } else { kept.len() + 2 };
    digest(&SHA256, &body.as_bytes()[..end.min(body.len())])
}

/// RFC 6376, section 3.4.4, step by step, for tests: white space single and never at the end of a line, no empty lines at the end.
#[cfg(test)]
pub(super) fn relaxed_body(body: &str) -> String {
    let mut out = String::with_capacity(body.len());
    for line in body.split("\r\n") {
        let line = line.trim_end_matches([' ', '\t']);
        let mut after_space = false;
        let mut from = 0;
        for (at, byte) in line.bytes().enumerate() {
            let is_space = matches!(byte, b' ' | b'\t');
            if is_space && (after_space || byte == b'\t') {
                out.push_str(&line[from..at]);
                from = at + 1;
                if !after_space {
                    out.push(' ');
                }
            }
            after_space = is_space;
        }
        out.push_str(&line[from..]);
        out.push_str("\r\n");
    }
    let kept = out.trim_end_matches("\r\n").len();
    out.truncate(kept);
    if kept > 0 {
        out.push_str("\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_are_relaxed_as_it_says() {
        // RFC 6376, section 3.4.5.
        assert_eq!(relaxed_body(" C \r\nD \t E\r\n\r\n\r\n"), " C\r\nD E\r\n");
        assert_eq!(relaxed_body(""), "");
        assert_eq!(relaxed_body("\r\n\r\n"), "");
        assert_eq!(relaxed_body("a\t\tb  c\r\n"), "a b c\r\n");
        let mut header = String::new();
        relaxed_header("B ".trim(), " Y\t\r\n\tZ  ", &mut header);
        assert_eq!(header, "b:Y Z");
    }

    fn written(folder: &std::path::Path, content: &str, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;

        let file = folder.join("dkim.pem");
        std::fs::write(&file, content).expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("changed");
        file
    }

    fn refusal(algorithm: DkimAlgorithm, file: PathBuf) -> String {
        let settings = DkimKeySettings {
            algorithm,
            selector: "s".to_owned(),
            domain: "example.org".to_owned(),
            file,
        };
        let Err(error) = DkimKey::read(&settings) else {
            panic!("no key")
        };
        error
    }

    #[test]
    fn a_file_without_a_key_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
        for algorithm in [DkimAlgorithm::Rsa, DkimAlgorithm::Ed25519] {
            for (content, expected) in [("", "holds no private key"), (broken, "openssl genpkey")] {
                let error = refusal(algorithm, written(folder.path(), content, 0o600));
                assert!(
                    error.contains(expected)
                        && error.contains("dkim.pem")
                        && error.contains(algorithm.key_file_setting()),
                    "{error}"
                );
            }
            refusal(algorithm, folder.path().join("none"));
        }
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        for mode in [0o640, 0o604, 0o660, 0o644] {
            let error = refusal(DkimAlgorithm::Rsa, written(folder.path(), "", mode));
            assert!(
                error.contains("chmod 600") && error.contains("dkim.pem"),
                "{mode:o}: {error}"
            );
        }
    }

    #[test]
    fn the_record_of_an_rsa_key_says_what_it_is() {
        // An RSAPublicKey of 270 bytes is that of a 2048-bit key; openssl writes these 24 bytes before it.
        let info = rsa_subject_public_key_info(&[7; 270]);
        let prefix = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A";
        assert_eq!(STANDARD.encode(&info[..24]), prefix);
        assert_eq!((info.len(), &info[24..]), (294, [7; 270].as_slice()));
    }

    #[test]
    fn signed_headers_are_listed_once_more_than_a_mail_has_them() {
        let folder = tempfile::tempdir().expect("a folder");
        // The key of RFC 8463, appendix A.2, in PKCS#8.
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
        let key = DkimKey::read(&DkimKeySettings {
            algorithm: DkimAlgorithm::Ed25519,
            selector: "brisbane".to_owned(),
            domain: "football.example.com".to_owned(),
            file: written(folder.path(), pem, 0o600),
        });
        let key = key.expect("a key");
        assert_eq!(
            STANDARD.encode(key.public_key()),
            "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
        );
        let signer = DkimSigner::new(vec![key]).expect("a signer");
        let headers = [
            ("From", "a@example.org".to_owned()),
            ("List-Id", "<l.example.org>".to_owned()),
        ];
        let [(name, value)] = &signer.sign(&headers, "Hello\r\n")[..] else {
            panic!("one signature")
        };
        assert_eq!(*name, "DKIM-Signature");
        assert!(value.contains(" h=From:From:To:Cc:"), "{value}");
        let unfolded = value.replace("\r\n  ", "");
        assert!(unfolded.contains(":List-Id:List-Unsubscribe:"), "{value}");
        assert!(value.split("\r\n").all(|line| line.len() <= 80), "{value}");
    }
}
