//! Secrets of webhooks, and the signatures they make (Standard Webhooks, `v1`).
//!
//! None is stored: each is derived from the platform's key, the subscriber, and a name that is made anew for every secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What a receiver is given, and what signs.
pub struct Secret([u8; 32]);

/// Derives secrets.
pub struct Secrets {
    key: Hmac<Sha256>,
}

impl Secrets {
    /// From the platform's key.
    pub fn new(key: &[u8]) -> Self {
        let key = Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
        Self { key }
    }

    /// The secret of a name.
    pub fn secret(&self, subscriber: &str, name: &str) -> Secret {
        // Tokens in links are signed with the same key; what they sign holds no colon.
        let purpose = format!("webhook:{subscriber}:{name}");
        let made = self.key.clone().chain_update(purpose.as_bytes()).finalize();
        Secret(made.into_bytes().into())
    }
}

impl Secret {
    /// As receivers are shown it.
    pub fn shown(&self) -> String {
        format!("whsec_{}", STANDARD.encode(self.0))
    }

    /// Signs a request made at a moment, in seconds since the epoch.
    fn sign(&self, id: &str, second: i64, body: &str) -> String {
        let key: Hmac<Sha256> = Hmac::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        let signed = key
            .chain_update(format!("{id}.{second}.").as_bytes())
            .chain_update(body.as_bytes());
        format!("v1,{}", STANDARD.encode(signed.finalize().into_bytes()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// The signatures of all secrets, one after the other.
pub fn signatures(secrets: &[Secret], id: &str, second: i64, body: &str) -> String {
    let signatures: Vec<String> = secrets.iter().map(|secret| secret.sign(id, second, body)).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_hmac_over_id_time_and_body() {
        let mut key = [0; 32];
        key[..3].copy_from_slice(b"key");
        // python3 -c 'import base64,hmac; print(base64.b64encode(hmac.digest(b"key".ljust(32, b"\0"), b"a_1.1700000000.{}", "sha256")))'
        let expected = "v1,ubMAsr1jdl5R0yHYF7uQAT3URXzBRAHa98EBQLl0BoM=";
        assert_eq!(Secret(key).sign("a_1", 1_700_000_000, "{}"), expected);
    }

    #[test]
    fn every_name_and_every_subscriber_has_a_secret_of_its_own() {
        let secrets = Secrets::new(b"platform");
        let shown = |subscriber: &str, name: &str| secrets.secret(subscriber, name).shown();
        assert!(shown("ada", "1").starts_with("whsec_") && shown("ada", "1").len() == 50);
        assert_eq!(shown("ada", "1"), shown("ada", "1"));
        assert_ne!(shown("ada", "1"), shown("ada", "2"));
        assert_ne!(shown("ada", "1"), shown("bob", "1"));
        let two = [secrets.secret("ada", "2"), secrets.secret("ada", "1")];
        assert_eq!(signatures(&two, "a", 1, "b").split(' ').count(), 2);
    }
}
