use super::protocol::{HANDSHAKE, STATELESS};
use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.insert(*name, value.parse().expect("a value"));
    }
    headers
}

#[test]
fn the_revision_is_detected() {
    let of = |version: Option<&str>, message: Value| {
        let pairs: Vec<_> = version
            .iter()
            .map(|version| ("mcp-protocol-version", *version))
            .collect();
        ProtocolRevision::detect(&headers(&pairs), &message)
    };
    assert_eq!(of(None, json!([])), Ok(ProtocolRevision::Handshake { batches: true }));
    assert_eq!(
        of(Some("2025-03-26"), json!({})),
        Ok(ProtocolRevision::Handshake { batches: true })
    );
    assert_eq!(
        of(Some("2025-11-25"), json!({})),
        Ok(ProtocolRevision::Handshake { batches: false })
    );
    assert_eq!(of(Some(STATELESS), json!({})), Ok(ProtocolRevision::Stateless));
    let meta = json!({ "params": { "_meta": { "io.modelcontextprotocol/protocolVersion": STATELESS } } });
    assert_eq!(of(None, meta), Ok(ProtocolRevision::Stateless));
    let refusal = of(Some("2024-11-05"), json!({})).expect_err("not supported").object();
    assert_eq!(refusal["code"], -32022);
    assert_eq!(refusal["data"]["supported"][0], STATELESS);
}

#[test]
fn a_handshake_agrees_on_a_revision() {
    for version in HANDSHAKE {
        assert_eq!(
            protocol::initialize_result(&json!({ "protocolVersion": version }))["protocolVersion"],
            version
        );
    }
    for other in [json!({ "protocolVersion": "1999-01-01" }), json!({}), Value::Null] {
        assert_eq!(protocol::initialize_result(&other)["protocolVersion"], "2025-11-25");
    }
}

#[test]
fn messages_are_parsed_or_refused() {
    let is_notification = |value: Value| matches!(JsonRpcMessage::parse(&value), Ok(JsonRpcMessage::Notification));
    assert!(is_notification(
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })
    ));
    assert!(is_notification(json!({ "jsonrpc": "2.0", "id": 1, "result": {} })));
    let request = json!({ "jsonrpc": "2.0", "id": "a", "method": "ping" });
    assert!(matches!(
        JsonRpcMessage::parse(&request),
        Ok(JsonRpcMessage::Request { method: "ping", .. })
    ));
    for wrong in [
        json!(null),
        json!("text"),
        json!({ "id": 1, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": 1 }),
        json!({ "jsonrpc": "2.0", "id": null, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": 1.5, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": 5 }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": [] }),
    ] {
        assert!(JsonRpcMessage::parse(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn headers_and_message_must_agree() {
    let whole = json!({
        "name": "get_paper",
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": STATELESS,
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    });
    let code = |pairs: &[(&'static str, &str)], params: &Value| {
        check::envelope(&headers(pairs), "tools/call", params).map_err(|error| error.object()["code"].clone())
    };
    let fitting = [
        ("mcp-protocol-version", STATELESS),
        ("mcp-method", "tools/call"),
        ("mcp-name", "get_paper"),
    ];
    assert_eq!(code(&fitting, &whole), Ok(()));
    assert_eq!(code(&fitting[..2], &whole), Err(json!(-32020)), "no name");
    assert_eq!(code(&[fitting[0], fitting[2]], &whole), Err(json!(-32020)), "no method");
    assert_eq!(
        code(&fitting, &json!({ "name": "get_paper" })),
        Err(json!(-32602)),
        "no envelope"
    );
    let mut twice = headers(&fitting);
    twice.append("mcp-name", "other".parse().expect("a value"));
    assert!(check::envelope(&twice, "tools/call", &whole).is_err());
}

#[test]
fn every_tool_says_that_it_only_reads() {
    let list = tools::list(&Value::Null).expect("a list");
    let tools = list["tools"].as_array().expect("tools");
    let names: Vec<&str> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert_eq!(names, tools::NAMES);
    for tool in tools {
        assert_eq!(tool["annotations"]["readOnlyHint"], true, "{tool}");
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{tool}");
        for required in tool["inputSchema"]["required"].as_array().expect("names") {
            let name = required.as_str().expect("a name");
            assert!(tool["inputSchema"]["properties"].get(name).is_some(), "{tool}");
        }
    }
    assert!(tools::list(&json!({ "cursor": "x" })).is_err());
}

#[test]
fn a_caller_over_its_limits_is_told_when_to_try_again() {
    let error = McpError::rate_limited("search", 7);
    assert_eq!(error.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(error.retry_seconds(), Some(7));
    let object = error.object();
    assert_eq!(
        (&object["code"], &object["data"]["budget"]),
        (&json!(-32029), &json!("search"))
    );
    assert_eq!(
        error_document(error.status(), &json!(1), &error).headers()[header::RETRY_AFTER],
        "7"
    );
    assert_eq!(McpError::parse_error().retry_seconds(), None);
}
