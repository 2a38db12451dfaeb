//! Compares what the SMTP server has on disk with what the records say.

use std::collections::{HashMap, HashSet};

use futures::StreamExt as _;
use proto::delivery::v1::{Delivery, DeliveryState};
use serde_json::Value;

use super::stage::Stage;

/// What became of everybody.
#[derive(Debug, Default)]
pub struct Counted {
    /// Subscribers whose slot came and who stayed.
    pub due: u64,
    /// Those of them without a mail, or without a record that says so.
    pub lost: Vec<String>,
    /// Mails too many that no record of a resend explains.
    pub doubled_outside_window: u64,
    /// Those that one explains.
    pub in_window: u64,
    /// Mails begun after an acknowledged unsubscription.
    pub after_unsubscribe: u64,
    /// Subscribers who left.
    pub left: u64,
}

/// Counts.
pub async fn count(stage: &Stage, readers: &[String]) -> Counted {
    let mails = stage.mails();
    let mut counted = Counted::default();
    let asking = futures::stream::iter(readers).map(|reader| stage.deliveries(reader));
    let records: Vec<Vec<Delivery>> = asking.buffered(32).collect().await;
    for (reader, records) in readers.iter().zip(records) {
        let none = Vec::new();
        let mails = mails.get(reader).unwrap_or(&none);
        if let Some(left) = stage.left.get(reader) {
            counted.left += 1;
            let begun = |mail: &&Value| mail["date"].as_f64().unwrap() > *left;
            counted.after_unsubscribe += mails.iter().filter(begun).count() as u64;
        } else {
            counted.due += 1;
            let sent = records.iter().any(|record| record.state() == DeliveryState::Sent);
            if mails.is_empty() || !sent {
                counted.lost.push(reader.clone());
            }
        }
        let (explained, unexplained) = doubles(mails, &records);
        counted.in_window += explained;
        counted.doubled_outside_window += unexplained;
    }
    counted
}

/// Mails too many: those that the records explain, and the others.
fn doubles(mails: &[Value], records: &[Delivery]) -> (u64, u64) {
    let ids: HashSet<&str> = mails.iter().map(|mail| mail["message_id"].as_str().unwrap()).collect();
    let resent: HashMap<&str, u64> = records
        .iter()
        .map(|record| {
            (
                record.message_id.as_str(),
                u64::from(record.resent_count.unsigned_abs()),
            )
        })
        .collect();
    let (mut explained, mut unexplained) = (0, 0);
    for id in ids {
        let times = mails.iter().filter(|mail| mail["message_id"] == id).count() as u64;
        match resent.get(id) {
            Some(resent) => {
                explained += (times - 1).min(*resent);
                unexplained += (times - 1).saturating_sub(*resent);
            }
            // A mail that no record knows.
            None => unexplained += times,
        }
    }
    (explained, unexplained)
}
