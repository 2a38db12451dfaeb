//! OperationsService: how the flow stands, as every service on the bus can tell; dead letters and the audit log, which one of them handles.
//!
//! It never touches a store of a service.

use prost_reflect::{DescriptorPool, DynamicMessage};
use proto::operations::v1::operations_service_server::OperationsService;
use proto::operations::v1::{
    DropDeadLetterRequest, DropDeadLetterResponse, GetDeadLetterRequest, GetDeadLetterResponse, GetStatusRequest,
    GetStatusResponse, ListAuditEntriesRequest, ListAuditEntriesResponse, ListDeadLettersRequest,
    ListDeadLettersResponse, ReplayDeadLetterRequest, ReplayDeadLetterResponse, RouteStatus, StreamStatus,
};
use tonic::{Request, Response, Status};

use crate::audit::{self, AuditStart};
use crate::bus::{Bus, BusError, request};
use crate::flow::{self, Consumption, FLOW, Route, StreamStorage};
use crate::streams::WorkConsumer;
use crate::{dead_letters, status, stream_use};

/// Answers from the bus.
pub struct Operations {
    bus: Bus,
    streams: Vec<&'static StreamStorage>,
}

impl Operations {
    /// Over a connected bus, with the streams that the process uses.
    pub(crate) fn new(bus: Bus, streams: Vec<&'static StreamStorage>) -> Self {
        Self { bus, streams }
    }

    fn stream_status(&self, storage: &StreamStorage) -> StreamStatus {
        let used = self.bus.store().of(storage.stream);
        StreamStatus {
            name: storage.stream.to_owned(),
            messages: used.messages,
            bytes: used.bytes,
            limit_bytes: used.limit,
            setting: storage.setting.to_owned(),
            refuses_new: used.is_closed(),
        }
    }

    async fn route_status(&self, route: &Route) -> Result<RouteStatus, BusError> {
        let mut found = RouteStatus {
            subject: route.subject.to_owned(),
            from: route.from.to_owned(),
            to: route.to.to_owned(),
            ..RouteStatus::default()
        };
        let Consumption::WorkQueue { consumer, .. } = route.consumption else {
            return Ok(found);
        };
        consumer.clone_into(&mut found.consumer);
        let stream = self.bus.context.get_stream(flow::STREAM).await.map_err(request)?;
        // A consumer exists once its service has run for the first time.
        let Ok(mut consumer) = stream.get_consumer(consumer).await as Result<WorkConsumer, _> else {
            return Ok(found);
        };
        let info = consumer.info().await.map_err(request)?;
        found.pending = info.num_pending;
        found.in_flight = info.num_ack_pending as u64;
        found.redelivered = info.num_redelivered as u64;
        Ok(found)
    }
}

fn sequence(id: &str) -> Result<u64, Status> {
    id.parse().map_err(|_| status::not_found("dead letter", id))
}

impl Operations {
    /// Dead letters hold messages of every route, and go back on any of them; the audit log is of all services: not each of them
    /// has the rights for that.
    fn operator_bus(&self) -> Result<&Bus, Status> {
        if self.bus.makes_streams() {
            return Ok(&self.bus);
        }
        Err(Status::unimplemented(format!(
            "dead letters and the audit log are with {}; call it there",
            flow::STREAM_MAKER
        )))
    }
}

#[tonic::async_trait]
impl OperationsService for Operations {
    async fn get_status(&self, _: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        let mut routes = Vec::with_capacity(FLOW.len());
        for route in &FLOW {
            routes.push(self.route_status(route).await.map_err(status::of_bus)?);
        }
        stream_use::look_at(&self.bus, &self.streams).await;
        let papers = self.bus.context.get_stream(flow::STREAM).await;
        let state = papers
            .map_err(request)
            .map_err(status::of_bus)?
            .cached_info()
            .state
            .clone();
        Ok(Response::new(GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            routes,
            dead_letters: dead_letters::count(&self.bus).await.map_err(status::of_bus)?,
            stream_messages: state.messages,
            stream_bytes: state.bytes,
            streams: self.streams.iter().map(|storage| self.stream_status(storage)).collect(),
        }))
    }

    async fn list_dead_letters(
        &self,
        request: Request<ListDeadLettersRequest>,
    ) -> Result<Response<ListDeadLettersResponse>, Status> {
        let request = request.into_inner();
        let size = status::page_size(request.page_size, 100, 1_000)?;
        let from = match request.page_token.as_str() {
            "" => 0,
            token => token
                .parse()
                .map_err(|_| status::invalid("page_token", "is not one that a response gave"))?,
        };
        let mut letters = dead_letters::list(self.operator_bus()?, from, size + 1)
            .await
            .map_err(status::of_bus)?;
        let next = if letters.len() > size {
            letters.pop().map(|letter| letter.id)
        } else {
            None
        };
        for letter in &mut letters {
            letter.payload.clear();
        }
        Ok(Response::new(ListDeadLettersResponse {
            dead_letters: letters,
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn get_dead_letter(
        &self,
        request: Request<GetDeadLetterRequest>,
    ) -> Result<Response<GetDeadLetterResponse>, Status> {
        let id = request.into_inner().id;
        let letter = dead_letters::get(self.operator_bus()?, sequence(&id)?)
            .await
            .map_err(status::of_bus)?;
        let letter = letter.ok_or_else(|| status::not_found("dead letter", &id))?;
        let payload_json = to_json(&letter.message_type, &letter.payload).unwrap_or_default();
        Ok(Response::new(GetDeadLetterResponse {
            dead_letter: Some(letter),
            payload_json,
        }))
    }

    async fn replay_dead_letter(
        &self,
        request: Request<ReplayDeadLetterRequest>,
    ) -> Result<Response<ReplayDeadLetterResponse>, Status> {
        let id = request.into_inner().id;
        if !dead_letters::replay(self.operator_bus()?, sequence(&id)?)
            .await
            .map_err(status::of_bus)?
        {
            return Err(status::not_found("dead letter", &id));
        }
        Ok(Response::new(ReplayDeadLetterResponse {}))
    }

    async fn drop_dead_letter(
        &self,
        request: Request<DropDeadLetterRequest>,
    ) -> Result<Response<DropDeadLetterResponse>, Status> {
        let id = request.into_inner().id;
        if !dead_letters::drop_letter(self.operator_bus()?, sequence(&id)?)
            .await
            .map_err(status::of_bus)?
        {
            return Err(status::not_found("dead letter", &id));
        }
        Ok(Response::new(DropDeadLetterResponse {}))
    }

    async fn list_audit_entries(
        &self,
        request: Request<ListAuditEntriesRequest>,
    ) -> Result<Response<ListAuditEntriesResponse>, Status> {
        let request = request.into_inner();
        let size = status::page_size(request.page_size, 100, 1_000)?;
        let start = match (request.page_token.as_str(), request.start_time) {
            ("", None) => AuditStart::Oldest,
            ("", Some(time)) => {
                let time = proto::convert::from_wire_time("start_time", time);
                AuditStart::Time(time.map_err(|error| status::invalid("start_time", error.to_string()))?)
            }
            (token, _) => {
                let sequence = token.parse();
                AuditStart::Sequence(
                    sequence.map_err(|_| status::invalid("page_token", "is not one that a response gave"))?,
                )
            }
        };
        let (audit_entries, next) = audit::list(self.operator_bus()?, start, size)
            .await
            .map_err(status::of_bus)?;
        Ok(Response::new(ListAuditEntriesResponse {
            audit_entries,
            next_page_token: next.map(|sequence| sequence.to_string()).unwrap_or_default(),
        }))
    }
}

fn to_json(message_type: &str, payload: &[u8]) -> Option<String> {
    let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).ok()?;
    let message = DynamicMessage::decode(pool.get_message_by_name(message_type)?, payload).ok()?;
    serde_json::to_string_pretty(&message).ok()
}
