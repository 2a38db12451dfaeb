//! The names of keys, which no other file spells.

use jiff::Timestamp;

use crate::subscribers::Channel;

/// What the key of an address begins with.
pub const EMAIL: &str = "broadsheet:email:";
/// How far the log is known to be in Redis.
pub const LOGGED: &str = "broadsheet:logged";
/// Paused ids by the end of their pauses.
pub const PAUSED: &str = "broadsheet:paused";
/// What is said of addresses.
pub const SUPPRESSED: &str = "broadsheet:suppressed";
/// Deleted ids whose entries in the log may still lie in files.
pub const TO_ERASE: &str = "broadsheet:to_erase";
/// Deleted ids that may still lie in the files of Redis.
pub const TO_REWRITE: &str = "broadsheet:to_rewrite";
/// The last fencing token.
pub const EPOCH: &str = "broadsheet:epoch";

/// Requests to subscribe by their ends.
pub const PENDING_ENDS: &str = "broadsheet:pending_ends";
/// Bytes that they take.
pub const PENDING_BYTES: &str = "broadsheet:pending_bytes";
/// What the key of a request to subscribe begins with.
pub const PENDING_PREFIX: &str = "broadsheet:pending:";
/// What the key of the requests of a mailbox begins with.
pub const PENDING_OF_PREFIX: &str = "broadsheet:pending_of:";

/// One request to subscribe.
pub fn pending(id: &str) -> String {
    format!("{PENDING_PREFIX}{id}")
}

/// The requests of a mailbox.
pub fn pending_of(mailbox_hash: &str) -> String {
    format!("{PENDING_OF_PREFIX}{mailbox_hash}")
}

/// One subscriber.
pub fn subscriber(id: &str) -> String {
    format!("broadsheet:subscriber:{id}")
}

/// The id that stands for an address.
pub fn email(key: &str) -> String {
    format!("{EMAIL}{key}")
}

/// Papers that a subscriber was sent.
pub fn seen(id: &str) -> String {
    format!("broadsheet:seen:{id}")
}

/// Slots whose mails came back softly.
pub fn soft_bounces(id: &str) -> String {
    format!("broadsheet:soft:{id}")
}

/// A bucket of tokens.
pub fn rate(name: &str) -> String {
    format!("broadsheet:rate:{name}")
}

/// The last events of a window.
pub fn window(name: &str) -> String {
    format!("broadsheet:window:{name}")
}

/// Who is due on a channel, and when.
pub fn due(channel: Channel) -> &'static str {
    match channel {
        Channel::Mail => "broadsheet:due",
        Channel::Webhook => "broadsheet:due:webhook",
    }
}

/// What the key of a delivery begins with.
pub fn delivery_prefix(channel: Channel) -> &'static str {
    match channel {
        Channel::Mail => "broadsheet:delivery:",
        Channel::Webhook => "broadsheet:call:",
    }
}

/// One digest on a channel.
pub fn delivery(channel: Channel, id: &str, slot: Timestamp) -> String {
    format!("{}{id}:{}", delivery_prefix(channel), slot.as_millisecond())
}

/// Slots with a delivery on a channel.
pub fn deliveries(channel: Channel, id: &str) -> String {
    match channel {
        Channel::Mail => format!("broadsheet:deliveries:{id}"),
        Channel::Webhook => format!("broadsheet:calls:{id}"),
    }
}
