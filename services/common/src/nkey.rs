//! NKeys: how a process proves to nats-server who it is without telling a password.
//!
//! It never keeps a seed longer than a signature needs.

use nkeys::KeyPair;

/// A seed or credentials file that cannot be used. Its content is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NkeyError {
    /// No seed of a user.
    #[error("must be the seed of an NKey of a user: it begins with SU and has 58 characters")]
    Seed,
    /// No credentials file.
    #[error("must be a credentials file: a user's JWT and the seed of its NKey, each between its BEGIN and END lines")]
    Credentials,
}

/// A user that is known by the public half of a key.
pub struct NkeyUser {
    pair: KeyPair,
}

impl NkeyUser {
    /// From a seed, `SU…`.
    pub fn from_seed(seed: &str) -> Result<Self, NkeyError> {
        let seed = seed.trim();
        if !seed.starts_with("SU") {
            return Err(NkeyError::Seed);
        }
        let pair = KeyPair::from_seed(seed).map_err(|_| NkeyError::Seed)?;
        Ok(Self { pair })
    }

    /// The public half, `U…`.
    pub fn public_key(&self) -> String {
        self.pair.public_key()
    }

    /// Signs what the server asks to have signed.
    pub fn sign(&self, nonce: &[u8]) -> Result<Vec<u8>, NkeyError> {
        self.pair.sign(nonce).map_err(|_| NkeyError::Seed)
    }
}

/// The JWT of a credentials file, and the user that its seed stands for.
pub fn read_credentials(text: &str) -> Result<(String, NkeyUser), NkeyError> {
    let mut blocks = blocks(text);
    let (Some(jwt), Some(seed)) = (blocks.next(), blocks.next()) else {
        return Err(NkeyError::Credentials);
    };
    let user = NkeyUser::from_seed(seed).map_err(|_| NkeyError::Credentials)?;
    Ok((jwt.to_owned(), user))
}

/// The first line behind each BEGIN line.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let mut lines = text.lines().map(str::trim);
    std::iter::from_fn(move || {
        lines.find(|line| line.starts_with("-----BEGIN "))?;
        lines.find(|line| !line.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_signs_and_other_texts_do_not() {
        let pair = KeyPair::new_user();
        let user = NkeyUser::from_seed(&pair.seed().expect("a seed")).expect("a user");
        assert_eq!(user.public_key(), pair.public_key());
        let signature = user.sign(b"nonce").expect("a signature");
        assert!(pair.verify(b"nonce", &signature).is_ok());
        let account = KeyPair::new_account().seed().expect("a seed");
        for wrong in ["", "SU", &account, &pair.public_key()] {
            assert_eq!(NkeyUser::from_seed(wrong).err(), Some(NkeyError::Seed), "{wrong}");
        }
    }

    #[test]
    fn a_credentials_file_holds_a_jwt_and_a_seed() {
        let pair = KeyPair::new_user();
        let seed = pair.seed().expect("a seed");
        let file = format!(
            "-----BEGIN NATS USER JWT-----\neyJ.abc\n------END NATS USER JWT------\n\nImportant\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        let (jwt, user) = read_credentials(&file).expect("credentials");
        assert_eq!((jwt.as_str(), user.public_key()), ("eyJ.abc", pair.public_key()));
        assert_eq!(read_credentials(&seed).err(), Some(NkeyError::Credentials));
    }
}
