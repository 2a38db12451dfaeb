//! Tools for assistants: the Model Context Protocol over streamable HTTP, for reading alone and without sessions.
//!
//! Every request is answered by itself with one JSON document; nothing is ever sent unasked, so there is no stream to listen to.
//! Served are the revision of 2026-07-28, which brings everything with each request, and the ones before it that begin with a
//! handshake. It never changes anything and knows no caller.

mod calls;
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

use crate::Front;
use crate::client::Client;
use crate::refusal::json_error;
use protocol::{Era, Failure, Message};

/// Messages of a batch.
const MOST_AT_ONCE: usize = 16;

/// What a client posts.
pub async fn post(
    State(front): State<Arc<Front>>,
    client: Client,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(refusal) = check::origin(&headers, &uri, &client) {
        return json_error(StatusCode::FORBIDDEN, refusal, None);
    }
    if !check::takes_json(&headers) {
        let text = "the answer is JSON; send `accept: application/json, text/event-stream`";
        return json_error(StatusCode::NOT_ACCEPTABLE, text, None);
    }
    let Ok(value) = serde_json::from_slice::<Value>(&body) else {
        return failure(StatusCode::BAD_REQUEST, &Value::Null, &Failure::unreadable());
    };
    match Era::of(&headers, &value) {
        Ok(Era::Single) => single(&front, &client, &headers, &value).await,
        Ok(Era::Handshake { batches }) if value.is_array() => {
            let messages = value.as_array().filter(|_| batches).map_or(&[][..], Vec::as_slice);
            batch(&front, &client, messages).await
        }
        Ok(era) => match Message::read(&value) {
            Ok(Message::Request { id, method, params }) => {
                let result = answer(&front, &client, era, method, params).await;
                document(StatusCode::OK, &response(id, result))
            }
            Ok(Message::Told) => StatusCode::ACCEPTED.into_response(),
            Err(error) => failure(StatusCode::BAD_REQUEST, protocol::id_of(&value), &error),
        },
        Err(error) => failure(StatusCode::BAD_REQUEST, protocol::id_of(&value), &error),
    }
}

/// There is nothing to listen to and no session to end.
pub async fn not_by_post(method: Method) -> Response {
    super::not_allowed(&method, "POST")
}

/// A request of the revision that brings everything along.
async fn single(front: &Front, client: &Client, headers: &HeaderMap, value: &Value) -> Response {
    let message = match Message::read(value) {
        Ok(message) => message,
        Err(error) => return failure(StatusCode::BAD_REQUEST, protocol::id_of(value), &error),
    };
    let Message::Request { id, method, params } = message else {
        return StatusCode::ACCEPTED.into_response();
    };
    if let Err(error) = check::envelope(headers, method, params) {
        return failure(error.status(), id, &error);
    }
    match answer(front, client, Era::Single, method, params).await {
        Ok(result) => document(StatusCode::OK, &response(id, Ok(result))),
        Err(error) => failure(error.status(), id, &error),
    }
}

/// Several messages of the one revision that has them.
async fn batch(front: &Front, client: &Client, messages: &[Value]) -> Response {
    if messages.is_empty() || messages.len() > MOST_AT_ONCE {
        let text = format!(
            "send one message at a time; revision 2025-03-26 alone has batches, of 1 to {MOST_AT_ONCE} messages"
        );
        return failure(StatusCode::BAD_REQUEST, &Value::Null, &Failure::invalid_request(&text));
    }
    let mut answers = Vec::new();
    for value in messages {
        match Message::read(value) {
            Ok(Message::Request { id, method, params }) => {
                let result = answer(front, client, Era::Handshake { batches: true }, method, params).await;
                answers.push(response(id, result));
            }
            Ok(Message::Told) => {}
            Err(error) => answers.push(response(protocol::id_of(value), Err(error))),
        }
    }
    if answers.is_empty() {
        return StatusCode::ACCEPTED.into_response();
    }
    document(StatusCode::OK, &Value::Array(answers))
}

async fn answer(front: &Front, client: &Client, era: Era, method: &str, params: &Value) -> Result<Value, Failure> {
    let result = match (era, method) {
        (Era::Handshake { .. }, "initialize") => protocol::initialized(params),
        (Era::Handshake { .. }, "ping") => json!({}),
        (Era::Single, "server/discover") => protocol::discovered(),
        (_, "tools/list") => tools::listed(params)?,
        (_, "tools/call") => calls::call(front, client, params).await?,
        (_, other) => return Err(Failure::unknown_method(other)),
    };
    Ok(match era {
        Era::Single => protocol::completed(method, result),
        Era::Handshake { .. } => result,
    })
}

fn response(id: &Value, result: Result<Value, Failure>) -> Value {
    match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error.object() }),
    }
}

fn failure(status: StatusCode, id: &Value, error: &Failure) -> Response {
    let body = json!({ "jsonrpc": "2.0", "id": id, "error": error.object() });
    document(status, &body)
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
