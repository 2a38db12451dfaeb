//! Ids of readers who have no subscription: signed, with the moment they were issued, so that nobody makes readers up, and
//! bounded in how many there are.
//!
//! A reader counts from some minutes after the issue on. So a vote without a cookie costs its sender a second visit and moves
//! nothing by itself, and a forged or altered cookie is none. It decides nothing about how much a reader counts; that is
//! `domain::trending`'s.

use std::net::IpAddr;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::allowances::{Allowances, PerMinute};
use common::clock::Clock;
use common::config::Settings;
use common::kept_secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;
use uuid::Uuid;

use common::connections::client_key;

/// What the signature is for, so that no other of the same key will do.
const PURPOSE: &[u8] = b"broadsheet reader cookie\n";
/// Bytes of a signature: 128 bits.
const SIGNATURE_BYTES: usize = 16;
/// Ahead of our clock by which an issue may seem to be, because replicas' clocks differ.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(1);
/// How long an id is good: as long as browsers keep the cookie, which they renew.
const LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 730);

/// The configured secrets, the newest first; not shown.
#[derive(Clone)]
struct CookieKeys(Vec<Vec<u8>>);

impl std::fmt::Debug for CookieKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CookieKeys")
    }
}

/// Settings of readers' ids.
#[derive(Debug, Clone)]
pub struct ReaderIdSettings {
    keys: CookieKeys,
    state_folder: PathBuf,
    /// Time after the issue from which a reader counts.
    pub minimum_age: SignedDuration,
    /// New readers.
    pub new_readers: PerMinute,
    /// Votes and saves of readers with cookies that are recorded, all together.
    pub votes: u32,
    /// Most clients remembered at a time.
    pub clients: usize,
}

impl ReaderIdSettings {
    /// Reads the settings.
    pub fn read(settings: &mut Settings) -> Self {
        let expected = "must be empty, or one or several keys of at least 32 characters, separated by commas";
        let keys = settings.get("web.cookie_key", expected, |value| {
            let keys = value.as_str()?.split(',').map(str::trim);
            let keys: Vec<Vec<u8>> = keys
                .filter(|key| !key.is_empty())
                .map(|key| key.as_bytes().to_vec())
                .collect();
            keys.iter()
                .all(|key| key.len() >= kept_secret::LEAST_BYTES)
                .then_some(CookieKeys(keys))
        });
        Self {
            keys,
            state_folder: PathBuf::from(settings.text("web.state_folder")),
            minimum_age: SignedDuration::from_mins(settings.integer("web.reader_minutes", 0..=10_080)),
            new_readers: PerMinute {
                each: settings.integer("web.new_readers_per_minute_per_client", 1..=1_000_000),
                all: settings.integer("web.new_readers_per_minute", 1..=1_000_000),
            },
            votes: settings.integer("web.votes_per_minute", 1..=1_000_000),
            clients: settings.integer("web.known_clients", 100..=10_000_000),
        }
    }

    /// Those of a test.
    #[cfg(test)]
    pub fn for_tests() -> Self {
        Self {
            keys: CookieKeys(vec![vec![7; 32]]),
            state_folder: PathBuf::new(),
            minimum_age: SignedDuration::from_mins(10),
            new_readers: PerMinute { each: 2, all: 3 },
            votes: 2,
            clients: 100,
        }
    }

    fn secrets(&self) -> Result<Vec<Vec<u8>>, String> {
        if !self.keys.0.is_empty() {
            return Ok(self.keys.0.clone());
        }
        if self.state_folder.as_os_str().is_empty() {
            return Err("web.cookie_key is empty; make one with openssl rand -hex 32".to_owned());
        }
        Ok(vec![kept_secret::read_or_make(&self.state_folder.join("cookie.key"))?])
    }
}

/// A reader, as the cookie tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedReader {
    id: Uuid,
    issued: Timestamp,
}

/// Whether what a reader does is recorded.
#[derive(Debug, PartialEq, Eq)]
pub enum ReaderStanding {
    /// It is, under this id, as far as [`ReaderIds::may_record`] goes.
    Counts(String),
    /// Not yet: the id was issued just now.
    Waits,
    /// There is no id, because there are too many new readers.
    NotAdmitted,
}

/// Issues and checks ids.
pub struct ReaderIds {
    /// The first one signs, all of them check.
    keys: Vec<Hmac<Sha256>>,
    minimum_age: SignedDuration,
    new_readers: Allowances<u128>,
    votes: Allowances<()>,
    clock: Clock,
}

impl ReaderIds {
    /// With the configured keys, or one that is made once and kept.
    ///
    /// # Errors
    /// There is no key and nowhere to keep one, or the one that is kept cannot be used.
    pub fn new(settings: &ReaderIdSettings, clock: Clock) -> Result<Self, String> {
        let keys = settings.secrets()?.into_iter().map(|secret| {
            let key = Hmac::<Sha256>::new_from_slice(&secret);
            key.map_err(|error| error.to_string())
        });
        Ok(Self {
            keys: keys.collect::<Result<_, _>>()?,
            minimum_age: settings.minimum_age,
            new_readers: Allowances::new(settings.new_readers, settings.clients, clock.clone()),
            votes: Allowances::new(
                PerMinute {
                    each: 0,
                    all: settings.votes,
                },
                1,
                clock.clone(),
            ),
            clock,
        })
    }

    /// How a reader stands who presses a button, by the signed id of the cookie. Where that is none, a new one is put in its
    /// place if it may be issued to this client.
    pub fn standing(&self, cookie: &mut Option<String>, client: IpAddr) -> ReaderStanding {
        let known = cookie.as_deref().and_then(|cookie| self.check(cookie));
        let Some(reader) = known.or_else(|| self.issue(client)) else {
            *cookie = None;
            return ReaderStanding::NotAdmitted;
        };
        *cookie = Some(self.sign(reader));
        let counts = self.clock.now().duration_since(reader.issued) >= self.minimum_age;
        if counts {
            ReaderStanding::Counts(reader.id.simple().to_string())
        } else {
            ReaderStanding::Waits
        }
    }

    /// Whether one more act of a reader with a cookie is recorded in this minute.
    pub fn may_record(&self, client: IpAddr) -> bool {
        client.is_loopback() || self.votes.take(())
    }

    fn issue(&self, client: IpAddr) -> Option<SignedReader> {
        // Callers on this machine are not limited.
        (client.is_loopback() || self.new_readers.take(client_key(client))).then(|| SignedReader {
            id: Uuid::new_v4(),
            // Whole seconds, as the cookie has it.
            issued: Timestamp::from_second(self.clock.now().as_second()).unwrap_or_default(),
        })
    }

    fn sign(&self, reader: SignedReader) -> String {
        let payload = format!("{}.{:x}", reader.id.simple(), reader.issued.as_second());
        let signature = signature(&self.keys[0], &payload);
        format!("{payload}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The reader of a signed id that was issued here and is still good.
    fn check(&self, cookie: &str) -> Option<SignedReader> {
        let (payload, presented) = cookie.rsplit_once('.')?;
        let presented = URL_SAFE_NO_PAD.decode(presented).ok()?;
        let is_ours = |key: &Hmac<Sha256>| {
            presented.len() == SIGNATURE_BYTES && unfinished(key, payload).verify_truncated_left(&presented).is_ok()
        };
        if !self.keys.iter().any(is_ours) {
            return None;
        }
        let (id, issued) = payload.split_once('.')?;
        let reader = SignedReader {
            id: Uuid::try_parse(id).ok()?,
            issued: Timestamp::from_second(i64::from_str_radix(issued, 16).ok()?).ok()?,
        };
        let age = self.clock.now().duration_since(reader.issued);
        (age >= -CLOCK_SKEW && age <= LIFETIME).then_some(reader)
    }
}

fn unfinished(key: &Hmac<Sha256>, payload: &str) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(PURPOSE);
    mac.update(payload.as_bytes());
    mac
}

fn signature(key: &Hmac<Sha256>, payload: &str) -> [u8; SIGNATURE_BYTES] {
    let whole = unfinished(key, payload).finalize().into_bytes();
    std::array::from_fn(|at| whole[at])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn start() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().expect("a time")
    }

    fn stranger(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn a_reader_counts_minutes_after_the_first_button() {
        let (clock, hands) = Clock::manual(start());
        let ids = ReaderIds::new(&ReaderIdSettings::for_tests(), clock).expect("keys");
        let mut cookie = None;
        assert_eq!(ids.standing(&mut cookie, LOCAL), ReaderStanding::Waits);
        let first = cookie.clone();
        hands.advance(Duration::from_secs(599));
        assert_eq!(ids.standing(&mut cookie, LOCAL), ReaderStanding::Waits);
        hands.advance(Duration::from_secs(1));
        let ReaderStanding::Counts(id) = ids.standing(&mut cookie, LOCAL) else {
            panic!("does not count");
        };
        assert_eq!(cookie, first, "the moment of issue stays");
        assert!(cookie.expect("set").starts_with(&id));
    }

    #[test]
    fn what_was_not_signed_here_is_no_reader() {
        let (clock, hands) = Clock::manual(start());
        let settings = ReaderIdSettings::for_tests();
        let ids = ReaderIds::new(&settings, clock.clone()).expect("keys");
        let mut cookie = None;
        ids.standing(&mut cookie, LOCAL);
        let sound = cookie.expect("a cookie");
        assert!(ids.check(&sound).is_some());
        let (payload, signature) = sound.rsplit_once('.').expect("signed");
        let (id, issued) = payload.split_once('.').expect("an issue");
        let other = Uuid::new_v4().simple();
        let long = "x".repeat(10_000);
        for forged in [
            "",
            ".",
            "..",
            id,
            payload,
            &long,
            &format!("{payload}."),
            &format!("{payload}.{}", &signature[..8]),
            &format!("{other}.{issued}.{signature}"),
            &format!("{id}.0.{signature}"),
            &format!("{payload}.{}", URL_SAFE_NO_PAD.encode([0; 16])),
            &format!("{payload}.{signature}{signature}"),
        ] {
            assert_eq!(ids.check(forged), None, "{forged}");
        }
        // A new key signs, and the old one still checks; without it the cookie is nobody's.
        let rotated = ReaderIdSettings {
            keys: CookieKeys(vec![vec![8; 32], settings.keys.0[0].clone()]),
            ..settings.clone()
        };
        assert!(
            ReaderIds::new(&rotated, clock.clone())
                .expect("keys")
                .check(&sound)
                .is_some()
        );
        let replaced = ReaderIdSettings {
            keys: CookieKeys(vec![vec![8; 32]]),
            ..settings
        };
        assert_eq!(ReaderIds::new(&replaced, clock).expect("keys").check(&sound), None);
        hands.advance(Duration::from_hours(24 * 731));
        assert_eq!(ids.check(&sound), None, "too old");
    }

    #[test]
    fn new_readers_are_bounded_for_each_client_and_for_all() {
        let (clock, hands) = Clock::manual(start());
        let ids = ReaderIds::new(&ReaderIdSettings::for_tests(), clock).expect("keys");
        let issued = |client| {
            let mut cookie = Some("forged".to_owned());
            let standing = ids.standing(&mut cookie, client);
            assert_eq!(cookie.is_none(), standing == ReaderStanding::NotAdmitted);
            cookie
        };
        let first = issued(stranger(1));
        assert!(first.is_some() && issued(stranger(1)).is_some());
        assert_eq!(issued(stranger(1)), None, "two of one client");
        assert!(issued(stranger(2)).is_some());
        assert_eq!(issued(stranger(3)), None, "three of all");
        // Who has an id needs no new one.
        let mut known = first.clone();
        assert_eq!(ids.standing(&mut known, stranger(1)), ReaderStanding::Waits);
        hands.advance(Duration::from_mins(10));
        let mut known = first;
        assert!(matches!(
            ids.standing(&mut known, stranger(1)),
            ReaderStanding::Counts(_)
        ));
        let recorded = [stranger(1), stranger(2), stranger(3), LOCAL].map(|client| ids.may_record(client));
        assert_eq!(recorded, [true, true, false, true], "two of all strangers");
    }

    #[test]
    fn without_a_key_there_must_be_a_folder_to_keep_one() {
        let settings = ReaderIdSettings {
            keys: CookieKeys(Vec::new()),
            ..ReaderIdSettings::for_tests()
        };
        let refused = ReaderIds::new(&settings, Clock::system()).err().expect("refused");
        assert!(refused.contains("web.cookie_key"), "{refused}");
    }
}
