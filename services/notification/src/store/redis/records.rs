//! A subscriber as a hash in Redis and as an entry of the log.
//!
//! The hash has `email`, `state`, `preferences` (a protobuf message), `created`, `confirmed`, `ended`, `until`, `asked`,
//! `since` (all in ms), `consent`, `webhook` (protobuf messages), `channels` (those in use where mail is not the only
//! one, for scripts), `why` it is paused, `epoch` of the links, `pseudonym`, `votes` (a protobuf message), `version`, and `encoder` with `vectors`, which can always be made anew and are in
//! no log. A state that this version does not know is refused, never taken for another one.

use std::collections::HashMap;
use std::sync::LazyLock;

use domain::{EncoderId, Int8Vector, PaperId, Preferences, Violation};
use jiff::Timestamp;
use prost::Message as _;
use proto::convert::{self, from_wire_time, to_wire_time};
use proto::subscriptions::v1 as wire;
use redis::{Script, ScriptInvocation};

use super::connection::{RedisConnection, corrupt, invocation};
use super::keys;
use super::suppressions::WriteOver;
use crate::ports::{InterestVectors, NextDue, Placement, StoreError, SubscriberProfile};
use crate::subscribers::webhook::{self, FailureStreak, WebhookRegistration, WebhookStatus};
use crate::subscribers::{Channel, Consent, OptIn, ReaderVote, Subscriber, SubscriberState};

/// Writes a subscriber, places it in the sorted sets, and says 1; or 0 where another version is there.
pub static WRITE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("write.lua")));

static FORGET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("forget.lua")));

/// A subscriber by id.
pub async fn load(connection: &RedisConnection, id: &str) -> Result<Option<Subscriber>, StoreError> {
    let fields: HashMap<String, Vec<u8>> = connection.ask(redis::cmd("HGETALL").arg(keys::subscriber(id))).await?;
    Ok(profile(id, &fields)?.map(|profile| profile.subscriber))
}

/// A subscriber with the vectors of the interests, from its hash.
pub fn profile(id: &str, fields: &HashMap<String, Vec<u8>>) -> Result<Option<SubscriberProfile>, StoreError> {
    if !fields.contains_key("state") {
        return Ok(None);
    }
    let subscriber = subscriber(id, fields)?;
    Ok(Some(SubscriberProfile {
        vectors: kept_vectors(&subscriber, fields)?,
        subscriber,
    }))
}

/// A call of [`WRITE`].
pub struct SubscriberWrite {
    keys: [String; 5],
    arguments: Vec<Vec<u8>>,
}

impl SubscriberWrite {
    /// Over the version before.
    pub fn over_previous(subscriber: &Subscriber, placement: Placement) -> Self {
        Self::new(WriteOver::Previous, subscriber, placement)
    }

    /// Over any older version, as the log tells.
    pub fn over_older(subscriber: &Subscriber, placement: Placement) -> Self {
        Self::new(WriteOver::Older, subscriber, placement)
    }

    fn new(over: WriteOver, subscriber: &Subscriber, placement: Placement) -> Self {
        let address = keys::email(&subscriber.email.to_ascii_lowercase());
        let [mail, webhook] = Channel::ALL.map(|channel| keys::due(channel).to_owned());
        let ms = |time: Timestamp| time.as_millisecond().to_string();
        let [due_by_mail, due_by_webhook] = placement.due.map(|due| match due {
            NextDue::Unchanged => "keep".to_owned(),
            NextDue::Never => String::new(),
            NextDue::At(moment) => ms(moment),
        });
        let until = subscriber.paused_until.map_or(String::new(), ms);
        let version = subscriber.version.to_string();
        let id = subscriber.id.clone();
        let head = [id, over.name().to_owned(), version, until, due_by_mail, due_by_webhook];
        let mut fields: Fields = fields(subscriber);
        if !placement.vectors_hold {
            fields.extend([("encoder", Vec::new()), ("vectors", Vec::new())]);
        }
        let fields = fields
            .into_iter()
            .flat_map(|(name, value)| [name.as_bytes().to_vec(), value]);
        Self {
            keys: [
                keys::subscriber(&subscriber.id),
                address,
                keys::PAUSED.to_owned(),
                mail,
                webhook,
            ],
            arguments: head.into_iter().map(String::into_bytes).chain(fields).collect(),
        }
    }

    /// Writes; tried again once where the connection broke.
    pub async fn run(&self, connection: &RedisConnection) -> Result<bool, StoreError> {
        connection.script(&WRITE, &self.keys, &self.arguments).await
    }

    /// Writes, and is not tried again: a second try would find the first one's version and seem to have failed.
    pub async fn run_once(&self, connection: &RedisConnection) -> Result<bool, StoreError> {
        connection.script_once(&WRITE, &self.keys, &self.arguments).await
    }

    /// As a call among many.
    pub fn invocation(&self) -> ScriptInvocation<'static> {
        invocation(&WRITE, &self.keys, &self.arguments)
    }
}

/// Forgets a subscriber of an older version in Redis; true where there was one.
pub async fn forget(connection: &RedisConnection, id: &str, version: u64) -> Result<bool, StoreError> {
    let mut keys = vec![
        keys::subscriber(id),
        keys::PAUSED.to_owned(),
        keys::seen(id),
        keys::soft_bounces(id),
    ];
    let to_erase = keys::TO_ERASE.to_owned();
    let version = version.to_string();
    let mut arguments = vec![id, &version, keys::EMAIL];
    for channel in Channel::ALL {
        keys.extend([keys::due(channel).to_owned(), keys::deliveries(channel, id)]);
        arguments.push(keys::delivery_prefix(channel));
    }
    keys.push(to_erase);
    let arguments: Vec<Vec<u8>> = arguments.into_iter().map(|one| one.as_bytes().to_vec()).collect();
    connection.script(&FORGET, &keys, &arguments).await
}

/// Fields with their values; one without a value is not there.
type Fields = Vec<(&'static str, Vec<u8>)>;

/// A subscriber from its hash.
fn subscriber(id: &str, fields: &HashMap<String, Vec<u8>>) -> Result<Subscriber, StoreError> {
    let key = keys::subscriber(id);
    let wrong = |problem: &dyn std::fmt::Display| corrupt(&key, problem);
    let text = |name: &str| {
        let bytes = fields.get(name).cloned();
        bytes.and_then(|bytes| String::from_utf8(bytes).ok())
    };
    let required = |name: &str| text(name).ok_or_else(|| wrong(&name));
    let time = |name: &str| Timestamp::from_millisecond(text(name)?.parse().ok()?).ok();
    let stored = fields.get("preferences").ok_or_else(|| wrong(&"preferences"))?;
    let stored = wire::Preferences::decode(&stored[..]).map_err(|error| wrong(&error))?;
    let (preferences, unwanted) = read_preferences(&stored).map_err(|problem| wrong(&problem))?;
    let state = SubscriberState::parse(&required("state")?).ok_or_else(|| wrong(&"state"))?;
    let confirmed = time("confirmed");
    let consent = match fields.get("consent") {
        Some(bytes) => {
            let record = wire::ConsentRecord::decode(&bytes[..]).map_err(|error| wrong(&error))?;
            Some(read_consent(&record).map_err(|problem| wrong(&problem))?)
        }
        None => None,
    };
    let webhook = match fields.get("webhook") {
        Some(bytes) => Some(read_webhook(bytes).map_err(|problem| wrong(&problem))?),
        None => None,
    };
    Ok(Subscriber {
        id: id.to_owned(),
        email: required("email")?,
        state,
        preferences,
        unwanted,
        created: time("created").ok_or_else(|| wrong(&"created"))?,
        confirmed,
        ended: time("ended"),
        paused_until: time("until"),
        asked: time("asked"),
        due_since: time("since").or(confirmed),
        consent,
        webhook,
        pause_reason: text("why").unwrap_or_default(),
        link_epoch: match text("epoch") {
            Some(epoch) => epoch.parse().map_err(|_| wrong(&"epoch"))?,
            None => 0,
        },
        pseudonym: text("pseudonym").unwrap_or_default(),
        votes: match fields.get("votes") {
            Some(bytes) => {
                let records = wire::VoteRecords::decode(&bytes[..]).map_err(|error| wrong(&error))?;
                read_votes(&records.votes).map_err(|problem| wrong(&problem))?
            }
            None => Vec::new(),
        },
        version: required("version")?.parse().map_err(|_| wrong(&"version"))?,
    })
}

fn read_webhook(bytes: &[u8]) -> Result<WebhookRegistration, String> {
    let record = wire::WebhookRecord::decode(bytes).map_err(|error| error.to_string())?;
    from_webhook_record(&record)
}

/// All fields of a subscriber but the vectors.
fn fields(of: &Subscriber) -> Fields {
    let ms = |time: Option<Timestamp>| time.map_or(Vec::new(), |time| time.as_millisecond().to_string().into_bytes());
    // By far the most are due since they confirmed.
    let since = of.due_since.filter(|since| Some(*since) != of.confirmed);
    vec![
        ("email", of.email.clone().into_bytes()),
        ("state", of.state.name().into()),
        ("preferences", write_preferences(of).encode_to_vec()),
        ("created", ms(Some(of.created))),
        ("confirmed", ms(of.confirmed)),
        ("ended", ms(of.ended)),
        ("until", ms(of.paused_until)),
        ("asked", ms(of.asked)),
        ("since", ms(since)),
        (
            "consent",
            of.consent
                .as_ref()
                .map_or(Vec::new(), |consent| wire::ConsentRecord::from(consent).encode_to_vec()),
        ),
        (
            "webhook",
            of.webhook
                .as_ref()
                .map_or(Vec::new(), |webhook| to_webhook_record(webhook).encode_to_vec()),
        ),
        ("channels", of.channels_in_use().into_bytes()),
        ("why", of.pause_reason.clone().into_bytes()),
        (
            "epoch",
            Some(of.link_epoch)
                .filter(|epoch| *epoch > 0)
                .map_or(Vec::new(), |epoch| epoch.to_string().into_bytes()),
        ),
        ("pseudonym", of.pseudonym.clone().into_bytes()),
        ("votes", wire::VoteRecords { votes: write_votes(of) }.encode_to_vec()),
    ]
}

/// A subscriber as the log has it.
pub fn to_log(of: &Subscriber) -> wire::SubscriberLogged {
    wire::SubscriberLogged {
        subscriber_id: of.id.clone(),
        version: of.version,
        forgotten: false,
        email: of.email.clone(),
        state: of.state.name().to_owned(),
        preferences: Some(write_preferences(of)),
        created_time: Some(to_wire_time(of.created)),
        confirmed_time: of.confirmed.map(to_wire_time),
        ended_time: of.ended.map(to_wire_time),
        paused_until_time: of.paused_until.map(to_wire_time),
        confirmation_sent_time: of.asked.map(to_wire_time),
        due_since_time: of.due_since.map(to_wire_time),
        consent: of.consent.as_ref().map(Into::into),
        webhook: of.webhook.as_ref().map(to_webhook_record),
        pause_reason: of.pause_reason.clone(),
        link_epoch: of.link_epoch,
        pseudonym: of.pseudonym.clone(),
        votes: write_votes(of),
    }
}

/// A subscriber from the log, who was not forgotten.
pub fn from_log(logged: &wire::SubscriberLogged) -> Result<Subscriber, String> {
    let time = |time: Option<prost_types::Timestamp>| time.and_then(|time| from_wire_time("time", time).ok());
    let (preferences, unwanted) = read_preferences(logged.preferences.as_ref().ok_or("preferences are missing")?)?;
    Ok(Subscriber {
        id: logged.subscriber_id.clone(),
        email: logged.email.clone(),
        state: SubscriberState::parse(&logged.state).ok_or_else(|| format!("state is {:?}", logged.state))?,
        preferences,
        unwanted,
        created: time(logged.created_time).ok_or("created_time is missing")?,
        confirmed: time(logged.confirmed_time),
        ended: time(logged.ended_time),
        paused_until: time(logged.paused_until_time),
        asked: time(logged.confirmation_sent_time),
        due_since: time(logged.due_since_time),
        consent: logged.consent.as_ref().map(read_consent).transpose()?,
        webhook: logged.webhook.as_ref().map(from_webhook_record).transpose()?,
        pause_reason: logged.pause_reason.clone(),
        link_epoch: logged.link_epoch,
        pseudonym: logged.pseudonym.clone(),
        votes: read_votes(&logged.votes)?,
        version: logged.version,
    })
}

fn write_preferences(of: &Subscriber) -> wire::Preferences {
    wire::Preferences {
        unwanted_paper_ids: of.unwanted.iter().map(ToString::to_string).collect(),
        ..(&of.preferences).into()
    }
}

/// Preferences as they are stored, and the papers that a reader without interests wants nothing like.
pub fn read_preferences(stored: &wire::Preferences) -> Result<(Preferences, Vec<PaperId>), String> {
    let mut wrong = Vec::new();
    let unwanted = convert::preferences::paper_ids("unwanted", &stored.unwanted_paper_ids, &mut wrong);
    match convert::preferences::preferences(stored) {
        Ok(preferences) if wrong.is_empty() => Ok((preferences, unwanted)),
        Ok(_) => Err(said(wrong)),
        Err(more) => Err(said(more)),
    }
}

fn write_votes(of: &Subscriber) -> Vec<wire::VoteRecord> {
    let votes = of.votes.iter().map(|vote| wire::VoteRecord {
        paper_id: vote.paper.to_string(),
        time: Some(to_wire_time(vote.time)),
    });
    votes.collect()
}

fn read_votes(records: &[wire::VoteRecord]) -> Result<Vec<ReaderVote>, String> {
    let votes = records.iter().map(|record| {
        let time = record.time.ok_or("time of a vote is missing")?;
        Ok(ReaderVote {
            paper: PaperId::parse(&record.paper_id).map_err(|error| error.to_string())?,
            time: from_wire_time("time", time).map_err(|error| error.to_string())?,
        })
    });
    votes.collect()
}

fn said(violations: Vec<Violation>) -> String {
    let lines = violations
        .into_iter()
        .map(|one| format!("{} {}", one.field, one.description));
    lines.collect::<Vec<_>>().join("; ")
}

fn read_consent(record: &wire::ConsentRecord) -> Result<Consent, String> {
    let time = record.time.ok_or("time of the consent is missing")?;
    Ok(Consent {
        opt_in: match record.kind() {
            wire::Consent::OnRecord => OptIn::OnRecord,
            wire::Consent::DoubleOptIn => OptIn::DoubleOptIn,
            wire::Consent::Unspecified => return Err(format!("kind of the consent is {}", record.kind)),
        },
        source: record.source.clone(),
        time: from_wire_time("time", time).map_err(|error| error.to_string())?,
    })
}

/// A webhook as it is kept.
fn to_webhook_record(of: &WebhookRegistration) -> wire::WebhookRecord {
    let (earlier, until) = of.earlier.clone().unzip();
    wire::WebhookRecord {
        url: of.url.clone(),
        secret_name: of.secret.clone(),
        earlier_secret_name: earlier.unwrap_or_default(),
        earlier_secret_end_time: until.map(to_wire_time),
        state: webhook::to_wire_state(of.status).into(),
        detail: of.detail.clone(),
        state_time: Some(to_wire_time(of.since)),
        failing_since_time: of.failure_streak.map(|streak| to_wire_time(streak.since)),
        failed_digests: of.failure_streak.map_or(0, |streak| streak.digests),
        failed_slot_time: of.failure_streak.map(|streak| to_wire_time(streak.slot)),
    }
}

/// A webhook from what is kept of it.
fn from_webhook_record(record: &wire::WebhookRecord) -> Result<WebhookRegistration, String> {
    let time = |name: &'static str, time: Option<prost_types::Timestamp>| {
        let time = time.map(|time| from_wire_time(name, time).map_err(|error| error.to_string()));
        time.transpose()
    };
    let earlier = Some(record.earlier_secret_name.clone()).filter(|name| !name.is_empty());
    let failing_since = time("failing_since_time", record.failing_since_time)?;
    let failed_slot = time("failed_slot_time", record.failed_slot_time)?;
    Ok(WebhookRegistration {
        url: record.url.clone(),
        secret: record.secret_name.clone(),
        earlier: earlier.zip(time("earlier_secret_end_time", record.earlier_secret_end_time)?),
        status: match record.state() {
            wire::WebhookState::Unverified => WebhookStatus::Unverified,
            wire::WebhookState::Verified => WebhookStatus::Verified,
            wire::WebhookState::Gone => WebhookStatus::Gone,
            wire::WebhookState::Disabled => WebhookStatus::Disabled,
            wire::WebhookState::Unspecified => return Err(format!("state of the webhook is {}", record.state)),
        },
        detail: record.detail.clone(),
        since: time("state_time", record.state_time)?.ok_or("state_time of the webhook is missing")?,
        failure_streak: failing_since.map(|since| FailureStreak {
            since,
            digests: record.failed_digests,
            slot: failed_slot.unwrap_or(Timestamp::MIN),
        }),
    })
}

/// The vectors in a subscriber's hash: each rounded to int8, one after the other in the order of the interests. None where
/// they have not been made since the interests changed.
fn kept_vectors(of: &Subscriber, fields: &HashMap<String, Vec<u8>>) -> Result<Option<InterestVectors>, StoreError> {
    let (Some(encoder), Some(bytes)) = (fields.get("encoder"), fields.get("vectors")) else {
        return Ok(None);
    };
    let wrong = |problem: &dyn std::fmt::Display| corrupt(&keys::subscriber(&of.id), problem);
    let encoder = EncoderId::parse(&String::from_utf8_lossy(encoder)).map_err(|error| wrong(&error))?;
    let interests = of.preferences.interests.len();
    if interests == 0 || bytes.is_empty() || !bytes.len().is_multiple_of(interests) {
        return Err(wrong(&"vectors do not fit the interests"));
    }
    let vectors = bytes.chunks(bytes.len() / interests).map(Int8Vector::from_bytes);
    let vectors: Result<Vec<Int8Vector>, _> = vectors.collect();
    Ok(Some((encoder, vectors.map_err(|error| wrong(&error))?)))
}
