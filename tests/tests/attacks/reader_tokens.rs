//! What the link in a mail allows, and what remains after a deletion.

use common::grpc::{ServiceChannel, channel};
use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use proto::delivery::v1::{
    GetLatestDigestRequest, PreviewDigestRequest, ReportFeedbackRequest, ReportFeedbackResponse,
    report_feedback_request,
};
use proto::subscriptions::v1::subscription_service_client::SubscriptionServiceClient;
use proto::subscriptions::v1::{
    DeleteSubscriptionRequest, ExportSubscriptionRequest, PauseSubscriptionRequest, RevokeLinksRequest,
    SetWebhookRequest, Subscription, UpdateSubscriptionRequest, VerifyWebhookRequest,
};
use serde_json::Value;
use tests::servers::Servers;
use tests::smtp::SmtpServer;
use tests::webhooks::WebhookServer;
use tests::{Platform, counted, eventually, get, post, token, until};
use tonic::Code;

const ADA: &str = "ada@example.org";
const EVE: &str = "eve@example.org";
const PAPER: &str = "arxiv:2402.14776";
const PAPERS: &str = "{\"id\":\"arxiv:2402.14776\",\"published\":\"2026-01-02\",\"title\":\"Sleepy consensus\",\"abstract\":\"Leader election that sleeps.\"}\n";

/// A platform with a paper, an active reader, and the mail of a digest.
struct Site {
    platform: Platform,
    web: String,
    digest: String,
    _folder: tempfile::TempDir,
}

impl Site {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let platform = Platform::start(folder.path());
        platform.must_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPERS);
        platform.must(&["subscribe", ADA, "--confirm"]);
        platform.must(&["digest", "send", "--to", ADA, "--now"]);
        Self {
            web: platform.endpoint("web"),
            digest: platform.mails().remove(0),
            platform,
            _folder: folder,
        }
    }

    fn client(&self) -> SubscriptionServiceClient<ServiceChannel> {
        SubscriptionServiceClient::new(channel(&self.platform.endpoint("grpc"), None).unwrap())
    }

    fn get(&self, page: &str, token: &str) -> (u16, String) {
        get(&format!("{}{page}?token={token}", self.web))
    }

    fn post(&self, page: &str, token: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let fields: Vec<(&str, &str)> = [("token", token)].into_iter().chain(fields.iter().copied()).collect();
        post(&format!("{}{page}", self.web), &fields)
    }

    fn shown(&self) -> Value {
        self.platform.must(&["subscribers", "show", ADA, "--json"]).json()
    }

    /// Tries everything that takes an account, on the pages and by gRPC.
    async fn assert_no_account(&self, token: &str) {
        let (status, page) = self.get("/preferences/export", token);
        assert!(status == 400 && !page.contains(ADA), "export: {page}");
        let hook = [("url", "https://hooks.example.org/"), ("channel", "both")];
        for (page, fields) in [
            ("/preferences/delete", &[][..]),
            ("/preferences/webhook", &hook),
            ("/preferences/webhook/verify", &[]),
            ("/preferences/webhook/rotate", &[]),
            ("/preferences/webhook/remove", &[]),
            ("/preferences/revoke", &[]),
        ] {
            let (status, body) = self.post(page, token, fields);
            assert_eq!(status, 400, "{page}: {body}");
        }
        let (mut client, token) = (self.client(), token.to_owned());
        let export = ExportSubscriptionRequest { token: token.clone() };
        let delete = DeleteSubscriptionRequest { token: token.clone() };
        let verify = VerifyWebhookRequest { token: token.clone() };
        let revoke = RevokeLinksRequest { token: token.clone() };
        let set = SetWebhookRequest {
            token,
            url: "https://hooks.example.org/".to_owned(),
            ..SetWebhookRequest::default()
        };
        let refused = [
            client.export_subscription(export).await.unwrap_err(),
            client.delete_subscription(delete).await.unwrap_err(),
            client.verify_webhook(verify).await.unwrap_err(),
            client.revoke_links(revoke).await.unwrap_err(),
            client.set_webhook(set).await.unwrap_err(),
        ];
        for refused in refused {
            assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        }
    }
}

/// The address in List-Unsubscribe that takes one click.
fn one_click(mail: &str) -> String {
    let (_, header) = mail.split_once("List-Unsubscribe: ").unwrap();
    let (_, link) = header.split_once("<http").unwrap();
    format!("http{}", link.split_once('>').unwrap().0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_click_link_ends_a_subscription_and_no_more() {
    let site = Site::open();
    let before = site.shown();
    let url = one_click(&site.digest);
    let link = token(&url, "unsubscribe");
    site.assert_no_account(&link).await;
    for page in ["/preferences", "/feeds/digest.atom"] {
        let (status, body) = site.get(page, &link);
        assert!(status == 400 && !body.contains("Sleepy consensus"), "{page}: {body}");
    }
    for (page, fields) in [
        ("/preferences", &[("paper_count", "3")][..]),
        ("/preferences/preview", &[]),
        ("/pause", &[]),
        ("/resume", &[]),
        ("/weekly", &[]),
        ("/vote", &[("paper", PAPER)]),
        ("/not-interested", &[("paper", PAPER)]),
    ] {
        let (status, body) = site.post(page, &link, fields);
        assert_eq!(status, 400, "{page}: {body}");
    }
    let mut client = site.client();
    let update = UpdateSubscriptionRequest {
        token: link.clone(),
        subscription: Some(Subscription {
            paper_count: 3,
            ..Subscription::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["paper_count".to_owned()],
        }),
    };
    assert_eq!(
        client.update_subscription(update).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let pause = PauseSubscriptionRequest {
        token: link.clone(),
        until_time: None,
    };
    assert_eq!(
        client.pause_subscription(pause).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let mut deliveries = DeliveryServiceClient::new(channel(&site.platform.endpoint("grpc"), None).unwrap());
    let latest = GetLatestDigestRequest {
        token: link.clone(),
        digest_count: 1,
    };
    assert_eq!(
        deliveries.get_latest_digest(latest).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let preview = PreviewDigestRequest {
        token: link.clone(),
        ..PreviewDigestRequest::default()
    };
    assert_eq!(
        deliveries.preview_digest(preview).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    assert_eq!(site.shown(), before, "nothing has changed");

    let (status, page) = post(&url, &[("List-Unsubscribe", "One-Click")]);
    assert_eq!(status, 200, "{page}");
    assert_eq!(site.shown()["state"], "unsubscribed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forwarded_digest_opens_no_account() {
    let site = Site::open();
    let before = site.shown();
    for page in ["preferences", "unsubscribe", "vote"] {
        site.assert_no_account(&token(&site.digest, page)).await;
    }
    let preferences = token(&site.digest, "preferences");
    let (status, page) = site.get("/preferences", &preferences);
    assert!(
        status == 200 && page.contains("Mail me a link") && !page.contains("/preferences/export"),
        "{page}"
    );
    assert_eq!(site.shown(), before);

    // Its reader has a link mailed, which does.
    let account = site.platform.account_token(ADA);
    let (status, json) = site.get("/preferences/export", &account);
    assert!(status == 200 && json.contains(ADA), "{json}");
}

#[test]
fn a_mailbox_is_not_flooded_with_links_to_accounts() {
    let site = Site::open();
    let ask = |email: &str| post(&format!("{}/account", site.web), &[("email", email)]);
    let (known, unknown) = (ask(ADA), ask("nobody@example.org"));
    assert_eq!(
        (known.0, &known),
        (200, &unknown),
        "nothing tells whether an address is known"
    );
    let preferences = token(&site.digest, "preferences");
    let limited = until("enough links are mailed", || {
        let (status, page) = site.post("/account", &preferences, &[]);
        (status == 429).then_some(page)
    });
    assert!(limited.contains("Enough links were mailed"), "{limited}");
    for _ in 0..10 {
        assert_eq!(ask(ADA), known);
    }
    let links = || site.platform.mails().len() - 1;
    // Links of one second are the same, and their mails one file.
    let mailed = until("the links are mailed", || (links() >= 1).then(links));
    assert!(mailed <= 3, "{mailed} links were mailed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_receiver_gets_no_link_that_manages() {
    let (folder, server) = (tempfile::tempdir().unwrap(), WebhookServer::start());
    let inside = [("BROADSHEET_NOTIFICATION__WEBHOOK_NETWORKS", "127.0.0.0/8")];
    let platform = Platform::start_with(folder.path(), &inside);
    platform.must_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPERS);
    platform.must(&["subscribe", ADA, "--confirm"]);
    platform.must(&["subscribers", "webhook", "set", ADA, &server.url("/taken")]);
    let challenge = server.challenge();
    assert!(!challenge.body.contains("token="), "{}", challenge.body);
    platform.must(&["digest", "send", "--to", ADA, "--now"]);
    let body = server.digest().body;
    assert_eq!(body.matches("token=").count(), 1, "{body}");
    let site = Site {
        web: platform.endpoint("web"),
        digest: String::new(),
        platform,
        _folder: folder,
    };
    let link = token(&body, "unsubscribe");
    site.assert_no_account(&link).await;
    for page in ["/preferences", "/feeds/digest.atom"] {
        assert_eq!(site.get(page, &link).0, 400, "{page}");
    }
    assert_eq!(site.shown()["webhook"]["state"], "verified");
}

#[test]
fn revoked_links_open_nothing_but_still_unsubscribe() {
    let site = Site::open();
    let (preferences, vote) = (token(&site.digest, "preferences"), token(&site.digest, "vote"));
    let account = site.platform.account_token(ADA);
    let (_, page) = site.get("/preferences", &account);
    let feed = token(&page, "feeds/digest.atom");
    assert_eq!(site.get("/feeds/digest.atom", &feed).0, 200);
    site.platform.must(&["subscribers", "revoke-links", ADA]);
    for link in [&preferences, &account] {
        let (status, page) = site.get("/preferences", link);
        assert!(status == 400 && page.contains("has been revoked"), "{page}");
    }
    assert_eq!(site.get("/preferences/export", &account).0, 400);
    assert_eq!(site.get("/feeds/digest.atom", &feed).0, 400);
    let (status, page) = site.post("/vote", &vote, &[("paper", PAPER)]);
    assert!(status == 400 && page.contains("has been revoked"), "{page}");

    // A reader does the same on the page, whose next links hold.
    let account = site.platform.account_token(ADA);
    let (status, page) = site.post("/preferences/revoke", &account, &[]);
    assert!(
        status == 200 && page.contains("All earlier links have been revoked"),
        "{page}"
    );
    assert_eq!(site.get("/preferences", &account).0, 400);
    let renewed = token(&page, "unsubscribe");
    assert_eq!(site.get("/preferences", &renewed).0, 200, "the page has a new one");

    let (status, page) = post(&one_click(&site.digest), &[("List-Unsubscribe", "One-Click")]);
    assert_eq!(status, 200, "{page}");
    assert_eq!(site.shown()["state"], "unsubscribed");
    // Who comes back is not bound by links of before.
    site.platform.must(&["subscribe", ADA, "--confirm"]);
    assert_eq!(site.get("/preferences", &renewed).0, 400);
}

/// A bounce as a mail server writes it.
fn bounce(to: &str, message_id: &str) -> Vec<u8> {
    format!(
        "From: MAILER-DAEMON@mx.example.net\r\nTo: {to}\r\nX-Original-To: {to}\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\
         Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n\r\n\
         Final-Recipient: rfc822; {ADA}\r\nAction: failed\r\nStatus: 5.1.1\r\n\
         Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n\
         Message-ID: {message_id}\r\nReturn-Path: <{to}>\r\n\r\n--b--\r\n"
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_bounce_suppresses_nobody() {
    let (folder, mails) = (tempfile::tempdir().unwrap(), SmtpServer::start());
    let url = mails.url();
    let environment = [
        ("BROADSHEET_NOTIFICATION__SMTP_URL", url.as_str()),
        ("BROADSHEET_NOTIFICATION__BOUNCE_ADDRESS", "bounces@example.org"),
    ];
    let platform = Platform::start_with(folder.path(), &environment);
    platform.must_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPERS);
    let sent = |email: &str| {
        platform.must(&["subscribe", email, "--confirm"]);
        platform.must(&["digest", "send", "--to", email, "--now"]);
        let answered = mails.next();
        let message_id = answered.mail.unwrap().header("message-id").to_owned();
        (answered.from, message_id)
    };
    let ((ada, ada_id), (eve, _)) = (sent(ADA), sent(EVE));
    let state = |email: &str| platform.must(&["subscribers", "show", email, "--json"]).json()["state"].clone();
    let report = async |to: &str| -> ReportFeedbackResponse {
        let mut service = DeliveryServiceClient::new(channel(&platform.endpoint("grpc"), None).unwrap());
        let request = ReportFeedbackRequest {
            report: Some(report_feedback_request::Report::Message(bounce(to, &ada_id))),
        };
        service.report_feedback(request).await.unwrap().into_inner()
    };
    // What a Message-ID shows: the id of its reader and the slot.
    let visible = ada_id.trim_matches(['<', '>']).split('@').next().unwrap();
    let mut parts = visible.split('.');
    let (id, slot) = (parts.next().unwrap(), parts.next().unwrap());
    let packed = |path: &str| path.split(['+', '@']).nth(1).unwrap().to_owned();
    // Her name with the code of a mail to somebody else.
    let spliced = format!("{}{}", &packed(&ada)[..34], &packed(&eve)[34..]);
    for local in [
        visible,
        &format!("{id}.{slot}"),
        &format!("{id}.{slot}."),
        &spliced,
        "",
        id,
    ] {
        let answer = report(&format!("bounces+{local}@example.org")).await;
        assert!(
            !answer.suppressed && answer.subscriber_id.is_empty(),
            "{local}: {answer:?}"
        );
        assert_eq!((state(ADA), state(EVE)), ("active".into(), "active".into()), "{local}");
    }
    let admin = platform.endpoint("admin");
    assert_eq!(counted(&admin, "broadsheet_notification_feedback_unproven_total"), 6);
    // The true one does.
    let answer = report(&ada).await;
    assert!(answer.suppressed, "{answer:?}");
    assert_eq!((state(ADA), state(EVE)), ("suppressed".into(), "active".into()));
}

#[test]
fn a_key_that_is_taken_out_signs_no_link() {
    let folder = tempfile::tempdir().unwrap();
    let (old, fresh) = (
        "an old secret of this test that is long enough",
        "a fresh secret of this test that is long enough",
    );
    let start = |keys: &str| Platform::start_with(folder.path(), &[("BROADSHEET_NOTIFICATION__TOKEN_KEY", keys)]);
    let platform = start(old);
    platform.must_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPERS);
    platform.must(&["subscribe", ADA, "--confirm"]);
    let link = |platform: &Platform| token(&platform.must(&["digest", "preview", ADA]).out, "preferences");
    let opens =
        |platform: &Platform, link: &str| get(&format!("{}/preferences?token={link}", platform.endpoint("web"))).0;
    let of_old = link(&platform);
    assert_eq!(platform.stop(), 0);
    let platform = start(&format!("{fresh},{old}"));
    let of_both = link(&platform);
    assert_eq!((opens(&platform, &of_old), opens(&platform, &of_both)), (200, 200));
    assert_eq!(platform.stop(), 0);
    let platform = start(fresh);
    assert_eq!((opens(&platform, &of_old), opens(&platform, &of_both)), (400, 200));
}

#[test]
fn an_export_lists_votes_which_name_no_reader() {
    let site = Site::open();
    let (status, page) = site.post("/vote", &token(&site.digest, "vote"), &[("paper", PAPER)]);
    assert_eq!(status, 200, "{page}");
    let account = site.platform.account_token(ADA);
    let (_, json) = site.get("/preferences/export", &account);
    let export: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(export["votes"][0]["paper"], PAPER, "{export}");
    let pseudonym = export["pseudonym"].as_str().unwrap();
    assert!(
        pseudonym.len() == 32 && export["subscriber_id"] != pseudonym,
        "{export}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_reader_is_in_no_file_of_the_servers() {
    let servers = Servers::start().await;
    let folder = tempfile::tempdir().unwrap();
    let platform = servers.platform(folder.path()).await;
    platform.must_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPERS);
    let email = "wants-to-be-forgotten@example.org";
    platform.must(&["subscribe", email, "--interest", "consensus", "--confirm"]);
    platform.must(&["subscribe", EVE, "--confirm"]);
    // Several states of the same reader, each of which is written somewhere.
    for change in ["pause", "resume", "pause", "resume"] {
        platform.must(&["subscribers", change, email]);
    }
    platform.must(&["digest", "send", "--now"]);
    let mails = platform.mails();
    let digest = mails.iter().find(|mail| mail.contains(email)).unwrap();
    let web = platform.endpoint("web");
    let vote = token(digest, "vote");
    assert_eq!(
        post(&format!("{web}/vote"), &[("token", &vote), ("paper", PAPER)]).0,
        200
    );
    let export = platform.must(&["subscribers", "export", email]).json();
    let pseudonym = export["pseudonym"].as_str().unwrap().to_owned();
    eventually("the address is in files of both servers", async || {
        let found = servers.files_with(email);
        let of = |name: &str| found.iter().any(|file| file.contains(name));
        (of("/nats/") && of("/redis/")).then_some(())
    })
    .await;

    let account = platform.account_token(email);
    let (status, page) = post(&format!("{web}/preferences/delete"), &[("token", &account)]);
    assert!(status == 200 && page.contains("Everything has been deleted"), "{page}");
    eventually("the address is in no file", async || {
        servers.files_with(email).is_empty().then_some(())
    })
    .await;
    // The vote stays, in the stream of attention, and is nobody's.
    let left = servers.files_with(&pseudonym);
    let is_subscribers = |file: &String| file.contains("/SUBSCRIBERS/") || file.contains("/redis/");
    assert!(!left.iter().any(is_subscribers), "{left:?}");
    assert_eq!(platform.run(&["subscribers", "show", email]).status, 1);
    assert_eq!(
        platform.must(&["subscribers", "show", EVE, "--json"]).json()["state"],
        "active"
    );
    drop(platform);
    servers.stop().await;
}
