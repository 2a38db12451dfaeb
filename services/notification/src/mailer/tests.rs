use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::clock::{Clock, ManualClock};
use common::tasks::Supervisor;
use jiff::Timestamp;
use lettre::message::Mailbox;
use mail_parser::{HeaderValue, MessageParser, MimeHeaders as _};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::signing_keys::SigningKeys;
use crate::testing::until;
use crate::tokens::Tokens;
use error_budget::ErrorBudget;
use maildir::MaildirTransport;
use message::{AnswerMailbox, MessageBuilder, ReturnPaths};
use rate_limit::SendRateLimiter;
use smtp::{SmtpPool, SmtpServer, SmtpTransport, SmtpUrl};

fn mail() -> EncodedMail {
    let mail = Mail {
        to: "ada@example.org".into(),
        subject: "Zürich: 3 papers".into(),
        text: "plain".into(),
        html: Some("<p>rich</p>".into()),
        message_id: "<a.1@example.org>".into(),
        list_unsubscribe_url: Some(format!("https://example.org/unsubscribe?token={}", "x".repeat(150))),
        kind: MailKind::Digest,
    };
    mail.into()
}

fn builder(bounce_address: Option<&str>) -> MessageBuilder {
    let from: Mailbox = "B <b@example.org>".parse().expect("a mailbox");
    let return_paths = bounce_address.map(|address| ReturnPaths {
        address: address.parse().expect("an address"),
        ids: Arc::new(crate::testing::mail_ids()),
    });
    let (clock, _) = Clock::manual("2026-03-02T07:00:05Z".parse().expect("a time"));
    MessageBuilder::new(&from, return_paths, None, None, clock)
}

/// With a mailbox in which answers are read.
fn builder_with_answers(address: &str, takes_complaints: bool) -> MessageBuilder {
    let from: Mailbox = "B <b@example.org>".parse().expect("a mailbox");
    let address: lettre::Address = address.parse().expect("an address");
    let (clock, _) = Clock::manual("2026-03-02T07:00:05Z".parse().expect("a time"));
    let answers = AnswerMailbox {
        address: address.clone(),
        takes_complaints,
        tokens: Arc::new(Tokens::new(SigningKeys::single(b"secret"))),
    };
    let return_paths = ReturnPaths {
        address,
        ids: Arc::new(crate::testing::mail_ids()),
    };
    MessageBuilder::new(&from, Some(return_paths), Some(answers), None, clock)
}

/// A transport of at most two connections, whose tasks run until the token is dropped.
struct TestTransport {
    smtp: SmtpTransport,
    hand: ManualClock,
    _stop: tokio_util::sync::DropGuard,
}

impl TestTransport {
    fn new(url: &str) -> Self {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let stop = CancellationToken::new();
        let tasks = Supervisor::new(stop.clone()).tasks();
        let server = SmtpServer::new(&SmtpUrl::parse(url).expect("a URL"), &[]).expect("a server");
        let smtp = SmtpTransport::new(
            builder(None),
            SmtpPool::new(server, 2, clock.clone(), &tasks),
            SendRateLimiter::new(0, 0, clock.clone()),
            ErrorBudget::new(0, clock),
        );
        Self {
            smtp,
            hand,
            _stop: stop.drop_guard(),
        }
    }

    async fn send(&self, mail: &EncodedMail) -> Result<(), SendError> {
        self.smtp.send(mail).await
    }
}

/// What a test's mail server does.
#[derive(Clone)]
struct SmtpScript {
    hello: &'static str,
    recipient: &'static str,
    data_without_recipient: &'static str,
    /// The reply to a mail's content; where it is empty, the server hangs up instead.
    content: &'static str,
    /// After so many mails in one connection the server ends it.
    mails_per_connection: usize,
    /// It replies to nothing that begins with this.
    silent_at: Option<&'static str>,
}

impl Default for SmtpScript {
    fn default() -> Self {
        Self {
            hello: "250 fine",
            recipient: "250 fine",
            data_without_recipient: "503 5.5.1 no recipient",
            content: "250 accepted",
            mails_per_connection: 1_000,
            silent_at: None,
        }
    }
}

const PIPELINING: &str = "250-fine\r\n250-SIZE\r\n250 PIPELINING";

/// A mail server that follows a script, until it is dropped.
struct TestServer {
    url: String,
    seen: Arc<SeenByServer>,
    _serving: JoinSet<()>,
}

/// What a mail server has seen.
#[derive(Debug)]
struct SeenByServer {
    connections: AtomicUsize,
    /// One permit per connection that the client has ended by QUIT.
    quits: Semaphore,
    /// One permit per command that got no reply.
    silences: Semaphore,
}

impl TestServer {
    async fn start(script: SmtpScript) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("smtp://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(SeenByServer {
            connections: AtomicUsize::new(0),
            quits: Semaphore::new(0),
            silences: Semaphore::new(0),
        });
        let mut serving = JoinSet::new();
        let server = Arc::clone(&seen);
        serving.spawn(async move {
            let mut sessions = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                server.connections.fetch_add(1, Ordering::Relaxed);
                let (server, script) = (Arc::clone(&server), script.clone());
                sessions.spawn(async move { server.serve(stream, &script).await });
            }
        });
        Self {
            url,
            seen,
            _serving: serving,
        }
    }

    fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }
}

impl SeenByServer {
    async fn serve(&self, stream: TcpStream, script: &SmtpScript) {
        let (reading, mut writing) = stream.into_split();
        let mut lines = BufReader::new(reading).lines();
        let (mut in_content, mut refused, mut mails) = (false, false, 0);
        writing.write_all(b"220 test\r\n").await.expect("written");
        while let Ok(Some(line)) = lines.next_line().await {
            if in_content && line != "." {
                continue;
            }
            if script.silent_at.is_some_and(|silent| line.starts_with(silent)) {
                self.silences.add_permits(1);
                continue;
            }
            let reply = match line.get(..4) {
                _ if in_content => script.content,
                Some("EHLO") => script.hello,
                Some("MAIL") if mails == script.mails_per_connection => "421 4.7.0 enough",
                Some("RCPT") if line.contains("nobody") => "550 5.1.1 no such user",
                Some("RCPT") => script.recipient,
                Some("DATA") if refused => script.data_without_recipient,
                Some("DATA") => "354 go on",
                Some("QUIT") => {
                    self.quits.add_permits(1);
                    "221 bye"
                }
                _ => "250 fine",
            };
            mails += usize::from(in_content);
            in_content = reply.starts_with("354");
            refused = reply.starts_with("550");
            if reply.is_empty() {
                return;
            }
            writing
                .write_all(format!("{reply}\r\n").as_bytes())
                .await
                .expect("written");
            if reply.starts_with("421") {
                return;
            }
        }
    }
}

#[tokio::test]
async fn a_mail_sent_twice_is_one_file_with_all_headers() {
    let folder = tempfile::tempdir().expect("a folder");
    let maildir = MaildirTransport::new(folder.path(), builder(None)).expect("a maildir");
    maildir.send(&mail()).await.expect("sent");
    maildir.send(&mail()).await.expect("sent again");
    let files = |part: &str| {
        std::fs::read_dir(folder.path().join(part))
            .expect("a folder")
            .collect::<Vec<_>>()
    };
    assert_eq!((files("new").len(), files("tmp").len()), (1, 0));
    let path = files("new")[0].as_ref().expect("an entry").path();
    let raw = std::fs::read(path).expect("a mail");
    let parsed = MessageParser::default().parse(&raw).expect("a mail");
    let address = |list: Option<&mail_parser::Address<'_>>| {
        let first = list.and_then(|list| list.first()).expect("an address");
        first.address().expect("an address").to_owned()
    };
    assert_eq!(address(parsed.from()), "b@example.org");
    assert_eq!(address(parsed.to()), "ada@example.org");
    assert_eq!(parsed.message_id(), Some("a.1@example.org"));
    assert_eq!(parsed.subject(), Some("Zürich: 3 papers"));
    assert_eq!(parsed.date().expect("a date").to_rfc3339(), "2026-03-02T07:00:05Z");
    assert_eq!(parsed.body_text(0).as_deref(), Some("plain"));
    assert_eq!(parsed.body_html(0).as_deref(), Some("<p>rich</p>"));
    assert!(parsed.is_content_type("multipart", "alternative"));
    let header = |name: &str| parsed.header_raw(name).map(|value| value.replace("\r\n ", " "));
    let url = mail().list_unsubscribe_url.expect("a url");
    assert_eq!(header("List-Unsubscribe").expect("there").trim(), format!("<{url}>"));
    assert_eq!(
        header("List-Unsubscribe-Post").expect("there").trim(),
        "List-Unsubscribe=One-Click"
    );
    assert_eq!(header("MIME-Version").expect("there").trim(), "1.0");
}

#[tokio::test]
async fn a_mail_without_a_list_has_no_list_header() {
    let folder = tempfile::tempdir().expect("a folder");
    let maildir = MaildirTransport::new(folder.path(), builder(None)).expect("a maildir");
    let mail = EncodedMail {
        list_unsubscribe_url: None,
        ..mail()
    };
    maildir.send(&mail).await.expect("sent");
    let raw = std::fs::read(folder.path().join("new/a.1@example.org")).expect("a mail");
    let parsed = MessageParser::default().parse(&raw).expect("a mail");
    assert_eq!(parsed.list_unsubscribe(), &HeaderValue::Empty);
    assert_eq!(parsed.header_raw("List-Unsubscribe-Post"), None);
}

fn meaning(result: &Result<(), SendError>) -> &'static str {
    match result {
        Ok(()) => "accepted",
        Err(SendError::NoSuchAddress(_)) => "address",
        Err(SendError::Transient(_) | SendError::Paused { .. }) => "later",
        Err(SendError::Refused(_)) => "mail",
        Err(SendError::Lost(_)) => "lost",
    }
}

#[tokio::test]
async fn replies_of_a_mail_server_are_told_apart() {
    let cases = [
        ("250 fine", "250 accepted", "accepted"),
        ("550 5.1.1 no such user", "", "address"),
        ("451 4.2.0 greylisted", "", "later"),
        ("421 4.3.2 going down", "", "later"),
        ("250 fine", "554 5.7.1 looks like spam", "mail"),
        ("250 fine", "", "lost"),
    ];
    for hello in ["250 fine", PIPELINING] {
        for (recipient, content, expected) in cases {
            let server = TestServer::start(SmtpScript {
                hello,
                recipient,
                // Some servers wait for the content of a mail all the same.
                data_without_recipient: "354 go on",
                content,
                ..SmtpScript::default()
            });
            let server = server.await;
            let transport = TestTransport::new(&server.url);
            let result = transport.send(&mail()).await;
            assert_eq!(meaning(&result), expected, "{hello} {recipient} {content}");
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_has_no_mail() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("smtp://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let result = TestTransport::new(&url).send(&mail()).await;
    assert_eq!(meaning(&result), "later");
}

#[tokio::test]
async fn a_silent_server_is_given_up_on_in_time() {
    for (silent_at, seconds, expected) in [("EHLO", 10, "later"), ("RCPT", 20, "later"), (".", 15, "lost")] {
        let server = TestServer::start(SmtpScript {
            silent_at: Some(silent_at),
            ..SmtpScript::default()
        });
        let server = server.await;
        let transport = TestTransport::new(&server.url);
        let mail = mail();
        let (result, ()) = tokio::join!(transport.send(&mail), async {
            server.seen.silences.acquire().await.expect("open").forget();
            transport.hand.advance(Duration::from_secs(seconds));
        });
        assert_eq!(meaning(&result), expected, "silent at {silent_at}");
    }
}

#[tokio::test]
async fn sessions_are_few_and_used_again_after_refusals() {
    for hello in ["250 fine", PIPELINING] {
        let server = TestServer::start(SmtpScript {
            hello,
            ..SmtpScript::default()
        });
        let server = server.await;
        let transport = TestTransport::new(&server.url);
        let sending = (0..50).map(|number| {
            let to = if number % 10 == 0 { "nobody" } else { "ada" };
            let mail = EncodedMail {
                to: format!("{to}@example.org"),
                ..mail()
            };
            let transport = &transport;
            async move { transport.send(&mail).await }
        });
        let results = futures::future::join_all(sending).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 45);
        assert!(server.connections() <= 2, "{} connections", server.connections());
    }
}

#[tokio::test]
async fn sessions_that_the_server_ends_are_replaced() {
    for hello in ["250 fine", PIPELINING] {
        let server = TestServer::start(SmtpScript {
            hello,
            mails_per_connection: 3,
            ..SmtpScript::default()
        });
        let server = server.await;
        let transport = TestTransport::new(&server.url);
        for _ in 0..9 {
            transport
                .send(&mail())
                .await
                .expect("accepted, if need be in a new session");
        }
        assert_eq!(server.connections(), 3);
    }
}

#[tokio::test]
async fn idle_sessions_are_asked_first_and_closed_in_the_end() {
    let server = TestServer::start(SmtpScript::default()).await;
    let transport = TestTransport::new(&server.url);
    transport.send(&mail()).await.expect("accepted");
    transport.hand.advance(Duration::from_secs(20));
    transport.send(&mail()).await.expect("accepted");
    assert_eq!(server.connections(), 1, "it still answers");
    // The task that closes sessions sleeps again after each look.
    for _ in 0..5 {
        until(|| transport.hand.sleepers() > 0).await;
        transport.hand.advance(Duration::from_secs(8));
        tokio::task::yield_now().await;
    }
    server.seen.quits.acquire().await.expect("open").forget();
    transport.send(&mail()).await.expect("accepted");
    assert_eq!(server.connections(), 2, "the old session is closed");
}

#[test]
fn a_return_path_names_the_mail() {
    let (ids, id) = (crate::testing::mail_ids(), "0190a0b0c0d0e0f00190a0b0c0d0e0f0");
    let mail = EncodedMail {
        message_id: ids.message_id(id, "1772400000000"),
        ..mail()
    };
    let builder = builder(Some("bounces@in.example.org"));
    let message = builder.build(&mail).expect("a mail");
    let named = ids
        .read_return_path(message.return_path.as_ref())
        .expect("a mail of ours");
    assert_eq!(named.subscriber, id);
    assert!(message.to_text().ends_with("\r\n") && message.to_text().is_ascii());
}

/// The value of each header of a mail, unfolded.
fn headers(message: &message::Message<'_>) -> Vec<(String, String)> {
    let text = message.to_text();
    let (head, _) = text.split_once("\r\n\r\n").expect("a head");
    let unfolded = head.replace("\r\n ", " ");
    let header = |line: &str| {
        line.split_once(": ")
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    unfolded.split("\r\n").filter_map(header).collect()
}

fn value(headers: &[(String, String)], name: &str) -> Option<String> {
    let found = headers.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.clone())
}

#[test]
fn a_digest_says_where_to_unsubscribe_and_complain() {
    const ID: &str = "0123456789abcdef0123456789abcdef";
    let mail = EncodedMail {
        message_id: crate::testing::mail_ids().message_id(ID, "1772400000000"),
        ..mail()
    };
    let builder = builder_with_answers("bounces99@in.example.org", true);
    let found = headers(&builder.build(&mail).expect("a mail"));
    let tag = Tokens::new(SigningKeys::single(b"secret")).unsubscribe_tag(ID);
    let url = mail.list_unsubscribe_url.as_ref().expect("a URL");
    let address = format!("bounces99+{tag}@in.example.org");
    assert!(address.find('@').is_some_and(|at| at <= 64), "{address}");
    let expected = format!("<{url}>, <mailto:{address}?subject=unsubscribe>");
    assert_eq!(value(&found, "List-Unsubscribe"), Some(expected));
    assert_eq!(value(&found, "List-Id").as_deref(), Some("<digests.example.org>"));
    assert_eq!(value(&found, "Precedence").as_deref(), Some("bulk"));
    assert_eq!(value(&found, "Auto-Submitted").as_deref(), Some("auto-generated"));
    assert_eq!(
        value(&found, "CFBL-Address").as_deref(),
        Some("bounces99@in.example.org; report=arf")
    );
    assert_eq!(
        value(&found, "CFBL-Feedback-ID"),
        crate::testing::mail_ids().feedback_id(&mail.message_id)
    );
}

#[test]
fn a_feedback_id_names_the_sender_and_no_reader() {
    let id = |kind: MailKind, message_id: &str| {
        let mail = EncodedMail {
            kind,
            message_id: message_id.to_owned(),
            ..mail()
        };
        value(&headers(&builder(None).build(&mail).expect("a mail")), "Feedback-ID").expect("there")
    };
    let digest = id(MailKind::Digest, "<a.1@example.org>");
    assert_eq!(digest, id(MailKind::Digest, "<b.2@example.org>"), "of another reader");
    let (kind, sender) = digest.split_once(":broadsheet:").expect("three parts");
    assert_eq!((kind, sender.len()), ("digest", 12));
    for other in [MailKind::Confirmation, MailKind::Notice] {
        assert_eq!(
            id(other, "<a.1@example.org>"),
            format!("{}:broadsheet:{sender}", other.name())
        );
    }
}

#[test]
fn nothing_is_asked_for_by_mail_where_nobody_reads_it() {
    let found = headers(&builder(Some("bounces@in.example.org")).build(&mail()).expect("a mail"));
    assert!(value(&found, "List-Unsubscribe").is_some_and(|value| !value.contains("mailto:")));
    assert_eq!(value(&found, "CFBL-Address"), None);
    let builder = builder_with_answers("bounces@in.example.org", false);
    let found = headers(&builder.build(&mail()).expect("a mail"));
    assert!(value(&found, "List-Unsubscribe").is_some_and(|value| value.contains("mailto:")));
    assert_eq!(
        (value(&found, "CFBL-Address"), value(&found, "CFBL-Feedback-ID")),
        (None, None)
    );
    let confirmation = EncodedMail {
        list_unsubscribe_url: None,
        kind: MailKind::Confirmation,
        ..mail()
    };
    let found = headers(&builder.build(&confirmation).expect("a mail"));
    for absent in ["List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "Precedence"] {
        assert_eq!(value(&found, absent), None, "{absent}");
    }
}

#[test]
fn a_header_has_no_second_line() {
    let builder = builder(None);
    let message_id = EncodedMail {
        message_id: "<a@example.org>\r\nBcc: eve@example.org".into(),
        ..mail()
    };
    assert!(matches!(builder.build(&message_id), Err(SendError::Refused(problem)) if problem.contains("Message-ID")));
    let subject = EncodedMail {
        subject: "Cats\r\nBcc: eve@example.org".into(),
        ..mail()
    };
    let text = builder.build(&subject).expect("encoded").to_text();
    let parsed = MessageParser::default().parse(text.as_bytes()).expect("a mail");
    assert!(parsed.bcc().is_none(), "{text}");
}
