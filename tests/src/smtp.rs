//! A real SMTP server that answers by recipient; `tests/python/smtp_server.py` says how.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;

use crate::certificates::Certificates;
use crate::{PATIENCE, python};

/// The server. It ends with the test.
pub struct SmtpServer {
    process: Child,
    scheme: &'static str,
    port: u64,
    events: Receiver<Value>,
}

/// What it did at one attempt to hand over a mail.
#[derive(Debug)]
pub struct Answered {
    /// The return path; empty where the mail did not get that far.
    pub from: String,
    /// The recipient.
    pub to: String,
    /// Its answer; `None` where it hung up instead.
    pub answer: Option<String>,
    /// The mail, where it got that far.
    pub mail: Option<Mail>,
    /// Whether the mail came encrypted.
    pub tls: bool,
}

/// A mail as a reader's program sees it.
#[derive(Debug, Clone)]
pub struct Mail {
    headers: Vec<(String, String)>,
    /// `multipart/alternative`, and the like.
    pub content_type: String,
    /// The text part.
    pub plain: String,
    /// The HTML part.
    pub html: String,
    /// What a strict parser finds wrong with it.
    pub defects: Vec<Value>,
}

impl Mail {
    /// The one header of a name, decoded and unfolded.
    pub fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let (_, value) = found.next().unwrap_or_else(|| panic!("no {name} in {self:?}"));
        assert!(found.next().is_none(), "{name} comes twice in {self:?}");
        value
    }
}

impl SmtpServer {
    /// Starts it.
    pub fn start() -> Self {
        Self::with("smtp", None)
    }

    /// Starts one that takes commands before it has answered earlier ones.
    pub fn start_pipelining() -> Self {
        Self::with("smtp", Some(("--pipelining", None)))
    }

    /// Starts one that offers STARTTLS.
    pub fn with_starttls(certificates: &Certificates) -> Self {
        Self::with("smtp", Some(("--starttls", Some(certificates))))
    }

    /// Starts one that speaks TLS from the start.
    pub fn with_tls(certificates: &Certificates) -> Self {
        Self::with("smtps", Some(("--tls", Some(certificates))))
    }

    fn with(scheme: &'static str, option: Option<(&str, Option<&Certificates>)>) -> Self {
        let mut command = Command::new(python::python());
        command.arg(python::script("smtp_server.py"));
        if let Some((option, certificates)) = option {
            let files = certificates.map(|of| [of.certificate(), of.key()]);
            command.arg(option).args(files.into_iter().flatten());
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (said, events) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // Fails when the test has what it wants.
                let _ = said.send(serde_json::from_str(&line).unwrap());
            }
        });
        let ready: Value = events.recv_timeout(PATIENCE).expect("the SMTP server starts");
        Self {
            process,
            scheme,
            port: ready["port"].as_u64().unwrap(),
            events,
        }
    }

    /// `smtp://…`, or `smtps://…`
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// The same with a name and a password.
    pub fn url_with_password(&self) -> String {
        self.url().replace("://", "://ada:secret@")
    }

    /// Waits for a password; true where it came encrypted.
    pub fn password(&self) -> bool {
        let event = self.events.recv_timeout(PATIENCE).expect("a password");
        assert_eq!(event["command"], "AUTH", "{event}");
        event["tls"].as_bool().unwrap()
    }

    /// Whether anything happened that nobody has asked for yet.
    pub fn was_left_alone(&self) -> bool {
        self.events.try_recv().is_err()
    }

    /// Waits for the next mail that is taken; nothing else may come before it.
    pub fn mail(&self) -> Mail {
        let next = self.next();
        assert!(
            next.answer.as_ref().is_some_and(|answer| answer.starts_with("250")),
            "{next:?}"
        );
        next.mail.unwrap()
    }

    /// Waits for the next attempt.
    pub fn next(&self) -> Answered {
        let event = self
            .events
            .recv_timeout(PATIENCE)
            .expect("an attempt to hand over a mail");
        answered(&event)
    }

    /// What it did that nobody has asked for yet.
    pub fn others(&self) -> Vec<Answered> {
        self.events.try_iter().map(|event| answered(&event)).collect()
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn answered(event: &Value) -> Answered {
    Answered {
        from: event["from"].as_str().unwrap_or_default().to_owned(),
        to: event["to"].as_str().unwrap().to_owned(),
        answer: event["answer"].as_str().map(str::to_owned),
        mail: event.get("mail").map(mail),
        tls: event["tls"].as_bool().unwrap_or(false),
    }
}

fn mail(mail: &Value) -> Mail {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let headers = mail["headers"].as_array().unwrap().iter();
    Mail {
        headers: headers.map(|one| (text(&one[0]), text(&one[1]))).collect(),
        content_type: text(&mail["content_type"]),
        plain: text(&mail["plain"]),
        html: text(&mail["html"]),
        defects: mail["defects"].as_array().unwrap().clone(),
    }
}
