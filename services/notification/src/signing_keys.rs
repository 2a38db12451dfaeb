//! The keys of `notification.token_key`: the first one signs, and all of them check, so that a key can be replaced while what
//! it signed still counts.

use hmac::{Hmac, KeyInit as _};
use sha2::Sha256;

/// The keys, the newest first.
#[derive(Clone)]
pub struct SigningKeys(Vec<Hmac<Sha256>>);

impl SigningKeys {
    /// From secrets, the newest first; none where there is no secret.
    pub fn new<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>) -> Option<Self> {
        let keys: Vec<Hmac<Sha256>> = secrets.into_iter().map(|secret| keyed(secret.as_ref())).collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// One key.
    pub fn single(secret: &[u8]) -> Self {
        Self(vec![keyed(secret)])
    }

    /// The one that signs.
    pub fn newest(&self) -> &Hmac<Sha256> {
        &self.0[0]
    }

    /// Those that check, the newest first.
    pub fn all(&self) -> impl Iterator<Item = &Hmac<Sha256>> {
        self.0.iter()
    }
}

fn keyed(secret: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret).expect("HMAC takes keys of any length")
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKeys")
    }
}
