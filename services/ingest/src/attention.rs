//! AttentionService: checks acts of readers and counts of other sites, and publishes them. Indexing decides their weight.

pub mod signals;

use std::time::Duration;

use common::allowances::{Allowances, PerMinute};
use common::bus::Bus;
use common::status;
use domain::PaperId;
use domain::identity::hex;
use proto::attention::v1::attention_service_server::AttentionService;
use proto::attention::v1::{
    AttentionKind, AttentionRecorded, RecordAttentionRequest, RecordAttentionResponse, RecordSignalsRequest,
    RecordSignalsResponse,
};
use proto::convert::to_wire_time;
use sha2::{Digest as _, Sha256};
use tonic::{Request, Response, Status};

use crate::metrics::ATTENTION;

const MAX_ID_BYTES: usize = 128;
/// Readers that are remembered for the limit of each; some 64 bytes a reader.
const KNOWN_READERS: usize = 50_000;
/// When to try again after too much.
const RETRY: Duration = Duration::from_secs(10);

/// The service.
pub struct AttentionApi {
    bus: Bus,
    /// By the hash of a reader's id, so that long ids take no more memory.
    allowances: Allowances<u128>,
}

impl AttentionApi {
    /// Over a connected bus; records so many acts.
    pub fn new(bus: Bus, per_minute: PerMinute) -> Self {
        let allowances = Allowances::new(per_minute, KNOWN_READERS, bus.clock().clone());
        Self { bus, allowances }
    }
}

#[tonic::async_trait]
impl AttentionService for AttentionApi {
    async fn record_attention(
        &self,
        request: Request<RecordAttentionRequest>,
    ) -> Result<Response<RecordAttentionResponse>, Status> {
        let request = request.into_inner();
        let now = self.bus.clock().now();
        let kind = request.kind();
        if kind == AttentionKind::Unspecified {
            return Err(status::invalid(
                "kind",
                format!("is {}; allowed are CLICK, READ, SAVE and VOTE", request.kind),
            ));
        }
        let id = PaperId::parse(&request.paper_id).map_err(|error| status::invalid("paper_id", error.to_string()))?;
        for (field, value, least) in [("reader_id", &request.reader_id, 1), ("event_id", &request.event_id, 0)] {
            if !(least..=MAX_ID_BYTES).contains(&value.len()) {
                let description = format!("has {} bytes; {least} to {MAX_ID_BYTES} are allowed", value.len());
                return Err(status::invalid(field, description));
            }
        }
        let reader = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, request.reader_id.as_bytes());
        if !self.allowances.take(reader.as_u128()) {
            ATTENTION.with_label_values(&["refused"]).inc();
            let problem = "there is too much attention at once, of this reader or of all; try again later";
            return Err(status::exhausted(problem, RETRY));
        }
        let event_id = if request.event_id.is_empty() {
            let day = now.as_second() / 86_400;
            hex(&Sha256::digest(format!(
                "{id}\n{}\n{}\n{day}",
                kind.as_str_name(),
                request.reader_id
            )))
        } else {
            request.event_id
        };
        let event = AttentionRecorded {
            event_id: event_id.clone(),
            paper_id: id.to_string(),
            kind: kind.into(),
            reader_id: request.reader_id,
            event_time: Some(to_wire_time(now)),
        };
        self.bus
            .publish(&format!("attention:{event_id}"), &event)
            .await
            .map_err(status::of_bus)?;
        ATTENTION.with_label_values(&["recorded"]).inc();
        Ok(Response::new(RecordAttentionResponse {}))
    }

    async fn record_signals(
        &self,
        request: Request<RecordSignalsRequest>,
    ) -> Result<Response<RecordSignalsResponse>, Status> {
        let response = signals::record(&self.bus, request.into_inner()).await?;
        Ok(Response::new(response))
    }
}
