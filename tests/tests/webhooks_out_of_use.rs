//! A webhook that takes nothing for long goes out of use, its reader is told once, and one agreement brings it back.
#![expect(clippy::unwrap_used, reason = "tests")]

use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;
use tempfile::TempDir;
use tests::webhooks::WebhookServer;
use tests::{Platform, counted, post, token, until};

const PAPERS: &str = "{\"id\":\"p1\",\"title\":\"Lakes from above\",\"abstract\":\"Colour tells algae.\"}\n";
const ADA: &str = "ada@example.org";
/// After each edition a pause that reaches beyond the next slot: one attempt is all that an edition has.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("BROADSHEET_NOTIFICATION__WEBHOOK_NETWORKS", "127.0.0.0/8"),
    ("BROADSHEET_NOTIFICATION__RETRY_SECONDS", "3600"),
    ("BROADSHEET_NOTIFICATION__WEBHOOK_FAILING_SECONDS", "2"),
];

/// A platform, a webhook that agrees, and a reader whose editions go there.
struct Desk {
    platform: Platform,
    server: WebhookServer,
    editions: i64,
    _folder: TempDir,
}

impl Desk {
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
            editions: 0,
            _folder: folder,
        }
    }

    /// Has an edition sent that none was before: the slot moves by a minute, and the one after it is soon.
    fn send_another(&mut self) {
        self.editions += 1;
        let soon = Timestamp::now() + (10 + self.editions).minutes();
        let time = soon.strftime("%H:%M").to_string();
        let reader = self.platform.must(&["subscribers", "export", ADA]).json();
        assert_eq!(reader["state"], "active", "{reader}");
        let (status, page) = post(
            &format!("{}/preferences", self.platform.endpoint("web")),
            &[("token", &self.link()), ("time", &time), ("time_zone", "UTC")],
        );
        assert!(status == 200 && page.contains("Your changes are saved"), "{page}");
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
        mails.retain(|mail| mail.contains("Subject: Your webhook gets no more editions"));
        mails
    }

    /// Brings in a paper that nobody was sent.
    fn publish_another(&mut self) {
        let topic = format!("Lakes of moon {}", self.editions);
        let line = format!("{{\"id\":\"m{}\",\"title\":\"{topic}\"}}\n", self.editions);
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
                (&webhook["state"], &webhook["failed_editions"]),
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
fn a_webhook_that_fails_for_long_is_out_of_use_until_it_agrees_again() {
    let mut desk = Desk::open("/down", "webhook");
    desk.exhaust(|_| {});
    let shown = desk.shown();
    assert_eq!((&shown["state"], &shown["next_due"]), (&"paused".into(), &Value::Null));
    let reason = shown["pause_reason"].as_str().unwrap();
    assert!(reason.contains("out of use") && reason.contains("500"), "{reason}");
    assert!(shown["webhook"]["failing_since"].is_string(), "{shown}");
    let in_words = desk.platform.must(&["subscribers", "show", ADA]).out;
    assert!(
        in_words.contains("webhook    disabled") && in_words.contains("every edition since"),
        "{in_words}"
    );
    let export = desk.platform.must(&["subscribers", "export", ADA]).json();
    assert_eq!(export["webhook"]["state"], "disabled", "{export}");

    let mail = until("the reader is told", || desk.notices().pop());
    assert!(
        mail.contains(&desk.server.url("/down")) && mail.contains("500 Internal Server Error"),
        "{mail}"
    );
    assert!(mail.contains("paused") && !mail.contains("List-Unsubscribe"), "{mail}");
    let (status, page) = tests::get(&format!(
        "{}/preferences?token={}",
        desk.platform.endpoint("web"),
        token(&mail, "preferences")
    ));
    assert!(status == 200 && page.contains(ADA), "{page}");
    let refused = desk.platform.run(&["subscribers", "resume", ADA]);
    assert!(refused.status == 1 && refused.err.contains("verify it"), "{refused:?}");

    desk.platform.must(&["subscribers", "webhook", "verify", ADA]);
    let shown = desk.shown();
    assert_eq!(
        (
            &shown["state"],
            &shown["pause_reason"],
            &shown["webhook"]["failed_editions"]
        ),
        (&"active".into(), &"".into(), &0.into())
    );
    desk.send_another();
    assert_eq!(desk.shown()["webhook"]["failed_editions"], 1, "it begins anew");
    assert_eq!((desk.notices().len(), desk.ended()), (1, 1));
}

#[test]
fn what_comes_by_mail_too_goes_on_and_a_rebuild_forgets_nothing() {
    let mut desk = Desk::open("/down", "both");
    // What came by mail is not in a later edition.
    desk.exhaust(Desk::publish_another);
    let before = desk.shown();
    assert_eq!(before["state"], "active");
    let mail = until("the reader is told", || desk.notices().pop());
    assert!(mail.contains("go on coming by mail"), "{mail}");
    desk.platform.must(&["subscribers", "rebuild"]);
    assert_eq!(desk.shown()["webhook"], before["webhook"]);
    assert_eq!(desk.notices().len(), 1);
}

#[test]
fn an_edition_that_is_taken_ends_the_count() {
    let mut desk = Desk::open("/broken", "webhook");
    desk.send_another();
    let failing = desk.shown()["webhook"].clone();
    assert_eq!(
        (&failing["failed_editions"], &failing["state"]),
        (&1.into(), &"verified".into())
    );
    desk.send_another();
    let taken = desk.shown()["webhook"].clone();
    assert_eq!(
        (&taken["failed_editions"], &taken["failing_since"], &taken["detail"]),
        (&0.into(), &Value::Null, &"".into())
    );
    assert!(desk.notices().is_empty() && desk.ended() == 0);
}

#[test]
fn a_subscription_has_so_many_urls_asked_in_an_hour() {
    let desk = Desk::open("/taken", "webhook");
    // The one that it was subscribed with was the operator's.
    for _ in 0..10 {
        desk.platform.must(&["subscribers", "webhook", "verify", ADA]);
    }
    let refused = desk.platform.run(&["subscribers", "webhook", "verify", ADA]);
    assert!(
        refused.status != 0 && refused.err.contains("asked too often"),
        "{refused:?}"
    );
    let url = desk.server.url("/unwilling");
    let refused = desk.platform.run(&["subscribers", "webhook", "set", ADA, &url]);
    assert!(refused.err.contains("asked too often"), "{refused:?}");
    assert!(
        desk.shown()["webhook"]["url"].as_str().unwrap().ends_with("/taken"),
        "it stays"
    );
    assert_eq!(desk.server.others().len(), 10);
}
