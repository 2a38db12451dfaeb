//! Addresses that must get no mail, known by a hash alone: they stay when everything else about a reader is forgotten.
//!
//! The word on an address is `<version> <bounce|complaint|manual> <since ms>`, or `<version> lifted <since ms>`: a lifted
//! one stays, so that an older word in the log never takes its place.

use std::sync::LazyLock;

use common::bus::BusError;
use domain::EmailAddress;
use domain::identity::hex;
use futures::FutureExt as _;
use jiff::Timestamp;
use proto::convert::{from_wire_time, to_wire_time};
use proto::subscriptions::v1::{self as wire, SuppressionLogged, SuppressionReason};
use redis::Script;
use sha2::{Digest as _, Sha256};

use super::{State, Subscriber, Subscribers, SubscribersError, corrupt};

pub(super) const SUPPRESSED: &str = "broadsheet:suppressed";
const MOST_CONFLICTS: usize = 64;

pub(super) static SUPPRESS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("suppress.lua")));

/// Why an address gets no mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It takes no mail.
    Bounce,
    /// Its reader called our mail spam.
    Complaint,
    /// An operator said so.
    Manual,
}

/// An address that gets no mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// SHA-256 of the address key, in hex.
    pub hash: String,
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub since: Timestamp,
}

/// The word on an address, with its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Word {
    version: u64,
    /// None where it was lifted.
    reason: Option<Reason>,
    since: Timestamp,
}

impl Subscribers {
    /// Why an address gets no mail; none where it may get some.
    pub async fn suppression(&self, email: &EmailAddress) -> Result<Option<Reason>, SubscribersError> {
        Ok(self.word(&hash(email)).await?.and_then(|word| word.reason))
    }

    /// Sends nothing to an address any more; ends its subscription, if there is one. A complaint outweighs other reasons,
    /// else the first one stays.
    pub async fn suppress_address(
        &self,
        email: &EmailAddress,
        reason: Reason,
        now: Timestamp,
    ) -> Result<(), SubscribersError> {
        let outweighs = |known: Option<Reason>| match known {
            None => true,
            Some(known) => known != Reason::Complaint && reason == Reason::Complaint,
        };
        self.say(email, now, |known| outweighs(known).then_some(Some(reason)))
            .await?;
        let Some(known) = self.by_email(email).await? else {
            return Ok(());
        };
        let end = |known: &mut Subscriber| {
            if matches!(known.state, State::Pending | State::Active | State::Paused) {
                known.state = State::Suppressed;
                known.ended = Some(now);
            }
        };
        self.change(&known.id, now, end).await?;
        self.wait_for_disk().await;
        Ok(())
    }

    /// Allows mail to an address again. A subscription that it ended stays ended until there is new consent.
    pub async fn lift(&self, email: &EmailAddress, now: Timestamp) -> Result<(), SubscribersError> {
        self.say(email, now, |known| known.map(|_| None)).await?;
        let Some(known) = self.by_email(email).await? else {
            return Ok(());
        };
        let end = |known: &mut Subscriber| {
            if known.state == State::Suppressed {
                known.state = State::Unsubscribed;
            }
        };
        self.change(&known.id, now, end).await.map(drop)
    }

    /// One page of suppressions, and where to go on; 0 at the end. One may come twice.
    pub async fn suppressions(&self, cursor: u64, about: usize) -> Result<(u64, Vec<Suppression>), SubscribersError> {
        let mut command = redis::cmd("HSCAN");
        command.arg(SUPPRESSED).arg(cursor).arg("COUNT").arg(about);
        let (next, words): (u64, Vec<(String, String)>) = self.ask(&command).await?;
        let mut found = Vec::with_capacity(words.len());
        for (hash, word) in words {
            let word = Word::parse(&hash, &word)?;
            if let Some(reason) = word.reason {
                let since = word.since;
                found.push(Suppression { hash, reason, since });
            }
        }
        Ok((next, found))
    }

    /// Writes and logs what is said of an address now; `None` says nothing new.
    async fn say(
        &self,
        email: &EmailAddress,
        now: Timestamp,
        decide: impl Fn(Option<Reason>) -> Option<Option<Reason>>,
    ) -> Result<(), SubscribersError> {
        let hash = hash(email);
        for _ in 0..MOST_CONFLICTS {
            let known = self.word(&hash).await?;
            let Some(reason) = decide(known.and_then(|known| known.reason)) else {
                return self.log_suppression(&hash).await;
            };
            let word = Word {
                version: known.map_or(0, |known| known.version) + 1,
                reason,
                since: now,
            };
            if self.write_word(&hash, "next", word).await? {
                return self.log_suppression(&hash).await;
            }
        }
        Err(SubscribersError::Contended(SUPPRESSED.to_owned()))
    }

    async fn word(&self, hash: &str) -> Result<Option<Word>, SubscribersError> {
        let word: Option<String> = self.ask(redis::cmd("HGET").arg(SUPPRESSED).arg(hash)).await?;
        word.map(|word| Word::parse(hash, &word)).transpose()
    }

    async fn write_word(&self, hash: &str, over: &str, word: Word) -> Result<bool, SubscribersError> {
        let arguments = [hash, over, &word.version.to_string(), &word.to_string()].map(|one| one.as_bytes().to_vec());
        self.script(&SUPPRESS, &[SUPPRESSED.to_owned()], &arguments).await
    }

    /// Puts the word on an address into the log, where that has none or an older one.
    pub(super) async fn log_suppression(&self, hash: &str) -> Result<(), SubscribersError> {
        let Some(log) = &self.log else {
            return Ok(());
        };
        let newest = |logged: Option<SuppressionLogged>| {
            let reading = async move {
                let Some(word) = self.word(hash).await? else {
                    return Ok::<_, SubscribersError>(None);
                };
                let known = logged.is_some_and(|logged| logged.version >= word.version);
                Ok((!known).then(|| word.to_log(hash)))
            };
            reading.boxed()
        };
        log.put(hash, newest).await.map(drop)
    }

    /// Takes the word on an address from the log; true where Redis had none or an older one.
    pub(super) async fn restore_suppression(&self, logged: &SuppressionLogged) -> Result<bool, SubscribersError> {
        let suppression = logged.suppression.clone().unwrap_or_default();
        let word = Word::from_log(logged, &suppression).ok_or_else(|| {
            let problem = format!("suppression {} does not parse", suppression.address_hash);
            BusError::Request(problem)
        })?;
        self.write_word(&suppression.address_hash, "newer", word).await
    }
}

/// The hash that stands for an address.
pub fn hash(email: &EmailAddress) -> String {
    hex(&Sha256::digest(email.key()))
}

impl Reason {
    /// The name in Redis, and for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bounce => "bounce",
            Self::Complaint => "complaint",
            Self::Manual => "manual",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        let reasons = [Self::Bounce, Self::Complaint, Self::Manual];
        reasons.into_iter().find(|reason| reason.name() == name)
    }
}

impl From<Reason> for SuppressionReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Bounce => Self::Bounce,
            Reason::Complaint => Self::Complaint,
            Reason::Manual => Self::Manual,
        }
    }
}

impl Word {
    fn parse(hash: &str, word: &str) -> Result<Self, SubscribersError> {
        let parts: Vec<&str> = word.split(' ').collect();
        let parsed = match parts[..] {
            [version, reason, since] => version
                .parse()
                .ok()
                .zip(since.parse().ok())
                .and_then(|(version, since)| {
                    Some(Self {
                        version,
                        reason: if reason == "lifted" {
                            None
                        } else {
                            Some(Reason::parse(reason)?)
                        },
                        since: Timestamp::from_millisecond(since).ok()?,
                    })
                }),
            _ => None,
        };
        parsed.ok_or_else(|| corrupt(SUPPRESSED, &format!("{hash} is {word:?}")))
    }

    fn to_log(self, hash: &str) -> SuppressionLogged {
        let reason = self.reason.map_or(SuppressionReason::Unspecified, Into::into);
        SuppressionLogged {
            suppression: Some(wire::Suppression {
                address_hash: hash.to_owned(),
                reason: reason.into(),
                time: Some(to_wire_time(self.since)),
            }),
            version: self.version,
            lifted: self.reason.is_none(),
        }
    }

    fn from_log(logged: &SuppressionLogged, suppression: &wire::Suppression) -> Option<Self> {
        let reason = match suppression.reason() {
            _ if logged.lifted => None,
            SuppressionReason::Bounce => Some(Reason::Bounce),
            SuppressionReason::Complaint => Some(Reason::Complaint),
            SuppressionReason::Manual => Some(Reason::Manual),
            SuppressionReason::Unspecified => return None,
        };
        Some(Self {
            version: logged.version,
            reason,
            since: from_wire_time("time", suppression.time?).ok()?,
        })
    }
}

impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reason = self.reason.map_or("lifted", Reason::name);
        write!(f, "{} {reason} {}", self.version, self.since.as_millisecond())
    }
}
