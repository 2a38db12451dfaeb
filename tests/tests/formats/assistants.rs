//! Tools for assistants: the official client of the protocol, with and without a handshake, and what it would never send.

use serde_json::{Value, json};
use tests::Platform;

use crate::{Answer, ask, client, fill, get};

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn the_official_client_uses_every_tool() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    fill(&platform);
    let url = format!("{}/mcp", platform.endpoint("web"));
    for (mode, version) in [("legacy", "2025-11-25"), ("auto", "2026-07-28")] {
        used(&client(&["mcp", &url, mode], b""), version);
    }
    handshakes(&url);
    messages(&url);
    strangers(&url);
}

fn used(said: &Value, version: &str) {
    assert_eq!(said["version"], version);
    assert_eq!(said["server"], "broadsheet");
    assert!(
        said["instructions"].as_str().unwrap().contains("search_papers"),
        "{said}"
    );
    let tools = json!({ "search_papers": true, "get_paper": true, "similar_papers": true, "trending_papers": true });
    assert_eq!(said["tools"], tools, "each only reads");
    let (first, second) = (&said["found"]["data"]["papers"], &said["further"]["data"]["papers"]);
    assert_eq!(
        (first.as_array().unwrap().len(), second.as_array().unwrap().len()),
        (1, 1),
        "{said}"
    );
    assert_ne!(first[0]["id"], second[0]["id"], "the list goes on");
    assert!(
        said["found"]["text"]
            .as_str()
            .unwrap()
            .contains(first[0]["title"].as_str().unwrap()),
        "{said}"
    );
    let paper = &said["paper"];
    assert_eq!(paper["data"]["authors"][1], "Ludwig van der Rohe");
    assert!(
        paper["data"]["bibtex"]
            .as_str()
            .unwrap()
            .starts_with("@misc{arxiv:2402.14776,"),
        "{paper}"
    );
    assert!(paper["text"].as_str().unwrap().contains("Owls hunt mice"), "{paper}");
    let similar = said["similar"]["data"]["papers"].as_array().unwrap();
    assert_eq!(similar[0]["id"], "formats:2", "{similar:?}");
    assert_eq!(said["trending"]["error"], false, "{}", said["trending"]);
    for (call, part) in [
        ("unknown_paper", "2402.99999"),
        ("wrong_argument", "unknown field `colour`"),
        ("wrong_limit", "allowed are 1 to 50"),
    ] {
        assert_eq!(said[call]["error"], true, "{}", said[call]);
        assert!(said[call]["text"].as_str().unwrap().contains(part), "{}", said[call]);
    }
}

fn post(url: &str, headers: &[(&str, &str)], message: &Value) -> Answer {
    ask("POST", url, &[&[JSON], headers].concat(), &message.to_string())
}

fn handshakes(url: &str) {
    for (asked, settled) in [
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2024-11-05", "2025-11-25"),
        ("2999-01-01", "2025-11-25"),
    ] {
        let params =
            json!({ "protocolVersion": asked, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
        let begun = post(
            url,
            &[],
            &json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }),
        );
        assert_eq!(begun.json()["result"]["protocolVersion"], settled, "{begun:?}");
        assert_eq!(begun.header("mcp-session-id"), "", "there are no sessions");
    }
    let unknown = post(
        url,
        &[("mcp-protocol-version", "2024-01-01")],
        &json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }),
    );
    assert_eq!(
        (unknown.status, &unknown.json()["error"]["code"]),
        (400, &json!(-32022))
    );
}

fn messages(url: &str) {
    let ping = |id: u32| json!({ "jsonrpc": "2.0", "id": id, "method": "ping" });
    let told = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let answer = post(url, &[], &told);
    assert_eq!(
        (answer.status, answer.body.len()),
        (202, 0),
        "a notification has no answer"
    );
    let batch = json!([ping(1), told, ping(2), { "jsonrpc": "2.0", "id": 3, "method": "nothing" }]);
    let answers = post(url, &[("mcp-protocol-version", "2025-03-26")], &batch).json();
    let ids: Vec<u64> = answers
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, [1, 2, 3]);
    assert_eq!(answers[2]["error"]["code"], -32601);
    assert_eq!(post(url, &[], &json!([told])).status, 202, "nothing but notifications");
    for (headers, message, code) in [
        (vec![("mcp-protocol-version", "2025-11-25")], batch.clone(), -32600),
        (vec![], json!([]), -32600),
        (vec![], json!("text"), -32600),
        (vec![], json!({ "jsonrpc": "1.0", "id": 1, "method": "ping" }), -32600),
        (vec![("mcp-protocol-version", "2026-07-28")], ping(1), -32602),
    ] {
        let answer = post(url, &headers, &message);
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (400, &json!(code)),
            "{message}"
        );
    }
    let broken = ask("POST", url, &[JSON], "{\"jsonrpc\"");
    assert_eq!((broken.status, &broken.json()["error"]["code"]), (400, &json!(-32700)));
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "delete_paper" } });
    let answer = post(url, &[], &call).json();
    assert_eq!(answer["error"]["code"], -32602);
    assert!(
        answer["error"]["message"].as_str().unwrap().contains("trending_papers"),
        "{answer}"
    );
    for method in ["GET", "DELETE"] {
        let answer = ask(method, url, &[], "");
        assert_eq!((answer.status, answer.header("allow")), (405, "POST"), "{method}");
    }
    assert_eq!(post(url, &[("accept", "text/event-stream")], &ping(1)).status, 406);
}

fn strangers(url: &str) {
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    let host = url.trim_start_matches("http://").trim_end_matches("/mcp");
    let own = format!("http://{host}");
    for (headers, status) in [
        (vec![("origin", own.as_str())], 200),
        (vec![("origin", "https://evil.example")], 403),
        (vec![("origin", "null")], 403),
        (vec![("sec-fetch-site", "cross-site"), ("origin", own.as_str())], 403),
        // A name of the stranger's own that it makes point at this machine.
        (vec![("host", "evil.example"), ("origin", "http://evil.example")], 403),
    ] {
        let answer = post(url, &headers, &ping);
        assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
    }
    assert_eq!(get(url, &[]).status, 405);
}
