//! The channels on which digests go. Each has a queue and records of its own, so that one never holds up the other; the
//! papers of a digest are the same on both.

use domain::preferences::Channels;

use super::webhook::WebhookStatus;
use super::{Subscriber, SubscriberState};

/// A channel.
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

    /// By its name in the log, where mail has none; nothing where no channel has this name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "" | "mail" => Some(Self::Mail),
            "webhook" => Some(Self::Webhook),
            _ => None,
        }
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Mail => Self::Webhook,
            Self::Webhook => Self::Mail,
        }
    }

    /// The code in the field of a subscriber that says which channels are in use.
    pub fn code(self) -> &'static str {
        match self {
            Self::Mail => "m",
            Self::Webhook => "w",
        }
    }

    /// Whether the preferences name this channel.
    fn is_in(self, channels: Channels) -> bool {
        match channels {
            Channels::Both => true,
            Channels::Mail => self == Self::Mail,
            Channels::Webhook => self == Self::Webhook,
        }
    }
}

impl Subscriber {
    /// Whether digests go to this subscriber on a channel, as long as the subscription is active. A webhook takes none before
    /// it has agreed.
    pub fn takes(&self, channel: Channel) -> bool {
        let agreed = || {
            let webhook = self.webhook.as_ref();
            webhook.is_some_and(|webhook| webhook.status == WebhookStatus::Verified)
        };
        channel.is_in(self.preferences.channels) && (channel == Channel::Mail || agreed())
    }

    /// Whether an active subscription gets nothing, because its webhook is its only channel and takes none.
    pub fn takes_nothing(&self) -> bool {
        !Channel::ALL.into_iter().any(|channel| self.takes(channel))
    }

    /// The channels in use, as scripts of the store read them; empty for mail alone.
    pub fn channels_in_use(&self) -> String {
        if self.preferences.channels == Channels::Mail {
            return String::new();
        }
        let used: String = Channel::ALL
            .into_iter()
            .filter(|channel| self.takes(*channel))
            .map(Channel::code)
            .collect();
        if used.is_empty() { "-".to_owned() } else { used }
    }

    /// Whether it is due on a channel at all.
    pub fn is_due_on(&self, channel: Channel) -> bool {
        self.state == SubscriberState::Active && self.takes(channel)
    }
}
