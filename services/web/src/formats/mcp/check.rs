//! What is looked at before a message is: where it comes from, what it can take, and whether it agrees with its headers.

use std::net::IpAddr;

use axum::http::{HeaderMap, Uri, header};
use serde_json::Value;

use super::protocol::{CAPABILITIES_KEY, Failure, SINGLE, VERSION_HEADER, VERSION_KEY};
use crate::client::{Client, host_of};
use crate::same_site::is_foreign;

const METHOD_HEADER: &str = "mcp-method";
const NAME_HEADER: &str = "mcp-name";

/// Why a message of a browser is refused; `None` where it is not. A page of another site may not use this through its
/// reader's browser, even under a host name that it makes point here: without a public address of our own, only names that
/// nobody else can give away are believed.
pub fn origin(headers: &HeaderMap, uri: &Uri, client: &Client) -> Option<&'static str> {
    if !headers.contains_key(header::ORIGIN) {
        return None;
    }
    if is_foreign(headers, uri, client.base()) {
        return Some("a page of another site may not use this");
    }
    let is_ours = client.has_public_url() || host_of(headers, uri).is_some_and(is_nobodys_name);
    (!is_ours).then_some("pages may use this only where web.public_url is set to the address of this site")
}

/// An address, or the name of this machine.
fn is_nobodys_name(host: &str) -> bool {
    if host == "localhost" || host.starts_with("localhost:") {
        return true;
    }
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    bare.parse::<IpAddr>().is_ok()
}

/// Whether the caller takes JSON; who says nothing does.
pub fn takes_json(headers: &HeaderMap) -> bool {
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

/// Whether a request of revision [`SINGLE`] is whole, and its headers say what it says: what stands between may route by them.
pub fn envelope(headers: &HeaderMap, method: &str, params: &Value) -> Result<(), Failure> {
    for name in [VERSION_HEADER, METHOD_HEADER, NAME_HEADER] {
        if headers.get_all(name).iter().count() > 1 {
            return Err(Failure::mismatch(format!("header {name} appears more than once")));
        }
    }
    let meta = &params["_meta"];
    for key in [VERSION_KEY, CAPABILITIES_KEY] {
        if meta.get(key).is_none() {
            return Err(Failure::invalid_params(format!(
                "params._meta has no {key:?}, which every request brings along"
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
        Some(SINGLE) => Ok(()),
        other => Err(Failure::unsupported(other.unwrap_or_default())),
    }
}

fn agrees(headers: &HeaderMap, name: &str, said: Option<&str>) -> Result<(), Failure> {
    let header = headers.get(name).and_then(|value| value.to_str().ok());
    if header.is_some() && header == said {
        return Ok(());
    }
    Err(Failure::mismatch(format!("header {name} is not what the message says")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_others_can_give_away_are_told_from_those_they_cannot() {
        for ours in [
            "localhost",
            "localhost:7180",
            "127.0.0.1:7180",
            "[::1]:7180",
            "192.0.2.1",
        ] {
            assert!(is_nobodys_name(ours), "{ours}");
        }
        for theirs in [
            "papers.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "[evil]",
        ] {
            assert!(!is_nobodys_name(theirs), "{theirs}");
        }
    }
}
