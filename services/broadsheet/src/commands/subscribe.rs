//! `subscribe`: subscribes an address to the daily digest.

use clap::{Args, ValueEnum};
use common::grpc::ServiceChannel;
use proto::subscriptions::v1::subscription_service_client::SubscriptionServiceClient;
use proto::subscriptions::v1::{
    Consent, DeliveryChannel, Exclusions, Format, Frequency, Interest, Schedule, SubscribeRequest, SubscribeResponse,
};

use super::subscribers::webhook;
use crate::error::CommandError;
use crate::{ConnectArgs, client};

/// Who subscribes to what.
#[derive(Args)]
pub struct SubscribeArgs {
    /// E-mail address
    email: String,
    /// Topic of interest, in your own words; may be repeated
    #[arg(long, value_name = "TEXT")]
    interest: Vec<String>,
    /// Id of a paper to find similar ones to, such as arxiv:2402.14776; may be repeated
    #[arg(long, value_name = "ID")]
    like: Vec<String>,
    /// Leave out papers with these words, or of an author or a category: WORDS, author:NAME, category:NAME; may be
    /// repeated
    #[arg(long, value_name = "WHAT")]
    exclude: Vec<String>,
    /// Only from Monday to Friday
    #[arg(long, conflicts_with = "weekly")]
    weekdays: bool,
    /// Only once a week, on this day
    #[arg(long, value_name = "DAY", value_enum)]
    weekly: Option<WeekdayArg>,
    /// Share of trending papers in the digest, from 0 (only what matches) to 1 (only what is trending)
    #[arg(long, value_name = "SHARE")]
    trending_share: Option<f64>,
    /// Language of the text around the papers: en, de, fr or es; any other gets English
    #[arg(long, value_name = "TAG", default_value = "")]
    language: String,
    /// Plain text instead of HTML
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
    /// Send digests to this URL as signed requests instead of mails
    #[arg(long, value_name = "URL", requires = "confirm")]
    webhook: Option<String>,
    /// With a webhook: whether digests are mailed as well
    #[arg(long, value_enum, requires = "webhook")]
    channel: Option<webhook::ChannelArg>,
    /// Consent is on record: activate at once instead of mailing a confirmation
    #[arg(long)]
    confirm: bool,
}

/// A day of the week.
#[derive(Clone, Copy, ValueEnum)]
enum WeekdayArg {
    Monday = 1,
    Tuesday = 2,
    Wednesday = 3,
    Thursday = 4,
    Friday = 5,
    Saturday = 6,
    Sunday = 7,
}

/// Subscribes and prints what happens next.
pub async fn run(connect: &ConnectArgs, args: SubscribeArgs) -> Result<(), CommandError> {
    let consent = if args.confirm {
        Consent::OnRecord
    } else {
        Consent::DoubleOptIn
    };
    let email = args.email.clone();
    let request = SubscribeRequest {
        consent: consent.into(),
        ..request(args)
    };
    let answer = subscribe(client::connect(connect)?, request).await?;
    if answer.confirmation_required {
        println!("A confirmation mail is on its way to {email}; digests start once the address is confirmed.");
    } else {
        println!("{email} is subscribed.");
    }
    match answer.webhook_secret.as_str() {
        "" => Ok(()),
        secret => webhook::print_secret(secret, answer.webhook.as_ref()),
    }
}

fn request(args: SubscribeArgs) -> SubscribeRequest {
    let mut interests: Vec<Interest> = args
        .interest
        .into_iter()
        .map(|text| Interest {
            text,
            ..Interest::default()
        })
        .collect();
    // Example papers together describe one interest.
    if !args.like.is_empty() {
        interests.push(Interest {
            like_paper_ids: args.like,
            ..Interest::default()
        });
    }
    let (frequency, weekday) = match args.weekly {
        Some(day) => (Frequency::Weekly, day as i32),
        None if args.weekdays => (Frequency::Weekdays, 0),
        None => (Frequency::Daily, 0),
    };
    // Unspecified means the webhook, if there is one.
    let channel = args.channel.map_or(DeliveryChannel::Unspecified, Into::into);
    SubscribeRequest {
        email: args.email,
        interests,
        schedule: Some(Schedule {
            time: args.time,
            time_zone: args.time_zone,
            frequency: frequency.into(),
            weekday,
        }),
        paper_count: args.papers,
        exclusions: exclusions(&args.exclude),
        trending_share: args.trending_share,
        language: args.language,
        delivery_channel: channel.into(),
        webhook_url: args.webhook.unwrap_or_default(),
        format: if args.text_only { Format::Text } else { Format::Html }.into(),
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

/// Subscribes. The answer says whether the reader has to confirm, and holds the secret of a webhook.
pub async fn subscribe(channel: ServiceChannel, request: SubscribeRequest) -> Result<SubscribeResponse, CommandError> {
    let answer = SubscriptionServiceClient::new(channel).subscribe(request).await?;
    Ok(answer.into_inner())
}
