//! Many subscribers, all due at the same minute.

use std::time::Duration;

use common::grpc::channel;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use proto::subscriptions::v1::subscription_service_client::SubscriptionServiceClient;
use proto::subscriptions::v1::{Consent, Interest, Schedule, SubscribeRequest};

/// A second of getting ready is enough for so many.
const PER_SECOND: i64 = 500;
const AT_ONCE: usize = 64;

/// Subscribes them, each with a title as its interest, by mail where no webhook is named, and says how long it is until their
/// slot.
pub async fn subscribe(
    endpoint: &str,
    titles: &[String],
    count: usize,
    webhook: Option<&str>,
) -> anyhow::Result<Duration> {
    let client = SubscriptionServiceClient::new(channel(endpoint, None)?);
    let ready = Timestamp::now().checked_add(SignedDuration::from_secs(60 + i64::try_from(count)? / PER_SECOND))?;
    let slot = ready
        .to_zoned_datetime(jiff::tz::TimeZone::UTC)
        .round(jiff::Unit::Minute)?;
    let time = slot.strftime("%H:%M").to_string();
    let requests = (0..count).map(|number| SubscribeRequest {
        email: format!("reader{number}@inbox{}.example", number % 100),
        interests: vec![Interest {
            text: titles[number % titles.len()].clone(),
            ..Interest::default()
        }],
        schedule: Some(Schedule {
            time: time.clone(),
            time_zone: "UTC".to_owned(),
            ..Schedule::default()
        }),
        consent: Consent::OnRecord.into(),
        webhook_url: webhook.map(|url| format!("{url}/{number}")).unwrap_or_default(),
        ..SubscribeRequest::default()
    });
    let subscribing = futures::stream::iter(requests).map(|request| {
        let mut client = client.clone();
        async move { client.subscribe(request).await.map(drop) }
    });
    subscribing.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    Ok(Duration::try_from(slot.timestamp().duration_since(Timestamp::now())).unwrap_or_default())
}
