//! Where a webhook stands, in plain words, and the form that changes it.

use proto::subscriptions::v1::{DeliveryChannel, Subscription, Webhook, WebhookState};
use serde::Serialize;

use super::posted::Posted;
use super::words;

/// The section as it is to be shown.
#[derive(Debug, PartialEq, Serialize)]
pub struct Section {
    exists: bool,
    /// Whether it takes editions.
    pub in_use: bool,
    /// Where it is; empty where there is none.
    pub url: String,
    /// Where it stands, why, and since when.
    pub says: String,
    form: Form,
}

/// What the form of the section says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Form {
    /// The URL, as it was typed.
    pub url: String,
    channel: String,
}

impl Section {
    /// Of a subscription, with what was typed where something was.
    pub fn of(subscription: &Subscription, typed: Option<Form>) -> Self {
        let webhook = subscription.webhook.as_ref();
        let url = webhook.map(|webhook| webhook.url.clone()).unwrap_or_default();
        let kept = Form {
            url: url.clone(),
            channel: channel(subscription).to_owned(),
        };
        Self {
            exists: webhook.is_some(),
            in_use: webhook.is_some_and(|webhook| webhook.state() == WebhookState::Verified),
            says: webhook.map(|webhook| says(webhook, subscription)).unwrap_or_default(),
            form: typed.unwrap_or(kept),
            url,
        }
    }
}

impl Form {
    /// As it was posted.
    pub fn of(posted: &Posted) -> Self {
        Self {
            url: posted.value("url").trim().to_owned(),
            channel: posted.value("channel").to_owned(),
        }
    }

    /// The ways that it names; none where it names something else.
    pub fn wanted(&self) -> Option<DeliveryChannel> {
        match self.channel.as_str() {
            "mail" => Some(DeliveryChannel::Mail),
            "webhook" | "" => Some(DeliveryChannel::Webhook),
            "both" => Some(DeliveryChannel::MailAndWebhook),
            _ => None,
        }
    }
}

fn channel(subscription: &Subscription) -> &'static str {
    match subscription.delivery_channel() {
        // Whoever names one for the first time wants to have it used.
        _ if subscription.webhook.is_none() => "webhook",
        DeliveryChannel::Webhook => "webhook",
        DeliveryChannel::MailAndWebhook => "both",
        DeliveryChannel::Mail | DeliveryChannel::Unspecified => "mail",
    }
}

/// Where it stands, why, and since when.
fn says(webhook: &Webhook, subscription: &Subscription) -> String {
    let zone = words::zone_of(subscription);
    let since = words::day(webhook.state_time, &zone);
    let failing = words::day(webhook.failing_since_time, &zone);
    let (count, said) = (webhook.failed_editions, quoted(&webhook.detail));
    match webhook.state() {
        WebhookState::Verified if !failing.is_empty() => format!(
            "In use, but no digest has reached it since {failing}: {}.{said} If that goes on for days it goes out of use, and \
             you get a mail.",
            in_a_row(count)
        ),
        WebhookState::Verified if !said.is_empty() => {
            format!("In use since {since}. When it was asked again it did not agree.{said}")
        }
        WebhookState::Verified if channel(subscription) == "mail" => {
            format!("It agreed on {since}, but your digests come by mail alone.")
        }
        WebhookState::Verified => format!("In use since {since}: it agreed to take your digests."),
        WebhookState::Gone => format!("Out of use since {since}, when it answered that it is gone for good.{said}"),
        WebhookState::Disabled => format!(
            "Out of use since {since}: no digest has reached it since {failing}, {}.{said}",
            in_a_row(count)
        ),
        WebhookState::Unverified | WebhookState::Unspecified => {
            format!("Not in use: it has not agreed to take your digests.{said}")
        }
    }
}

fn in_a_row(count: i32) -> String {
    match count {
        1 => "one failed".to_owned(),
        count => format!("{count} failed in a row"),
    }
}

/// What became of the last request, as a sentence behind another one.
fn quoted(detail: &str) -> String {
    match detail.trim_end_matches('.') {
        "" => String::new(),
        detail => format!(" The last time: {detail}."),
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    fn subscription(state: WebhookState, detail: &str, failed_editions: i32) -> Subscription {
        let day = |days: i64| {
            Some(Timestamp {
                seconds: 86_400 * days,
                nanos: 0,
            })
        };
        Subscription {
            delivery_channel: DeliveryChannel::Webhook.into(),
            webhook: Some(Webhook {
                url: "https://hooks.example.org/".to_owned(),
                state: state.into(),
                detail: detail.to_owned(),
                state_time: day(6),
                failing_since_time: day(1).filter(|_| failed_editions > 0),
                failed_editions,
            }),
            ..Subscription::default()
        }
    }

    #[test]
    fn where_a_webhook_stands_is_said_with_why_and_since_when() {
        use WebhookState::{Disabled, Gone, Unverified, Verified};
        for (state, detail, failed, said) in [
            (Verified, "", 0, vec!["In use since Wednesday, 7 January 1970"]),
            (
                Verified,
                "500",
                1,
                vec!["since Friday, 2 January 1970: one failed.", "time: 500."],
            ),
            (Verified, "503", 0, vec!["did not agree. The last time: 503."]),
            (Unverified, "", 0, vec!["Not in use", "take your digests."]),
            (Unverified, "403 Forbidden", 0, vec!["time: 403 Forbidden."]),
            (Gone, "410 Gone", 0, vec!["gone for good. The last time: 410 Gone."]),
            (
                Disabled,
                "500",
                5,
                vec!["Out of use since Wednesday", "2 January 1970, 5 failed in a row."],
            ),
        ] {
            let section = Section::of(&subscription(state, detail, failed), None);
            for one in said {
                assert!(section.says.contains(one), "{}", section.says);
            }
            assert_eq!(section.in_use, state == Verified);
        }
    }

    #[test]
    fn the_form_keeps_what_was_typed_and_offers_the_webhook_to_who_has_none() {
        let fresh = Section::of(&Subscription::default(), None);
        assert_eq!(
            (fresh.exists, fresh.form.channel.as_str(), fresh.says.as_str()),
            (false, "webhook", "")
        );
        let typed = Form {
            url: "ftp://x".to_owned(),
            channel: "both".to_owned(),
        };
        let section = Section::of(&subscription(WebhookState::Verified, "", 0), Some(typed.clone()));
        assert_eq!(
            (section.form, section.url.as_str()),
            (typed, "https://hooks.example.org/")
        );
        let odd = Form {
            url: String::new(),
            channel: "pigeon".to_owned(),
        };
        assert_eq!(odd.wanted(), None);
    }
}
