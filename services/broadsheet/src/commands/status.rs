//! `status`: the state of the platform: its index, its routes, its dead letters, how full its streams are.

use common::storage::MEGABYTE;
use proto::index::v1::index_admin_service_client::IndexAdminServiceClient;
use proto::index::v1::{GetIndexStatusRequest, GetIndexStatusResponse};
use proto::operations::v1::operations_service_client::OperationsServiceClient;
use proto::operations::v1::{GetStatusRequest, GetStatusResponse, StreamStatus};
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
        "streams": flow.streams.iter().map(stream_json).collect::<Vec<_>>(),
        "stream": { "messages": flow.stream_messages, "bytes": flow.stream_bytes },
        "index": {
            "store": index.store, "collection": index.collection, "encoder": index.encoder_id,
            "dimension": index.dimension, "papers": index.papers, "withdrawn": index.withdrawn,
        },
    })
}

fn stream_json(stream: &StreamStatus) -> Value {
    json!({
        "name": stream.name, "messages": stream.messages, "bytes": stream.bytes, "limit_bytes": stream.limit_bytes,
        "setting": stream.setting, "refuses_new": stream.refuses_new,
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
    println!(
        "\n{:<24} {:>10} {:>9} {:>9} {:>5}",
        "stream", "messages", "MB", "limit MB", "used"
    );
    for stream in &flow.streams {
        let percent = stream.bytes.saturating_mul(100) / stream.limit_bytes.max(1);
        let full = if stream.refuses_new {
            format!("  full: refuses what is new ({})", stream.setting)
        } else {
            String::new()
        };
        println!(
            "{:<24} {:>10} {:>9} {:>9} {percent:>3} %{full}",
            stream.name,
            stream.messages,
            stream.bytes / MEGABYTE,
            stream.limit_bytes / MEGABYTE
        );
    }
}
