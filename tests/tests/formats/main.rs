//! What programs get from the web front: feeds, the HTTP API, tools for assistants, caching and limits, each asked for over HTTP
//! by clients of other makers where there are some.
#![expect(clippy::unwrap_used, reason = "tests")]

mod api;
mod assistants;
mod caching;
mod discovery;
mod feeds;
mod limits;

use std::collections::HashMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use proto::attention::v1::attention_service_client::AttentionServiceClient;
use proto::attention::v1::{AttentionKind, RecordAttentionRequest};
use serde_json::{Value, json};
use tests::{Platform, eventually, python, ran};

/// Papers beside those that tests name.
const OTHERS: usize = 60;
/// Readers who vote for one of them.
const VOTES: usize = 3;

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    headers: HashMap<String, String>,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Asks with a method, headers and a body, and follows no redirection.
pub fn ask(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .allow_non_standard_methods(true)
        .build();
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let agent = ureq::Agent::new_with_config(config);
    let mut answer = agent.run(request.body(body.to_owned()).unwrap()).unwrap();
    let headers = answer.headers().iter();
    let headers = headers.map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()));
    Answer {
        status: answer.status().as_u16(),
        headers: headers.collect(),
        body: answer.body_mut().read_to_vec().unwrap(),
    }
}

/// Reads an address.
pub fn get(url: &str, headers: &[(&str, &str)]) -> Answer {
    ask("GET", url, headers, "")
}

/// What the client of another maker printed.
pub fn client(arguments: &[&str], input: &[u8]) -> Value {
    let python = python::with("formats", &python::script("requirements-formats.txt"));
    let mut process = Command::new(python)
        .arg(python::script("formats_client.py"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(input).unwrap();
    let ran = ran(process.wait_with_output().unwrap());
    assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.err);
    ran.json()
}

/// Fills a platform: three papers that tests know, one of them hostile, and many others.
pub fn fill(platform: &Platform) {
    let mut papers = vec![
        json!({
            "id": "arxiv:2402.14776",
            "title": "Owls of the $O(n^2)$ night",
            "abstract": "Owls hunt mice at night. The second sentence is about barns.",
            "authors": ["Ruth Abara", "Ludwig van der Rohe"],
            "categories": ["cs.CL", "cs.LG"],
            "published": "2024-02-22",
        }),
        json!({
            "id": "2",
            "title": "A second paper on owls",
            "abstract": "Owls again, and their prey.",
            "authors": ["Ada Lovelace"],
            "categories": ["cs.CL"],
            "published": "2024-03-05",
        }),
        json!({
            "id": "hostile",
            "title": "</title><script>alert('t')</script> & ]]> \u{fffe}\u{1}\u{202e}<!-- %s {{ 7 * 7 }}",
            "abstract": "<img src=x onerror=alert(1)>\n]]></content></entry>\u{b}\u{ffff}",
            "authors": ["<b>Eve</b> & \"Co\""],
            "categories": ["<i>&\"'</i>"],
            "published": "2024-04-01",
        }),
    ];
    papers.extend((0..OTHERS).map(|number| {
        json!({
            "id": format!("other-{number}"),
            "title": format!("Rivers and their sediment, part {number}"),
            "abstract": "Sand moves.",
            "published": format!("2023-01-{:02}", number % 28 + 1),
        })
    }));
    let lines: Vec<String> = papers.iter().map(Value::to_string).collect();
    let taken = platform.run_with_input(
        &["ingest", "-", "--wait", "--json", "--source", "formats"],
        &lines.join("\n"),
    );
    assert_eq!(taken.status, 0, "{taken:?}");
}

/// Has readers vote for the second paper, and waits until it trends.
pub async fn vote(platform: &Platform) {
    let mut attention = AttentionServiceClient::connect(platform.endpoint("grpc"))
        .await
        .unwrap();
    for reader in 0..VOTES {
        let request = RecordAttentionRequest {
            event_id: String::new(),
            paper_id: "formats:2".to_owned(),
            kind: AttentionKind::Vote.into(),
            reader_id: format!("reader-{reader}"),
        };
        attention.record_attention(request).await.unwrap();
    }
    let url = format!("{}/api/papers/formats:2", platform.endpoint("web"));
    eventually("the votes are counted", async || {
        let url = url.clone();
        let answer = tokio::task::spawn_blocking(move || get(&url, &[])).await.unwrap();
        (answer.json()["upvotes"] == VOTES).then_some(())
    })
    .await;
}
