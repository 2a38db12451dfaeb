//! JSON-RPC 2.0 messages and revisions of the protocol.

use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

/// The stateless revision: every request carries all it needs.
pub const STATELESS: &str = "2026-07-28";
/// Revisions that start with a handshake, oldest first.
pub const HANDSHAKE: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];
/// The header with the revision.
pub const VERSION_HEADER: &str = "mcp-protocol-version";
/// The key in `_meta` of a request for its revision.
pub const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
/// The key in `_meta` of a request for the capabilities of its client.
pub const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
/// The key in `_meta` of a result for the server.
const SERVER_KEY: &str = "io.modelcontextprotocol/serverInfo";
/// How long a client may cache the list of tools, in milliseconds.
const LIST_TTL_MS: u64 = 3_600_000;

/// The code of the error for a caller over its limits; JSON-RPC leaves -32000 to -32099 to servers.
const RATE_LIMITED: i32 = -32029;
/// The key in `data` of that error for the time to wait.
const RETRY_KEY: &str = "retryAfterSeconds";

const INSTRUCTIONS: &str = "Broadsheet is a collection of research papers. Use search_papers to search by meaning and by \
     keyword, get_paper to look one up, similar_papers to find related ones, and trending_papers to see what is getting \
     attention. Ids look like arxiv:2402.14776 or doi:10.1145/3292500. To get the next page of a list, pass the next_cursor of \
     the previous answer as cursor.";

/// The kind of revision a request uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolRevision {
    /// Revision [`STATELESS`].
    Stateless,
    /// One that starts with a handshake.
    Handshake {
        /// Whether it has batches of messages.
        batches: bool,
    },
}

impl ProtocolRevision {
    /// By header and message. Without either it is the first revision over this transport.
    pub fn detect(headers: &HeaderMap, message: &Value) -> Result<Self, McpError> {
        let header = headers.get(VERSION_HEADER).and_then(|value| value.to_str().ok());
        let in_message = message["params"]["_meta"].get(VERSION_KEY).is_some();
        match header {
            Some(STATELESS) => Ok(Self::Stateless),
            None if in_message => Ok(Self::Stateless),
            None => Ok(Self::Handshake { batches: true }),
            Some(version) if HANDSHAKE.contains(&version) => Ok(Self::Handshake {
                batches: version == HANDSHAKE[0],
            }),
            Some(other) => Err(McpError::unsupported(other)),
        }
    }
}

/// A JSON-RPC message.
#[derive(Debug)]
pub enum JsonRpcMessage<'a> {
    /// Expects a response.
    Request {
        /// Repeated in the response.
        id: &'a Value,
        /// The method called.
        method: &'a str,
        /// Its parameters.
        params: &'a Value,
    },
    /// Expects none. A response to a request that was never sent counts as one, too.
    Notification,
}

impl<'a> JsonRpcMessage<'a> {
    /// Parses a message.
    pub fn parse(value: &'a Value) -> Result<Self, McpError> {
        let malformed = || McpError::invalid_request("not a JSON-RPC 2.0 message");
        let object = value.as_object().ok_or_else(malformed)?;
        if object.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Err(malformed());
        }
        let Some(method) = object.get("method") else {
            let is_answer = object.contains_key("result") || object.contains_key("error");
            return if is_answer {
                Ok(Self::Notification)
            } else {
                Err(malformed())
            };
        };
        let method = method.as_str().ok_or_else(malformed)?;
        let params = object.get("params").unwrap_or(&Value::Null);
        if !params.is_object() && !params.is_null() {
            return Err(McpError::invalid_params("params must be an object"));
        }
        match object.get("id") {
            None => Ok(Self::Notification),
            Some(id) if id.is_string() || id.is_i64() || id.is_u64() => Ok(Self::Request { id, method, params }),
            Some(_) => Err(McpError::invalid_request("the id must be a string or an integer")),
        }
    }
}

/// The id of a message that could not be parsed, if it has one.
pub fn id_of(value: &Value) -> &Value {
    let id = &value["id"];
    if id.is_string() || id.is_i64() || id.is_u64() {
        id
    } else {
        &Value::Null
    }
}

/// An error of the protocol.
#[derive(Debug, Clone, PartialEq)]
pub struct McpError {
    code: i32,
    message: String,
    data: Option<Value>,
}

impl McpError {
    fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// The body is not JSON.
    pub fn parse_error() -> Self {
        Self::new(-32700, "the body is not JSON")
    }

    /// JSON that is not a message.
    pub fn invalid_request(text: &str) -> Self {
        Self::new(-32600, text)
    }

    /// A method that does not exist.
    pub fn unknown_method(method: &str) -> Self {
        let method = domain::text::shorten(method);
        Self::new(
            -32601,
            format!("there is no method {method:?}; use tools/list or tools/call"),
        )
    }

    /// Invalid parameters.
    pub fn invalid_params(text: impl Into<String>) -> Self {
        Self::new(-32602, text)
    }

    /// Header and message disagree.
    pub fn mismatch(text: impl Into<String>) -> Self {
        Self::new(-32020, text)
    }

    /// A revision that is not supported.
    pub fn unsupported(version: &str) -> Self {
        let mut supported = vec![STATELESS];
        supported.extend(HANDSHAKE.iter().rev());
        let version = domain::text::shorten(version);
        let mut error = Self::new(
            -32022,
            format!(
                "protocol version {version:?} is not supported; supported are {}",
                supported.join(", ")
            ),
        );
        error.data = Some(json!({ "supported": supported, "requested": version }));
        error
    }

    /// The caller has used up a budget, and may try again after so long.
    pub fn rate_limited(budget: &str, seconds: u64) -> Self {
        let unit = if seconds == 1 { "second" } else { "seconds" };
        let text = format!("too many calls from your address (limit {budget}); try again in {seconds} {unit}");
        let mut error = Self::new(RATE_LIMITED, text);
        error.data = Some(json!({ "budget": budget, RETRY_KEY: seconds }));
        error
    }

    /// After how many seconds to try again, if that is what helps.
    pub fn retry_seconds(&self) -> Option<u64> {
        self.data.as_ref()?.get(RETRY_KEY)?.as_u64()
    }

    /// Its HTTP status in revision [`STATELESS`].
    pub fn status(&self) -> StatusCode {
        match self.code {
            -32601 => StatusCode::NOT_FOUND,
            RATE_LIMITED => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The error as JSON.
    pub fn object(&self) -> Value {
        let mut object = json!({ "code": self.code, "message": self.message });
        if let Some(data) = &self.data {
            object["data"] = data.clone();
        }
        object
    }
}

/// The result of a handshake: the requested revision if it is supported, else the newest with a handshake.
pub fn initialize_result(params: &Value) -> Value {
    let requested = params["protocolVersion"].as_str().unwrap_or_default();
    let supported = HANDSHAKE.iter().find(|version| **version == requested);
    json!({
        "protocolVersion": supported.unwrap_or(&HANDSHAKE[HANDSHAKE.len() - 1]),
        "capabilities": capabilities(),
        "serverInfo": server(),
        "instructions": INSTRUCTIONS,
    })
}

/// The result of `server/discover`.
pub fn discover_result() -> Value {
    let mut versions = vec![STATELESS];
    versions.extend(HANDSHAKE.iter().rev());
    json!({
        "supportedVersions": versions,
        "capabilities": capabilities(),
        "instructions": INSTRUCTIONS,
    })
}

/// A result with what revision [`STATELESS`] adds to it.
pub fn stateless_result(method: &str, mut result: Value) -> Value {
    result["resultType"] = json!("complete");
    result["_meta"] = json!({ SERVER_KEY: server() });
    if matches!(method, "server/discover" | "tools/list") {
        result["ttlMs"] = json!(LIST_TTL_MS);
        result["cacheScope"] = json!("public");
    }
    result
}

fn capabilities() -> Value {
    json!({ "tools": {} })
}

fn server() -> Value {
    json!({ "name": "broadsheet", "title": "Broadsheet", "version": env!("CARGO_PKG_VERSION") })
}
