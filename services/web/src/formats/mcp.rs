//! Tools for assistants: the Model Context Protocol over streamable HTTP, read-only and without sessions.
//!
//! Every request is answered with one JSON document, and the server sends nothing on its own, so there is no stream to listen
//! to. Supported are the stateless revision of 2026-07-28 and the earlier ones that start with a handshake. Each message
//! counts against the caller's limits as if it had come alone, and a search as a search; one beyond them is refused by itself,
//! with the time to wait. It never changes anything and stores nothing about a caller.

mod calls;
mod charging;
mod check;
mod protocol;
mod results;
mod tools;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::error_response::json_error;
use crate::state::AppState;
use protocol::{JsonRpcMessage, McpError, ProtocolRevision};

/// Most messages in a batch.
const MAX_BATCH: usize = 16;

/// Answers a posted message.
pub async fn post(
    State(app): State<Arc<AppState>>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(refusal) = check::origin(&headers, &uri, &caller) {
        return json_error(StatusCode::FORBIDDEN, refusal, None);
    }
    if !check::accepts_json(&headers) {
        let text = "responses are JSON; send `accept: application/json, text/event-stream`";
        return json_error(StatusCode::NOT_ACCEPTABLE, text, None);
    }
    let Ok(value) = serde_json::from_slice::<Value>(&body) else {
        return error_document(StatusCode::BAD_REQUEST, &Value::Null, &McpError::parse_error());
    };
    match ProtocolRevision::detect(&headers, &value) {
        Ok(ProtocolRevision::Stateless) => stateless(&app, &caller, &headers, &value).await,
        Ok(ProtocolRevision::Handshake { batches }) if value.is_array() => {
            let messages = value.as_array().filter(|_| batches).map_or(&[][..], Vec::as_slice);
            batch(&app, &caller, messages).await
        }
        Ok(revision) => match JsonRpcMessage::parse(&value) {
            Ok(JsonRpcMessage::Request { id, method, params }) => {
                let result = answer(&app, &caller, revision, method, params).await;
                document(StatusCode::OK, &response(id, result))
            }
            Ok(JsonRpcMessage::Notification) => StatusCode::ACCEPTED.into_response(),
            Err(error) => error_document(StatusCode::BAD_REQUEST, protocol::id_of(&value), &error),
        },
        Err(error) => error_document(StatusCode::BAD_REQUEST, protocol::id_of(&value), &error),
    }
}

/// Only POST: there is no stream to listen to and no session to end.
pub async fn method_not_allowed(method: Method) -> Response {
    super::not_allowed(&method, "POST")
}

/// A message of the stateless revision.
async fn stateless(app: &AppState, caller: &Caller, headers: &HeaderMap, value: &Value) -> Response {
    let message = match JsonRpcMessage::parse(value) {
        Ok(message) => message,
        Err(error) => return error_document(StatusCode::BAD_REQUEST, protocol::id_of(value), &error),
    };
    let JsonRpcMessage::Request { id, method, params } = message else {
        return StatusCode::ACCEPTED.into_response();
    };
    if let Err(error) = check::envelope(headers, method, params) {
        return error_document(error.status(), id, &error);
    }
    match answer(app, caller, ProtocolRevision::Stateless, method, params).await {
        Ok(result) => document(StatusCode::OK, &response(id, Ok(result))),
        Err(error) => error_document(error.status(), id, &error),
    }
}

/// A batch of messages; only one revision has them.
async fn batch(app: &AppState, caller: &Caller, messages: &[Value]) -> Response {
    if messages.is_empty() || messages.len() > MAX_BATCH {
        let text =
            format!("send one message at a time; only revision 2025-03-26 has batches, of 1 to {MAX_BATCH} messages");
        return error_document(StatusCode::BAD_REQUEST, &Value::Null, &McpError::invalid_request(&text));
    }
    let mut answers = Vec::new();
    for (position, value) in messages.iter().enumerate() {
        // The first message is counted as the request.
        if position > 0
            && let Err(refusal) = charging::message(app, caller)
        {
            if expects_response(value) {
                answers.push(response(protocol::id_of(value), Err(refusal)));
            }
            continue;
        }
        match JsonRpcMessage::parse(value) {
            Ok(JsonRpcMessage::Request { id, method, params }) => {
                let result = answer(
                    app,
                    caller,
                    ProtocolRevision::Handshake { batches: true },
                    method,
                    params,
                )
                .await;
                answers.push(response(id, result));
            }
            Ok(JsonRpcMessage::Notification) => {}
            Err(error) => answers.push(response(protocol::id_of(value), Err(error))),
        }
    }
    if answers.is_empty() {
        return StatusCode::ACCEPTED.into_response();
    }
    document(StatusCode::OK, &Value::Array(answers))
}

/// Whether a message is to be answered, even if only to say what is wrong with it.
fn expects_response(value: &Value) -> bool {
    !matches!(JsonRpcMessage::parse(value), Ok(JsonRpcMessage::Notification))
}

async fn answer(
    app: &AppState,
    caller: &Caller,
    revision: ProtocolRevision,
    method: &str,
    params: &Value,
) -> Result<Value, McpError> {
    let result = match (revision, method) {
        (ProtocolRevision::Handshake { .. }, "initialize") => protocol::initialize_result(params),
        (ProtocolRevision::Handshake { .. }, "ping") => json!({}),
        (ProtocolRevision::Stateless, "server/discover") => protocol::discover_result(),
        (_, "tools/list") => tools::list(params)?,
        (_, "tools/call") => calls::call(app, caller, params).await?,
        (_, other) => return Err(McpError::unknown_method(other)),
    };
    Ok(match revision {
        ProtocolRevision::Stateless => protocol::stateless_result(method, result),
        ProtocolRevision::Handshake { .. } => result,
    })
}

fn response(id: &Value, result: Result<Value, McpError>) -> Value {
    match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error.object() }),
    }
}

fn error_document(status: StatusCode, id: &Value, error: &McpError) -> Response {
    let body = json!({ "jsonrpc": "2.0", "id": id, "error": error.object() });
    let mut response = document(status, &body);
    if let Some(seconds) = error.retry_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn document(status: StatusCode, value: &Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, value.to_string()).into_response()
}

#[cfg(test)]
mod tests;
