//! Whether everything works, for readers: what answers, what waits, how fresh it is. It tells nothing that only operators need.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use common::grpc::ServiceChannel;
use jiff::Timestamp;
use minijinja::context;
use minijinja::value::Serde;
use proto::operations::v1::operations_service_client::OperationsServiceClient;
use proto::operations::v1::{GetStatusRequest, GetStatusResponse};
use proto::search::v1::{FacetField, PaperFilter};
use serde::Serialize;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::asking;
use crate::Front;
use crate::client::Client;
use crate::paper::{day_in_words, published_time};

/// Longest wait for a service to say that it is well.
const PATIENCE: Duration = Duration::from_secs(2);
/// More that waits than this is told as a delay.
const MUCH: u64 = 500;

/// The services that pages need.
pub struct Services {
    /// What each is for, and the way to it.
    pub all: [(&'static str, ServiceChannel); 3],
    /// Whoever is asked how the flow stands.
    pub operations: OperationsServiceClient<ServiceChannel>,
}

/// One thing that works or does not.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Line {
    name: &'static str,
    state: String,
    is_well: bool,
}

/// The page.
pub async fn state(State(front): State<Arc<Front>>, client: Client) -> Response {
    let [(_, search), (_, subscriptions), (_, intake)] = &front.services.all;
    let any = PaperFilter::default;
    let mut operations = front.services.operations.clone();
    let (search, subscriptions, intake, flow, newest, counts) = tokio::join!(
        is_well(search),
        is_well(subscriptions),
        is_well(intake),
        operations.get_status(client.request(GetStatusRequest {})),
        asking::newest(&front, &client, any(), 1, ""),
        asking::counts(&front, &client, any(), &[FacetField::Source], 1),
    );
    let mut lines: Vec<Line> = front
        .services
        .all
        .iter()
        .zip([search, subscriptions, intake])
        .map(|((name, _), is_well)| Line {
            name,
            state: if is_well { "works" } else { "does not answer" }.to_owned(),
            is_well,
        })
        .collect();
    match flow {
        Ok(flow) => lines.extend(flow_lines(&flow.into_inner())),
        Err(_) => lines.push(Line {
            name: "The way of a paper through the house",
            state: "cannot be seen at the moment".to_owned(),
            is_well: false,
        }),
    }
    let is_well = lines.iter().all(|line| line.is_well);
    let newest = newest
        .ok()
        .and_then(|answer| answer.papers.first().and_then(published_time));
    let context = context! {
        is_well,
        lines => Serde(lines),
        papers => counts.ok().map(|counts| counts.total_size),
        newest => newest.map(day_in_words),
        at => Timestamp::now().strftime("%H:%M:%S").to_string(),
    };
    front.pages.render(StatusCode::OK, "status.html", context)
}

async fn is_well(channel: &ServiceChannel) -> bool {
    let mut health = HealthClient::new(channel.clone());
    let asked = health.check(HealthCheckRequest { service: String::new() });
    matches!(tokio::time::timeout(PATIENCE, asked).await, Ok(Ok(answer)) if answer.get_ref().status() == ServingStatus::Serving)
}

fn flow_lines(flow: &GetStatusResponse) -> Vec<Line> {
    let waiting = |subject: &str| -> u64 {
        let hops = flow
            .hops
            .iter()
            .filter(|hop| hop.subject == subject && !hop.consumer.is_empty());
        hops.map(|hop| hop.pending + hop.in_flight).sum()
    };
    let line = |name, count: u64| Line {
        name,
        state: match count {
            0 => "nothing waits".to_owned(),
            1 => "1 waits".to_owned(),
            count => format!("{count} wait"),
        },
        is_well: count <= MUCH,
    };
    let mut lines = vec![
        line("Papers on their way to be understood", waiting("papers.accepted")),
        line("Papers on their way into the search", waiting("papers.embedded")),
    ];
    if flow.dead_letters > 0 {
        lines.push(Line {
            name: "Set aside",
            state: format!("{} could not be worked on; the operator sees why", flow.dead_letters),
            is_well: true,
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use proto::operations::v1::HopStatus;

    use super::*;

    #[test]
    fn what_waits_is_told_in_words() {
        let hop = |subject: &str, pending| HopStatus {
            subject: subject.to_owned(),
            consumer: "c".to_owned(),
            pending,
            ..HopStatus::default()
        };
        let flow = GetStatusResponse {
            hops: vec![hop("papers.accepted", 1_200), hop("papers.embedded", 1)],
            dead_letters: 3,
            ..GetStatusResponse::default()
        };
        let lines = flow_lines(&flow);
        assert_eq!((lines[0].state.as_str(), lines[0].is_well), ("1200 wait", false));
        assert_eq!((lines[1].state.as_str(), lines[1].is_well), ("1 waits", true));
        assert!(lines[2].state.starts_with("3 could not") && lines[2].is_well);
    }
}
