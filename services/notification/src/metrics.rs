//! Metrics of notification. They exist from the start: silence is never success.

use std::sync::LazyLock;

use prometheus::{
    GaugeVec, IntCounter, IntCounterVec, IntGauge, register_gauge_vec, register_int_counter, register_int_counter_vec,
    register_int_gauge,
};

use crate::editions::Emptiness;
use crate::subscribers::Channel;

/// Editions by channel and outcome: how attempts ended, `already_delivered` and `busy` for those that found the work done or in other
/// hands, `error` for those that could not be made or recorded.
pub static EDITIONS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "broadsheet_notification_editions_total",
        "Editions by channel and outcome.",
        &["channel", "outcome"]
    )
    .expect("the only metric of this name")
});

/// Slots that yielded no mail because there was nothing to send, by reason.
pub static EMPTY_SLOTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "broadsheet_notification_empty_slots_total",
        "Slots that yielded no mail because there was nothing to send, by reason.",
        &["reason"]
    )
    .expect("the only metric of this name")
});

/// Editions handed over a second time because a crash hid whether the first time worked.
pub static RESENT: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "broadsheet_notification_editions_resent_total",
        "Editions handed over again under the same id because a crash hid the first outcome."
    )
    .expect("the only metric of this name")
});

/// Papers editions can choose from.
pub static WINDOW: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!(
        "broadsheet_notification_window_papers",
        "Papers editions can choose from."
    )
    .expect("the only metric of this name")
});

/// From which cosine on a paper matches an interest, by encoder; there once an edition of a reader with interests was made.
pub static FLOOR: LazyLock<GaugeVec> = LazyLock::new(|| {
    register_gauge_vec!(
        "broadsheet_notification_match_floor",
        "Cosine from which a paper matches an interest, measured for the encoder with the papers at hand.",
        &["encoder"]
    )
    .expect("the only metric of this name")
});

/// What came back for mails, by what it said.
pub static FEEDBACK: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "broadsheet_notification_feedback_total",
        "Bounces and complaints by kind.",
        &["kind"]
    )
    .expect("the only metric of this name")
});

/// What Redis had lost and got back from the log.
pub static RESTORED: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "broadsheet_notification_subscribers_restored_total",
        "Subscribers, suppressions and deliveries that redis got back from the log."
    )
    .expect("the only metric of this name")
});

/// Connections to the mail server that are open.
pub static SMTP_CONNECTIONS: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!(
        "broadsheet_notification_smtp_connections",
        "Open connections to the mail server; no more mails than these can be handed over without our knowing."
    )
    .expect("the only metric of this name")
});

/// Editions whose end is in Redis alone because the log did not answer.
pub static UNLOGGED: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "broadsheet_notification_deliveries_unlogged_total",
        "Ended editions that the log does not have because it did not answer."
    )
    .expect("the only metric of this name")
});

/// 1 while too many mails failed for more to be tried.
pub static SENDING_PAUSED: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!(
        "broadsheet_notification_sending_paused",
        "1 while sending is paused because too many of the last mails failed."
    )
    .expect("the only metric of this name")
});

/// How long the edition that waits longest has been due without anybody taking it in hand, by channel.
pub static OVERDUE: LazyLock<GaugeVec> = LazyLock::new(|| {
    register_gauge_vec!(
        "broadsheet_notification_overdue_seconds",
        "Time since the edition that waits longest was due, by channel; 0 where none waits. Those in hand do not count.",
        &["channel"]
    )
    .expect("the only metric of this name")
});

/// 1 while Redis answers.
pub static REDIS_ANSWERS: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!(
        "broadsheet_notification_redis_answers",
        "1 while Redis answers, as of the last look."
    )
    .expect("the only metric of this name")
});

/// Wishes to subscribe that came too fast.
pub static HELD_BACK: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "broadsheet_notification_wishes_held_back_total",
        "Wishes to subscribe that were refused because too many came at once."
    )
    .expect("the only metric of this name")
});

/// Webhooks that were in use and are no more, by why.
pub static WEBHOOKS_ENDED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "broadsheet_notification_webhooks_ended_total",
        "Webhooks that went out of use: they said that they are gone, or took no edition for too long.",
        &["reason"]
    )
    .expect("the only metric of this name")
});

/// Makes every series exist.
pub fn touch() {
    for outcome in [
        "sent",
        "failed",
        "empty",
        "deferred",
        "expired",
        "already_delivered",
        "busy",
        "error",
    ] {
        for channel in Channel::ALL {
            EDITIONS.with_label_values(&[channel.name(), outcome]);
        }
    }
    for channel in Channel::ALL {
        OVERDUE.with_label_values(&[channel.name()]);
    }
    for why in Emptiness::ALL {
        EMPTY_SLOTS.with_label_values(&[why.name()]);
    }
    for kind in ["hard_bounce", "soft_bounce", "rejection", "complaint", "not_a_report"] {
        FEEDBACK.with_label_values(&[kind]);
    }
    for reason in ["gone", "disabled"] {
        WEBHOOKS_ENDED.with_label_values(&[reason]);
    }
    LazyLock::force(&FLOOR);
    LazyLock::force(&RESENT);
    LazyLock::force(&WINDOW);
    LazyLock::force(&SMTP_CONNECTIONS);
    LazyLock::force(&SENDING_PAUSED);
    // It has answered before this service could start.
    REDIS_ANSWERS.set(1);
    for counter in [&RESTORED, &UNLOGGED, &HELD_BACK] {
        LazyLock::force(counter);
    }
}
