//! Metrics of notification. They exist from the start: silence is never success.

use std::sync::LazyLock;

use common::metrics::{counter, counters, float_gauges, gauge};
use prometheus::{GaugeVec, IntCounter, IntCounterVec, IntGauge};

/// Digests by channel and outcome: how attempts ended, `already_delivered` and `busy` for those that another owner has done
/// or leased, `error` for those that could not be made or recorded.
pub static DIGESTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "broadsheet_notification_digests_total",
        "Digests by channel and outcome.",
        &["channel", "outcome"],
    )
});

/// Slots that yielded no mail because there was nothing to send, by reason.
pub static EMPTY_SLOTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "broadsheet_notification_empty_slots_total",
        "Slots that yielded no mail because there was nothing to send, by reason.",
        &["reason"],
    )
});

/// Digests handed over a second time because a crash hid whether the first time worked.
pub static RESENT: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "broadsheet_notification_digests_resent_total",
        "Digests handed over again under the same id because a crash hid the first outcome.",
    )
});

/// Papers digests can choose from.
pub static WINDOW: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge(
        "broadsheet_notification_window_papers",
        "Papers digests can choose from.",
    )
});

/// From which cosine on a paper matches an interest, by encoder; there once a digest of a reader with interests was made.
pub static FLOOR: LazyLock<GaugeVec> = LazyLock::new(|| {
    float_gauges(
        "broadsheet_notification_match_floor",
        "Cosine from which a paper matches an interest, measured for the encoder with the papers at hand.",
        &["encoder"],
    )
});

/// What came back for mails, by what it said.
pub static FEEDBACK: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "broadsheet_notification_feedback_total",
        "Bounces, complaints and unsubscriptions by mail, by kind.",
        &["kind"],
    )
});

/// Reports that did not prove to be about a mail of ours.
pub static FEEDBACK_UNPROVEN: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "broadsheet_notification_feedback_unproven_total",
        "Bounces and complaints that changed nothing because they name no return path of ours: forged, or of long ago.",
    )
});

/// Deleted subscribers whose data is not out of the files of NATS and Redis yet.
pub static ERASURES_PENDING: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge(
        "broadsheet_notification_erasures_pending",
        "Deleted subscribers whose data may still lie in files of NATS and Redis, as of the last check.",
    )
});

/// What Redis had lost and got back from the log.
pub static RESTORED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "broadsheet_notification_subscribers_restored_total",
        "Subscribers, suppressions and deliveries that redis got back from the log.",
    )
});

/// Connections to the mail server that are open.
pub static SMTP_CONNECTIONS: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge(
        "broadsheet_notification_smtp_connections",
        "Open connections to the mail server; no more mails than these can be handed over without our knowing.",
    )
});

/// Digests whose end is in Redis alone because the log did not answer.
pub static UNLOGGED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "broadsheet_notification_deliveries_unlogged_total",
        "Ended digests that the log does not have because it did not answer.",
    )
});

/// 1 while too many mails failed for more to be tried.
pub static SENDING_PAUSED: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge(
        "broadsheet_notification_sending_paused",
        "1 while sending is paused because too many of the last mails failed.",
    )
});

/// How long the digest that waits longest has been due without being claimed, by channel.
pub static OVERDUE: LazyLock<GaugeVec> = LazyLock::new(|| {
    float_gauges(
        "broadsheet_notification_overdue_seconds",
        "Time since the digest that waits longest was due, by channel; 0 where none waits. Those that are being sent do not count.",
        &["channel"],
    )
});

/// 1 while Redis answers.
pub static REDIS_ANSWERS: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge(
        "broadsheet_notification_redis_answers",
        "1 while Redis answers, as of the last check.",
    )
});

/// Requests to subscribe that came too fast.
pub static SUBSCRIBE_REQUESTS_LIMITED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "broadsheet_notification_subscribe_requests_limited_total",
        "Requests to subscribe that were refused because too many came at once.",
    )
});

/// Confirmations that were not mailed, by the limit that was reached.
pub static CONFIRMATIONS_HELD_BACK: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "broadsheet_notification_confirmations_held_back_total",
        "Confirmations that were not mailed because too many were: to one mailbox, or to all.",
        &["limit"],
    )
});

/// Bytes of requests to subscribe that nobody confirmed, as of the last one.
pub static PENDING_BYTES: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge(
        "broadsheet_notification_pending_bytes",
        "Bytes of requests to subscribe that nobody has confirmed, as of the last request.",
    )
});

/// Webhooks that were in use and are no more, by why.
pub static WEBHOOKS_ENDED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "broadsheet_notification_webhooks_ended_total",
        "Webhooks that went out of use: they said that they are gone, or took no digest for too long.",
        &["reason"],
    )
});

/// Makes every series exist, with the names of the channels and of the reasons why a slot yields nothing.
pub fn register_metrics(channels: [&str; 2], empty_reasons: &[&str]) {
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
        for channel in channels {
            DIGESTS.with_label_values(&[channel, outcome]);
        }
    }
    for channel in channels {
        OVERDUE.with_label_values(&[channel]);
    }
    for reason in empty_reasons {
        EMPTY_SLOTS.with_label_values(&[reason]);
    }
    for kind in [
        "hard_bounce",
        "soft_bounce",
        "rejection",
        "complaint",
        "unsubscription",
        "not_a_report",
    ] {
        FEEDBACK.with_label_values(&[kind]);
    }
    for reason in ["gone", "disabled"] {
        WEBHOOKS_ENDED.with_label_values(&[reason]);
    }
    for limit in ["mailbox", "all"] {
        CONFIRMATIONS_HELD_BACK.with_label_values(&[limit]);
    }
    LazyLock::force(&PENDING_BYTES);
    LazyLock::force(&FLOOR);
    LazyLock::force(&RESENT);
    LazyLock::force(&WINDOW);
    LazyLock::force(&SMTP_CONNECTIONS);
    LazyLock::force(&SENDING_PAUSED);
    // It has answered before this service could start.
    REDIS_ANSWERS.set(1);
    LazyLock::force(&ERASURES_PENDING);
    for counter in [&RESTORED, &UNLOGGED, &SUBSCRIBE_REQUESTS_LIMITED, &FEEDBACK_UNPROVEN] {
        LazyLock::force(counter);
    }
}
