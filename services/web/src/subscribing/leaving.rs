//! Less of it, nothing for a while, nothing any more, and nothing kept: what a subscriber can do besides changing wishes.
//!
//! Leaving is one step, whatever else the page offers.

use axum::extract::Query;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use minijinja::context;
use prost_types::FieldMask;
use proto::convert::to_wire_time;
use proto::delivery::v1::ListDeliveriesRequest;
use proto::subscriptions::v1::{
    DeleteSubscriptionRequest, ExportSubscriptionRequest, Frequency, PauseSubscriptionRequest,
    ResumeSubscriptionRequest, Schedule, Subscription, SubscriptionState, UnsubscribeRequest,
    UpdateSubscriptionRequest,
};

use super::desk::Desk;
use super::links::{self, Link};
use super::posted::Posted;
use super::preferences::{self, Shown};
use super::problems::Problems;
use super::words;

/// Longest pause of a button, in weeks.
const MOST_WEEKS: i64 = 52;
/// Deliveries that are counted before a page says "more than".
const COUNTED: i32 = 100;

/// Asks whether to unsubscribe, and offers less instead.
pub async fn unsubscribe_page(desk: Desk, Query(link): Query<Link>) -> Response {
    let subscription = match links::subscription(&desk, &link.token).await {
        Ok(subscription) => subscription,
        Err(error) => return links::failed(&desk, &error),
    };
    let schedule = subscription.schedule.clone().unwrap_or_default();
    let state = subscription.state();
    let context = context! {
        state => links::state(&subscription),
        email => subscription.email,
        active => state == SubscriptionState::Active,
        ended => matches!(state, SubscriptionState::Unsubscribed | SubscriptionState::Suppressed),
        weekly => schedule.frequency() == Frequency::Weekly,
        token => link.token,
    };
    desk.front.pages.render(StatusCode::OK, "unsubscribe.html", context)
}

/// Unsubscribes, in force when the page is shown. Takes the one-click POST of mail programs, whose token is in the URL.
pub async fn unsubscribe(desk: Desk, posted: Posted) -> Response {
    let token = posted.token().to_owned();
    let request = UnsubscribeRequest { token: token.clone() };
    match desk.front.subscriptions.clone().unsubscribe(desk.ask(request)).await {
        Ok(_) => desk
            .front
            .pages
            .render(StatusCode::OK, "unsubscribed.html", context! { token }),
        Err(error) => links::failed(&desk, &error),
    }
}

/// Sends nothing for so many weeks, until a day, or until resumed.
pub async fn pause(desk: Desk, posted: Posted) -> Response {
    let subscription = match links::subscription(&desk, posted.token()).await {
        Ok(subscription) => subscription,
        Err(error) => return links::failed(&desk, &error),
    };
    let until_time = match until(&posted, &subscription, Timestamp::now()) {
        Ok(until) => until.map(to_wire_time),
        Err(problem) => return not_until(&desk, &posted, problem).await,
    };
    let request = PauseSubscriptionRequest {
        token: posted.token().to_owned(),
        until_time,
    };
    match desk
        .front
        .subscriptions
        .clone()
        .pause_subscription(desk.ask(request))
        .await
    {
        Ok(_) => preferences::back(posted.token(), "paused"),
        Err(error) => links::failed(&desk, &error),
    }
}

/// Ends a pause.
pub async fn resume(desk: Desk, posted: Posted) -> Response {
    let request = ResumeSubscriptionRequest {
        token: posted.token().to_owned(),
    };
    match desk
        .front
        .subscriptions
        .clone()
        .resume_subscription(desk.ask(request))
        .await
    {
        Ok(_) => preferences::back(posted.token(), "resumed"),
        Err(error) => links::failed(&desk, &error),
    }
}

/// Once a week instead.
pub async fn weekly(desk: Desk, posted: Posted) -> Response {
    let schedule = Schedule {
        frequency: Frequency::Weekly.into(),
        ..Schedule::default()
    };
    let request = UpdateSubscriptionRequest {
        token: posted.token().to_owned(),
        subscription: Some(Subscription {
            schedule: Some(schedule),
            ..Subscription::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["schedule.frequency".to_owned()],
        }),
    };
    match desk
        .front
        .subscriptions
        .clone()
        .update_subscription(desk.ask(request))
        .await
    {
        Ok(_) => preferences::back(posted.token(), "weekly"),
        Err(error) => links::failed(&desk, &error),
    }
}

/// Everything that is held, as a file.
pub async fn export(desk: Desk, Query(link): Query<Link>) -> Response {
    let request = ExportSubscriptionRequest { token: link.token };
    match desk
        .front
        .subscriptions
        .clone()
        .export_subscription(desk.ask(request))
        .await
    {
        Ok(answer) => {
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
                (
                    header::CONTENT_DISPOSITION,
                    HeaderValue::from_static("attachment; filename=\"broadsheet.json\""),
                ),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            ];
            (StatusCode::OK, headers, answer.into_inner().json).into_response()
        }
        Err(error) => links::failed(&desk, &error),
    }
}

/// Asks whether to delete everything, and says what that is.
pub async fn delete_page(desk: Desk, Query(link): Query<Link>) -> Response {
    let subscription = match links::subscription(&desk, &link.token).await {
        Ok(subscription) => subscription,
        Err(error) => return links::failed(&desk, &error),
    };
    let context = context! {
        held => held(&desk, &subscription).await,
        email => subscription.email,
        token => link.token,
    };
    desk.front.pages.render(StatusCode::OK, "delete.html", context)
}

/// Deletes everything, and says what that was.
pub async fn delete(desk: Desk, posted: Posted) -> Response {
    let subscription = match links::subscription(&desk, posted.token()).await {
        Ok(subscription) => subscription,
        Err(error) => return links::failed(&desk, &error),
    };
    let held = held(&desk, &subscription).await;
    let request = DeleteSubscriptionRequest {
        token: posted.token().to_owned(),
    };
    match desk
        .front
        .subscriptions
        .clone()
        .delete_subscription(desk.ask(request))
        .await
    {
        Ok(answer) => {
            let context = context! {
                held,
                email => subscription.email,
                suppression_kept => answer.into_inner().suppression_kept,
            };
            desk.front.pages.render(StatusCode::OK, "deleted.html", context)
        }
        Err(error) => links::failed(&desk, &error),
    }
}

/// What is held of a subscriber, in words.
async fn held(desk: &Desk, subscription: &Subscription) -> Vec<String> {
    let counted = |count: usize, one: &str, many: &str| match count {
        0 => None,
        1 => Some(format!("one {one}")),
        count => Some(format!("{count} {many}")),
    };
    let request = ListDeliveriesRequest {
        email: subscription.email.clone(),
        page_size: COUNTED,
        ..ListDeliveriesRequest::default()
    };
    let listed = desk.front.deliveries.clone().list_deliveries(desk.ask(request)).await;
    let listed = listed.map(tonic::Response::into_inner).unwrap_or_default();
    let editions = if listed.next_page_token.is_empty() {
        counted(listed.deliveries.len(), "record of an edition", "records of editions")
    } else {
        Some(format!("more than {COUNTED} records of editions"))
    };
    let always = [
        "when and how you agreed".to_owned(),
        "the days, the hour and the form of your digest".to_owned(),
    ];
    let interests = counted(subscription.interests.len(), "interest", "interests");
    interests.into_iter().chain(editions).chain(always).collect()
}

async fn not_until(desk: &Desk, posted: &Posted, problem: String) -> Response {
    let mut problems = Problems::default();
    problems.add("until", problem);
    preferences::show(desk, posted.token(), Shown::refused(None, problems)).await
}

/// When a pause ends: at the beginning of a day by the reader's clock; never by itself where no day is named.
fn until(posted: &Posted, subscription: &Subscription, now: Timestamp) -> Result<Option<Timestamp>, String> {
    let zone = TimeZone::get(&words::zone_of(subscription)).unwrap_or(TimeZone::UTC);
    let today = now.to_zoned_datetime(zone.clone()).date();
    let (weeks, until) = (posted.value("weeks").trim(), posted.value("until").trim());
    let day = match (weeks, until) {
        ("", "") => return Ok(None),
        ("", day) => day.parse::<Date>().map_err(|_| {
            let shown = domain::text::shorten(day);
            format!("“{shown}” is not a day; it looks like {today}.")
        })?,
        (weeks, _) => {
            let count = weeks
                .parse::<i64>()
                .ok()
                .filter(|count| (1..=MOST_WEEKS).contains(count));
            let shown = domain::text::shorten(weeks);
            let count = count.ok_or_else(|| format!("“{shown}” is not a number of weeks from 1 to {MOST_WEEKS}."))?;
            today.saturating_add(count.weeks())
        }
    };
    if day <= today {
        return Err(format!("{day} is over or has begun; name a later day."));
    }
    let begin = zone.to_ambiguous_timestamp(day.to_datetime(jiff::civil::Time::midnight()));
    let begin = begin.compatible().map_err(|_| format!("{day} is too far away."))?;
    Ok(Some(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_when_its_day_begins_for_the_reader() {
        let now: Timestamp = "2026-11-28T23:30:00Z".parse().expect("a timestamp");
        let subscription = Subscription {
            schedule: Some(Schedule {
                time_zone: "Europe/Berlin".to_owned(),
                ..Schedule::default()
            }),
            ..Subscription::default()
        };
        let ends = |fields: &[(&str, &str)]| {
            let until = until(&Posted::of(fields), &subscription, now);
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
