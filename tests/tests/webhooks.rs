//! Digests to a real HTTP server that takes them, puts them off, refuses them, misbehaves or dies: what it gets, how that
//! is signed, what the record says.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use tempfile::TempDir;
use tests::certificates::Certificates;
use tests::servers::Servers;
use tests::webhooks::{Request, WebhookServer};
use tests::{Platform, Ran, counted, until};

const PAPERS: &str = "{\"id\":\"p1\",\"published\":\"2026-01-02\",\"title\":\"Zürich's lakes from above\",\"abstract\":\"Colour tells algae.\",\"authors\":[\"Ada Lovelace\"],\"url\":\"https://example.org/p1\"}\n";
const ADA: &str = "ada@example.org";
const INSIDE: (&str, &str) = ("BROADSHEET_NOTIFICATION__WEBHOOK_NETWORKS", "127.0.0.0/8");
const SOON: (&str, &str) = ("BROADSHEET_NOTIFICATION__RETRY_SECONDS", "1");

/// A platform with one paper, and a server that takes webhooks.
struct WebhookFixture {
    platform: Platform,
    server: WebhookServer,
    _folder: TempDir,
}

impl WebhookFixture {
    fn open() -> Self {
        Self::with(WebhookServer::start(), &[INSIDE, SOON])
    }

    fn with(server: WebhookServer, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let platform = Platform::start_with(folder.path(), environment);
        fill(&platform);
        Self {
            platform,
            server,
            _folder: folder,
        }
    }

    /// Subscribes Ada with a webhook that agrees; its secret.
    fn subscribe(&self, path: &str, more: &[&str]) -> String {
        let secret = subscribe(&self.platform, &self.server.url(path), more);
        let challenge = self.server.challenge();
        assert!(challenge.is_signed_with(&secret), "{challenge:?}");
        secret
    }

    fn send(&self) -> Vec<Value> {
        send(&self.platform)
    }

    fn shown(&self) -> Value {
        self.platform.must(&["subscribers", "show", ADA, "--json"]).json()
    }

    fn counted(&self, outcome: &str) -> u64 {
        let series = format!("broadsheet_notification_digests_total{{channel=\"webhook\",outcome=\"{outcome}\"}}");
        counted(&self.platform.endpoint("admin"), &series)
    }

    fn is_recorded(&self, state: &str) -> bool {
        newest_record(&self.platform)["state"] == state
    }
}

fn fill(platform: &Platform) {
    let taken = platform.run_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPERS);
    assert_eq!(taken.status, 0, "{taken:?}");
}

fn subscribe(platform: &Platform, url: &str, more: &[&str]) -> String {
    let ran = platform.must(&[&["subscribe", ADA, "--confirm", "--webhook", url], more].concat());
    assert!(ran.out.contains("agreed to receive digests"), "{ran:?}");
    secret_in(&ran)
}

fn secret_in(ran: &Ran) -> String {
    let found = ran.out.split_whitespace().find(|word| word.starts_with("whsec_"));
    found.unwrap_or_else(|| panic!("no secret in {ran:?}")).to_owned()
}

/// Has the digest sent to Ada, once the paper can be in it.
fn send(platform: &Platform) -> Vec<Value> {
    until("the paper is in the window", || {
        let preview = platform.must(&["digest", "preview", ADA]);
        preview.out.contains("lakes").then_some(())
    });
    send_again(platform)
}

fn send_again(platform: &Platform) -> Vec<Value> {
    let sent = platform.run(&["digest", "send", "--to", ADA, "--now", "--json"]);
    sent.json()["deliveries"].as_array().unwrap().clone()
}

/// The one mail that says that a webhook is out of use, once it is there.
fn told(platform: &Platform) -> String {
    until("the reader is told", || {
        let mut mails = platform.mails();
        mails.retain(|mail| mail.contains("Subject: Your webhook no longer receives digests"));
        assert!(mails.len() < 2, "told twice: {mails:?}");
        mails.pop()
    })
}

fn newest_record(platform: &Platform) -> Value {
    platform.must(&["subscribers", "export", ADA]).json()["deliveries"][0].clone()
}

#[test]
fn an_digest_comes_signed_and_once_and_not_after_unsubscribing() {
    let fixture = WebhookFixture::open();
    let secret = fixture.subscribe("/taken", &[]);
    let deliveries = fixture.send();
    let [delivery] = &deliveries[..] else {
        panic!("one way, not {deliveries:?}")
    };
    assert_eq!(
        (&delivery["state"], &delivery["channel"]),
        (&"sent".into(), &"webhook".into())
    );
    let digest = fixture.server.digest();
    assert_eq!(digest.headers["content-type"], "application/json");
    assert!(digest.headers["user-agent"].starts_with("Broadsheet/"));
    assert!(digest.is_signed_with(&secret));
    assert!(!digest.is_signed_with("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    let forged = Request {
        body: digest.body.replace("Colour", "Color").replace("lakes", "seas"),
        ..digest.clone()
    };
    assert!(!forged.is_signed_with(&secret));
    let body = digest.json();
    let paper = &body["data"]["papers"][0];
    assert_eq!(paper["id"], "test:p1");
    assert_eq!(paper["title"], "Zürich’s lakes from above");
    assert_eq!(paper["authors"][0], "Ada Lovelace");
    assert_eq!(paper["url"], "https://example.org/p1");
    let (status, page) = tests::get(paper["page_url"].as_str().unwrap());
    assert!(
        status == 200 && page.contains("Zürich’s lakes from above</h1>"),
        "{page}"
    );
    assert!(paper["score"].is_number() && paper["reason"].is_string(), "{paper}");
    let parts = paper["parts"].as_array().unwrap();
    let sum: f64 = parts.iter().map(|part| part["value"].as_f64().unwrap()).sum();
    assert!((sum - paper["score"].as_f64().unwrap()).abs() < 1e-6, "{paper}");
    assert_eq!(body["data"]["digest_id"], digest.id());
    assert_eq!(delivery["message_id"], digest.id());
    assert_eq!(send_again(&fixture.platform)[0]["already_delivered"], true);
    assert_eq!(fixture.counted("sent"), 1);
    let export = fixture.platform.must(&["subscribers", "export", ADA]).json();
    assert_eq!(export["webhook"]["state"], "verified");
    assert!(!export.to_string().contains(&secret["whsec_".len()..]), "{export}");
    assert!(fixture.platform.mails().is_empty(), "instead of mail");
    let unsubscribe = body["data"]["unsubscribe_url"].as_str().unwrap();
    assert_eq!(tests::post(unsubscribe, &[("List-Unsubscribe", "One-Click")]).0, 200);
    let refused = fixture.platform.run(&["digest", "send", "--to", ADA, "--now"]);
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(fixture.server.others().is_empty());
}

#[test]
fn both_ways_bring_the_same_papers_and_each_has_a_record() {
    let fixture = WebhookFixture::open();
    fixture.subscribe("/broken", &["--channel", "both"]);
    let deliveries = fixture.send();
    let state = |channel: &str| {
        let found = deliveries.iter().find(|one| one["channel"] == channel);
        found.unwrap()["state"].clone()
    };
    assert_eq!((state("mail"), state("webhook")), ("sent".into(), "deferred".into()));
    let (first, second) = (fixture.server.digest(), fixture.server.digest());
    assert_eq!((first.id(), &first.body), (second.id(), &second.body));
    assert_eq!(second.json()["data"]["papers"][0]["id"], "test:p1");
    assert_eq!(fixture.platform.mails().len(), 1);
    until("both are on record as sent", || {
        let export = fixture.platform.must(&["subscribers", "export", ADA]).json();
        let records = export["deliveries"].as_array().unwrap().clone();
        let sent = records.iter().filter(|record| record["state"] == "sent");
        (sent.count() == 2 && records.iter().all(|record| record["papers"][0] == "test:p1")).then_some(())
    });
    assert!(fixture.server.others().is_empty());
}

#[test]
fn a_webhook_that_asks_for_time_gets_it() {
    let fixture = WebhookFixture::open();
    let secret = fixture.subscribe("/later", &[]);
    let delivery = &fixture.send()[0];
    assert_eq!(delivery["state"], "deferred", "{delivery}");
    assert!(delivery["detail"].as_str().unwrap().contains("503"), "{delivery}");
    let (first, second) = (fixture.server.digest(), fixture.server.digest());
    assert!(
        second.at - first.at >= 2.0,
        "Retry-After: 2, after {}",
        second.at - first.at
    );
    assert_eq!((first.id(), &first.body), (second.id(), &second.body));
    assert!(second.is_signed_with(&secret));
    until("the record says sent", || fixture.is_recorded("sent").then_some(()));
    assert!(fixture.server.others().is_empty());
}

#[test]
fn a_gone_webhook_pauses_the_subscription_until_it_agrees() {
    let fixture = WebhookFixture::open();
    fixture.subscribe("/gone", &[]);
    let delivery = &fixture.send()[0];
    assert_eq!(delivery["state"], "failed", "{delivery}");
    assert!(delivery["detail"].as_str().unwrap().contains("410"), "{delivery}");
    fixture.server.digest();
    let shown = fixture.shown();
    assert_eq!(
        (&shown["state"], &shown["webhook"]["state"]),
        (&"paused".into(), &"gone".into())
    );
    assert!(shown["pause_reason"].as_str().unwrap().contains("410"), "{shown}");
    assert_eq!(shown["next_due"], Value::Null);
    let mail = told(&fixture.platform);
    assert!(mail.contains("gone for good") && mail.contains("410 Gone"), "{mail}");
    let refused = fixture.platform.run(&["subscribers", "resume", ADA]);
    assert!(refused.status == 1 && refused.err.contains("verify it"), "{refused:?}");
    fixture.platform.must(&["subscribers", "webhook", "verify", ADA]);
    fixture.server.challenge();
    let shown = fixture.shown();
    assert_eq!(
        (&shown["state"], &shown["pause_reason"]),
        (&"active".into(), &"".into())
    );
    fixture.platform.must(&["subscribers", "webhook", "remove", ADA]);
    assert_eq!(fixture.shown()["channel"], "mail");
    assert!(fixture.server.others().is_empty());
}

#[test]
fn a_webhook_that_does_not_agree_gets_nothing_but_challenges() {
    let fixture = WebhookFixture::open();
    let url = fixture.server.url("/unwilling");
    let refused = fixture
        .platform
        .run(&["subscribe", ADA, "--confirm", "--webhook", &url]);
    assert!(refused.status == 1 && refused.err.contains("403"), "{refused:?}");
    let secret = secret_in(&refused);
    assert!(fixture.server.challenge().is_signed_with(&secret));
    let unsent = fixture.platform.run(&["digest", "send", "--to", ADA, "--now"]);
    assert!(
        unsent.status == 1 && unsent.err.contains("has not agreed"),
        "{unsent:?}"
    );
    fixture.platform.must(&["subscribers", "webhook", "verify", ADA]);
    fixture.server.challenge();
    let fresh = secret_in(&fixture.platform.must(&["subscribers", "webhook", "rotate", ADA]));
    assert_eq!(fixture.send()[0]["state"], "sent");
    let digest = fixture.server.digest();
    assert!(
        digest.is_signed_with(&fresh) && digest.is_signed_with(&secret),
        "{digest:?}"
    );
    assert!(fixture.server.others().is_empty());
}

#[test]
fn answers_that_never_end_are_not_waited_for() {
    let fixture = WebhookFixture::open();
    for (path, state) in [("/slow", "sent"), ("/lying", "sent"), ("/endless", "deferred")] {
        let reader = format!("{}@example.org", &path[1..]);
        let url = fixture.server.url(path);
        fixture
            .platform
            .must(&["subscribe", &reader, "--confirm", "--webhook", &url]);
        fixture.server.challenge();
        until("the paper is in the window", || {
            let preview = fixture.platform.must(&["digest", "preview", &reader]);
            preview.out.contains("lakes").then_some(())
        });
        let begun = std::time::Instant::now();
        let sent = fixture
            .platform
            .run(&["digest", "send", "--to", &reader, "--now", "--json"]);
        assert_eq!(sent.json()["deliveries"][0]["state"], state, "{path}: {sent:?}");
        assert!(begun.elapsed().as_secs() < 15, "{path} took {:?}", begun.elapsed());
        assert_eq!(fixture.server.digest().path, path);
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let fixture = WebhookFixture::open();
    let inner = WebhookServer::start();
    fixture.subscribe(&format!("/elsewhere?to={}", inner.url("/taken")), &[]);
    let delivery = &fixture.send()[0];
    assert_eq!(delivery["state"], "deferred", "{delivery}");
    assert!(
        delivery["detail"].as_str().unwrap().contains("not followed"),
        "{delivery}"
    );
    fixture.server.digest();
    fixture.server.digest();
    assert!(inner.others().is_empty());
}

#[test]
fn webhooks_are_public_and_encrypted_by_default() {
    let fixture = WebhookFixture::with(WebhookServer::start(), &[]);
    let port = fixture.server.port();
    for host in ["127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]"] {
        let url = format!("https://{host}:{port}/taken");
        let refused = fixture
            .platform
            .run(&["subscribe", ADA, "--confirm", "--webhook", &url]);
        assert!(refused.err.contains("no address on the public internet"), "{refused:?}");
        assert_eq!(refused.status, 1);
    }
    for (url, said) in [
        ("http://example.org/", "webhook_url"),
        ("ftp://example.org/", "webhook_url"),
        ("https://ada:secret@example.org/", "webhook_url"),
        ("nonsense", "webhook_url"),
    ] {
        let refused = fixture.platform.run(&["subscribe", ADA, "--confirm", "--webhook", url]);
        assert!(refused.status == 65 && refused.err.contains(said), "{refused:?}");
    }
    assert_eq!(fixture.shown()["webhook"]["state"], "unverified");
    assert!(fixture.server.others().is_empty());
}

#[test]
fn a_certificate_has_to_be_of_an_authority_that_is_trusted() {
    let certificates = Certificates::make();
    let authority = certificates.authority();
    let trusted = ("BROADSHEET_NOTIFICATION__CA_FILE", authority.to_str().unwrap());
    let fixture = WebhookFixture::with(WebhookServer::with_tls(&certificates), &[INSIDE, trusted]);
    let secret = fixture.subscribe("/taken", &[]);
    assert_eq!(fixture.send()[0]["state"], "sent");
    assert!(fixture.server.digest().is_signed_with(&secret));

    let stranger = WebhookServer::with_tls(&Certificates::make());
    let url = stranger.url("/taken");
    let refused = fixture.platform.run(&["subscribers", "webhook", "set", ADA, &url]);
    assert!(
        refused.status == 1 && refused.err.contains("certificate"),
        "{refused:?}"
    );
    assert!(stranger.others().is_empty());
}

#[test]
fn subscribers_are_imported_with_their_webhooks() {
    let fixture = WebhookFixture::open();
    let (taken, http) = (fixture.server.url("/taken"), "http://example.org/");
    let lines = format!(
        "email,webhook,consent_source,consent_time\n{ADA},{taken},contract,2026-01-01\n\
         bob@example.org,{http},contract,2026-01-01\neve@example.org,,contract,2026-01-01\n"
    );
    let imported = fixture
        .platform
        .run_with_input(&["subscribers", "import", "-", "--json"], &lines);
    let report = imported.json();
    assert_eq!((imported.status, &report["accepted"]), (65, &2.into()), "{report}");
    assert_eq!(report["refused"][0]["line"], 3);
    assert!(
        report["refused"][0]["problem"]
            .as_str()
            .unwrap()
            .contains("webhook_url")
    );
    let [webhook] = &report["webhooks"].as_array().unwrap()[..] else {
        panic!("one webhook in {report}")
    };
    assert_eq!((&webhook["line"], &webhook["state"]), (&2.into(), &"verified".into()));
    let secret = webhook["secret"].as_str().unwrap();
    assert!(fixture.server.challenge().is_signed_with(secret));
    assert_eq!(fixture.send()[0]["state"], "sent");
    assert!(fixture.server.digest().is_signed_with(secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_survives_a_dead_server_as_the_same_request() {
    let (servers, folder) = (Servers::start().await, tempfile::tempdir().unwrap());
    let (nats, redis) = (servers.nats(), servers.redis());
    let environment = [
        INSIDE,
        SOON,
        ("BROADSHEET_NATS__URL", nats.as_str()),
        ("BROADSHEET_NOTIFICATION__REDIS_URL", redis.as_str()),
        ("BROADSHEET_NOTIFICATION__LEASE_SECONDS", "5"),
        // The pages of the second run are at another port.
        ("BROADSHEET_NOTIFICATION__PUBLIC_URL", "https://papers.example.org"),
    ];
    let server = WebhookServer::start();
    let (port, url) = (server.port(), server.url("/silent"));
    let platform = Platform::start_with(folder.path(), &environment);
    fill(&platform);
    let secret = subscribe(&platform, &url, &[]);
    server.challenge();
    drop(server);
    let delivery = &send(&platform)[0];
    assert_eq!(delivery["state"], "deferred", "nobody listens: {delivery}");

    let silent = WebhookServer::on(port);
    let first = silent.digest();
    assert_eq!(first.answer, None);
    // It is read and not answered: nobody can know whether it was taken.
    platform.kill();
    drop(silent);
    let willing = WebhookServer::that_takes_all(port);
    let platform = Platform::start_with(folder.path(), &environment);
    let second = willing.digest();
    assert_eq!((first.id(), &first.body), (second.id(), &second.body));
    let page = &first.json()["data"]["papers"][0]["page_url"];
    assert_eq!(page, "https://papers.example.org/papers/test:p1");
    assert!(second.is_signed_with(&secret));
    until("the record says sent", || {
        (newest_record(&platform)["state"] == "sent").then_some(())
    });
    let resent = "broadsheet_notification_digests_resent_total";
    assert_eq!(counted(&platform.endpoint("admin"), resent), 1);
    assert_eq!(send_again(&platform)[0]["already_delivered"], true);
    assert!(willing.others().is_empty());
    platform.kill();
    servers.stop().await;
}
