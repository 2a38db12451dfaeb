//! Compares what the receivers have on disk with what the records say.

use std::collections::{HashMap, HashSet};

use futures::StreamExt as _;
use proto::delivery::v1::{Delivery, DeliveryState};

use super::stage::{Received, Stage, Way};

/// What became of everybody.
#[derive(Debug, Default)]
pub struct Counted {
    /// Digests whose slot came for somebody who stayed, one for each way.
    pub due: u64,
    /// Those of them that did not come, or without a record that says so.
    pub lost: Vec<String>,
    /// Digests too many that no record of a resend explains.
    pub doubled_outside_window: u64,
    /// Those that one explains.
    pub in_window: u64,
    /// Digests begun after an acknowledged unsubscription.
    pub after_unsubscribe: u64,
    /// Subscribers who left.
    pub left: u64,
}

/// Counts.
pub async fn count(stage: &Stage, readers: &[String]) -> Counted {
    let mut counted = Counted::default();
    let received = Way::ALL.map(|way| stage.received(way));
    let asking = futures::stream::iter(readers).map(|reader| stage.deliveries(reader));
    let records: Vec<Vec<Delivery>> = asking.buffered(32).collect().await;
    counted.left = stage.left.len() as u64;
    for (number, (reader, records)) in readers.iter().zip(&records).enumerate() {
        for (way, received) in Way::ALL.into_iter().zip(&received) {
            let received = received.get(reader).map_or(&[][..], Vec::as_slice);
            let records = records.iter().filter(|record| record.channel() == way.channel());
            let records: Vec<&Delivery> = records.collect();
            if let Some(left) = stage.left.get(reader) {
                let begun = received.iter().filter(|one| one.begun > *left);
                counted.after_unsubscribe += begun.count() as u64;
            } else if way.is_of(number) {
                counted.due += 1;
                let sent = records.iter().any(|record| record.state() == DeliveryState::Sent);
                if received.is_empty() || !sent {
                    counted.lost.push(format!("{reader} {way:?}"));
                }
            }
            let (explained, unexplained) = doubles(received, &records);
            counted.in_window += explained;
            counted.doubled_outside_window += unexplained;
        }
    }
    counted
}

/// Digests too many: those that the records explain, and the others.
fn doubles(received: &[Received], records: &[&Delivery]) -> (u64, u64) {
    let ids: HashSet<&str> = received.iter().map(|one| one.id.as_str()).collect();
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
        let times = received.iter().filter(|one| one.id == id).count() as u64;
        match resent.get(id) {
            Some(resent) => {
                explained += (times - 1).min(*resent);
                unexplained += (times - 1).saturating_sub(*resent);
            }
            // One that no record knows.
            None => unexplained += times,
        }
    }
    (explained, unexplained)
}
