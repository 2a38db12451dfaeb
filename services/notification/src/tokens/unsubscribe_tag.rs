//! Tags in addresses at which a mail ends a subscription: `<name>+<subscriber>.unsub.<code>@<host>`.
//!
//! They are short, because a local part has at most 64 characters (RFC 5321), and have no capital letters, because mail
//! servers on the way may change these. They never expire: the address in an old mail must still unsubscribe.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::{Tokens, signed};

/// What stands between the subscriber and the code.
const MARK: &str = ".unsub.";
/// 56 bits. A guess costs a mail, so they cannot be found by trying.
const CODE_BYTES: usize = 7;
/// Characters that a tag takes beside the subscriber's id.
pub const UNSUBSCRIBE_TAG_CHARS: usize = MARK.len() + 2 * CODE_BYTES;

impl Tokens {
    /// The tag of a subscriber.
    pub fn unsubscribe_tag(&self, subscriber: &str) -> String {
        format!("{subscriber}{MARK}{}", self.unsubscribe_code(subscriber))
    }

    /// The subscriber of a tag, where it is one of ours.
    pub fn unsubscribed_by(&self, tag: &str) -> Option<String> {
        let tag = tag.to_ascii_lowercase();
        let (subscriber, code) = tag.split_once(MARK)?;
        let code = decoded(code)?;
        let is_ours = |key| mac(key, subscriber).verify_truncated_left(&code).is_ok();
        (!subscriber.is_empty() && self.keys.all().any(is_ours)).then(|| subscriber.to_owned())
    }

    fn unsubscribe_code(&self, subscriber: &str) -> String {
        let mac = mac(self.keys.newest(), subscriber).finalize().into_bytes();
        domain::identity::hex(&mac[..CODE_BYTES])
    }
}

fn mac(key: &Hmac<Sha256>, subscriber: &str) -> Hmac<Sha256> {
    // No token's claim has a colon, so neither stands for the other.
    signed(key, &format!("unsubscribe by mail:{subscriber}"))
}

/// A code of exactly the right length: a shorter one would be easier to guess.
fn decoded(code: &str) -> Option<[u8; CODE_BYTES]> {
    let is_code = code.len() == 2 * CODE_BYTES && code.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut bytes = [0; CODE_BYTES];
    for (byte, digits) in bytes.iter_mut().zip(code.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    is_code.then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing_keys::SigningKeys;

    const ADA: &str = "0190a0b0c0d0e0f00190a0b0c0d0e0f0";

    #[test]
    fn a_tag_names_its_subscriber_however_it_is_spelt() {
        let tokens = Tokens::new(SigningKeys::single(b"secret"));
        let tag = tokens.unsubscribe_tag(ADA);
        assert_eq!(tag.len(), ADA.len() + UNSUBSCRIBE_TAG_CHARS);
        assert_eq!(tokens.unsubscribed_by(&tag).as_deref(), Some(ADA));
        assert_eq!(tokens.unsubscribed_by(&tag.to_uppercase()).as_deref(), Some(ADA));
    }

    #[test]
    fn forged_tags_name_nobody() {
        let tokens = Tokens::new(SigningKeys::single(b"secret"));
        let tag = tokens.unsubscribe_tag(ADA);
        let (_, code) = tag.split_once(MARK).expect("two parts");
        let other = Tokens::new(SigningKeys::single(b"other")).unsubscribe_tag(ADA);
        for forged in [
            String::new(),
            ADA.to_owned(),
            format!("{ADA}{MARK}"),
            format!("{ADA}{MARK}{}", &code[..12]),
            format!("{ADA}{MARK}{code}00"),
            format!("{ADA}{MARK}é{}", &code[..12]),
            format!("eve{MARK}{code}"),
            format!("{MARK}{code}"),
            format!("{ADA}.1772400000000"),
            other,
        ] {
            assert_eq!(tokens.unsubscribed_by(&forged), None, "{forged}");
        }
    }
}
