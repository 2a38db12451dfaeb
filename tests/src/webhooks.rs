//! A real HTTP server that takes webhooks and answers by path; `tests/python/webhook_server.py` says how. And a check of
//! signatures by the code that `deploy/README.md` gives to receivers.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::certificates::Certificates;
use crate::{PATIENCE, python};

/// The server. It ends with the test.
pub struct WebhookServer {
    process: Child,
    scheme: &'static str,
    port: u64,
    requests: Receiver<Value>,
}

/// A request as the server read it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Without the query.
    pub path: String,
    /// When it was read, in seconds since the epoch.
    pub at: f64,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    /// As it came.
    pub body: String,
    /// The status it answers with; none where it does not.
    pub answer: Option<u64>,
}

impl Request {
    /// The body, parsed.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// `webhook-id`.
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    /// Whether it is signed with a secret, by the code in the documentation.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let given = json!({ "secret": secret, "headers": self.headers, "body": self.body });
        let program = format!(
            "{}\nimport json, sys\ngiven = json.load(sys.stdin)\n\
             print(verified(given['secret'], given['headers'], given['body'].encode()))\n",
            documented()
        );
        let mut checking = Command::new(python::python())
            .args(["-c", &program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = checking.stdin.take().unwrap();
        serde_json::to_writer(input, &given).unwrap();
        let output = checking.wait_with_output().unwrap();
        assert!(output.status.success(), "the documented code does not run");
        String::from_utf8(output.stdout).unwrap().trim() == "True"
    }
}

/// The Python of the documentation.
fn documented() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/README.md");
    let text = std::fs::read_to_string(readme).unwrap();
    let (_, behind) = text.split_once("```python\n").unwrap();
    let (code, _) = behind.split_once("```").unwrap();
    code.to_owned()
}

impl WebhookServer {
    /// Starts it on a port of its choice.
    pub fn start() -> Self {
        Self::on(0)
    }

    /// Starts it on a port.
    pub fn on(port: u64) -> Self {
        Self::with("http", &["--port", &port.to_string()])
    }

    /// Starts one on a port that takes everything.
    pub fn that_takes_all(port: u64) -> Self {
        Self::with("http", &["--port", &port.to_string(), "--take-all"])
    }

    /// Starts it with TLS.
    pub fn with_tls(certificates: &Certificates) -> Self {
        let [certificate, key] = [certificates.certificate(), certificates.key()];
        Self::with(
            "https",
            &["--tls", certificate.to_str().unwrap(), key.to_str().unwrap()],
        )
    }

    fn with(scheme: &'static str, arguments: &[&str]) -> Self {
        let mut process = Command::new(python::python())
            .arg(python::script("webhook_server.py"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (said, requests) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // Fails when the test has what it wants.
                let _ = said.send(serde_json::from_str(&line).unwrap());
            }
        });
        let ready: Value = requests.recv_timeout(PATIENCE).expect("the webhook server starts");
        Self {
            process,
            scheme,
            port: ready["port"].as_u64().unwrap(),
            requests,
        }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}://127.0.0.1:{}{path}", self.scheme, self.port)
    }

    /// Its port.
    pub fn port(&self) -> u64 {
        self.port
    }

    /// Waits for the next request.
    pub fn next(&self) -> Request {
        request(&self.requests.recv_timeout(PATIENCE).expect("a request"))
    }

    /// Waits for the next request, which has to be a challenge.
    pub fn challenge(&self) -> Request {
        let next = self.next();
        assert_eq!(next.json()["type"], "webhook.verification", "{next:?}");
        next
    }

    /// Waits for the next request, which has to be a digest.
    pub fn digest(&self) -> Request {
        let next = self.next();
        assert_eq!(next.json()["type"], "digest.published", "{next:?}");
        next
    }

    /// What nobody has asked for yet.
    pub fn others(&self) -> Vec<Request> {
        self.requests.try_iter().map(|event| request(&event)).collect()
    }
}

impl Drop for WebhookServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn request(event: &Value) -> Request {
    let headers = event["headers"].as_object().unwrap().iter();
    Request {
        path: event["path"].as_str().unwrap().to_owned(),
        at: event["at"].as_f64().unwrap(),
        headers: headers
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect(),
        body: event["body"].as_str().unwrap().to_owned(),
        answer: event["answer"].as_u64(),
    }
}
