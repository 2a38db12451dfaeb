//! The webhook of a reader on the page of the preferences: each form over HTTP against the real binary, with a real server
//! that is asked.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use tempfile::TempDir;
use tests::webhooks::WebhookServer;
use tests::{Platform, get, post, until};

const PAPERS: &str = "{\"id\":\"p1\",\"published\":\"2026-01-02\",\"title\":\"Lakes from above\",\"abstract\":\"Colour tells algae.\"}\n";
const ADA: &str = "ada@example.org";
const INSIDE: (&str, &str) = ("BROADSHEET_NOTIFICATION__WEBHOOK_NETWORKS", "127.0.0.0/8");

/// A platform, and a reader with the link of a mail.
struct Site {
    platform: Platform,
    web: String,
    token: String,
    _folder: TempDir,
}

impl Site {
    fn open(environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let platform = Platform::start_with(folder.path(), environment);
        let taken = platform.run_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPERS);
        assert_eq!(taken.status, 0, "{taken:?}");
        platform.must(&["subscribe", ADA, "--confirm"]);
        until("the paper is in the window", || {
            let preview = platform.must(&["digest", "preview", ADA]).out;
            preview.contains("Lakes").then_some(())
        });
        Self {
            web: platform.endpoint("web"),
            token: platform.account_token(ADA),
            platform,
            _folder: folder,
        }
    }

    /// Posts a form of the section; its address begins with that of the webhook.
    fn post(&self, act: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let mut all = vec![("token", self.token.as_str())];
        all.extend(fields);
        let (status, page) = post(&format!("{}/preferences/webhook{act}", self.web), &all);
        (status, plain(&page))
    }

    fn page(&self) -> String {
        let (status, page) = get(&format!("{}/preferences?token={}", self.web, self.token));
        assert_eq!(status, 200, "{page}");
        plain(&page)
    }

    fn shown(&self) -> Value {
        self.platform.must(&["subscribers", "show", ADA, "--json"]).json()
    }

    fn send(&self) -> Value {
        let sent = self.platform.run(&["digest", "send", "--to", ADA, "--now", "--json"]);
        sent.json()["deliveries"].clone()
    }
}

/// Slashes and quotes as people see them.
fn plain(page: &str) -> String {
    page.replace("&#x2f;", "/").replace("&quot;", "\"")
}

fn secret(page: &str) -> String {
    let start = page.find("whsec_").unwrap_or_else(|| panic!("no secret in {page}"));
    page[start..].split('"').next().unwrap().to_owned()
}

/// What a page says of where the webhook stands.
fn says(page: &str) -> &str {
    let start = page
        .find("id=\"webhook-status\">")
        .unwrap_or_else(|| panic!("no webhook in {page}"));
    page[start..].split_once('>').unwrap().1.split('<').next().unwrap()
}

#[test]
fn a_reader_sets_rotates_chooses_and_removes_a_webhook() {
    let (site, server) = (Site::open(&[INSIDE]), WebhookServer::start());
    let page = site.page();
    assert!(
        page.contains("<section class=\"block webhook\" id=\"webhook\"") && !page.contains("verify-webhook"),
        "{page}"
    );
    let url = server.url("/taken");
    let answer = ureq::post(format!("{}/preferences/webhook", site.web)).send_form([
        ("token", site.token.as_str()),
        ("url", &url),
        ("channel", "both"),
    ]);
    let mut answer = answer.unwrap();
    let header = |name: &str| answer.headers().get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(
        (header("cache-control"), header("x-robots-tag")),
        ("no-store".to_owned(), "noindex".to_owned())
    );
    let page = plain(&answer.body_mut().read_to_string().unwrap());
    let first = secret(&page);
    assert!(server.challenge().is_signed_with(&first));
    assert!(says(&page).contains("In use since"), "{page}");
    let page = site.page();
    assert!(page.contains(&url) && !page.contains("whsec_"), "shown once: {page}");
    assert!(page.contains("value=\"both\" checked"), "{page}");

    assert_eq!(site.send().as_array().unwrap().len(), 2);
    server.digest();
    let past = site.page();
    assert!(past.contains("mail: sent; webhook: sent"), "{past}");
    assert_eq!(
        past.matches("class=\"digest\"").count(),
        1,
        "one row for the slot: {past}"
    );

    let (status, page) = site.post("/rotate", &[]);
    let fresh = secret(&page);
    assert!(
        status == 200 && fresh != first && page.contains("also signed with the previous secret"),
        "{page}"
    );
    let (status, page) = site.post("", &[("url", &url), ("channel", "mail")]);
    assert!(
        status == 200 && !page.contains("whsec_") && page.contains("Your delivery settings have been saved"),
        "{page}"
    );
    assert!(says(&page).contains("only sent by mail"), "{page}");
    assert_eq!(site.shown()["channel"], "mail");
    let (_, page) = site.post("", &[("url", &url), ("channel", "mail")]);
    assert!(page.contains("Nothing was changed"), "{page}");
    let (status, page) = site.post("/verify", &[]);
    assert!(
        status == 200 && page.contains("The webhook has been verified."),
        "{page}"
    );
    let challenge = server.challenge();
    assert!(challenge.is_signed_with(&fresh) && challenge.is_signed_with(&first));
    let (status, page) = site.post("/remove", &[]);
    assert!(
        status == 200 && page.contains("The webhook has been removed") && !page.contains(&url),
        "{page}"
    );
    assert_eq!(site.shown()["webhook"], Value::Null);
    for act in ["/verify", "/rotate"] {
        let (status, page) = site.post(act, &[]);
        assert!(status == 400 && page.contains("no webhook; set one first"), "{page}");
    }
    assert!(server.others().is_empty());
}

#[test]
fn what_is_wrong_stands_beside_its_field_and_the_webhook_stays() {
    let (site, server) = (Site::open(&[INSIDE]), WebhookServer::start());
    let url = server.url("/taken");
    assert_eq!(site.post("", &[("url", &url)]).0, 200);
    server.challenge();
    let long = format!("https://hooks.example.org/{}", "x".repeat(2_000));
    for (typed, said) in [
        ("", "Enter the address"),
        ("nonsense", "which is no URL"),
        ("ftp://hooks.example.org/", "must begin with https://"),
        ("http://hooks.example.org/", "must begin with https://"),
        ("https://10.0.0.1/", "not on the public internet"),
        ("https://[::ffff:192.168.0.1]/", "not on the public internet"),
        ("https://ada:secret@hooks.example.org/", "user or a password"),
        (&long, "more than 2000 characters"),
        ("https://<script>alert(1)</script>/", "no URL"),
    ] {
        let (status, page) = site.post("", &[("url", typed), ("channel", "both")]);
        assert_eq!(status, 400, "{typed}: {page}");
        let wrong = page
            .split("id=\"f-url-wrong\">")
            .nth(1)
            .unwrap_or_else(|| panic!("{typed}: {page}"));
        let wrong = &wrong[..wrong.find("</div>").unwrap()];
        assert!(wrong.contains(said), "{typed}: {wrong}");
        assert!(
            page.contains("value=\"both\" checked") && page.contains("aria-invalid=\"true\""),
            "{page}"
        );
        assert!(
            page.contains("id=\"preferences\"") && !page.contains("<script>alert"),
            "{page}"
        );
    }
    let (status, page) = site.post("", &[("url", &url), ("channel", "pigeon")]);
    assert!(status == 400 && page.contains("Choose one of these"), "{page}");
    let shown = site.shown();
    assert_eq!(
        (&shown["webhook"]["url"], &shown["channel"]),
        (&url.as_str().into(), &"webhook".into())
    );
    let (status, page) = post(
        &format!("{}/preferences/webhook", site.web),
        &[("token", "x"), ("url", &url)],
    );
    assert!(status == 400 && page.contains("This link is not valid"), "{page}");
    assert_eq!(
        get(&format!("{}/preferences/webhook/verify?token={}", site.web, site.token)).0,
        405
    );
    let stranger = ureq::post(format!("{}/preferences/webhook/remove", site.web))
        .config()
        .http_status_as_error(false)
        .build()
        .header("Sec-Fetch-Site", "cross-site")
        .send_form([("token", site.token.as_str())])
        .unwrap();
    assert_eq!(stranger.status(), 403);
    assert_eq!(site.shown()["webhook"]["url"], url);
    assert!(server.others().is_empty());
}

#[test]
fn a_gone_webhook_says_so_and_comes_back_by_a_challenge() {
    let (site, server) = (Site::open(&[INSIDE]), WebhookServer::start());
    let (status, page) = site.post("", &[("url", &server.url("/unwilling"))]);
    assert!(
        status == 200 && page.contains("data-action=\"verify-webhook\""),
        "{page}"
    );
    assert!(
        says(&page).contains("has not accepted") && says(&page).contains("403"),
        "{page}"
    );
    secret(&page);
    server.challenge();

    site.post("", &[("url", &server.url("/gone"))]);
    server.challenge();
    site.send();
    server.digest();
    let page = site.page();
    assert!(
        says(&page).contains("gone for good") && says(&page).contains("410 Gone"),
        "{page}"
    );
    assert!(
        page.contains("paused, because the webhook is gone") && !page.contains("data-action=\"resume\""),
        "{page}"
    );
    let (_, page) = site.post("/verify", &[]);
    server.challenge();
    assert!(
        page.contains("The webhook has been verified.") && says(&page).contains("In use since"),
        "{page}"
    );
    site.send();
    assert!(
        site.page().contains("webhook: failed"),
        "the digest of that slot has failed"
    );
    assert_eq!(site.shown()["state"], "active");
}

#[test]
fn a_reader_who_replaces_a_gone_webhook_by_mail_gets_mail() {
    let (site, server) = (Site::open(&[INSIDE]), WebhookServer::start());
    let url = server.url("/gone");
    site.post("", &[("url", &url)]);
    site.send();
    assert_eq!(site.shown()["state"], "paused");
    let (status, page) = site.post("", &[("url", &url), ("channel", "mail")]);
    assert!(
        status == 200 && page.contains("Your delivery settings have been saved"),
        "{page}"
    );
    let shown = site.shown();
    assert_eq!((&shown["state"], &shown["channel"]), (&"active".into(), &"mail".into()));
}

#[test]
fn nobody_is_hammered_through_the_form() {
    let (site, server) = (Site::open(&[INSIDE]), WebhookServer::start());
    for number in 0..10 {
        let (status, page) = site.post("", &[("url", &server.url(&format!("/taken/{number}")))]);
        assert_eq!(status, 200, "{page}");
        server.challenge();
    }
    let url = server.url("/taken/more");
    let answer = ureq::post(format!("{}/preferences/webhook", site.web))
        .config()
        .http_status_as_error(false)
        .build()
        .send_form([("token", site.token.as_str()), ("url", &url), ("channel", "both")]);
    let mut answer = answer.unwrap();
    assert_eq!(answer.status(), 429);
    let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=360).contains(&wait), "{wait}");
    let page = plain(&answer.body_mut().read_to_string().unwrap());
    assert!(
        page.contains("contacted too often within the last hour") && page.contains(&url),
        "{page}"
    );
    assert!(site.shown()["webhook"]["url"].as_str().unwrap().ends_with("/taken/9"));
    assert!(server.others().is_empty());
}
