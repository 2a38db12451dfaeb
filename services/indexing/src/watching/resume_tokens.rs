//! Resume tokens: a place in the stream of papers, signed, so that nobody has the stream read from a place of their choice.
//!
//! `base64url(version, sequence, seconds when the paper there became searchable, the first half of an HMAC-SHA256 over these)`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

const VERSION: u8 = 1;
/// What is signed: version, sequence, seconds.
const CLAIM_BYTES: usize = 17;
/// A place in a stream needs no more.
const SIGNATURE_BYTES: usize = 16;
/// Sets these signatures apart from others with the same key.
const CONTEXT: &[u8] = b"broadsheet resume token";

/// A place in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumePosition {
    /// The sequence of the paper there.
    pub sequence: u64,
    /// When it became searchable.
    pub indexed: Timestamp,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResumeTokenError {
    /// Not one of ours, or altered.
    Forged,
    /// Its place lies too far back.
    TooOld,
}

/// Signs and checks resume tokens.
#[derive(Clone)]
pub struct ResumeTokens {
    key: Hmac<Sha256>,
    oldest: SignedDuration,
}

impl ResumeTokens {
    /// With a secret, for places that lie so far back at most.
    pub fn new(secret: &[u8], oldest: SignedDuration) -> Self {
        let key = Hmac::new_from_slice(secret).expect("HMAC takes keys of any length");
        Self {
            key: key.chain_update(CONTEXT),
            oldest,
        }
    }

    /// A token for a place.
    pub fn issue(&self, position: ResumePosition) -> String {
        let mut token = vec![VERSION];
        token.extend(position.sequence.to_be_bytes());
        token.extend(position.indexed.as_second().to_be_bytes());
        let signature = self.sign(&token).finalize().into_bytes();
        token.extend(&signature[..SIGNATURE_BYTES]);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// The place of a token.
    pub fn check(&self, token: &str, now: Timestamp) -> Result<ResumePosition, ResumeTokenError> {
        use ResumeTokenError::{Forged, TooOld};
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| Forged)?;
        let (claim, signature) = bytes.split_at_checked(CLAIM_BYTES).ok_or(Forged)?;
        if signature.len() != SIGNATURE_BYTES {
            return Err(Forged);
        }
        self.sign(claim).verify_truncated_left(signature).map_err(|_| Forged)?;
        let (version, rest) = claim.split_first().ok_or(Forged)?;
        let (sequence, seconds) = rest.split_at_checked(8).ok_or(Forged)?;
        if *version != VERSION {
            return Err(Forged);
        }
        let sequence = u64::from_be_bytes(sequence.try_into().map_err(|_| Forged)?);
        let seconds = i64::from_be_bytes(seconds.try_into().map_err(|_| Forged)?);
        let indexed = Timestamp::from_second(seconds).map_err(|_| Forged)?;
        if now.duration_since(indexed) > self.oldest {
            return Err(TooOld);
        }
        Ok(ResumePosition { sequence, indexed })
    }

    fn sign(&self, claim: &[u8]) -> Hmac<Sha256> {
        self.key.clone().chain_update(claim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: SignedDuration = SignedDuration::from_hours(24 * 7);

    fn position() -> ResumePosition {
        ResumePosition {
            sequence: 12,
            indexed: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_token_leads_to_its_place_for_a_week() {
        let tokens = ResumeTokens::new(b"secret", WEEK);
        let token = tokens.issue(position());
        let after = |time: SignedDuration| tokens.check(&token, Timestamp::UNIX_EPOCH + time);
        assert_eq!(after(SignedDuration::ZERO), Ok(position()));
        assert_eq!(after(WEEK), Ok(position()));
        assert_eq!(
            after(WEEK + SignedDuration::from_secs(1)),
            Err(ResumeTokenError::TooOld)
        );
    }

    #[test]
    fn forged_tokens_are_refused() {
        let tokens = ResumeTokens::new(b"secret", WEEK);
        let token = tokens.issue(position());
        let check = |token: &str| tokens.check(token, Timestamp::UNIX_EPOCH);
        let bytes = URL_SAFE_NO_PAD.decode(&token).expect("base64");
        for index in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[index] ^= 1;
            let altered = URL_SAFE_NO_PAD.encode(altered);
            assert_eq!(check(&altered), Err(ResumeTokenError::Forged), "byte {index}");
        }
        let other = ResumeTokens::new(b"other", WEEK).issue(position());
        let unsigned = URL_SAFE_NO_PAD.encode("papers 12");
        let short = URL_SAFE_NO_PAD.encode(&bytes[..CLAIM_BYTES]);
        for forged in ["", "x", "!", &other, &unsigned, &short, &format!("{token}AA")] {
            assert_eq!(check(forged), Err(ResumeTokenError::Forged), "{forged}");
        }
    }
}
