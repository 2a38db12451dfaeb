//! The five services with their rights and no others: everything they do for readers and operators works, and the server has
//! nothing to refuse.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;
use tests::nats::{NatsServer, RawNats, Taken, password_of};
use tests::services::{NAMES, Services};
use tests::smtp::SmtpServer;
use tests::{Ran, binary, post, ran, token, until};

const PAPER: &str = r#"{"id":"whales","published":"2026-01-02","title":"Counting whales from orbit","abstract":"Satellites find whales that ships miss."}"#;
const READER: &str = "ada@example.org";

/// Runs a command of the operator against one service.
fn run(services: &Services, at: &str, arguments: &[&str], input: &str) -> Ran {
    let mut command = Command::new(binary())
        .args(arguments)
        .args(["--endpoint", &services.of(at).grpc, "--key", &services.operator_key()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    command.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    ran(command.wait_with_output().unwrap())
}

fn must(services: &Services, at: &str, arguments: &[&str]) -> Ran {
    let ran = run(services, at, arguments, "");
    assert_eq!(ran.status, 0, "{arguments:?}: {ran:?}");
    ran
}

fn found(services: &Services) -> bool {
    must(services, "indexing", &["search", "satellites", "--json"])
        .out
        .contains("Counting whales")
}

/// Subscribes, confirms by the link in the mail, and gets a digest.
fn subscribe(services: &Services, mails: &SmtpServer) {
    must(
        services,
        "notification",
        &["subscribe", READER, "--interest", "animals of the sea"],
    );
    let confirm = token(&mails.mail().plain, "confirm");
    let confirmed = post(&format!("{}/confirm", services.web), &[("token", &confirm)]);
    assert_eq!(confirmed.0, 200, "{confirmed:?}");
    until("the paper is in the window", || {
        let preview = must(services, "notification", &["digest", "preview", READER]);
        preview.out.contains("whales").then_some(())
    });
    must(services, "notification", &["digest", "send", "--to", READER, "--now"]);
    assert!(mails.mail().plain.contains("Counting whales from orbit"));
}

/// A message that indexing cannot read becomes a dead letter, which only the maker of streams shows and drops.
fn dead_letter(services: &Services, server: &NatsServer) {
    let login = password_of("operator");
    let mut operator = RawNats::connect(server.port, Some(("operator", &login))).unwrap();
    assert_eq!(
        operator.publish("papers.embedded", b"no message at all"),
        Taken::Allowed
    );
    until("a dead letter", || {
        let letters = must(services, "notification", &["dead-letters", "list", "--json"]).json();
        (letters["dead_letters"].as_array().unwrap().len() == 1).then_some(())
    });
    let elsewhere = run(services, "ingest", &["dead-letters", "list"], "");
    assert_ne!(elsewhere.status, 0);
    assert!(
        elsewhere.err.contains("with notification; call it there"),
        "{elsewhere:?}"
    );
    must(services, "notification", &["dead-letters", "drop", "--all"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_work_with_the_rights_of_the_table() {
    let mails = SmtpServer::start();
    let server = NatsServer::with_permissions().await;
    let smtp = mails.url();
    // A service presents its own user; web has none, and its address leads nowhere.
    let own = |name: &'static str| match name {
        "web" => vec![("BROADSHEET_NATS__URL", "nats://127.0.0.1:9".to_owned())],
        _ => vec![
            ("BROADSHEET_NATS__URL", server.url()),
            ("BROADSHEET_NATS__USER", name.to_owned()),
            ("BROADSHEET_NATS__PASSWORD", password_of(name)),
        ],
    };
    let services = Services::start_each(&[("BROADSHEET_NOTIFICATION__SMTP_URL", &smtp)], own).await;
    let submitted = run(&services, "ingest", &["ingest", "-", "--source", "test"], PAPER);
    assert_eq!(submitted.status, 0, "{submitted:?}");
    until("the paper is found", || found(&services).then_some(()));
    subscribe(&services, &mails);
    dead_letter(&services, &server);
    must(&services, "ingest", &["sources", "list"]);
    must(&services, "indexing", &["index", "verify"]);
    let status: Value = must(&services, "indexing", &["status", "--json"]).json();
    assert!(status.to_string().contains("embedding-accepted"), "{status}");
    let audit = must(&services, "notification", &["audit"]).out;
    assert!(
        audit.contains("IngestService/SubmitPapers") && audit.contains("SubscriptionService"),
        "{audit}"
    );
    must(&services, "ingest", &["withdraw", "test:whales"]);
    until("the paper is gone", || (!found(&services)).then_some(()));
    for name in NAMES {
        let log = services.of(name).log();
        assert!(!log.contains("nats-server refused"), "{name}: {log}");
    }
    assert!(!server.log().contains("Violation"), "{}", server.log());
    assert_eq!(services.stop().await, NAMES.map(|name| (name, Some(0))));
}
