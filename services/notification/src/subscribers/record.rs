//! A subscriber as a hash in Redis and as an entry of the log.
//!
//! The hash has `email`, `state`, `preferences` (a protobuf message), `created`, `confirmed`, `ended`, `until`, `asked`,
//! `since` (all in ms), `consent`, `webhook` (protobuf messages), `ways` (the channels in use where mail is not the only
//! one, for scripts), `why` it is paused, `version`, and `encoder` with `vectors` (see [`super::vectors`]).
//! Before there were versions it had `interests` (JSON), `time`, `time_zone`, `paper_count` and `unsubscribed` instead;
//! these are read all the same, and written anew with the first change.

use std::collections::HashMap;

use domain::schedule::Schedule;
use domain::{Interest, PaperId, Preferences, Violation};
use jiff::Timestamp;
use prost::Message as _;
use proto::convert;
use proto::convert::{from_wire_time, to_wire_time};
use proto::subscriptions::v1 as wire;

use super::webhooks::{self, Webhook};
use super::{Consent, Opting, State, Subscriber, SubscribersError, corrupt, subscriber_key};

/// Fields with their values; one without a value is not there.
pub(super) type Fields = Vec<(&'static str, Vec<u8>)>;

/// A subscriber from its hash.
pub fn subscriber(id: &str, fields: &HashMap<String, Vec<u8>>) -> Result<Subscriber, SubscribersError> {
    let key = subscriber_key(id);
    let wrong = |problem: &dyn std::fmt::Display| corrupt(&key, problem);
    let text = |name: &str| {
        let bytes = fields.get(name).cloned();
        bytes.and_then(|bytes| String::from_utf8(bytes).ok())
    };
    let required = |name: &str| text(name).ok_or_else(|| wrong(&name));
    let time = |name: &str| Timestamp::from_millisecond(text(name)?.parse().ok()?).ok();
    let (preferences, unwanted) = match fields.get("preferences") {
        Some(bytes) => {
            let stored = wire::Preferences::decode(&bytes[..]).map_err(|error| wrong(&error))?;
            read_preferences(&stored).map_err(|problem| wrong(&problem))?
        }
        None => (
            earlier_preferences(&required).map_err(|problem| wrong(&problem))?,
            Vec::new(),
        ),
    };
    let state = State::parse(&required("state")?).ok_or_else(|| wrong(&"state"))?;
    let confirmed = time("confirmed");
    let consent = match fields.get("consent") {
        Some(bytes) => read_consent(&wire::ConsentRecord::decode(&bytes[..]).map_err(|error| wrong(&error))?),
        None => confirmed.map(|time| Consent {
            opting: Opting::Ask,
            source: String::new(),
            time,
        }),
    };
    let webhook = match fields.get("webhook") {
        Some(bytes) => Some(read_webhook(bytes).map_err(|error| wrong(&error))?),
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
        ended: time("ended")
            .or_else(|| time("unsubscribed"))
            .or_else(|| time("suppressed")),
        paused_until: time("until"),
        asked: time("asked"),
        due_since: time("since").or(confirmed),
        consent,
        webhook,
        pause_reason: text("why").unwrap_or_default(),
        version: text("version").and_then(|version| version.parse().ok()).unwrap_or(0),
    })
}

fn read_webhook(bytes: &[u8]) -> Result<Webhook, prost::DecodeError> {
    wire::WebhookRecord::decode(bytes).map(|record| webhooks::from_record(&record))
}

/// What releases before versions kept of the preferences.
fn earlier_preferences(required: &dyn Fn(&str) -> Result<String, SubscribersError>) -> Result<Preferences, String> {
    let field = |name: &str| required(name).map_err(|_| name.to_owned());
    let interests: Vec<String> = serde_json::from_str(&field("interests")?).map_err(|error| error.to_string())?;
    let schedule = Schedule::parse(&field("time")?, &field("time_zone")?).map_err(|error| error.to_string())?;
    let paper_count = field("paper_count")?.parse().map_err(|_| "paper_count")?;
    Ok(Preferences {
        interests: interests.iter().map(|words| Interest::in_words(words)).collect(),
        ..Preferences::plain(schedule, paper_count)
    })
}

/// All fields of a subscriber but the vectors.
pub(super) fn fields(of: &Subscriber) -> Fields {
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
                .map_or(Vec::new(), |consent| write_consent(consent).encode_to_vec()),
        ),
        (
            "webhook",
            of.webhook
                .as_ref()
                .map_or(Vec::new(), |webhook| webhooks::to_record(webhook).encode_to_vec()),
        ),
        ("ways", of.ways().into_bytes()),
        ("why", of.pause_reason.clone().into_bytes()),
    ]
}

/// A subscriber as the log has it.
pub(super) fn to_log(of: &Subscriber) -> wire::SubscriberLogged {
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
        asked_time: of.asked.map(to_wire_time),
        due_since_time: of.due_since.map(to_wire_time),
        consent: of.consent.as_ref().map(write_consent),
        webhook: of.webhook.as_ref().map(webhooks::to_record),
        pause_reason: of.pause_reason.clone(),
    }
}

/// A subscriber from the log, who was not forgotten.
pub(super) fn from_log(logged: &wire::SubscriberLogged) -> Result<Subscriber, String> {
    let time = |time: Option<prost_types::Timestamp>| time.and_then(|time| from_wire_time("time", time).ok());
    let (preferences, unwanted) = read_preferences(logged.preferences.as_ref().ok_or("preferences are missing")?)?;
    Ok(Subscriber {
        id: logged.subscriber_id.clone(),
        email: logged.email.clone(),
        state: State::parse(&logged.state).ok_or_else(|| format!("state is {:?}", logged.state))?,
        preferences,
        unwanted,
        created: time(logged.created_time).ok_or("created_time is missing")?,
        confirmed: time(logged.confirmed_time),
        ended: time(logged.ended_time),
        paused_until: time(logged.paused_until_time),
        asked: time(logged.asked_time),
        due_since: time(logged.due_since_time),
        consent: logged.consent.as_ref().and_then(read_consent),
        webhook: logged.webhook.as_ref().map(webhooks::from_record),
        pause_reason: logged.pause_reason.clone(),
        version: logged.version,
    })
}

pub(super) fn write_preferences(of: &Subscriber) -> wire::Preferences {
    wire::Preferences {
        unwanted_paper_ids: of.unwanted.iter().map(ToString::to_string).collect(),
        ..(&of.preferences).into()
    }
}

fn read_preferences(stored: &wire::Preferences) -> Result<(Preferences, Vec<PaperId>), String> {
    let mut wrong = Vec::new();
    let unwanted = convert::preferences::paper_ids("unwanted", &stored.unwanted_paper_ids, &mut wrong);
    match convert::preferences::preferences(stored) {
        Ok(preferences) if wrong.is_empty() => Ok((preferences, unwanted)),
        Ok(_) => Err(said(wrong)),
        Err(more) => Err(said(more)),
    }
}

fn said(violations: Vec<Violation>) -> String {
    let lines = violations
        .into_iter()
        .map(|one| format!("{} {}", one.field, one.description));
    lines.collect::<Vec<_>>().join("; ")
}

/// Consent on the wire.
pub fn write_consent(consent: &Consent) -> wire::ConsentRecord {
    let kind = match consent.opting {
        Opting::Ask => wire::Consent::DoubleOptIn,
        Opting::OnRecord => wire::Consent::OnRecord,
    };
    wire::ConsentRecord {
        kind: kind.into(),
        source: consent.source.clone(),
        time: Some(to_wire_time(consent.time)),
    }
}

fn read_consent(record: &wire::ConsentRecord) -> Option<Consent> {
    Some(Consent {
        opting: match record.kind() {
            wire::Consent::OnRecord => Opting::OnRecord,
            wire::Consent::DoubleOptIn | wire::Consent::Unspecified => Opting::Ask,
        },
        source: record.source.clone(),
        time: from_wire_time("time", record.time?).ok()?,
    })
}
