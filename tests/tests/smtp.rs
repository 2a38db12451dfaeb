//! Digests over a real mail server that takes them, puts them off, refuses them, or hangs up: what the reader gets, what
//! the record says, and what the numbers say.
#![expect(clippy::unwrap_used, reason = "tests")]

use common::grpc::channel;
use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use proto::delivery::v1::{Delivery, DeliveryState, ListDeliveriesRequest};
use proto::subscriptions::v1::subscription_service_client::SubscriptionServiceClient;
use proto::subscriptions::v1::{GetSubscriberRequest, SubscriptionState};
use serde_json::Value;
use tempfile::TempDir;
use tests::smtp::SmtpServer;
use tests::{Platform, counted, eventually};

const PAPER: &str =
    r#"{"id":"p1","published":"2026-01-02","title":"Zürich's lakes from above","abstract":"Colour tells algae."}"#;

/// A platform with one paper that can be mailed, and the mail server it mails through.
struct MailFixture {
    platform: Platform,
    mails: SmtpServer,
    _folder: TempDir,
}

impl MailFixture {
    fn open() -> Self {
        Self::open_over(SmtpServer::start())
    }

    fn open_over(mails: SmtpServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let environment = [
            ("BROADSHEET_NOTIFICATION__SMTP_URL", mails.url()),
            ("BROADSHEET_NOTIFICATION__RETRY_SECONDS", "1".to_owned()),
        ];
        let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
        let platform = Platform::start_with(folder.path(), &environment);
        let taken = platform.run_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPER);
        assert_eq!(taken.status, 0, "{taken:?}");
        Self {
            platform,
            mails,
            _folder: folder,
        }
    }

    /// Subscribes a reader and sends the digest; the exit status and what the command says of it.
    async fn send(&self, reader: &str) -> (i32, Value) {
        self.platform.must(&["subscribe", reader, "--confirm"]);
        eventually("the paper is in the window", async || {
            let preview = self.platform.must(&["digest", "preview", reader]);
            preview.out.contains("lakes").then_some(())
        })
        .await;
        let sent = self
            .platform
            .run(&["digest", "send", "--to", reader, "--now", "--json"]);
        (sent.status, sent.json()["deliveries"][0].clone())
    }

    /// The one record of a reader.
    async fn record(&self, reader: &str) -> Delivery {
        let mut deliveries = DeliveryServiceClient::new(channel(&self.platform.endpoint("grpc"), None).unwrap());
        let request = ListDeliveriesRequest {
            email: reader.to_owned(),
            ..ListDeliveriesRequest::default()
        };
        let mut records = deliveries
            .list_deliveries(request)
            .await
            .unwrap()
            .into_inner()
            .deliveries;
        assert_eq!(records.len(), 1, "{records:?}");
        records.remove(0)
    }

    async fn until_recorded(&self, reader: &str, state: DeliveryState) -> Delivery {
        eventually("the record says how it ended", async || {
            let record = self.record(reader).await;
            (record.state() == state).then_some(record)
        })
        .await
    }

    fn digests(&self, outcome: &str) -> u64 {
        let series = format!("broadsheet_notification_digests_total{{channel=\"mail\",outcome=\"{outcome}\"}}");
        counted(&self.platform.endpoint("admin"), &series)
    }

    fn resent(&self) -> u64 {
        counted(
            &self.platform.endpoint("admin"),
            "broadsheet_notification_digests_resent_total",
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_taken_is_whole_and_comes_once() {
    let fixture = MailFixture::open();
    let (status, delivery) = fixture.send("ada@example.org").await;
    assert_eq!((status, &delivery["state"]), (0, &"sent".into()), "{delivery}");
    let mail = fixture.mails.mail();
    assert_eq!(mail.content_type, "multipart/alternative");
    assert!(mail.defects.is_empty(), "{mail:?}");
    assert_eq!(mail.header("to"), "ada@example.org");
    assert_eq!(mail.header("from"), "Broadsheet <digest@localhost.localdomain>");
    assert_eq!(mail.header("mime-version"), "1.0");
    assert_eq!(mail.header("message-id"), delivery["message_id"]);
    assert!(mail.header("subject").contains("Zürich’s lakes from above"), "{mail:?}");
    assert!(mail.header("date").ends_with("+0000"), "{mail:?}");
    let unsubscribe = mail.header("list-unsubscribe").trim_matches(['<', '>']);
    assert_eq!(mail.header("list-unsubscribe-post"), "List-Unsubscribe=One-Click");
    for part in [mail.plain.clone(), mail.html.replace("&#x2f;", "/")] {
        assert!(part.contains("Colour tells algae."), "{part}");
        assert!(part.contains("/unsubscribe?token="), "{part}");
    }
    let again = fixture.platform.must(&["digest", "send", "--now", "--json"]).json();
    assert_eq!(again["deliveries"][0]["already_delivered"], true);
    assert_eq!(tests::post(unsubscribe, &[("List-Unsubscribe", "One-Click")]).0, 200);
    assert!(fixture.mails.others().is_empty());
    assert_eq!((fixture.digests("sent"), fixture.resent()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_title_leads_to_the_page_of_its_paper_whatever_its_id_is() {
    let fixture = MailFixture::open();
    let papers = r#"{"id":"10.1002/(SICI)1097-0258(19980815)17:15<1661::AID-SIM968>3.0.CO;2-2","published":"2026-01-02","title":"Lakes by their DOI","url":"https://openreview.net/forum?id=a&b"}
{"id":"hep-th/9901001","published":"2026-01-02","title":"Lakes of old","url":"https://arxiv.org/abs/hep-th/9901001","pdf_url":"https://arxiv.org/pdf/hep-th/9901001"}
{"published":"2026-01-02","title":"Lakes without an id","pdf_url":"https://example.org/lakes.pdf"}
{"id":"a/../b?c=\"d\"&e#é%2F;+'","published":"2026-01-02","title":"Lakes with odd letters","url":"https://example.org/lakes.pdf","pdf_url":"https://example.org/lakes.pdf"}"#;
    let taken = fixture
        .platform
        .run_with_input(&["ingest", "-", "--wait", "--source", "test"], papers);
    assert_eq!(taken.status, 0, "{taken:?}");
    let ada = "ada@example.org";
    fixture.platform.must(&["subscribe", ada, "--confirm"]);
    eventually("all papers are in the window", async || {
        let preview = fixture.platform.must(&["digest", "preview", ada]).out;
        preview.contains("\n5. ").then_some(())
    })
    .await;
    fixture.platform.must(&["digest", "send", "--to", ada, "--now"]);
    let mail = fixture.mails.mail();
    let titles = tests::mail::titles(&mail.html);
    assert_eq!(titles.len(), 5, "{mail:?}");
    for (title, page) in &titles {
        // A browser would take dots between slashes out of an address.
        assert!(!page.contains("/../"), "{page}");
        let line = format!("   Read: {page}");
        assert!(mail.plain.lines().any(|one| one == line), "{line}: {}", mail.plain);
        let (status, html) = tests::get(page);
        assert_eq!(status, 200, "{page}");
        let shown = title.replace("&#39;", "’");
        assert!(
            html.contains(&format!("<h1 dir=\"auto\">{shown}</h1>")),
            "{shown}: {html}"
        );
        let canonical = format!("<link rel=\"canonical\" href=\"{page}\">");
        assert!(html.contains(&canonical), "{canonical}: {html}");
    }
    for link in [
        "https://openreview.net/forum?id=a&amp;b\" style=\"color:#7a1f12\">openreview.net</a>",
        "https://arxiv.org/abs/hep-th/9901001\" style=\"color:#7a1f12\">arXiv</a>",
    ] {
        assert!(mail.html.contains(link), "{link}: {}", mail.html);
    }
    let twice = mail.html.matches("https://example.org/lakes.pdf").count();
    assert_eq!(twice, 2, "once for each paper: {}", mail.html);
    let similar = mail.html.matches("/search?q=like%3A").count();
    assert_eq!(similar, 5, "{}", mail.html);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_speaks_the_language_of_its_reader() {
    let fixture = MailFixture::open();
    let subscribing = ["subscribe", "ada@example.org", "--confirm", "--language", "de-AT"];
    fixture.platform.must(&subscribing);
    eventually("the paper is in the window", async || {
        let preview = fixture.platform.must(&["digest", "preview", "ada@example.org"]);
        preview.out.contains("lakes").then_some(())
    })
    .await;
    fixture
        .platform
        .must(&["digest", "send", "--to", "ada@example.org", "--now"]);
    let mail = fixture.mails.mail();
    for said in ["1 Artikel für Sie", "heute neu", "Abbestellen"] {
        assert!(
            mail.plain.contains(said) && mail.html.contains(said),
            "{said}: {mail:?}"
        );
    }
    assert!(mail.html.contains("<html lang=\"de\""), "{mail:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_go_out_at_once_are_answered_one_by_one() {
    let fixture = MailFixture::open_over(SmtpServer::start_pipelining());
    for (reader, state, outcome) in [
        ("ada@example.org", "sent", "250"),
        ("nobody@example.org", "failed", "550 5.1.1"),
        ("busy@example.org", "deferred", "451"),
    ] {
        let (_, delivery) = fixture.send(reader).await;
        assert_eq!(delivery["state"], state, "{delivery}");
        let attempt = fixture.mails.next();
        assert_eq!(attempt.to, reader);
        assert!(attempt.answer.unwrap().starts_with(outcome));
        assert_eq!(attempt.mail.is_some(), state == "sent");
    }
    let (_, delivery) = fixture.send("dropped@example.org").await;
    assert_eq!(delivery["state"], "deferred", "{delivery}");
    fixture.until_recorded("dropped@example.org", DeliveryState::Sent).await;
    assert_eq!((fixture.resent(), fixture.digests("sent")), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_put_off_comes_later_and_once() {
    let fixture = MailFixture::open();
    let (status, delivery) = fixture.send("greylisted@example.org").await;
    assert_eq!((status, &delivery["state"]), (0, &"deferred".into()), "{delivery}");
    assert!(delivery["detail"].as_str().unwrap().contains("451"), "{delivery}");
    assert_eq!(fixture.mails.next().answer.unwrap(), "451 4.2.0 come back later");
    let mail = fixture.mails.mail();
    assert_eq!(mail.header("message-id"), delivery["message_id"]);
    let record = fixture
        .until_recorded("greylisted@example.org", DeliveryState::Sent)
        .await;
    assert_eq!(record.paper_ids, ["test:p1"]);
    assert!(fixture.mails.others().is_empty());
    assert_eq!(
        (fixture.digests("deferred"), fixture.digests("sent"), fixture.resent()),
        (1, 1, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_deferred_for_ever_is_recorded_and_delays_no_other() {
    let fixture = MailFixture::open();
    fixture.send("busy@example.org").await;
    for _ in 0..3 {
        let attempt = fixture.mails.next();
        assert_eq!(attempt.answer.as_deref(), Some("451 4.2.0 come back later"));
        assert!(attempt.mail.is_none());
    }
    let record = fixture
        .until_recorded("busy@example.org", DeliveryState::Deferred)
        .await;
    assert!(record.detail.contains("451"), "{record:?}");
    let (_, delivery) = fixture.send("ada@example.org").await;
    assert_eq!(delivery["state"], "sent");
    assert_eq!((fixture.digests("failed"), fixture.resent()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_does_not_exist_gets_nothing_more() {
    let fixture = MailFixture::open();
    let (status, delivery) = fixture.send("nobody@example.org").await;
    assert_eq!((status, &delivery["state"]), (1, &"failed".into()), "{delivery}");
    let mut subscriptions = SubscriptionServiceClient::new(channel(&fixture.platform.endpoint("grpc"), None).unwrap());
    let email = "nobody@example.org".to_owned();
    let subscriber = subscriptions
        .get_subscriber(GetSubscriberRequest { email })
        .await
        .unwrap();
    let subscription = subscriber.into_inner().subscription.unwrap();
    assert_eq!(subscription.state(), SubscriptionState::Suppressed);
    assert_eq!(subscription.next_due_time, None);
    let record = fixture.record("nobody@example.org").await;
    assert_eq!(record.state(), DeliveryState::Failed);
    assert!(
        record.detail.contains("550") && record.detail.contains("5.1.1"),
        "{record:?}"
    );
    let refused = fixture
        .platform
        .run(&["digest", "send", "--to", "nobody@example.org", "--now"]);
    assert_eq!(refused.status, 1, "{refused:?}");
    let all = fixture.platform.must(&["digest", "send", "--now", "--json"]).json();
    assert!(all["deliveries"].as_array().unwrap().is_empty(), "{all}");
    assert_eq!(fixture.mails.next().answer.unwrap(), "550 5.1.1 no such user here");
    assert!(fixture.mails.others().is_empty());
    assert_eq!(fixture.digests("failed"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_whose_answer_was_lost_is_resent_and_counted() {
    let fixture = MailFixture::open();
    let (_, delivery) = fixture.send("dropped@example.org").await;
    assert_eq!(delivery["state"], "deferred", "{delivery}");
    let lost = fixture.mails.next();
    assert_eq!(lost.answer, None);
    let (lost, mail) = (lost.mail.unwrap(), fixture.mails.mail());
    assert_eq!(mail.header("message-id"), lost.header("message-id"));
    assert_eq!(mail.header("subject"), lost.header("subject"));
    fixture.until_recorded("dropped@example.org", DeliveryState::Sent).await;
    assert!(fixture.mails.others().is_empty());
    assert_eq!((fixture.resent(), fixture.digests("sent")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_sends_nothing_and_a_test_mail_says_that_it_is_one() {
    let fixture = MailFixture::open();
    fixture.platform.must(&["subscribe", "ada@example.org", "--confirm"]);
    eventually("the paper is in the window", async || {
        let dry = fixture.platform.must(&["digest", "send", "--dry-run"]);
        dry.out.contains("1 would be sent").then_some(())
    })
    .await;
    fixture.platform.must(&["digest", "test", "ada@example.org"]);
    let mail = fixture.mails.mail();
    assert!(mail.header("subject").starts_with("[Test] "), "{mail:?}");
    assert!(fixture.mails.others().is_empty());
    assert_eq!(fixture.digests("sent"), 0);
}
