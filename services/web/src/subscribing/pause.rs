//! Pausing and resuming a subscription.

use axum::response::Response;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use proto::convert::to_wire_time;
use proto::subscriptions::v1::{PauseSubscriptionRequest, ResumeSubscriptionRequest, Subscription};

use super::context::SubscriberContext;
use super::form_body::PostedForm;
use super::links;
use super::preferences::{self, PreferencesPage};
use super::problems::FormProblems;
use super::wording;

/// Longest pause in weeks.
const MAX_WEEKS: i64 = 52;

/// Pauses for a number of weeks, until a day, or until resumed.
pub async fn pause(ctx: SubscriberContext, posted: PostedForm) -> Response {
    let subscription = match links::managed(&ctx, posted.token()).await {
        Ok(link) => link.subscription,
        Err(error) => return links::failure_page(&ctx, &error),
    };
    let until_time = match until(&posted, &subscription, ctx.app.clock.now()) {
        Ok(until) => until.map(to_wire_time),
        Err(problem) => return refused(&ctx, &posted, problem).await,
    };
    let request = PauseSubscriptionRequest {
        token: posted.token().to_owned(),
        until_time,
    };
    match ctx
        .app
        .subscriptions
        .clone()
        .pause_subscription(ctx.request(request))
        .await
    {
        Ok(_) => preferences::back(posted.token(), "paused"),
        Err(error) => links::failure_page(&ctx, &error),
    }
}

/// Ends a pause.
pub async fn resume(ctx: SubscriberContext, posted: PostedForm) -> Response {
    let request = ResumeSubscriptionRequest {
        token: posted.token().to_owned(),
    };
    match ctx
        .app
        .subscriptions
        .clone()
        .resume_subscription(ctx.request(request))
        .await
    {
        Ok(_) => preferences::back(posted.token(), "resumed"),
        Err(error) => links::failure_page(&ctx, &error),
    }
}

async fn refused(ctx: &SubscriberContext, posted: &PostedForm, problem: String) -> Response {
    let mut problems = FormProblems::default();
    problems.add("until", problem);
    preferences::show(ctx, posted.token(), PreferencesPage::refused(None, problems)).await
}

/// When a pause ends: at the start of a day in the reader's time zone, or never if no day is given.
fn until(posted: &PostedForm, subscription: &Subscription, now: Timestamp) -> Result<Option<Timestamp>, String> {
    let zone = TimeZone::get(&wording::zone_of(subscription)).unwrap_or(TimeZone::UTC);
    let today = now.to_zoned_datetime(zone.clone()).date();
    let (weeks, until) = (posted.value("weeks").trim(), posted.value("until").trim());
    let day = match (weeks, until) {
        ("", "") => return Ok(None),
        ("", day) => day.parse::<Date>().map_err(|_| {
            let shown = domain::text::shorten(day);
            format!("“{shown}” is not a date. Dates look like {today}.")
        })?,
        (weeks, _) => {
            let count = weeks
                .parse::<i64>()
                .ok()
                .filter(|count| (1..=MAX_WEEKS).contains(count));
            let shown = domain::text::shorten(weeks);
            let count = count.ok_or_else(|| format!("“{shown}” is not a number of weeks from 1 to {MAX_WEEKS}."))?;
            today.saturating_add(count.weeks())
        }
    };
    if day <= today {
        return Err(format!("{day} is not in the future. Choose a later day."));
    }
    let start = zone.to_ambiguous_timestamp(day.to_datetime(jiff::civil::Time::midnight()));
    let start = start.compatible().map_err(|_| format!("{day} is too far away."))?;
    Ok(Some(start))
}

#[cfg(test)]
mod tests {
    use proto::subscriptions::v1::Schedule;

    use super::*;

    #[test]
    fn a_pause_ends_at_local_midnight() {
        let now: Timestamp = "2026-11-28T23:30:00Z".parse().expect("a timestamp");
        let subscription = Subscription {
            schedule: Some(Schedule {
                time_zone: "Europe/Berlin".to_owned(),
                ..Schedule::default()
            }),
            ..Subscription::default()
        };
        let ends = |fields: &[(&str, &str)]| {
            let until = until(&PostedForm::from_fields(fields), &subscription, now);
            until.map(|until| until.map(|until| until.to_string()))
        };
        let said = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(ends(&[]), Ok(None));
        assert_eq!(ends(&[("until", "2026-12-24")]), said("2026-12-23T23:00:00Z"));
        assert_eq!(ends(&[("weeks", "4")]), said("2026-12-26T23:00:00Z"));
        for wrong in [
            [("until", "2026-11-29")],
            [("until", "tomorrow")],
            [("until", "9999-99-99")],
            [("weeks", "0")],
            [("weeks", "-3")],
            [("weeks", "99999999999999999999")],
        ] {
            assert!(ends(&wrong).is_err(), "{wrong:?}");
        }
        assert!(
            ends(&[("until", "9999-12-31")])
                .expect_err("refused")
                .contains("too far")
        );
    }
}
