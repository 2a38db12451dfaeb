//! The webhook section of the preferences: its state in plain words, and the form that changes it.

use proto::subscriptions::v1::{DeliveryChannel, Subscription, Webhook, WebhookState};
use serde::Serialize;

use super::form_body::PostedForm;
use super::wording;

/// The section.
#[derive(Debug, PartialEq, Serialize)]
pub struct WebhookSection {
    exists: bool,
    /// Whether it receives digests.
    pub in_use: bool,
    /// Its URL; empty if there is no webhook.
    pub url: String,
    /// Its state, why, and since when.
    pub status: String,
    form: WebhookForm,
}

/// The form of the section.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WebhookForm {
    /// The URL as typed.
    pub url: String,
    channel: String,
}

impl WebhookSection {
    /// For a subscription, with what was typed instead of what is saved, if anything was.
    pub fn new(subscription: &Subscription, typed: Option<WebhookForm>) -> Self {
        let webhook = subscription.webhook.as_ref();
        let url = webhook.map(|webhook| webhook.url.clone()).unwrap_or_default();
        let saved = WebhookForm {
            url: url.clone(),
            channel: channel(subscription).to_owned(),
        };
        Self {
            exists: webhook.is_some(),
            in_use: webhook.is_some_and(|webhook| webhook.state() == WebhookState::Verified),
            status: webhook.map(|webhook| status(webhook, subscription)).unwrap_or_default(),
            form: typed.unwrap_or(saved),
            url,
        }
    }
}

impl WebhookForm {
    /// As posted.
    pub fn from_posted(posted: &PostedForm) -> Self {
        Self {
            url: posted.value("url").trim().to_owned(),
            channel: posted.value("channel").to_owned(),
        }
    }

    /// The chosen channel; none if the value is not a channel.
    pub fn delivery_channel(&self) -> Option<DeliveryChannel> {
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
        // Whoever adds a webhook wants to use it.
        _ if subscription.webhook.is_none() => "webhook",
        DeliveryChannel::Webhook => "webhook",
        DeliveryChannel::MailAndWebhook => "both",
        DeliveryChannel::Mail | DeliveryChannel::Unspecified => "mail",
    }
}

/// The state of a webhook, why, and since when.
fn status(webhook: &Webhook, subscription: &Subscription) -> String {
    let zone = wording::zone_of(subscription);
    let since = wording::day(webhook.state_time, &zone);
    let failing = wording::day(webhook.failing_since_time, &zone);
    let (count, result) = (webhook.failed_digests, last_result(&webhook.detail));
    match webhook.state() {
        WebhookState::Verified if !failing.is_empty() => format!(
            "In use, but no digest has reached it since {failing}: {}.{result} If this continues for several days, it is disabled \
             and you get a mail.",
            in_a_row(count)
        ),
        WebhookState::Verified if !result.is_empty() => {
            format!("In use since {since}, but it did not accept the last verification request.{result}")
        }
        WebhookState::Verified if channel(subscription) == "mail" => {
            format!("Verified on {since}, but your digests are only sent by mail.")
        }
        WebhookState::Verified => format!("In use since {since}."),
        WebhookState::Gone => format!("Disabled since {since}, when it answered that it is gone for good.{result}"),
        WebhookState::Disabled => format!(
            "Disabled since {since}: no digest has reached it since {failing}, {}.{result}",
            in_a_row(count)
        ),
        WebhookState::Unverified | WebhookState::Unspecified => {
            format!("Not in use: it has not accepted a verification request yet.{result}")
        }
    }
}

fn in_a_row(count: i32) -> String {
    match count {
        1 => "one failed".to_owned(),
        count => format!("{count} failed in a row"),
    }
}

/// The result of the last request, as a further sentence.
fn last_result(detail: &str) -> String {
    match detail.trim_end_matches('.') {
        "" => String::new(),
        detail => format!(" Last result: {detail}."),
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    fn subscription(state: WebhookState, detail: &str, failed_digests: i32) -> Subscription {
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
                failing_since_time: day(1).filter(|_| failed_digests > 0),
                failed_digests,
            }),
            ..Subscription::default()
        }
    }

    #[test]
    fn the_state_of_a_webhook_is_explained() {
        use WebhookState::{Disabled, Gone, Unverified, Verified};
        for (state, detail, failed, expected) in [
            (Verified, "", 0, vec!["In use since Wednesday, 7 January 1970"]),
            (
                Verified,
                "500",
                1,
                vec!["since Friday, 2 January 1970: one failed.", "result: 500."],
            ),
            (Verified, "503", 0, vec!["verification request. Last result: 503."]),
            (Unverified, "", 0, vec!["Not in use", "request yet."]),
            (Unverified, "403 Forbidden", 0, vec!["result: 403 Forbidden."]),
            (Gone, "410 Gone", 0, vec!["gone for good. Last result: 410 Gone."]),
            (
                Disabled,
                "500",
                5,
                vec!["Disabled since Wednesday", "2 January 1970, 5 failed in a row."],
            ),
        ] {
            let section = WebhookSection::new(&subscription(state, detail, failed), None);
            for one in expected {
                assert!(section.status.contains(one), "{}", section.status);
            }
            assert_eq!(section.in_use, state == Verified);
        }
    }

    #[test]
    fn the_form_keeps_what_was_typed() {
        let fresh = WebhookSection::new(&Subscription::default(), None);
        assert_eq!(
            (fresh.exists, fresh.form.channel.as_str(), fresh.status.as_str()),
            (false, "webhook", "")
        );
        let typed = WebhookForm {
            url: "ftp://x".to_owned(),
            channel: "both".to_owned(),
        };
        let section = WebhookSection::new(&subscription(WebhookState::Verified, "", 0), Some(typed.clone()));
        assert_eq!(
            (section.form, section.url.as_str()),
            (typed, "https://hooks.example.org/")
        );
        let odd = WebhookForm {
            url: String::new(),
            channel: "pigeon".to_owned(),
        };
        assert_eq!(odd.delivery_channel(), None);
    }
}
