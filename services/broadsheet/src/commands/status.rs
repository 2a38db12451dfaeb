//! `status`: how the platform stands.

use proto::index::v1::GetIndexStatusRequest;
use proto::index::v1::index_admin_service_client::IndexAdminServiceClient;
use proto::operations::v1::GetStatusRequest;
use proto::operations::v1::operations_service_client::OperationsServiceClient;
use serde_json::json;

use crate::failure::Failure;
use crate::{Place, client};

/// Prints the status.
pub async fn run(place: &Place, as_json: bool) -> Result<(), Failure> {
    let channel = client::connect(place)?;
    let flow = OperationsServiceClient::new(channel.clone())
        .get_status(GetStatusRequest {})
        .await?
        .into_inner();
    let index = IndexAdminServiceClient::new(channel)
        .get_index_status(GetIndexStatusRequest {})
        .await?
        .into_inner();
    if as_json {
        let hops: Vec<_> = flow
            .hops
            .iter()
            .map(|hop| {
                json!({
                    "subject": hop.subject, "from": hop.from, "to": hop.to, "consumer": hop.consumer,
                    "pending": hop.pending, "in_flight": hop.in_flight, "redelivered": hop.redelivered,
                })
            })
            .collect();
        let status = json!({
            "version": flow.version,
            "hops": hops,
            "dead_letters": flow.dead_letters,
            "stream": { "messages": flow.stream_messages, "bytes": flow.stream_bytes },
            "index": {
                "store": index.store, "collection": index.collection, "encoder": index.encoder_id,
                "dimension": index.dimension, "papers": index.papers, "withdrawn": index.withdrawn,
            },
        });
        println!("{status}");
        return Ok(());
    }
    println!("Broadsheet {}", flow.version);
    println!(
        "index         {} papers in {} ({}), encoder {}",
        index.papers, index.collection, index.store, index.encoder_id
    );
    println!("dead letters  {}", flow.dead_letters);
    println!(
        "\n{:<20} {:<12} {:<14} {:>8} {:>9} {:>11}",
        "subject", "from", "to", "pending", "in flight", "redelivered"
    );
    for hop in flow.hops {
        let HopLine {
            pending,
            in_flight,
            redelivered,
        } = HopLine::of(&hop);
        println!(
            "{:<20} {:<12} {:<14} {pending:>8} {in_flight:>9} {redelivered:>11}",
            hop.subject, hop.from, hop.to
        );
    }
    Ok(())
}

/// The figures of a hop; a dash where each replica reads the stream for itself.
struct HopLine {
    pending: String,
    in_flight: String,
    redelivered: String,
}

impl HopLine {
    fn of(hop: &proto::operations::v1::HopStatus) -> Self {
        let shown = |figure: u64| {
            if hop.consumer.is_empty() {
                "-".to_owned()
            } else {
                figure.to_string()
            }
        };
        Self {
            pending: shown(hop.pending),
            in_flight: shown(hop.in_flight),
            redelivered: shown(hop.redelivered),
        }
    }
}
