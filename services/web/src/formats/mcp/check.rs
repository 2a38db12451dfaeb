//! Checks before a message is handled: its origin, the content types it accepts, and whether headers and message agree.

use std::net::IpAddr;

use axum::http::{HeaderMap, Uri, header};
use serde_json::Value;

use super::protocol::{CAPABILITIES_KEY, McpError, STATELESS, VERSION_HEADER, VERSION_KEY};
use crate::caller::{Caller, request_host};
use crate::same_site::is_cross_site;

const METHOD_HEADER: &str = "mcp-method";
const NAME_HEADER: &str = "mcp-name";

/// Why a message sent by a browser is refused, if it is. Pages of other sites may not use this through a reader's browser, not
/// even with a host name that they point here (DNS rebinding): without `web.public_url`, only host names that nobody else
/// controls are accepted.
pub fn origin(headers: &HeaderMap, uri: &Uri, caller: &Caller) -> Option<&'static str> {
    if !headers.contains_key(header::ORIGIN) {
        return None;
    }
    if is_cross_site(headers, uri, caller.base()) {
        return Some("pages of other sites may not use this");
    }
    let is_ours = caller.has_public_url() || request_host(headers, uri).is_some_and(is_uncontrolled_host);
    (!is_ours).then_some("pages may use this only where web.public_url is set to the address of this site")
}

/// An IP address or `localhost`, which no DNS server can point elsewhere.
fn is_uncontrolled_host(host: &str) -> bool {
    if host == "localhost" || host.starts_with("localhost:") {
        return true;
    }
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    bare.parse::<IpAddr>().is_ok()
}

/// Whether the caller accepts JSON; without `Accept` it does.
pub fn accepts_json(headers: &HeaderMap) -> bool {
    let Some(accept) = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()) else {
        return true;
    };
    let ranges = accept
        .split(',')
        .map(|range| range.split(';').next().unwrap_or_default().trim());
    let fits = |range: &str| {
        ["application/json", "application/*", "*/*"]
            .iter()
            .any(|one| range.eq_ignore_ascii_case(one))
    };
    ranges.into_iter().any(fits)
}

/// Whether a request of revision [`STATELESS`] is complete and agrees with its headers, by which proxies may route it.
pub fn envelope(headers: &HeaderMap, method: &str, params: &Value) -> Result<(), McpError> {
    for name in [VERSION_HEADER, METHOD_HEADER, NAME_HEADER] {
        if headers.get_all(name).iter().count() > 1 {
            return Err(McpError::mismatch(format!("header {name} appears more than once")));
        }
    }
    let meta = &params["_meta"];
    for key in [VERSION_KEY, CAPABILITIES_KEY] {
        if meta.get(key).is_none() {
            return Err(McpError::invalid_params(format!(
                "params._meta has no {key:?}, which every request needs"
            )));
        }
    }
    let version = meta[VERSION_KEY].as_str();
    agrees(headers, VERSION_HEADER, version)?;
    agrees(headers, METHOD_HEADER, Some(method))?;
    if method == "tools/call" {
        agrees(headers, NAME_HEADER, params["name"].as_str())?;
    }
    match version {
        Some(STATELESS) => Ok(()),
        other => Err(McpError::unsupported(other.unwrap_or_default())),
    }
}

fn agrees(headers: &HeaderMap, name: &str, value: Option<&str>) -> Result<(), McpError> {
    let header = headers.get(name).and_then(|value| value.to_str().ok());
    if header.is_some() && header == value {
        return Ok(());
    }
    Err(McpError::mismatch(format!("header {name} does not match the message")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_nobody_controls_are_accepted() {
        for ours in [
            "localhost",
            "localhost:7180",
            "127.0.0.1:7180",
            "[::1]:7180",
            "192.0.2.1",
        ] {
            assert!(is_uncontrolled_host(ours), "{ours}");
        }
        for theirs in [
            "papers.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "[evil]",
        ] {
            assert!(!is_uncontrolled_host(theirs), "{theirs}");
        }
    }
}
