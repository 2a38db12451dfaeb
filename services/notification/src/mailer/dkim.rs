//! Signs mails (RFC 6376), with Ed25519 (RFC 8463) or RSA.
//!
//! Headers and body are signed in their relaxed form, because mail servers on the way fold headers and trim lines anew. A
//! body is in that form as it is written (see [`super::quoted_printable`]), so it is hashed as it stands.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Digest, SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};

/// Headers that are signed, where a mail has them. Content-Type is not among them: lists rewrite it.
const SIGNED: [&str; 8] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
];

/// A key and where its public half is to be found: `<selector>._domainkey.<domain>`.
pub struct DkimSigner {
    selector: String,
    domain: String,
    key: DkimKey,
}

enum DkimKey {
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>, SystemRandom),
}

impl DkimSigner {
    /// With the private key in a PEM file (PKCS#8), such as `openssl genpkey -algorithm ed25519` writes.
    pub fn read(selector: &str, domain: &str, file: &Path) -> Result<Self, String> {
        let problem = |what: &str| format!("notification.dkim_key_file: {}: {what}", file.display());
        let pem = std::fs::read_to_string(file).map_err(|error| problem(&error.to_string()))?;
        let der = der(&pem).ok_or_else(|| problem("holds no PRIVATE KEY in PEM form (PKCS#8)"))?;
        let key = key(&der).map_err(|error| problem(&error))?;
        Ok(Self {
            selector: selector.to_owned(),
            domain: domain.to_owned(),
            key,
        })
    }

    /// The header that signs a mail: those of `headers` (name, folded value) that are signed, and all of the body, which is
    /// in its relaxed form but for empty lines at its end.
    pub fn sign(&self, headers: &[(&'static str, String)], body: &str) -> (&'static str, String) {
        let body_hash = STANDARD.encode(body_hash(body));
        let mut signed = String::with_capacity(1024);
        let mut names = Vec::with_capacity(SIGNED.len());
        for wanted in SIGNED {
            if let Some((name, value)) = headers.iter().find(|(name, _)| *name == wanted) {
                names.push(*name);
                relaxed_header(name, value, &mut signed);
                signed.push_str("\r\n");
            }
        }
        let mut value = format!(
            "v=1; a={}; c=relaxed/relaxed; d={}; s={};\r\n h={};\r\n bh={body_hash};\r\n b=",
            self.key.algorithm(),
            self.domain,
            self.selector,
            names.join(":")
        );
        relaxed_header("DKIM-Signature", &value, &mut signed);
        let signature = STANDARD.encode(self.key.sign(signed.as_bytes()));
        let mut rest = signature.as_str();
        while rest.len() > 72 {
            let (line, behind) = rest.split_at(72);
            let _ = write!(value, "{line}\r\n ");
            rest = behind;
        }
        value.push_str(rest);
        ("DKIM-Signature", value)
    }
}

impl DkimKey {
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "ed25519-sha256",
            Self::Rsa(..) => "rsa-sha256",
        }
    }

    fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        match self {
            // RFC 8463: the hash is what is signed.
            Self::Ed25519(key) => key.sign(digest(&SHA256, bytes).as_ref()).as_ref().to_vec(),
            Self::Rsa(key, random) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, random, bytes, &mut signature)
                    .expect("a signature as long as the modulus");
                signature
            }
        }
    }
}

fn key(der: &[u8]) -> Result<DkimKey, String> {
    if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
        return Ok(DkimKey::Ed25519(key));
    }
    let key = RsaKeyPair::from_pkcs8(der);
    let key =
        key.map_err(|error| format!("is neither an Ed25519 key nor an RSA key of 2048 bits or more ({error})"))?;
    Ok(DkimKey::Rsa(Box::new(key), SystemRandom::new()))
}

fn der(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once("-----BEGIN PRIVATE KEY-----")?;
    let (base64, _) = rest.split_once("-----END PRIVATE KEY-----")?;
    let base64: String = base64.split_whitespace().collect();
    STANDARD.decode(base64).ok()
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

    #[test]
    fn a_file_without_a_key_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("dkim.pem");
        for (content, expected) in [
            ("", "holds no PRIVATE KEY"),
            (
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
                "neither an Ed25519 key nor an RSA key",
            ),
        ] {
            std::fs::write(&file, content).expect("written");
            let Err(error) = DkimSigner::read("s", "example.org", &file) else {
                panic!("no key")
            };
            assert!(error.contains(expected) && error.contains("dkim.pem"), "{error}");
        }
        assert!(DkimSigner::read("s", "example.org", &folder.path().join("none")).is_err());
    }
}
