//! `subscribe`: an address to the daily digest.

use clap::{Args, ValueEnum};
use common::grpc::ServiceChannel;
use proto::subscriptions::v1::subscription_service_client::SubscriptionServiceClient;
use proto::subscriptions::v1::{
    Consent, DeliveryChannel, Exclusions, Format, Frequency, Interest, Schedule, SubscribeRequest, SubscribeResponse,
};

use super::subscribers::webhook;
use crate::failure::Failure;
use crate::{Place, client};

/// Who subscribes to what.
#[derive(Args)]
pub struct Options {
    /// E-mail address
    email: String,
    /// What to read, in your own words; can be given several times
    #[arg(long, value_name = "TEXT")]
    interest: Vec<String>,
    /// Id of a paper that found papers should be like, such as arxiv:2402.14776; can be given several times
    #[arg(long, value_name = "ID")]
    like: Vec<String>,
    /// Leave out papers with these words, or of an author or a category: WORDS, author:NAME, category:NAME; can be given
    /// several times
    #[arg(long, value_name = "WHAT")]
    exclude: Vec<String>,
    /// From Monday to Friday only
    #[arg(long, conflicts_with = "weekly")]
    weekdays: bool,
    /// One day a week only
    #[arg(long, value_name = "DAY", value_enum)]
    weekly: Option<Day>,
    /// The share of the digest that what is trending fills, from 0 (only what matches) to 1 (only what is trending)
    #[arg(long, value_name = "SHARE")]
    trending_share: Option<f64>,
    /// Language of the words around the papers: en, de, fr or es; others get English
    #[arg(long, value_name = "TAG", default_value = "")]
    language: String,
    /// Mails without HTML
    #[arg(long)]
    text_only: bool,
    /// Local time of day of the digest, such as 07:30
    #[arg(long, value_name = "HH:MM", default_value = "")]
    time: String,
    /// IANA time zone, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "")]
    time_zone: String,
    /// Papers per digest, 1 to 50
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    papers: i32,
    /// Send editions to this URL as signed requests, instead of mails
    #[arg(long, value_name = "URL", requires = "confirm")]
    webhook: Option<String>,
    /// With a webhook: whether editions come by mail, too
    #[arg(long, value_enum, requires = "webhook")]
    channel: Option<webhook::Channel>,
    /// Consent is on record: activate at once instead of mailing a confirmation
    #[arg(long)]
    confirm: bool,
}

/// A day of the week.
#[derive(Clone, Copy, ValueEnum)]
enum Day {
    Monday = 1,
    Tuesday = 2,
    Wednesday = 3,
    Thursday = 4,
    Friday = 5,
    Saturday = 6,
    Sunday = 7,
}

/// Subscribes and says what comes next.
pub async fn run(place: &Place, options: Options) -> Result<(), Failure> {
    let consent = if options.confirm {
        Consent::OnRecord
    } else {
        Consent::DoubleOptIn
    };
    let email = options.email.clone();
    let request = SubscribeRequest {
        consent: consent.into(),
        ..request(options)
    };
    let answer = subscribe(client::connect(place)?, request).await?;
    if answer.confirmation_required {
        println!("A confirmation is on its way to {email}; the digest starts once it is confirmed.");
    } else {
        println!("{email} is subscribed.");
    }
    match answer.webhook_secret.as_str() {
        "" => Ok(()),
        secret => webhook::tell(secret, answer.webhook.as_ref()),
    }
}

fn request(options: Options) -> SubscribeRequest {
    let mut interests: Vec<Interest> = options
        .interest
        .into_iter()
        .map(|text| Interest {
            text,
            ..Interest::default()
        })
        .collect();
    // Example papers say together what one interest is.
    if !options.like.is_empty() {
        interests.push(Interest {
            like_paper_ids: options.like,
            ..Interest::default()
        });
    }
    let (frequency, weekday) = match options.weekly {
        Some(day) => (Frequency::Weekly, day as i32),
        None if options.weekdays => (Frequency::Weekdays, 0),
        None => (Frequency::Daily, 0),
    };
    // Unspecified is the webhook where there is one.
    let channel = options.channel.map_or(DeliveryChannel::Unspecified, Into::into);
    SubscribeRequest {
        email: options.email,
        interests,
        schedule: Some(Schedule {
            time: options.time,
            time_zone: options.time_zone,
            frequency: frequency.into(),
            weekday,
        }),
        paper_count: options.papers,
        exclusions: exclusions(&options.exclude),
        trending_share: options.trending_share,
        language: options.language,
        delivery_channel: channel.into(),
        webhook_url: options.webhook.unwrap_or_default(),
        format: if options.text_only { Format::Text } else { Format::Html }.into(),
        ..SubscribeRequest::default()
    }
}

fn exclusions(excluded: &[String]) -> Option<Exclusions> {
    let mut exclusions = Exclusions::default();
    for one in excluded {
        if let Some(name) = one.strip_prefix("author:") {
            exclusions.authors.push(name.to_owned());
        } else if let Some(name) = one.strip_prefix("category:") {
            exclusions.categories.push(name.to_owned());
        } else {
            exclusions.words.push(one.clone());
        }
    }
    (!excluded.is_empty()).then_some(exclusions)
}

/// Subscribes; answers whether the reader has to confirm, and the secret of a webhook.
pub async fn subscribe(channel: ServiceChannel, request: SubscribeRequest) -> Result<SubscribeResponse, Failure> {
    let answer = SubscriptionServiceClient::new(channel).subscribe(request).await?;
    Ok(answer.into_inner())
}
