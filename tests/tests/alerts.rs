//! A real Prometheus over real services: nothing calls while all is well, and what goes wrong does.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write as _;
use std::path::Path;

use tests::prometheus::{Alert, Prometheus};
use tests::services::Services;
use tests::smtp::SmtpServer;
use tests::{Platform, until};

const PAPER: &str =
    r#"{"id":"p1","published":"2026-01-02","title":"Zürich's lakes from above","abstract":"Colour tells algae."}"#;
/// More than the budget of errors looks at.
const READERS: usize = 110;

/// The rules as they are shipped; the one about a pause waits two seconds instead of three minutes.
fn rules() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/observability/alerts.yaml");
    let shipped = std::fs::read_to_string(path).unwrap();
    assert_eq!(shipped.matches("for: 3m").count(), 1, "which rule is meant?");
    shipped.replace("for: 3m", "for: 2s")
}

fn names(alerts: &[Alert]) -> Vec<(&str, &str)> {
    let names = alerts.iter().map(|alert| (alert.name.as_str(), alert.service.as_str()));
    names.collect()
}

/// Waits until every target was looked at a few times, and gives what calls or will.
fn looked(prometheus: &Prometheus, targets: usize) -> Vec<Alert> {
    until("Prometheus has looked at everything three times", || {
        let looks = prometheus.value("min(count_over_time(up{job=\"broadsheet\"}[1m]))")?;
        let seen = prometheus.value("count(broadsheet_process_ready == 1)")?;
        (looks >= 3.0 && seen >= targets as f64).then_some(())
    });
    prometheus.alerts()
}

/// A mail server that takes nothing, a paper to be mailed, and more readers than the budget of errors looks at.
fn subscribed(platform: &Platform) {
    platform.must_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPER);
    let mut readers = "email,consent_source,consent_time\n".to_owned();
    for reader in 0..READERS {
        let _ = writeln!(readers, "busy@host{reader}.example.org,a list,2026-01-31T00:00:00Z");
    }
    platform.must_with_input(&["subscribers", "import", "-"], &readers);
    until("the paper is in the window", || {
        let preview = platform.must(&["digest", "preview", "busy@host0.example.org"]);
        preview.out.contains("lakes").then_some(())
    });
}

#[test]
fn a_mail_server_that_accepts_nothing_pauses_sending_and_pages() {
    let mails = SmtpServer::start();
    let folder = tempfile::tempdir().unwrap();
    let environment = [
        ("BROADSHEET_NOTIFICATION__SMTP_URL", mails.url()),
        ("BROADSHEET_NOTIFICATION__RETRY_SECONDS", "1".to_owned()),
    ];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let platform = Platform::start_with(folder.path(), &environment);
    subscribed(&platform);
    let prometheus = Prometheus::start(&rules(), &[("", &platform.endpoint("admin"))]);
    assert_eq!(looked(&prometheus, 1), []);

    // Fails where the mail server took nothing.
    platform.run(&["digest", "send", "--now"]);
    let called = until("the pause calls", || {
        let alerts = prometheus.alerts().into_iter();
        let mut called = alerts.filter(|alert| alert.name == "SendingPaused" && alert.state == "firing");
        called.next()
    });
    assert_eq!(called.severity, "page");
    let runbook = "deploy/observability/runbook.md#broadsheetsendingpaused";
    assert_eq!(called.annotations["runbook_url"], runbook);
    let value = |expression| prometheus.value(expression).unwrap();
    assert!(value("broadsheet_notification_sending_paused") > 0.0);
    assert!(value("broadsheet_notification_digests_total{channel=\"mail\",outcome=\"deferred\"}") >= 100.0);
    assert!(value("broadsheet_notification_digests_total{channel=\"mail\",outcome=\"sent\"}") < 1.0);

    platform.kill();
    let gone = until("a platform that is gone is missed", || {
        let mut alerts = prometheus.alerts().into_iter();
        alerts.find(|alert| alert.name == "ServiceDown")
    });
    assert_eq!(gone.annotations["summary"], "broadsheet is down");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_servers_call_by_service_and_nothing_calls_before() {
    let mails = SmtpServer::start();
    let mut services = Services::start(&[("BROADSHEET_NOTIFICATION__SMTP_URL", &mails.url())]).await;
    let targets: Vec<_> = services.all().map(|one| (one.name(), one.admin.as_str())).collect();
    let prometheus = Prometheus::start(&rules(), &targets);
    assert_eq!(looked(&prometheus, targets.len()), []);

    services.lose_servers().await;
    let expected = [
        ("BusDown", "embedding"),
        ("BusDown", "indexing"),
        ("BusDown", "ingest"),
        ("BusDown", "notification"),
        ("RedisDown", ""),
    ];
    until("every service of the bus misses it, and notification its store", || {
        let alerts = prometheus.alerts();
        expected.iter().all(|one| names(&alerts).contains(one)).then_some(())
    });
}
