//! Programs: batches of MCP calls, watchers without a key, forged resume tokens.

use serde_json::{Value, json};
use tests::Platform;

const STRANGER: (&str, &str) = ("x-forwarded-for", "198.51.100.7");

/// Posts a batch of messages for a stranger; status and answers.
fn batch(web: &str, messages: &[Value]) -> (u16, Value) {
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let request = ureq::http::Request::post(format!("{web}/mcp"))
        .header("content-type", "application/json")
        .header(STRANGER.0, STRANGER.1)
        .body(Value::from(messages.to_vec()).to_string());
    let mut answer = ureq::Agent::new_with_config(config).run(request.unwrap()).unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap())
}

fn call(id: usize, tool: &str, arguments: &Value) -> Value {
    json!({
        "jsonrpc": "2.0",
        "id": id,
        "method": "tools/call",
        "params": { "name": tool, "arguments": arguments },
    })
}

#[test]
fn a_batch_of_searches_costs_as_many_searches() {
    let folder = tempfile::tempdir().unwrap();
    let limits = [
        ("BROADSHEET_WEB__TRUSTED_PROXIES", "127.0.0.1/32"),
        ("BROADSHEET_WEB__SEARCHES_PER_MINUTE", "5"),
        ("BROADSHEET_WEB__API_PER_MINUTE", "40"),
    ];
    let platform = Platform::start_with(folder.path(), &limits);
    let web = platform.endpoint("web");
    let searches: Vec<Value> = (0..16)
        .map(|id| call(id, "search_papers", &json!({ "query": format!("owls {id}") })))
        .collect();
    let (status, answers) = batch(&web, &searches);
    assert_eq!(status, 200);
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), 16, "each is answered");
    let found = answers.iter().filter(|answer| answer["result"].is_object()).count();
    assert!((5..7).contains(&found), "{found} of 16 searches for the price of one");
    let refused = &answers[15];
    assert_eq!(refused["id"], 15);
    assert_eq!(refused["error"]["data"]["budget"], "search", "{refused}");
    let wait = refused["error"]["data"]["retryAfterSeconds"].as_u64().unwrap();
    assert!((1..=12).contains(&wait), "{refused}");

    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build());
    let page = agent
        .get(format!("{web}/search?q=owls"))
        .header(STRANGER.0, STRANGER.1)
        .call();
    assert_eq!(page.unwrap().status(), 429, "the same budget as that of the page");

    // What costs nothing but itself counts as a call of the API: 16 of 40 are used, and then 1 of 24 for the request.
    let lists: Vec<Value> = (0..16)
        .map(|id| call(id, "get_paper", &json!({ "id": "x:1" })))
        .collect();
    assert_eq!(batch(&web, &lists).0, 200);
    let (_, answers) = batch(&web, &lists);
    let refused = answers
        .as_array()
        .unwrap()
        .iter()
        .filter(|answer| answer["error"]["data"]["budget"] == "api");
    assert!((6..=8).contains(&refused.count()), "{answers}");
}
