//! Digests to a real mail server over TLS: encrypted where that is asked for, never in clear instead, never to a server whose
//! certificate nobody vouches for.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use tempfile::TempDir;
use tests::certificates::Certificates;
use tests::smtp::SmtpServer;
use tests::{Platform, counted, until};

const PAPER: &str =
    r#"{"id":"p1","published":"2026-01-02","title":"Zürich's lakes from above","abstract":"Colour tells algae."}"#;
const ADA: &str = "ada@example.org";

/// A platform with one paper, and a subscriber who is due nothing yet.
struct MailFixture {
    platform: Platform,
    _folder: TempDir,
}

impl MailFixture {
    fn open(smtp_url: &str, trusted: Option<&Certificates>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = trusted.map(|trusted| trusted.authority().display().to_string());
        let environment = [
            ("BROADSHEET_NOTIFICATION__SMTP_URL", smtp_url),
            ("BROADSHEET_NOTIFICATION__RETRY_SECONDS", "1"),
            ("BROADSHEET_NOTIFICATION__CA_FILE", authority.as_deref().unwrap_or("")),
        ];
        let platform = Platform::start_with(folder.path(), &environment);
        let taken = platform.run_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPER);
        assert_eq!(taken.status, 0, "{taken:?}");
        platform.must(&["subscribe", ADA, "--confirm"]);
        until("the paper is in the window", || {
            let preview = platform.must(&["digest", "preview", ADA]);
            preview.out.contains("lakes").then_some(())
        });
        Self {
            platform,
            _folder: folder,
        }
    }

    fn send(&self) -> Value {
        let sent = self.platform.run(&["digest", "send", "--to", ADA, "--now", "--json"]);
        sent.json()["deliveries"][0].clone()
    }

    /// The digest is put off because of this, and tried again.
    fn is_put_off_because(&self, said: &str) {
        let delivery = self.send();
        let detail = delivery["detail"].as_str().unwrap();
        assert!(delivery["state"] == "deferred" && detail.contains(said), "{delivery}");
        let series = "broadsheet_notification_digests_total{channel=\"mail\",outcome=\"deferred\"}";
        let admin = self.platform.endpoint("admin");
        until("it is tried again", || (counted(&admin, series) >= 2).then_some(()));
    }
}

#[test]
fn starttls_encrypts_password_and_mail() {
    let certificates = Certificates::make();
    let server = SmtpServer::with_starttls(&certificates);
    for wanted in ["required", "opportunistic"] {
        let url = format!("{}?tls={wanted}", server.url_with_password());
        let fixture = MailFixture::open(&url, Some(&certificates));
        assert_eq!(fixture.send()["state"], "sent", "{wanted}");
        assert!(server.password(), "{wanted}");
        assert!(server.next().tls, "{wanted}");
    }
}

#[test]
fn tls_from_the_start_encrypts_password_and_mail() {
    let certificates = Certificates::make();
    let server = SmtpServer::with_tls(&certificates);
    let fixture = MailFixture::open(&server.url_with_password(), Some(&certificates));
    assert_eq!(fixture.send()["state"], "sent");
    assert!(server.password() && server.next().tls);
}

#[test]
fn a_certificate_that_nobody_vouches_for_gets_nothing() {
    let certificates = Certificates::make();
    let starttls = SmtpServer::with_starttls(&certificates);
    let stranger = Certificates::make();
    for wanted in ["required", "opportunistic"] {
        let url = format!("{}?tls={wanted}", starttls.url_with_password());
        MailFixture::open(&url, Some(&stranger)).is_put_off_because("certificate");
        assert!(starttls.was_left_alone(), "{wanted}");
    }
    let tls = SmtpServer::with_tls(&certificates);
    MailFixture::open(&tls.url_with_password(), None).is_put_off_because("certificate");
    assert!(tls.was_left_alone());
}

#[test]
fn required_tls_that_is_not_offered_gets_nothing() {
    let server = SmtpServer::start();
    let url = format!("{}?tls=required", server.url_with_password());
    MailFixture::open(&url, None).is_put_off_because("STARTTLS");
    assert!(server.was_left_alone());
}

#[test]
fn a_file_of_authorities_that_is_none_is_a_mistake_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, "no certificate").unwrap();
    let output = tests::up(folder.path())
        .env("BROADSHEET_NOTIFICATION__CA_FILE", &file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("notification.ca_file"),
        "{said}"
    );
}
