//! The secrets of webhooks, and their signatures (Standard Webhooks, `v1`).
//!
//! None is stored: each is derived from the platform's key, the subscriber, and a name that is unique to the secret. While
//! the platform has several keys, requests are signed with the secrets of each: a receiver holds that of the key of its day.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::signing_keys::SigningKeys;

/// Signs requests. The receiver has it too.
pub struct WebhookSecret([u8; 32]);

/// Derives secrets.
pub struct WebhookSecrets {
    keys: SigningKeys,
}

impl WebhookSecrets {
    /// From the platform's keys.
    pub fn new(keys: SigningKeys) -> Self {
        Self { keys }
    }

    /// The secret of a name that a receiver is given.
    pub fn secret(&self, subscriber: &str, name: &str) -> WebhookSecret {
        derived(self.keys.newest(), subscriber, name)
    }

    /// The secrets of a name, of each of the platform's keys.
    pub fn all(&self, subscriber: &str, name: &str) -> impl Iterator<Item = WebhookSecret> {
        self.keys.all().map(move |key| derived(key, subscriber, name))
    }
}

fn derived(key: &Hmac<Sha256>, subscriber: &str, name: &str) -> WebhookSecret {
    // Tokens in links are signed with the same key; what they sign holds no colon.
    let purpose = format!("webhook:{subscriber}:{name}");
    let mac = key.clone().chain_update(purpose.as_bytes()).finalize();
    WebhookSecret(mac.into_bytes().into())
}

impl WebhookSecret {
    /// As the receiver needs it.
    pub fn encoded(&self) -> String {
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

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret")
    }
}

/// The signatures of all secrets, separated by spaces.
pub fn signatures(secrets: &[WebhookSecret], id: &str, second: i64, body: &str) -> String {
    let signatures: Vec<String> = secrets.iter().map(|secret| secret.sign(id, second, body)).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_cover_id_time_and_body() {
        let mut key = [0; 32];
        key[..3].copy_from_slice(b"key");
        // python3 -c 'import base64,hmac; print(base64.b64encode(hmac.digest(b"key".ljust(32, b"\0"), b"a_1.1700000000.{}", "sha256")))'
        let expected = "v1,ubMAsr1jdl5R0yHYF7uQAT3URXzBRAHa98EBQLl0BoM=";
        assert_eq!(WebhookSecret(key).sign("a_1", 1_700_000_000, "{}"), expected);
    }

    #[test]
    fn names_and_subscribers_have_different_secrets() {
        let keys = |keys: &[&str]| WebhookSecrets::new(SigningKeys::new(keys).expect("a key"));
        let secrets = keys(&["platform"]);
        let encoded = |subscriber: &str, name: &str| secrets.secret(subscriber, name).encoded();
        assert!(encoded("ada", "1").starts_with("whsec_") && encoded("ada", "1").len() == 50);
        assert_eq!(encoded("ada", "1"), encoded("ada", "1"));
        assert_ne!(encoded("ada", "1"), encoded("ada", "2"));
        assert_ne!(encoded("ada", "1"), encoded("bob", "1"));
        let two = [secrets.secret("ada", "2"), secrets.secret("ada", "1")];
        assert_eq!(signatures(&two, "a", 1, "b").split(' ').count(), 2);
        let all: Vec<String> = keys(&["fresh", "platform"])
            .all("ada", "1")
            .map(|secret| secret.encoded())
            .collect();
        assert_eq!(
            all,
            [keys(&["fresh"]).secret("ada", "1").encoded(), encoded("ada", "1")]
        );
    }
}
