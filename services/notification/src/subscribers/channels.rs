//! The ways on which editions go. Each has a schedule and records of its own in Redis, so that one way never holds up the
//! other; the papers of an edition are the same on both.

use domain::preferences::Channels;
use jiff::Timestamp;

use super::webhooks::Standing;
use super::{State, Subscriber};

/// A way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Channel {
    /// Mail.
    #[default]
    Mail,
    /// The subscriber's webhook.
    Webhook,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Mail, Self::Webhook];

    /// The name in metrics and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
        }
    }

    /// By its name in the log; mail has none there.
    pub(super) fn parse(name: &str) -> Self {
        if name == Self::Webhook.name() {
            Self::Webhook
        } else {
            Self::Mail
        }
    }

    /// The other one.
    pub(super) fn other(self) -> Self {
        match self {
            Self::Mail => Self::Webhook,
            Self::Webhook => Self::Mail,
        }
    }

    /// The letter in the field of a subscriber that says which ways are in use.
    pub(super) fn letter(self) -> &'static str {
        match self {
            Self::Mail => "m",
            Self::Webhook => "w",
        }
    }

    /// Who is due on this way, and when.
    pub(super) fn due_key(self) -> &'static str {
        match self {
            Self::Mail => "broadsheet:due",
            Self::Webhook => "broadsheet:due:webhook",
        }
    }

    /// What the key of a delivery begins with.
    pub(super) fn delivery_begin(self) -> &'static str {
        match self {
            Self::Mail => "broadsheet:delivery:",
            Self::Webhook => "broadsheet:call:",
        }
    }

    /// One edition on this way.
    pub(super) fn delivery_key(self, id: &str, slot: Timestamp) -> String {
        format!("{}{id}:{}", self.delivery_begin(), slot.as_millisecond())
    }

    /// Slots with a delivery on this way.
    pub(super) fn deliveries_key(self, id: &str) -> String {
        match self {
            Self::Mail => format!("broadsheet:deliveries:{id}"),
            Self::Webhook => format!("broadsheet:calls:{id}"),
        }
    }

    /// Whether the wishes name this way.
    fn is_in(self, channels: Channels) -> bool {
        match channels {
            Channels::Both => true,
            Channels::Mail => self == Self::Mail,
            Channels::Webhook => self == Self::Webhook,
        }
    }
}

impl Subscriber {
    /// Whether editions go to this subscriber on a way, as long as the subscription is active. A webhook takes none before
    /// it has agreed.
    pub fn takes(&self, channel: Channel) -> bool {
        let agreed = || {
            let webhook = self.webhook.as_ref();
            webhook.is_some_and(|webhook| webhook.standing == Standing::Verified)
        };
        channel.is_in(self.preferences.channels) && (channel == Channel::Mail || agreed())
    }

    /// Whether an active subscription gets nothing, because its webhook is its only way and takes none.
    pub fn takes_nothing(&self) -> bool {
        !Channel::ALL.into_iter().any(|channel| self.takes(channel))
    }

    /// The ways in use, as scripts read them; empty for mail alone.
    pub(super) fn ways(&self) -> String {
        if self.preferences.channels == Channels::Mail {
            return String::new();
        }
        let ways: String = Channel::ALL
            .into_iter()
            .filter(|channel| self.takes(*channel))
            .map(Channel::letter)
            .collect();
        if ways.is_empty() { "-".to_owned() } else { ways }
    }

    /// Whether it is due on a way at all.
    pub(super) fn is_due_on(&self, channel: Channel) -> bool {
        self.state == State::Active && self.takes(channel)
    }
}
