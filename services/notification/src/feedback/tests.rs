use super::*;
use crate::subscribers::SubscriberState;
use crate::testing::{TestService, mail_ids};
use jiff::SignedDuration;

const ADA: &str = "0190a0b0c0d0e0f00190a0b0c0d0e0f0";
const SERIAL: &str = "1772400000000";
const LIMIT: SoftBounceLimit = SoftBounceLimit {
    max_in_row: 3,
    within: SignedDuration::from_hours(24 * 14),
};

fn return_path() -> String {
    let bounces = "bounces@example.org".parse().expect("an address");
    let path = mail_ids().return_path(&bounces, &message_id());
    path.expect("a return path").to_string()
}

fn message_id() -> String {
    mail_ids().message_id(ADA, SERIAL)
}

/// A report that names its mail by our return path, too.
fn proven(message: &str) -> String {
    format!("X-Original-To: {}\n{message}", return_path())
}

/// As Postfix writes it.
fn postfix(action: &str, status: &str, diagnostic: &str) -> String {
    format!(
        "Return-Path: <>\r\nDate: Mon,  2 Mar 2026 07:00:05 +0000 (UTC)\r\nFrom: MAILER-DAEMON@mx.example.net (Mail Delivery System)\r\n\
         Subject: Undelivered Mail Returned to Sender\r\nTo: {to}\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"4XyZ.1772434805/mx.example.net\"\r\n\r\n\
         This is a MIME-encapsulated message.\r\n\r\n--4XyZ.1772434805/mx.example.net\r\nContent-Description: Notification\r\n\
         Content-Type: text/plain; charset=us-ascii\r\n\r\nI'm sorry to have to inform you that your message could not\r\n\
         be delivered to one or more recipients.\r\n\r\n--4XyZ.1772434805/mx.example.net\r\n\
         Content-Description: Delivery report\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n\
         X-Postfix-Queue-ID: 4XyZ\r\nX-Postfix-Sender: rfc822; {to}\r\nArrival-Date: Mon,  2 Mar 2026 07:00:04 +0000 (UTC)\r\n\r\n\
         Final-Recipient: rfc822; ada@example.net\r\nOriginal-Recipient: rfc822;ada@example.net\r\nAction: {action}\r\n\
         Status: {status}\r\nRemote-MTA: dns; mail.example.net\r\nDiagnostic-Code: {diagnostic}\r\n\r\n\
         --4XyZ.1772434805/mx.example.net\r\nContent-Description: Undelivered Message Headers\r\n\
         Content-Type: text/rfc822-headers\r\n\r\nReturn-Path: <{to}>\r\nFrom: Broadsheet <digest@example.org>\r\n\
         Message-ID: {id}\r\nSubject: Cats on keyboards\r\n\r\n--4XyZ.1772434805/mx.example.net--\r\n",
        to = return_path(),
        id = message_id(),
    )
}

/// As Exchange writes it: nested, its own address as the recipient, the mail quoted whole.
const EXCHANGE: &str = "From: <postmaster@contoso.example>\nTo: <digest@example.org>\nContent-Type: multipart/report; report-type=delivery-status;\n boundary=\"_outer_\"\nIn-Reply-To: <0190a0b0c0d0e0f00190a0b0c0d0e0f0.1772400000000@example.org>\n\n--_outer_\nContent-Type: multipart/alternative; boundary=\"_inner_\"\n\n--_inner_\nContent-Type: text/plain; charset=\"us-ascii\"\n\nDelivery has failed to these recipients.\n--_inner_\nContent-Type: text/html\n\n<p>Delivery has failed</p>\n--_inner_--\n\n--_outer_\nContent-Type: message/delivery-status\n\nReporting-MTA: dns;EX01.contoso.example\nReceived-From-MTA: dns;mail.example.org\n\nFinal-Recipient: rfc822;ada@contoso.example\nAction: failed\nStatus: 5.1.10\nDiagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient ada@contoso.example not\n found by SMTP address lookup\n\n--_outer_\nContent-Type: message/rfc822\n\nFrom: Broadsheet <digest@example.org>\nMessage-ID:\n <0190a0b0c0d0e0f00190a0b0c0d0e0f0.1772400000000@example.org>\nSubject: Cats\n\nHello\n--_outer_--\n";

const EXIM: &str = "From: Mail Delivery System <Mailer-Daemon@host.example>\nTo: digest@example.org\nX-Failed-Recipients: ada@example.net\nSubject: Mail delivery failed: returning message to sender\n\nThis message was created automatically by mail delivery software.\n\n  ada@example.net\n    host mail.example.net [192.0.2.1]\n    SMTP error from remote mail server after RCPT TO:<ada@example.net>:\n    550 5.1.1 User unknown\n\n------ This is a copy of the message, including all the headers. ------\n\nMessage-ID: <0190a0b0c0d0e0f00190a0b0c0d0e0f0.1772400000000@example.org>\nSubject: Cats\n";

const ARF: &str = "From: <abusedesk@example.com>\nTo: <abuse@example.org>\nSubject: FW: Cats\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=feedback-report;\n     boundary=\"part1_13d.2e68ed54_boundary\"\n\n--part1_13d.2e68ed54_boundary\nContent-Type: text/plain; charset=\"US-ASCII\"\n\nThis is an email abuse report.\n--part1_13d.2e68ed54_boundary\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: SomeGenerator/1.0\nVersion: 1\n\n--part1_13d.2e68ed54_boundary\nContent-Type: message/rfc822\nContent-Disposition: inline\n\nFrom: <digest@example.org>\nMessage-ID: <0190a0b0c0d0e0f00190a0b0c0d0e0f0.1772400000000@example.org>\nSubject: Cats\n\nHi\n--part1_13d.2e68ed54_boundary--\n";

fn kind(message: &str) -> Option<ReportKind> {
    report::parse(message.as_bytes()).map(|report| report.kind)
}

#[test]
fn reports_of_real_mail_servers_are_understood() {
    for (message, expected) in [
        (
            postfix("failed", "5.1.1", "smtp; 550 5.1.1 <ada@example.net>: no such user"),
            Some(ReportKind::HardBounce),
        ),
        (
            postfix("failed", "5.2.1", "smtp; 550 mailbox disabled"),
            Some(ReportKind::HardBounce),
        ),
        (
            postfix("failed", "5.2.2", "smtp; 552 5.2.2 mailbox full"),
            Some(ReportKind::SoftBounce),
        ),
        (
            postfix("failed", "5.1.8", "smtp; 553 sender's domain does not exist"),
            Some(ReportKind::Rejection),
        ),
        (
            postfix("failed", "5.7.1", "smtp; 550 5.7.1 looks like spam"),
            Some(ReportKind::Rejection),
        ),
        (
            postfix("failed", "4.4.1", "X-Postfix; connection timed out"),
            Some(ReportKind::SoftBounce),
        ),
        (postfix("delayed", "4.4.1", "X-Postfix; connection timed out"), None),
        (postfix("relayed", "2.1.9", "smtp; 250 fine"), None),
        (EXCHANGE.to_owned(), Some(ReportKind::HardBounce)),
        (EXIM.to_owned(), Some(ReportKind::HardBounce)),
        (ARF.to_owned(), Some(ReportKind::Complaint)),
        (ARF.replace("abuse\nUser", "not-spam\nUser"), None),
        (
            "From: ada@example.net\nSubject: Out of office\n\nBack on Monday.\n".to_owned(),
            None,
        ),
        (String::new(), None),
        (EXCHANGE.replace("boundary", "border"), None),
    ] {
        assert_eq!(kind(&message), expected, "{message}");
    }
    let truncated = postfix("failed", "5.1.1", "smtp; 550");
    let truncated = truncated.split_at(truncated.find("Remote-MTA").expect("there")).0;
    assert_eq!(kind(truncated), Some(ReportKind::HardBounce), "cut off on the way");
    let encoded = ARF.replace(
        "Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: SomeGenerator/1.0\nVersion: 1\n",
        "Content-Type: message/feedback-report\nContent-Transfer-Encoding: base64\n\nRmVlZGJhY2stVHlwZTogYWJ1c2UK\n",
    );
    assert_eq!(kind(&encoded), Some(ReportKind::Complaint));
}

fn handler(service: &TestService) -> FeedbackHandler {
    FeedbackHandler::new(
        service.confirmations.clone(),
        Arc::clone(&service.ledger),
        Arc::clone(&service.tokens),
        Arc::new(mail_ids()),
        LIMIT,
        service.clock.clone(),
    )
}

async fn subscribe(service: &TestService) {
    let address = domain::EmailAddress::parse("ada@example.net").expect("an address");
    let preferences = service.preferences(&[]);
    let subscribed = service.subscriptions.subscribe(&address, ADA, &preferences);
    subscribed.await.expect("the store answers");
}

async fn handle(handler: &FeedbackHandler, message: &str) -> FeedbackResult {
    let result = handler.handle_message(message.as_bytes()).await;
    result.expect("the store answers").expect("a report")
}

#[tokio::test]
async fn hard_bounces_and_complaints_end_a_subscription() {
    let service = TestService::build();
    let handler = handler(&service);
    let soft = postfix("failed", "5.2.2", "smtp; 552 5.2.2 mailbox full");
    let hard = postfix("failed", "5.1.1", "smtp; 550 5.1.1 no such user");
    for (message, ends) in [
        (soft.clone(), false),
        (hard.clone(), true),
        (proven(EXCHANGE), true),
        (proven(EXIM), true),
        (proven(ARF), true),
    ] {
        subscribe(&service).await;
        let result = handle(&handler, &message).await;
        assert_eq!(
            (result.subscriber.as_deref(), result.suppressed),
            (Some(ADA), ends),
            "{message}"
        );
        let state = if ends {
            SubscriberState::Suppressed
        } else {
            SubscriberState::Active
        };
        assert_eq!(service.again(ADA).await.state, state, "{message}");
        let again = handle(&handler, &message).await;
        assert!(!again.suppressed, "it was already");
    }
    subscribe(&service).await;
    let state = service.again(ADA).await.state;
    assert_eq!(state, SubscriberState::Suppressed, "consent lifts no complaint");
}

#[tokio::test]
async fn a_report_without_our_return_path_changes_nothing() {
    let service = TestService::build();
    let handler = handler(&service);
    subscribe(&service).await;
    let hard = postfix("failed", "5.1.1", "smtp; 550 5.1.1 no such user");
    let bare = |path: &str| hard.replace(&return_path(), path);
    let strange = MailIds::new(crate::signing_keys::SigningKeys::single(b"other"), "example.org");
    let bounces = "bounces@example.org".parse().expect("an address");
    let strange = strange.return_path(&bounces, &message_id()).expect("a return path");
    for message in [
        EXCHANGE.to_owned(),
        EXIM.to_owned(),
        ARF.to_owned(),
        bare("bounces@example.org"),
        bare(&format!("bounces+{ADA}.{SERIAL}@example.org")),
        bare(strange.as_ref()),
    ] {
        let result = handle(&handler, &message).await;
        assert_eq!((result.subscriber, result.suppressed), (None, false), "{message}");
    }
    service.at(15 * 24 * 60);
    let late = handle(&handler, &hard).await;
    assert_eq!(
        (late.subscriber, late.suppressed),
        (None, false),
        "a bounce of long ago"
    );
    assert_eq!(service.again(ADA).await.state, SubscriberState::Active);
    let complaint = handle(&handler, &proven(ARF)).await;
    assert!(complaint.suppressed, "readers complain late");
}

/// As Gmail sends it, from whichever account reads the digest.
fn unsubscription(to: &str) -> String {
    format!(
        "From: Ada <ada@elsewhere.example>\r\nTo: {to}\r\nSubject: unsubscribe\r\n\r\nThis message was generated.\r\n"
    )
}

#[tokio::test]
async fn a_mail_to_the_address_that_unsubscribes_ends_a_subscription() {
    let service = TestService::build();
    let handler = handler(&service);
    let tag = service.tokens.unsubscribe_tag(ADA);
    let forged = format!("{ADA}.unsub.{}", "0".repeat(14));
    for to in [
        format!("bounces+{forged}@example.org"),
        format!("bounces+{ADA}.1772400000000@example.org"),
        format!("bounces+{ADA}@example.org"),
        "bounces@example.org".to_owned(),
    ] {
        subscribe(&service).await;
        let result = handler.handle_message(unsubscription(&to).as_bytes()).await;
        assert_eq!(result.expect("the store answers"), None, "{to}");
        assert_eq!(service.again(ADA).await.state, SubscriberState::Active, "{to}");
    }
    for message in [
        unsubscription(&format!("bounces+{tag}@example.org")),
        unsubscription(&format!("<Bounces+{}@example.org>, x@example.org", tag.to_uppercase())),
        unsubscription("unsubscribe@lists.example").replacen(
            "To:",
            &format!("X-Original-To: bounces+{tag}@a.b\r\nTo:"),
            1,
        ),
        // What it says is nobody's business.
        ARF.replacen("abuse@example.org", &format!("bounces+{tag}@example.org"), 1),
    ] {
        subscribe(&service).await;
        for _ in 0..2 {
            let result = handle(&handler, &message).await;
            assert_eq!(result.kind, ReportKind::Unsubscription, "{message}");
            assert_eq!(result.subscriber.as_deref(), Some(ADA), "{message}");
            assert_eq!(
                service.again(ADA).await.state,
                SubscriberState::Unsubscribed,
                "{message}"
            );
        }
    }
    let nobody = format!("bounces+{}@example.org", service.tokens.unsubscribe_tag("nobody"));
    let result = handle(&handler, &unsubscription(&nobody)).await;
    assert_eq!((result.subscriber, result.suppressed), (None, false));
}

#[tokio::test]
async fn a_complaint_may_name_its_mail_by_the_feedback_id_alone() {
    let service = TestService::build();
    let handler = handler(&service);
    subscribe(&service).await;
    let feedback_id = mail_ids().feedback_id(&message_id()).expect("an id");
    let message = ARF.replace(
        "Message-ID: <0190a0b0c0d0e0f00190a0b0c0d0e0f0.1772400000000@example.org>",
        &format!("CFBL-Feedback-ID: {feedback_id}"),
    );
    let result = handle(&handler, &message).await;
    assert_eq!((result.kind, result.suppressed), (ReportKind::Complaint, true));
}

#[tokio::test]
async fn soft_bounces_in_a_row_end_a_subscription() {
    let service = TestService::build();
    let handler = handler(&service);
    subscribe(&service).await;
    let digest = async |day: i64| {
        service.add_paper_at(&format!("x:{day}"), "on cats", "test@1", day * 24 * 60);
        let delivered = service.deliver(ADA, day * 24 * 60).await;
        delivered.record.message_id
    };
    let ends_with = async |kind: ReportKind, message_id: &str| {
        let report = FeedbackReport {
            kind,
            mails: vec![message_id.to_owned()],
            detail: String::new(),
        };
        let result = handler.handle(&report, ReportSource::Operator).await;
        let result = result.expect("the store answers");
        result.suppressed
    };
    for day in 0..2 {
        assert!(!ends_with(ReportKind::SoftBounce, &digest(day).await).await, "{day}");
    }
    digest(2).await;
    for day in 3..6 {
        assert!(!ends_with(ReportKind::Rejection, &digest(day).await).await, "{day}");
    }
    for day in 6..8 {
        let message_id = digest(day).await;
        for _ in 0..3 {
            assert!(!ends_with(ReportKind::SoftBounce, &message_id).await, "{day}");
        }
    }
    let never_sent = mail_ids().message_id(ADA, &format!("confirm.{SERIAL}"));
    assert!(!ends_with(ReportKind::SoftBounce, &never_sent).await);
    assert!(ends_with(ReportKind::SoftBounce, &digest(8).await).await);
    let address = domain::EmailAddress::parse("ada@example.net").expect("an address");
    let cause = service.subscriptions.suppression(&address).await;
    assert_eq!(cause.expect("the store answers"), Some(SuppressionCause::Bounce));
}

#[tokio::test]
async fn a_maildir_is_read_and_its_messages_are_put_away() {
    let service = TestService::build();
    let handler = handler(&service);
    let folder = tempfile::tempdir().expect("a folder");
    for part in ["new", "cur"] {
        std::fs::create_dir(folder.path().join(part)).expect("made");
    }
    std::fs::write(folder.path().join("new/1.host"), ARF).expect("written");
    std::fs::write(folder.path().join("new/2.host"), "Subject: hello\n\nhello\n").expect("written");
    maildir::handle_new(folder.path(), &handler).await.expect("read");
    let mut left: Vec<_> = std::fs::read_dir(folder.path().join("cur"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    left.sort();
    assert_eq!(left, ["1.host:2,S", "2.host:2,"]);
    assert_eq!(
        std::fs::read_dir(folder.path().join("new")).expect("a folder").count(),
        0
    );
    assert!(
        maildir::handle_new(&folder.path().join("none"), &handler)
            .await
            .is_err()
    );
}

proptest::proptest! {
    #[test]
    fn no_message_breaks_the_parser(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600)) {
        let _ = report::parse(&bytes);
    }

    #[test]
    fn no_broken_report_breaks_the_parser(from in 0_usize..1500, length in 0_usize..200, with in "[-\\r\\n :;=\"a-z0-9é]{0,12}") {
        for message in [postfix("failed", "5.1.1", "smtp; 550"), EXCHANGE.to_owned(), ARF.to_owned(), EXIM.to_owned()] {
            let bytes = message.as_bytes();
            let from = from.min(bytes.len());
            let to = (from + length).min(bytes.len());
            let broken = [&bytes[..from], with.as_bytes(), &bytes[to..]].concat();
            let _ = report::parse(&broken);
        }
    }
}
