//! How mails are named, in Message-IDs, return paths and CFBL-Feedback-ID, so that a report about one can be believed.
//!
//! All hold the subscriber's id, the serial of the mail and a code that only this platform can make (an HMAC). The codes
//! differ: a Message-ID is quoted in replies and archives, so it proves nothing to somebody who sends us a mail. The return
//! path is seen by mail servers, and by whoever is handed the whole mail with all of its headers. So is CFBL-Feedback-ID (RFC
//! 9477), which names the mail in complaints and is good for nothing else.
//!
//! A Message-ID is `<id.serial.code@domain>`. Local parts of return paths have at most 64 characters (RFC 5321), so there id,
//! serial and code are packed into 48 of them.

use data_encoding::BASE32_DNSSEC;
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use lettre::Address;
use sha2::Sha256;

use crate::signing_keys::SigningKeys;
use crate::tokens::UNSUBSCRIBE_TAG_CHARS;

/// Most characters of a bounce address before the `@`, so that `+` and what names a mail still fit behind them, or the tag of an
/// address that unsubscribes.
pub const MAX_BOUNCE_USER_CHARS: usize = 64
    - 1
    - if TAG_CHARS > PACKED_CHARS {
        TAG_CHARS
    } else {
        PACKED_CHARS
    };

const TAG_CHARS: usize = 2 * ID_BYTES + UNSUBSCRIBE_TAG_CHARS;
const PACKED_CHARS: usize = 48;
const ID_BYTES: usize = 16;
const CODE_BYTES: usize = 8;
const MESSAGE_ID_CODE_BYTES: usize = 10;
/// Milliseconds since the epoch fit until the year 2527.
const MS_BITS: u32 = 44;
/// What serials begin with; the first, of digests, has no word.
const KINDS: [&str; 5] = ["", "confirm", "webhook", "test", "account"];

/// Makes and reads the names of mails.
pub struct MailIds {
    keys: SigningKeys,
    domain: String,
}

/// A mail of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailReference {
    /// Whom it was for.
    pub subscriber: String,
    /// The slot of a digest; none for other mails.
    pub slot: Option<Timestamp>,
    /// When it was due or sent.
    pub time: Timestamp,
}

/// What a code is for.
#[derive(Clone, Copy)]
enum CodePurpose {
    MessageId,
    ReturnPath,
    Complaint,
}

impl MailIds {
    /// For mails whose Message-IDs end with `domain`.
    pub fn new(keys: SigningKeys, domain: &str) -> Self {
        Self {
            keys,
            domain: domain.to_ascii_lowercase(),
        }
    }

    /// The Message-ID of a mail to a subscriber, the same at every attempt. The serial is a moment in milliseconds, for other
    /// mails than digests behind a word and a full stop.
    pub fn message_id(&self, id: &str, serial: &str) -> String {
        let code = mac(self.keys.newest(), CodePurpose::MessageId, id, serial).finalize();
        let code = BASE32_DNSSEC.encode(&code.into_bytes()[..MESSAGE_ID_CODE_BYTES]);
        format!("<{id}.{serial}.{code}@{}>", self.domain)
    }

    /// The return path of the mail of a Message-ID. None for one that was not made here.
    pub fn return_path(&self, bounces: &Address, message_id: &str) -> Option<Address> {
        let packed = self.packed(CodePurpose::ReturnPath, message_id)?;
        Address::new(format!("{}+{packed}", bounces.user()), bounces.domain()).ok()
    }

    /// What names the mail of a Message-ID in complaints. None for one that was not made here.
    pub fn feedback_id(&self, message_id: &str) -> Option<String> {
        self.packed(CodePurpose::Complaint, message_id)
    }

    fn packed(&self, purpose: CodePurpose, message_id: &str) -> Option<String> {
        let (id, serial, _) = parts(message_id)?;
        let (id_bytes, moment) = (uuid::Uuid::try_parse(id).ok()?, packed_serial(serial)?);
        let code = mac(self.keys.newest(), purpose, id, serial).finalize();
        let mut packed = Vec::with_capacity(ID_BYTES + 6 + CODE_BYTES);
        packed.extend_from_slice(id_bytes.as_bytes());
        packed.extend_from_slice(&moment.to_be_bytes()[2..]);
        packed.extend_from_slice(&code.into_bytes()[..CODE_BYTES]);
        Some(BASE32_DNSSEC.encode(&packed))
    }

    /// The mail of a return path, at whatever host receives bounces. None for one that was not made here.
    pub fn read_return_path(&self, address: &str) -> Option<MailReference> {
        let (local, _) = bare(address).rsplit_once('@')?;
        let (_, packed) = local.rsplit_once('+')?;
        self.unpacked(CodePurpose::ReturnPath, packed)
    }

    /// The mail of a CFBL-Feedback-ID. None for one that was not made here.
    pub fn read_feedback_id(&self, text: &str) -> Option<MailReference> {
        self.unpacked(CodePurpose::Complaint, text.trim())
    }

    fn unpacked(&self, purpose: CodePurpose, packed: &str) -> Option<MailReference> {
        let packed = (packed.len() == PACKED_CHARS).then(|| BASE32_DNSSEC.decode(packed.as_bytes()).ok())??;
        let (id, rest) = packed.split_first_chunk::<ID_BYTES>()?;
        let (moment, code) = rest.split_first_chunk::<6>()?;
        let id = uuid::Uuid::from_bytes(*id).simple().to_string();
        let moment = moment.iter().fold(0, |moment, byte| (moment << 8) | u64::from(*byte));
        let serial = unpacked_serial(moment)?;
        self.reference(purpose, &id, &serial, code)
    }

    /// The mail of a Message-ID. None for one that was not made here.
    pub fn read_message_id(&self, message_id: &str) -> Option<MailReference> {
        let (id, serial, code) = parts(message_id)?;
        let code = BASE32_DNSSEC.decode(code.as_bytes()).ok()?;
        let whole = code.len() == MESSAGE_ID_CODE_BYTES;
        whole.then(|| self.reference(CodePurpose::MessageId, id, serial, &code))?
    }

    fn reference(&self, purpose: CodePurpose, id: &str, serial: &str, code: &[u8]) -> Option<MailReference> {
        let is_ours = |key: &Hmac<Sha256>| mac(key, purpose, id, serial).verify_truncated_left(code).is_ok();
        self.keys.all().any(is_ours).then_some(())?;
        let (kind, ms) = serial.rsplit_once('.').unwrap_or(("", serial));
        let time = Timestamp::from_millisecond(ms.parse().ok()?).ok()?;
        Some(MailReference {
            subscriber: id.to_owned(),
            slot: kind.is_empty().then_some(time),
            time,
        })
    }
}

fn mac(key: &Hmac<Sha256>, purpose: CodePurpose, id: &str, serial: &str) -> Hmac<Sha256> {
    // Tokens in links are signed with the same keys; what they sign holds no colon.
    let purpose = match purpose {
        CodePurpose::MessageId => "message-id",
        CodePurpose::ReturnPath => "return-path",
        CodePurpose::Complaint => "complaint",
    };
    key.clone().chain_update(format!("{purpose}:{id}.{serial}").as_bytes())
}

fn bare(address: &str) -> &str {
    address.trim().trim_matches(['<', '>', ' '])
}

/// Id, serial and code of a Message-ID.
fn parts(message_id: &str) -> Option<(&str, &str, &str)> {
    let (left, _) = bare(message_id).rsplit_once('@')?;
    let (rest, code) = left.rsplit_once('.')?;
    let (id, serial) = rest.split_once('.')?;
    Some((id, serial, code))
}

/// The kind of a serial in the upper bits, the moment in the lower ones.
fn packed_serial(serial: &str) -> Option<u64> {
    let (kind, ms) = serial.rsplit_once('.').unwrap_or(("", serial));
    let kind = KINDS.iter().position(|known| *known == kind)?;
    let ms: u64 = ms.parse().ok()?;
    (ms >> MS_BITS == 0).then(|| (u64::try_from(kind).unwrap_or(0) << MS_BITS) | ms)
}

fn unpacked_serial(packed: u64) -> Option<String> {
    let kind = KINDS.get(usize::try_from(packed >> MS_BITS).ok()?)?;
    let ms = packed & ((1 << MS_BITS) - 1);
    Some(if kind.is_empty() {
        ms.to_string()
    } else {
        format!("{kind}.{ms}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: &str = "0190a0b0c0d0e0f00190a0b0c0d0e0f0";
    const EVE: &str = "0190a0b0c0d0e0f00190a0b0c0d0e0f1";

    fn ids(keys: &[&str]) -> MailIds {
        MailIds::new(SigningKeys::new(keys).expect("a key"), "Example.org")
    }

    fn bounces() -> Address {
        "bounces@in.example.org".parse().expect("an address")
    }

    #[test]
    fn both_names_lead_back_to_their_mail() {
        let ids = ids(&["secret"]);
        for (serial, slot) in [
            ("1772400000000", true),
            ("confirm.1772400000000", false),
            ("webhook.0", false),
            ("test.1", false),
            ("account.17592186044415", false),
        ] {
            let message_id = ids.message_id(ADA, serial);
            assert!(message_id.ends_with("@example.org>"), "{message_id}");
            let read = ids.read_message_id(&message_id).expect("its own");
            assert_eq!((read.subscriber.as_str(), read.slot.is_some()), (ADA, slot), "{serial}");
            let path = ids.return_path(&bounces(), &message_id).expect("a return path");
            assert_eq!(path.user().len(), "bounces+".len() + PACKED_CHARS);
            assert_eq!(ids.read_return_path(path.as_ref()), Some(read.clone()));
            let feedback_id = ids.feedback_id(&message_id).expect("an id");
            assert_eq!(ids.read_feedback_id(&feedback_id), Some(read.clone()));
            assert!(!path.user().ends_with(&feedback_id), "neither makes the other");
            assert_eq!(ids.read_return_path(&format!("b+{feedback_id}@in.example.org")), None);
            let upper = format!("<{}>", path.to_string().to_ascii_uppercase());
            assert_eq!(ids.read_return_path(&upper), Some(read), "servers change the case");
        }
    }

    #[test]
    fn nothing_of_one_name_makes_another() {
        let own = ids(&["secret"]);
        let (of_ada, of_eve) = (
            own.message_id(ADA, "1772400000000"),
            own.message_id(EVE, "1772400000000"),
        );
        let path = own.return_path(&bounces(), &of_ada).expect("a return path").to_string();
        let stranger = ids(&["other"]);
        let forged = stranger
            .return_path(&bounces(), &of_ada)
            .expect("a return path")
            .to_string();
        // The code of another reader's mail, and that of another mail.
        let eves = own.return_path(&bounces(), &of_eve).expect("a return path").to_string();
        let local = |path: &str| path.split_once('+').expect("a plus").1[..PACKED_CHARS].to_owned();
        let decoded = |path: &str| BASE32_DNSSEC.decode(local(path).as_bytes()).expect("base32");
        let swapped = [&decoded(&path)[..22], &decoded(&eves)[22..]].concat();
        let swapped = format!("b+{}@in.example.org", BASE32_DNSSEC.encode(&swapped));
        for wrong in [
            &forged,
            &swapped,
            "bounces+0190a0b0c0d0e0f00190a0b0c0d0e0f0.1772400000000@in.example.org",
            &of_ada,
            "bounces@in.example.org",
            "bounces+@in.example.org",
            "",
        ] {
            assert_eq!(own.read_return_path(wrong), None, "{wrong}");
        }
        let code = of_eve.rsplit_once('.').expect("a code").0;
        for wrong in [
            "<0190a0b0c0d0e0f00190a0b0c0d0e0f0.1772400000000@example.org>",
            &format!("{code}.aaaaaaaaaaaaaaaa@example.org>"),
            &stranger.message_id(ADA, "1772400000000"),
            &of_eve.replace(EVE, ADA),
            &path,
            "<x@example.org>",
            "nothing",
        ] {
            assert_eq!(own.read_message_id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_earlier_key_still_reads() {
        let path = {
            let old = ids(&["old"]);
            old.return_path(&bounces(), &old.message_id(ADA, "1"))
                .expect("a return path")
        };
        assert!(ids(&["fresh", "old"]).read_return_path(path.as_ref()).is_some());
        assert!(ids(&["fresh"]).read_return_path(path.as_ref()).is_none());
    }
}
