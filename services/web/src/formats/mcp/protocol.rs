//! Messages of JSON-RPC 2.0 and revisions of the protocol.

use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

/// The revision whose requests bring everything along.
pub const SINGLE: &str = "2026-07-28";
/// Revisions that begin with a handshake, oldest first.
pub const HANDSHAKE: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];
/// The header that says the revision.
pub const VERSION_HEADER: &str = "mcp-protocol-version";
/// Where a request says its revision.
pub const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
/// Where a request says what its client can do.
pub const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
/// Where an answer says who gave it.
const SERVER_KEY: &str = "io.modelcontextprotocol/serverInfo";
/// How long a client may keep the list of tools, in milliseconds.
const LIST_MS: u64 = 3_600_000;

const INSTRUCTIONS: &str = "Broadsheet holds research papers. Search by meaning and words with search_papers, look one up with \
     get_paper, find neighbours with similar_papers, and see what readers pay attention to with trending_papers. Ids look like \
     arxiv:2402.14776 or doi:10.1145/3292500. Lists go on with the cursor of the answer before.";

/// How a request is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// By itself: revision [`SINGLE`].
    Single,
    /// As one after a handshake.
    Handshake {
        /// Whether several messages may come at once.
        batches: bool,
    },
}

impl Era {
    /// What header and message say. Without a header it is the first revision over this transport.
    pub fn of(headers: &HeaderMap, message: &Value) -> Result<Self, Failure> {
        let said = headers.get(VERSION_HEADER).and_then(|value| value.to_str().ok());
        let in_message = message["params"]["_meta"].get(VERSION_KEY).is_some();
        match said {
            Some(SINGLE) => Ok(Self::Single),
            None if in_message => Ok(Self::Single),
            None => Ok(Self::Handshake { batches: true }),
            Some(version) if HANDSHAKE.contains(&version) => Ok(Self::Handshake {
                batches: version == HANDSHAKE[0],
            }),
            Some(other) => Err(Failure::unsupported(other)),
        }
    }
}

/// A message that arrived.
#[derive(Debug)]
pub enum Message<'a> {
    /// It wants an answer.
    Request {
        /// Names the answer.
        id: &'a Value,
        /// What is wanted.
        method: &'a str,
        /// With what.
        params: &'a Value,
    },
    /// It wants none: a notification, or an answer to something that was never asked.
    Told,
}

impl<'a> Message<'a> {
    /// Reads one.
    pub fn read(value: &'a Value) -> Result<Self, Failure> {
        let malformed = || Failure::invalid_request("not a message of JSON-RPC 2.0");
        let object = value.as_object().ok_or_else(malformed)?;
        if object.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Err(malformed());
        }
        let Some(method) = object.get("method") else {
            let is_answer = object.contains_key("result") || object.contains_key("error");
            return if is_answer { Ok(Self::Told) } else { Err(malformed()) };
        };
        let method = method.as_str().ok_or_else(malformed)?;
        let params = object.get("params").unwrap_or(&Value::Null);
        if !params.is_object() && !params.is_null() {
            return Err(Failure::invalid_params("params must be an object"));
        }
        match object.get("id") {
            None => Ok(Self::Told),
            Some(id) if id.is_string() || id.is_i64() || id.is_u64() => Ok(Self::Request { id, method, params }),
            Some(_) => Err(Failure::invalid_request("the id must be text or a whole number")),
        }
    }
}

/// The id of a message that could not be read, where it has one.
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
pub struct Failure {
    code: i32,
    message: String,
    data: Option<Value>,
}

impl Failure {
    fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// No JSON.
    pub fn unreadable() -> Self {
        Self::new(-32700, "the body is not JSON")
    }

    /// JSON that is no message.
    pub fn invalid_request(text: &str) -> Self {
        Self::new(-32600, text)
    }

    /// A method that is not offered.
    pub fn unknown_method(method: &str) -> Self {
        let method = domain::text::shorten(method);
        Self::new(
            -32601,
            format!("method {method:?} is not offered; offered are tools/list and tools/call"),
        )
    }

    /// Parameters that do not fit.
    pub fn invalid_params(text: impl Into<String>) -> Self {
        Self::new(-32602, text)
    }

    /// Header and message disagree.
    pub fn mismatch(text: impl Into<String>) -> Self {
        Self::new(-32020, text)
    }

    /// A revision that is not served here.
    pub fn unsupported(version: &str) -> Self {
        let mut supported = vec![SINGLE];
        supported.extend(HANDSHAKE.iter().rev());
        let version = domain::text::shorten(version);
        let mut failure = Self::new(
            -32022,
            format!(
                "protocol version {version:?} is not served; served are {}",
                supported.join(", ")
            ),
        );
        failure.data = Some(json!({ "supported": supported, "requested": version }));
        failure
    }

    /// The HTTP status that goes with it in revision [`SINGLE`].
    pub fn status(&self) -> StatusCode {
        match self.code {
            -32601 => StatusCode::NOT_FOUND,
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

/// The answer to a handshake: the revision that the client asks for where it is served, else the newest with a handshake.
pub fn initialized(params: &Value) -> Value {
    let asked = params["protocolVersion"].as_str().unwrap_or_default();
    let known = HANDSHAKE.iter().find(|version| **version == asked);
    json!({
        "protocolVersion": known.unwrap_or(&HANDSHAKE[HANDSHAKE.len() - 1]),
        "capabilities": capabilities(),
        "serverInfo": server(),
        "instructions": INSTRUCTIONS,
    })
}

/// The answer to a client that asks what is here.
pub fn discovered() -> Value {
    let mut versions = vec![SINGLE];
    versions.extend(HANDSHAKE.iter().rev());
    json!({
        "supportedVersions": versions,
        "capabilities": capabilities(),
        "instructions": INSTRUCTIONS,
    })
}

/// A result with what revision [`SINGLE`] adds to it.
pub fn completed(method: &str, mut result: Value) -> Value {
    result["resultType"] = json!("complete");
    result["_meta"] = json!({ SERVER_KEY: server() });
    if matches!(method, "server/discover" | "tools/list") {
        result["ttlMs"] = json!(LIST_MS);
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
