//! The status page for readers: which services respond, how many papers are waiting, how new the newest is. It shows nothing
//! that only operators need.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use common::grpc::ServiceChannel;
use minijinja::context;
use minijinja::value::Serde;
use proto::operations::v1::{GetStatusRequest, GetStatusResponse};
use proto::search::v1::{FacetField, PaperFilter};
use serde::Serialize;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::queries;
use crate::caller::Caller;
use crate::paper::{day_in_words, published_time};
use crate::state::AppState;

/// Timeout of a health check.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);
/// More waiting papers than this count as a delay.
const LONG_QUEUE: u64 = 500;

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct StatusLine {
    name: &'static str,
    state: String,
    is_well: bool,
}

/// The page.
pub async fn status(State(app): State<Arc<AppState>>, caller: Caller) -> Response {
    let any = PaperFilter::default;
    let mut operations = app.operations.clone();
    let (services, flow, newest, counts) = tokio::join!(
        service_lines(&app),
        operations.get_status(caller.request(GetStatusRequest {})),
        queries::newest(&app, &caller, any(), 1, ""),
        queries::facet_counts(&app, &caller, any(), &[FacetField::Source], 1),
    );
    let mut lines = services.to_vec();
    match flow {
        Ok(flow) => lines.extend(flow_lines(&flow.into_inner())),
        Err(_) => lines.push(StatusLine {
            name: "Processing of new papers",
            state: "unknown at the moment".to_owned(),
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
        at => app.clock.now().strftime("%H:%M:%S").to_string(),
    };
    app.pages.render(StatusCode::OK, "status.html", context)
}

async fn service_lines(app: &AppState) -> [StatusLine; 3] {
    let line = async |name, channel: &ServiceChannel| {
        let is_well = is_serving(app, channel).await;
        StatusLine {
            name,
            state: if is_well { "working" } else { "not responding" }.to_owned(),
            is_well,
        }
    };
    let (search, subscriptions, intake) = tokio::join!(
        line("Search and lists", &app.channels.search),
        line("Subscriptions and mail", &app.channels.subscriptions),
        line("New papers and votes", &app.channels.intake),
    );
    [search, subscriptions, intake]
}

async fn is_serving(app: &AppState, channel: &ServiceChannel) -> bool {
    let mut health = HealthClient::new(channel.clone());
    let check = health.check(HealthCheckRequest { service: String::new() });
    let answer = app.clock.timeout(HEALTH_TIMEOUT, check).await;
    matches!(answer, Some(Ok(answer)) if answer.get_ref().status() == ServingStatus::Serving)
}

fn flow_lines(flow: &GetStatusResponse) -> Vec<StatusLine> {
    let waiting = |subject: &str| -> u64 {
        let routes = flow
            .routes
            .iter()
            .filter(|route| route.subject == subject && !route.consumer.is_empty());
        routes.map(|route| route.pending + route.in_flight).sum()
    };
    let line = |name, count: u64| StatusLine {
        name,
        state: match count {
            0 => "none".to_owned(),
            count => count.to_string(),
        },
        is_well: count <= LONG_QUEUE,
    };
    let mut lines = vec![
        line("Papers waiting to be processed", waiting("papers.accepted")),
        line("Papers waiting to be indexed", waiting("papers.embedded")),
    ];
    if flow.dead_letters > 0 {
        lines.push(StatusLine {
            name: "Messages that failed",
            state: format!("{}; the operator can see why", flow.dead_letters),
            is_well: true,
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use proto::operations::v1::RouteStatus;

    use super::*;

    #[test]
    fn waiting_papers_are_counted() {
        let route = |subject: &str, pending| RouteStatus {
            subject: subject.to_owned(),
            consumer: "c".to_owned(),
            pending,
            ..RouteStatus::default()
        };
        let flow = GetStatusResponse {
            routes: vec![route("papers.accepted", 1_200), route("papers.embedded", 1)],
            dead_letters: 3,
            ..GetStatusResponse::default()
        };
        let lines = flow_lines(&flow);
        assert_eq!((lines[0].state.as_str(), lines[0].is_well), ("1200", false));
        assert_eq!((lines[1].state.as_str(), lines[1].is_well), ("1", true));
        assert!(lines[2].state.starts_with("3;") && lines[2].is_well);
    }
}
