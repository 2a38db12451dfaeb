//! A subscription as it is printed, for people and for programs.

use proto::subscriptions::v1::{
    Consent, ConsentRecord, DeliveryChannel, Exclusions, Format, Frequency, Interest, Subscription, SubscriptionState,
};
use serde_json::{Value, json};

use super::webhook;
use crate::output;

/// Prints one line of a list.
pub fn print_line(one: &Subscription) {
    println!("{:12}  {}", state(one), one.email);
}

/// Prints all of it.
pub fn print(one: &Subscription) {
    let schedule = one.schedule.clone().unwrap_or_default();
    println!(
        "email      {}\nid         {}\nstate      {}",
        one.email,
        one.subscriber_id,
        state(one)
    );
    for interest in &one.interests {
        println!("interest   {}", name(interest));
    }
    let days = match schedule.frequency() {
        Frequency::Weekly => format!("every {}", weekday(one).unwrap_or("monday")),
        Frequency::Weekdays => "Monday to Friday".to_owned(),
        Frequency::Daily | Frequency::Unspecified => "every day".to_owned(),
    };
    println!("due        {days} at {} {}", schedule.time, schedule.time_zone);
    println!("papers     {}", one.paper_count);
    match one.delivery_channel() {
        DeliveryChannel::Webhook => println!("sent       to the webhook"),
        DeliveryChannel::MailAndWebhook => println!("sent       by mail and to the webhook"),
        DeliveryChannel::Mail | DeliveryChannel::Unspecified => println!("sent       by mail"),
    }
    if let Some(hook) = &one.webhook {
        println!(
            "webhook    {} {} {}",
            webhook::state(hook),
            hook.url,
            webhook::detail(hook)
        );
    }
    if !one.pause_reason.is_empty() {
        println!("paused     because {}", one.pause_reason);
    }
    for (name, time) in [
        ("created", one.created_time),
        ("confirmed", one.confirmed_time),
        ("next due", one.next_due_time),
        ("until", one.paused_until_time),
    ] {
        if let Some(time) = output::time(time) {
            println!("{name:10} {time}");
        }
    }
    if let Some(consent) = &one.consent {
        let time = output::time(consent.time).unwrap_or_default();
        println!("consent    {} {time} {}", kind(consent), consent.source);
    }
}

/// One JSON object.
pub fn to_json(one: &Subscription) -> Value {
    let schedule = one.schedule.clone().unwrap_or_default();
    let frequency = match schedule.frequency() {
        Frequency::Weekly => "weekly",
        Frequency::Weekdays => "weekdays",
        Frequency::Daily | Frequency::Unspecified => "daily",
    };
    json!({
        "id": one.subscriber_id,
        "email": one.email,
        "state": state(one),
        "interests": one.interests.iter().map(interest).collect::<Vec<_>>(),
        "exclusions": exclusions(one.exclusions.as_ref()),
        "trending_share": one.trending_share,
        "time": schedule.time,
        "time_zone": schedule.time_zone,
        "frequency": frequency,
        "weekday": weekday(one),
        "papers": one.paper_count,
        "format": if one.format() == Format::Text { "text" } else { "html" },
        "language": one.language,
        "channel": match one.delivery_channel() {
            DeliveryChannel::Webhook => "webhook",
            DeliveryChannel::MailAndWebhook => "mail_and_webhook",
            DeliveryChannel::Mail | DeliveryChannel::Unspecified => "mail",
        },
        "webhook": one.webhook.as_ref().map(|hook| json!({
            "url": hook.url, "state": webhook::state(hook), "detail": hook.detail, "since": output::time(hook.state_time),
            "failing_since": output::time(hook.failing_since_time), "failed_digests": hook.failed_digests,
        })),
        "pause_reason": one.pause_reason,
        "created": output::time(one.created_time),
        "confirmed": output::time(one.confirmed_time),
        "next_due": output::time(one.next_due_time),
        "paused_until": output::time(one.paused_until_time),
        "consent": one.consent.as_ref().map(|consent| json!({
            "kind": kind(consent), "source": consent.source, "time": output::time(consent.time),
        })),
    })
}

fn interest(interest: &Interest) -> Value {
    json!({
        "text": interest.text,
        "like": interest.like_paper_ids,
        "unlike": interest.unlike_paper_ids,
        "categories": interest.categories,
        "exclusions": exclusions(interest.exclusions.as_ref()),
        "weight": interest.weight.unwrap_or(1.0),
    })
}

fn exclusions(exclusions: Option<&Exclusions>) -> Value {
    let exclusions = exclusions.cloned().unwrap_or_default();
    json!({ "words": exclusions.words, "authors": exclusions.authors, "categories": exclusions.categories })
}

fn name(interest: &Interest) -> String {
    let like = interest.like_paper_ids.join(", ");
    match (interest.text.is_empty(), like.is_empty()) {
        (_, true) => interest.text.clone(),
        (true, false) => format!("papers like {like}"),
        (false, false) => format!("{}, and papers like {like}", interest.text),
    }
}

fn state(one: &Subscription) -> &'static str {
    match one.state() {
        SubscriptionState::Unspecified => "unknown",
        SubscriptionState::Pending => "pending",
        SubscriptionState::Active => "active",
        SubscriptionState::Unsubscribed => "unsubscribed",
        SubscriptionState::Suppressed => "suppressed",
        SubscriptionState::Paused => "paused",
    }
}

fn weekday(one: &Subscription) -> Option<&'static str> {
    let days = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    let day = usize::try_from(one.schedule.as_ref()?.weekday).ok()?;
    days.get(day.checked_sub(1)?).copied()
}

fn kind(consent: &ConsentRecord) -> &'static str {
    match consent.kind() {
        Consent::OnRecord => "on record",
        Consent::DoubleOptIn | Consent::Unspecified => "confirmed by mail",
    }
}
