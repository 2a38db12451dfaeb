//! Metrics of notification. They exist from the start: silence is never success.

use std::sync::LazyLock;

use prometheus::{
    IntCounter, IntCounterVec, IntGauge, register_int_counter, register_int_counter_vec, register_int_gauge,
};

/// Editions by outcome: how attempts ended, `already_delivered` and `busy` for those that found the work done or in other
/// hands, `error` for those that could not be made or recorded.
pub static EDITIONS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "broadsheet_notification_editions_total",
        "Editions by outcome.",
        &["outcome"]
    )
    .expect("the only metric of this name")
});

/// Editions handed over a second time because a crash hid whether the first time worked.
pub static RESENT: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "broadsheet_notification_editions_resent_total",
        "Editions handed over again under the same Message-ID because a crash hid the first outcome."
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

/// What Redis had lost and got back from the log.
pub static RESTORED: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "broadsheet_notification_subscribers_restored_total",
        "Subscribers, suppressions and deliveries that redis got back from the log."
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

/// Wishes to subscribe that came too fast.
pub static HELD_BACK: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "broadsheet_notification_wishes_held_back_total",
        "Wishes to subscribe that were refused because too many came at once."
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
        "already_delivered",
        "busy",
        "error",
    ] {
        EDITIONS.with_label_values(&[outcome]);
    }
    LazyLock::force(&RESENT);
    LazyLock::force(&WINDOW);
    for counter in [&RESTORED, &UNLOGGED, &HELD_BACK] {
        LazyLock::force(counter);
    }
}
