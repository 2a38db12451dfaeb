//! A browser, spoken to by WebDriver, and by its own protocol where WebDriver has no word.
//!
//! It knows no page and judges nothing.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::tools::Tools;

/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The driver's process. Dropping it ends the browsers, too.
pub struct Driver {
    process: Child,
    url: String,
    chromium: String,
    // Kept: what nobody could read any more would end it.
    _said: BufReader<ChildStdout>,
}

/// One browser with one tab.
pub struct Session {
    agent: ureq::Agent,
    url: String,
}

/// A place in the page that is open.
pub struct Element(String);

impl Driver {
    /// Starts it on a free port.
    pub fn start(tools: &Tools) -> Self {
        let mut command = Command::new(&tools.chromedriver);
        command.arg("--port=0").stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        let port = said.by_ref().lines().map_while(Result::ok).find_map(|line| {
            let port = line.strip_prefix("ChromeDriver was started successfully on port ")?;
            port.strip_suffix('.')?.parse::<u16>().ok()
        });
        Self {
            process,
            url: format!("http://127.0.0.1:{}", port.expect("the driver says its port")),
            chromium: tools.chromium.display().to_string(),
            _said: said,
        }
    }

    /// Starts a browser that reaches this machine alone.
    pub fn session(&self) -> Session {
        let arguments = [
            "--headless=new",
            // The tests run as root, too; they open pages of our own alone.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--no-proxy-server",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--hide-scrollbars",
            "--lang=en",
        ];
        let wanted = json!({
            "browserName": "chrome",
            "pageLoadStrategy": "normal",
            "timeouts": { "script": 60_000, "pageLoad": 60_000 },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "goog:chromeOptions": { "binary": self.chromium, "args": arguments },
        });
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let mut session = Session {
            agent: ureq::Agent::new_with_config(config),
            url: self.url.clone(),
        };
        let made = session.post("/session", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        session.url = format!("{}/session/{}", self.url, made["sessionId"].as_str().unwrap());
        session
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It ends its browsers before it goes.
        let _ = ureq::get(format!("{}/shutdown", self.url)).call();
        let _ = self.process.wait();
    }
}

impl Session {
    /// Opens an address and waits until the page is loaded.
    pub fn go(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// Where it is.
    pub fn address(&self) -> String {
        self.run("return location.href", &[]).as_str().unwrap().to_owned()
    }

    /// The first element that a selector fits, if any.
    pub fn find(&self, selector: &str) -> Option<Element> {
        let found = self.try_post("/element", &json!({ "using": "css selector", "value": selector }));
        found
            .ok()
            .map(|found| Element(found[ELEMENT].as_str().unwrap().to_owned()))
    }

    /// Clicks on it, as a person does: it must be there to be seen. Waits for a page that the click opens.
    pub fn click(&self, element: &Element) {
        self.post(&format!("/element/{}/click", element.0), &json!({}));
    }

    /// Types into it, in place of what is there.
    pub fn fill(&self, element: &Element, text: &str) {
        self.post(&format!("/element/{}/clear", element.0), &json!({}));
        self.post(&format!("/element/{}/value", element.0), &json!({ "text": text }));
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub fn press(&self, keys: &str) {
        let strokes = keys.chars().flat_map(|key| {
            let key = key.to_string();
            [
                json!({ "type": "keyDown", "value": key }),
                json!({ "type": "keyUp", "value": key }),
            ]
        });
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": strokes.collect::<Vec<_>>() });
        self.post("/actions", &json!({ "actions": [keyboard] }));
    }

    /// Runs a script that returns its answer.
    pub fn run(&self, script: &str, arguments: &[Value]) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": arguments }))
    }

    /// Runs a script that hands its answer to its last argument.
    pub fn run_async(&self, script: &str, arguments: &[Value]) -> Value {
        self.post("/execute/async", &json!({ "script": script, "args": arguments }))
    }

    /// A command of the browser's own protocol.
    pub fn command(&self, name: &str, parameters: &Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": name, "params": parameters }))
    }

    /// What was logged since it was asked last: `browser` (the console) or `performance` (events of the protocol).
    pub fn log(&self, kind: &str) -> Vec<Value> {
        let Value::Array(entries) = self.post("/se/log", &json!({ "type": kind })) else {
            panic!("the log {kind} is a list");
        };
        entries
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.try_post(path, body)
            .unwrap_or_else(|problem| panic!("{path}: {problem}"))
    }

    fn try_post(&self, path: &str, body: &Value) -> Result<Value, String> {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request.content_type("application/json");
        let mut answer = request.send(body.to_string()).map_err(|error| error.to_string())?;
        let status = answer.status();
        // Screenshots of long pages are large.
        let text = answer.body_mut().with_config().limit(64 << 20).read_to_string();
        let mut value: Value = serde_json::from_str(&text.unwrap()).unwrap();
        if status.is_success() {
            return Ok(value["value"].take());
        }
        Err(value["value"]["message"].as_str().unwrap_or_default().to_owned())
    }
}
