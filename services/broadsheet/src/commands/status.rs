//! `status`: the state of the platform: its index, its routes, its dead letters.

use proto::index::v1::index_admin_service_client::IndexAdminServiceClient;
use proto::index::v1::{GetIndexStatusRequest, GetIndexStatusResponse};
use proto::operations::v1::operations_service_client::OperationsServiceClient;
use proto::operations::v1::{GetStatusRequest, GetStatusResponse};
use serde_json::{Value, json};

use crate::error::CommandError;
use crate::{ConnectArgs, client};

/// Prints the status.
pub async fn run(connect: &ConnectArgs, as_json: bool) -> Result<(), CommandError> {
    let channel = client::connect(connect)?;
    let flow = OperationsServiceClient::new(channel.clone())
        .get_status(GetStatusRequest {})
        .await?
        .into_inner();
    let index = IndexAdminServiceClient::new(channel)
        .get_index_status(GetIndexStatusRequest {})
        .await?
        .into_inner();
    if as_json {
        println!("{}", to_json(&flow, &index));
    } else {
        show(&flow, &index);
    }
    Ok(())
}

fn to_json(flow: &GetStatusResponse, index: &GetIndexStatusResponse) -> Value {
    let routes: Vec<_> = flow
        .routes
        .iter()
        .map(|route| {
            json!({
                "subject": route.subject, "from": route.from, "to": route.to, "consumer": route.consumer,
                "pending": route.pending, "in_flight": route.in_flight, "redelivered": route.redelivered,
            })
        })
        .collect();
    json!({
        "version": flow.version,
        "routes": routes,
        "dead_letters": flow.dead_letters,
        "stream": { "messages": flow.stream_messages, "bytes": flow.stream_bytes },
        "index": {
            "store": index.store, "collection": index.collection, "encoder": index.encoder_id,
            "dimension": index.dimension, "papers": index.papers, "withdrawn": index.withdrawn,
        },
    })
}

fn show(flow: &GetStatusResponse, index: &GetIndexStatusResponse) {
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
    for route in &flow.routes {
        // Where each replica reads the stream for itself, there is no consumer to count for.
        let figure = |figure: u64| match route.consumer.as_str() {
            "" => "-".to_owned(),
            _ => figure.to_string(),
        };
        println!(
            "{:<20} {:<12} {:<14} {:>8} {:>9} {:>11}",
            route.subject,
            route.from,
            route.to,
            figure(route.pending),
            figure(route.in_flight),
            figure(route.redelivered)
        );
    }
}
