//! A webhook that takes nothing for long goes out of use, its reader is told once, and one agreement brings it back.
#![expect(clippy::unwrap_used, reason = "tests")]

use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;
use tempfile::TempDir;
use tests::webhooks::WebhookServer;
use tests::{Platform, counted, post, token, until};

const PAPERS: &str = "{\"id\":\"p1\",\"published\":\"2026-01-02\",\"title\":\"Lakes from above\",\"abstract\":\"Colour tells algae.\"}\n";
const ADA: &str = "ada@example.org";
/// After each digest a pause that reaches beyond the next slot: one attempt is all that a digest has.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("BROADSHEET_NOTIFICATION__WEBHOOK_NETWORKS", "127.0.0.0/8"),
    ("BROADSHEET_NOTIFICATION__RETRY_SECONDS", "3600"),
    ("BROADSHEET_NOTIFICATION__WEBHOOK_FAILING_SECONDS", "2"),
];

/// A platform, a webhook that agrees, and a reader whose digests go there.
struct WebhookFixture {
    platform: Platform,
    server: WebhookServer,
    digests: i64,
    _folder: TempDir,
}

impl WebhookFixture {
    fn open(path: &str, channel: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let platform = Platform::start_with(folder.path(), &ENVIRONMENT);
        let taken = platform.run_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPERS);
        assert_eq!(taken.status, 0, "{taken:?}");
        let server = WebhookServer::start();
        let url = server.url(path);
        platform.must(&["subscribe", ADA, "--confirm", "--webhook", &url, "--channel", channel]);
        server.challenge();
        until("the paper is in the window", || {
            let preview = platform.must(&["digest", "preview", ADA]);
            preview.out.contains("Lakes").then_some(())
        });
        Self {
            platform,
            server,
            digests: 0,
            _folder: folder,
        }
    }

    /// Has a digest sent that none was before: the slot moves by a minute, and the one after it is soon.
    fn send_another(&mut self) {
        self.digests += 1;
        let soon = Timestamp::now() + (10 + self.digests).minutes();
        let time = soon.strftime("%H:%M").to_string();
        let reader = self.platform.must(&["subscribers", "export", ADA]).json();
        assert_eq!(reader["state"], "active", "{reader}");
        let (status, page) = post(
            &format!("{}/preferences", self.platform.endpoint("web")),
            &[("token", &self.link()), ("time", &time), ("time_zone", "UTC")],
        );
        assert!(status == 200 && page.contains("Your changes have been saved"), "{page}");
        self.platform.run(&["digest", "send", "--to", ADA, "--now", "--json"]);
    }

    /// The token of the links in the reader's mails.
    fn link(&self) -> String {
        token(&self.platform.must(&["digest", "preview", ADA]).out, "preferences")
    }

    fn shown(&self) -> Value {
        self.platform.must(&["subscribers", "show", ADA, "--json"]).json()
    }

    fn ended(&self) -> u64 {
        let series = "broadsheet_notification_webhooks_ended_total{reason=\"disabled\"}";
        counted(&self.platform.endpoint("admin"), series)
    }

    fn notices(&self) -> Vec<String> {
        let mut mails = self.platform.mails();
        mails.retain(|mail| mail.contains("Subject: Your webhook no longer receives digests"));
        mails
    }

    /// Brings in a paper that nobody was sent.
    fn publish_another(&mut self) {
        let topic = format!("Lakes of moon {}", self.digests);
        let line = format!(
            "{{\"id\":\"m{}\",\"published\":\"2026-01-02\",\"title\":\"{topic}\"}}\n",
            self.digests
        );
        let taken = self
            .platform
            .run_with_input(&["ingest", "-", "--wait", "--source", "test"], &line);
        assert_eq!(taken.status, 0, "{taken:?}");
        until("the new paper is in the window", || {
            let preview = self.platform.must(&["digest", "preview", ADA]);
            preview.out.contains(&topic).then_some(())
        });
    }

    /// Sends until the webhook is out of use.
    fn exhaust(&mut self, before_each: fn(&mut Self)) {
        for count in 1..3 {
            before_each(self);
            self.send_another();
            let webhook = self.shown()["webhook"].clone();
            assert_eq!(
                (&webhook["state"], &webhook["failed_digests"]),
                (&"verified".into(), &count.into()),
                "{webhook}"
            );
        }
        until("the webhook is out of use", || {
            before_each(self);
            self.send_another();
            (self.shown()["webhook"]["state"] == "disabled").then_some(())
        });
    }
}

#[test]
fn a_webhook_failing_for_long_is_disabled_until_it_agrees() {
    let mut fixture = WebhookFixture::open("/down", "webhook");
    fixture.exhaust(|_| {});
    let shown = fixture.shown();
    assert_eq!((&shown["state"], &shown["next_due"]), (&"paused".into(), &Value::Null));
    let reason = shown["pause_reason"].as_str().unwrap();
    assert!(reason.contains("out of use") && reason.contains("500"), "{reason}");
    assert!(shown["webhook"]["failing_since"].is_string(), "{shown}");
    let in_words = fixture.platform.must(&["subscribers", "show", ADA]).out;
    assert!(
        in_words.contains("webhook    disabled") && in_words.contains("every digest since"),
        "{in_words}"
    );
    let export = fixture.platform.must(&["subscribers", "export", ADA]).json();
    assert_eq!(export["webhook"]["state"], "disabled", "{export}");

    let mail = until("the reader is told", || fixture.notices().pop());
    assert!(
        mail.contains(&fixture.server.url("/down")) && mail.contains("500 Internal Server Error"),
        "{mail}"
    );
    assert!(mail.contains("paused") && !mail.contains("List-Unsubscribe"), "{mail}");
    let (status, page) = tests::get(&format!(
        "{}/preferences?token={}",
        fixture.platform.endpoint("web"),
        token(&mail, "preferences")
    ));
    assert!(status == 200 && page.contains(ADA), "{page}");
    let refused = fixture.platform.run(&["subscribers", "resume", ADA]);
    assert!(refused.status == 1 && refused.err.contains("verify it"), "{refused:?}");

    fixture.platform.must(&["subscribers", "webhook", "verify", ADA]);
    let shown = fixture.shown();
    assert_eq!(
        (
            &shown["state"],
            &shown["pause_reason"],
            &shown["webhook"]["failed_digests"]
        ),
        (&"active".into(), &"".into(), &0.into())
    );
    fixture.send_another();
    assert_eq!(fixture.shown()["webhook"]["failed_digests"], 1, "it begins anew");
    assert_eq!((fixture.notices().len(), fixture.ended()), (1, 1));
}

#[test]
fn what_comes_by_mail_too_goes_on_and_a_rebuild_forgets_nothing() {
    let mut fixture = WebhookFixture::open("/down", "both");
    // What came by mail is not in a later digest.
    fixture.exhaust(WebhookFixture::publish_another);
    let before = fixture.shown();
    assert_eq!(before["state"], "active");
    let mail = until("the reader is told", || fixture.notices().pop());
    assert!(mail.contains("still receive your digests by mail"), "{mail}");
    fixture.platform.must(&["subscribers", "rebuild"]);
    assert_eq!(fixture.shown()["webhook"], before["webhook"]);
    assert_eq!(fixture.notices().len(), 1);
}

#[test]
fn an_digest_that_is_taken_ends_the_count() {
    let mut fixture = WebhookFixture::open("/broken", "webhook");
    fixture.send_another();
    let failing = fixture.shown()["webhook"].clone();
    assert_eq!(
        (&failing["failed_digests"], &failing["state"]),
        (&1.into(), &"verified".into())
    );
    fixture.send_another();
    let taken = fixture.shown()["webhook"].clone();
    assert_eq!(
        (&taken["failed_digests"], &taken["failing_since"], &taken["detail"]),
        (&0.into(), &Value::Null, &"".into())
    );
    assert!(fixture.notices().is_empty() && fixture.ended() == 0);
}

#[test]
fn a_subscription_has_so_many_urls_asked_in_an_hour() {
    let fixture = WebhookFixture::open("/taken", "webhook");
    // The one that it was subscribed with was the operator's.
    for _ in 0..10 {
        fixture.platform.must(&["subscribers", "webhook", "verify", ADA]);
    }
    let refused = fixture.platform.run(&["subscribers", "webhook", "verify", ADA]);
    assert!(
        refused.status != 0 && refused.err.contains("asked too often"),
        "{refused:?}"
    );
    let url = fixture.server.url("/unwilling");
    let refused = fixture.platform.run(&["subscribers", "webhook", "set", ADA, &url]);
    assert!(refused.err.contains("asked too often"), "{refused:?}");
    assert!(
        fixture.shown()["webhook"]["url"].as_str().unwrap().ends_with("/taken"),
        "it stays"
    );
    assert_eq!(fixture.server.others().len(), 10);
}
