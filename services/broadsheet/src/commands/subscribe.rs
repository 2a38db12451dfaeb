//! `subscribe`: an address to the daily digest.

use clap::Args;
use common::grpc::ServiceChannel;
use proto::subscriptions::v1::subscription_service_client::SubscriptionServiceClient;
use proto::subscriptions::v1::{Consent, Interest, Schedule, SubscribeRequest};

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
    /// Local time of day of the digest, such as 07:30
    #[arg(long, value_name = "HH:MM", default_value = "")]
    time: String,
    /// IANA time zone, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "")]
    time_zone: String,
    /// Papers per digest, 1 to 50
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    papers: i32,
    /// Consent is on record: activate at once instead of mailing a confirmation
    #[arg(long)]
    confirm: bool,
}

/// Subscribes and says what comes next.
pub async fn run(place: &Place, options: Options) -> Result<(), Failure> {
    let consent = if options.confirm {
        Consent::OnRecord
    } else {
        Consent::DoubleOptIn
    };
    let request = SubscribeRequest {
        email: options.email.clone(),
        interests: options.interest.into_iter().map(|text| Interest { text, ..Interest::default() }).collect(),
        schedule: Some(Schedule {
            time: options.time,
            time_zone: options.time_zone,
            ..Schedule::default()
        }),
        paper_count: options.papers,
        consent: consent.into(),
        ..SubscribeRequest::default()
    };
    if subscribe(client::connect(place)?, request).await? {
        println!(
            "A confirmation is on its way to {}; the digest starts once it is confirmed.",
            options.email
        );
    } else {
        println!("{} is subscribed.", options.email);
    }
    Ok(())
}

/// Subscribes; true when the reader has to confirm.
pub async fn subscribe(channel: ServiceChannel, request: SubscribeRequest) -> Result<bool, Failure> {
    let answer = SubscriptionServiceClient::new(channel).subscribe(request).await?;
    Ok(answer.into_inner().confirmation_required)
}
