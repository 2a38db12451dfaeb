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

const PAPER: &str = r#"{"id":"p1","title":"Zürich's lakes from above","abstract":"Colour tells algae."}"#;

/// A platform with one paper that can be mailed, and the mail server it mails through.
struct Desk {
    platform: Platform,
    mails: SmtpServer,
    _folder: TempDir,
}

impl Desk {
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

    /// Subscribes a reader and sends the edition; the exit status and what the command says of it.
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

    fn editions(&self, outcome: &str) -> u64 {
        let series = format!("broadsheet_notification_editions_total{{channel=\"mail\",outcome=\"{outcome}\"}}");
        counted(&self.platform.endpoint("admin"), &series)
    }

    fn resent(&self) -> u64 {
        counted(
            &self.platform.endpoint("admin"),
            "broadsheet_notification_editions_resent_total",
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_taken_is_whole_and_comes_once() {
    let desk = Desk::open();
    let (status, delivery) = desk.send("ada@example.org").await;
    assert_eq!((status, &delivery["state"]), (0, &"sent".into()), "{delivery}");
    let mail = desk.mails.mail();
    assert_eq!(mail.content_type, "multipart/alternative");
    assert!(mail.defects.is_empty(), "{mail:?}");
    assert_eq!(mail.header("to"), "ada@example.org");
    assert_eq!(mail.header("from"), "Broadsheet <digest@localhost.localdomain>");
    assert_eq!(mail.header("mime-version"), "1.0");
    assert_eq!(mail.header("message-id"), delivery["message_id"]);
    assert!(mail.header("subject").contains("Zürich's lakes from above"), "{mail:?}");
    assert!(mail.header("date").ends_with("+0000"), "{mail:?}");
    let unsubscribe = mail.header("list-unsubscribe").trim_matches(['<', '>']);
    assert_eq!(mail.header("list-unsubscribe-post"), "List-Unsubscribe=One-Click");
    for part in [mail.plain.clone(), mail.html.replace("&#x2f;", "/")] {
        assert!(part.contains("Colour tells algae."), "{part}");
        assert!(part.contains("/unsubscribe?token="), "{part}");
    }
    let again = desk.platform.must(&["digest", "send", "--now", "--json"]).json();
    assert_eq!(again["deliveries"][0]["already_delivered"], true);
    assert_eq!(tests::post(unsubscribe, &[("List-Unsubscribe", "One-Click")]).0, 200);
    assert!(desk.mails.others().is_empty());
    assert_eq!((desk.editions("sent"), desk.resent()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_title_leads_to_the_page_of_its_paper_whatever_its_id_is() {
    let desk = Desk::open();
    let papers = r#"{"id":"10.1002/(SICI)1097-0258(19980815)17:15<1661::AID-SIM968>3.0.CO;2-2","title":"Lakes by their DOI","url":"https://openreview.net/forum?id=a&b"}
{"id":"hep-th/9901001","title":"Lakes of old","url":"https://arxiv.org/abs/hep-th/9901001","pdf_url":"https://arxiv.org/pdf/hep-th/9901001"}
{"title":"Lakes without an id","pdf_url":"https://example.org/lakes.pdf"}
{"id":"a/../b?c=\"d\"&e#é%2F;+'","title":"Lakes with odd letters","url":"https://example.org/lakes.pdf","pdf_url":"https://example.org/lakes.pdf"}"#;
    let taken = desk
        .platform
        .run_with_input(&["ingest", "-", "--wait", "--source", "test"], papers);
    assert_eq!(taken.status, 0, "{taken:?}");
    let ada = "ada@example.org";
    desk.platform.must(&["subscribe", ada, "--confirm"]);
    eventually("all papers are in the window", async || {
        let preview = desk.platform.must(&["digest", "preview", ada]).out;
        preview.contains("\n5. ").then_some(())
    })
    .await;
    desk.platform.must(&["digest", "send", "--to", ada, "--now"]);
    let mail = desk.mails.mail();
    let titles = tests::letter::titles(&mail.html);
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
    let desk = Desk::open();
    let subscribing = ["subscribe", "ada@example.org", "--confirm", "--language", "de-AT"];
    desk.platform.must(&subscribing);
    eventually("the paper is in the window", async || {
        let preview = desk.platform.must(&["digest", "preview", "ada@example.org"]);
        preview.out.contains("lakes").then_some(())
    })
    .await;
    desk.platform
        .must(&["digest", "send", "--to", "ada@example.org", "--now"]);
    let mail = desk.mails.mail();
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
    let desk = Desk::open_over(SmtpServer::start_pipelining());
    for (reader, state, outcome) in [
        ("ada@example.org", "sent", "250"),
        ("nobody@example.org", "failed", "550 5.1.1"),
        ("busy@example.org", "deferred", "451"),
    ] {
        let (_, delivery) = desk.send(reader).await;
        assert_eq!(delivery["state"], state, "{delivery}");
        let attempt = desk.mails.next();
        assert_eq!(attempt.to, reader);
        assert!(attempt.answer.unwrap().starts_with(outcome));
        assert_eq!(attempt.mail.is_some(), state == "sent");
    }
    let (_, delivery) = desk.send("dropped@example.org").await;
    assert_eq!(delivery["state"], "deferred", "{delivery}");
    desk.until_recorded("dropped@example.org", DeliveryState::Sent).await;
    assert_eq!((desk.resent(), desk.editions("sent")), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_put_off_comes_later_and_once() {
    let desk = Desk::open();
    let (status, delivery) = desk.send("greylisted@example.org").await;
    assert_eq!((status, &delivery["state"]), (0, &"deferred".into()), "{delivery}");
    assert!(delivery["detail"].as_str().unwrap().contains("451"), "{delivery}");
    assert_eq!(desk.mails.next().answer.unwrap(), "451 4.2.0 come back later");
    let mail = desk.mails.mail();
    assert_eq!(mail.header("message-id"), delivery["message_id"]);
    let record = desk.until_recorded("greylisted@example.org", DeliveryState::Sent).await;
    assert_eq!(record.paper_ids, ["test:p1"]);
    assert!(desk.mails.others().is_empty());
    assert_eq!(
        (desk.editions("deferred"), desk.editions("sent"), desk.resent()),
        (1, 1, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_put_off_for_ever_stays_on_record_and_stops_nobody_else() {
    let desk = Desk::open();
    desk.send("busy@example.org").await;
    for _ in 0..3 {
        let attempt = desk.mails.next();
        assert_eq!(attempt.answer.as_deref(), Some("451 4.2.0 come back later"));
        assert!(attempt.mail.is_none());
    }
    let record = desk.until_recorded("busy@example.org", DeliveryState::Deferred).await;
    assert!(record.detail.contains("451"), "{record:?}");
    let (_, delivery) = desk.send("ada@example.org").await;
    assert_eq!(delivery["state"], "sent");
    assert_eq!((desk.editions("failed"), desk.resent()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_does_not_exist_gets_nothing_more() {
    let desk = Desk::open();
    let (status, delivery) = desk.send("nobody@example.org").await;
    assert_eq!((status, &delivery["state"]), (1, &"failed".into()), "{delivery}");
    let mut subscriptions = SubscriptionServiceClient::new(channel(&desk.platform.endpoint("grpc"), None).unwrap());
    let email = "nobody@example.org".to_owned();
    let subscriber = subscriptions
        .get_subscriber(GetSubscriberRequest { email })
        .await
        .unwrap();
    let subscription = subscriber.into_inner().subscription.unwrap();
    assert_eq!(subscription.state(), SubscriptionState::Suppressed);
    assert_eq!(subscription.next_due_time, None);
    let record = desk.record("nobody@example.org").await;
    assert_eq!(record.state(), DeliveryState::Failed);
    assert!(
        record.detail.contains("550") && record.detail.contains("5.1.1"),
        "{record:?}"
    );
    let refused = desk
        .platform
        .run(&["digest", "send", "--to", "nobody@example.org", "--now"]);
    assert_eq!(refused.status, 1, "{refused:?}");
    let all = desk.platform.must(&["digest", "send", "--now", "--json"]).json();
    assert!(all["deliveries"].as_array().unwrap().is_empty(), "{all}");
    assert_eq!(desk.mails.next().answer.unwrap(), "550 5.1.1 no such user here");
    assert!(desk.mails.others().is_empty());
    assert_eq!(desk.editions("failed"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_whose_answer_was_lost_comes_again_as_the_same_mail_and_is_counted() {
    let desk = Desk::open();
    let (_, delivery) = desk.send("dropped@example.org").await;
    assert_eq!(delivery["state"], "deferred", "{delivery}");
    let lost = desk.mails.next();
    assert_eq!(lost.answer, None);
    let (lost, mail) = (lost.mail.unwrap(), desk.mails.mail());
    assert_eq!(mail.header("message-id"), lost.header("message-id"));
    assert_eq!(mail.header("subject"), lost.header("subject"));
    desk.until_recorded("dropped@example.org", DeliveryState::Sent).await;
    assert!(desk.mails.others().is_empty());
    assert_eq!((desk.resent(), desk.editions("sent")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_sends_nothing_and_a_test_mail_says_that_it_is_one() {
    let desk = Desk::open();
    desk.platform.must(&["subscribe", "ada@example.org", "--confirm"]);
    eventually("the paper is in the window", async || {
        let dry = desk.platform.must(&["digest", "send", "--dry-run"]);
        dry.out.contains("1 would be sent").then_some(())
    })
    .await;
    desk.platform.must(&["digest", "test", "ada@example.org"]);
    let mail = desk.mails.mail();
    assert!(mail.header("subject").starts_with("[Test] "), "{mail:?}");
    assert!(desk.mails.others().is_empty());
    assert_eq!(desk.editions("sent"), 0);
}
