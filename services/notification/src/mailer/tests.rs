use super::*;
use lettre::message::Mailbox;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use budget::Budget;
use maildir::Maildir;
use message::Writer;
use pace::Pace;
use smtp::{Server, Smtp};

fn mail() -> Outgoing {
    let mail = Mail {
        to: "ada@example.org".into(),
        subject: "Zürich: 3 papers".into(),
        text: "plain".into(),
        html: Some("<p>rich</p>".into()),
        message_id: "<a.1@example.org>".into(),
        list_unsubscribe_url: Some(format!("https://example.org/unsubscribe?token={}", "x".repeat(150))),
    };
    mail.into()
}

fn writer() -> Writer {
    let from: Mailbox = "B <b@example.org>".parse().expect("a mailbox");
    Writer::new(&from, None, None)
}

fn smtp(url: &str) -> Smtp {
    Smtp::new(
        Server::from_url(url, &[]).expect("a server"),
        2,
        writer(),
        Pace::new(0, 0),
        Budget::new(0),
    )
}

#[tokio::test]
async fn a_mail_sent_twice_is_one_file_with_the_headers_readers_need() {
    let folder = tempfile::tempdir().expect("a folder");
    let maildir = Maildir::new(folder.path(), writer()).expect("a maildir");
    maildir.send(&mail()).await.expect("sent");
    maildir.send(&mail()).await.expect("sent again");
    let files = |part: &str| {
        std::fs::read_dir(folder.path().join(part))
            .expect("a folder")
            .collect::<Vec<_>>()
    };
    assert_eq!((files("new").len(), files("tmp").len()), (1, 0));
    let path = files("new")[0].as_ref().expect("an entry").path();
    let text = std::fs::read_to_string(path).expect("a mail").replace("\r\n ", " ");
    for expected in [
        "From: B <b@example.org>\r\n",
        "To: ada@example.org\r\n",
        "Message-ID: <a.1@example.org>\r\n",
        "Subject: =?utf-8?b?",
        "MIME-Version: 1.0\r\n",
        "Date: ",
        "\r\n\r\nplain\r\n",
        "\r\n\r\n<p>rich</p>\r\n",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let url = mail().list_unsubscribe_url.expect("a url");
    assert!(
        text.contains(&format!("List-Unsubscribe: <{url}>\r\n")),
        "unbroken in {text}"
    );
    assert!(text.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
    assert!(text.contains("multipart/alternative"));
}

#[tokio::test]
async fn a_mail_without_a_list_has_no_list_header() {
    let folder = tempfile::tempdir().expect("a folder");
    let maildir = Maildir::new(folder.path(), writer()).expect("a maildir");
    let mail = Outgoing {
        list_unsubscribe_url: None,
        ..mail()
    };
    maildir.send(&mail).await.expect("sent");
    let path = folder.path().join("new/a.1@example.org");
    assert!(
        !std::fs::read_to_string(path)
            .expect("a mail")
            .contains("List-Unsubscribe")
    );
}

/// Speaks SMTP to one client; answers hello, the recipient and the mail as told, and hangs up instead of an empty answer.
async fn serve(hello: &'static str, to_recipient: &'static str, to_mail: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("smtp://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        let (reading, mut writing) = stream.into_split();
        let mut lines = BufReader::new(reading).lines();
        let mut in_mail = false;
        writing.write_all(b"220 test\r\n").await.expect("written");
        while let Ok(Some(line)) = lines.next_line().await {
            let answer = match line.get(..4) {
                _ if in_mail && line != "." => continue,
                _ if in_mail => to_mail,
                Some("EHLO") => hello,
                Some("RCPT") => to_recipient,
                Some("DATA") => "354 go on",
                _ => "250 fine",
            };
            in_mail = answer.starts_with("354");
            if answer.is_empty() {
                return;
            }
            writing
                .write_all(format!("{answer}\r\n").as_bytes())
                .await
                .expect("written");
        }
    });
    url
}

#[tokio::test]
async fn answers_of_a_mail_server_are_told_apart() {
    let cases = [
        ("250 fine", "250 taken", "taken"),
        ("550 5.1.1 no such user", "", "address"),
        ("451 4.2.0 greylisted", "", "later"),
        ("421 4.3.2 going down", "", "later"),
        ("250 fine", "554 5.7.1 looks like spam", "mail"),
        ("250 fine", "", "lost"),
    ];
    // The second takes all commands at once, and waits for a mail even where it has refused the recipient.
    let hellos = ["250 fine", "250-fine\r\n250-SIZE\r\n250 PIPELINING"];
    for (hello, (to_recipient, to_mail, expected)) in
        hellos.into_iter().flat_map(|hello| cases.map(|case| (hello, case)))
    {
        let smtp = smtp(&serve(hello, to_recipient, to_mail).await);
        let told = match smtp.send(&mail()).await {
            Ok(()) => "taken",
            Err(SendError::NoSuchAddress(_)) => "address",
            Err(SendError::Transient(_) | SendError::Paused { .. }) => "later",
            Err(SendError::Refused(_)) => "mail",
            Err(SendError::Lost(_)) => "lost",
        };
        assert_eq!(told, expected, "{hello} {to_recipient} {to_mail}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_took_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("smtp://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let smtp = smtp(&url);
    assert!(matches!(smtp.send(&mail()).await, Err(SendError::Transient(_))));
}

/// Speaks SMTP to anybody, takes `per_connection` mails on a connection and then says goodbye at the next one.
async fn serve_many(
    hello: &'static str,
    per_connection: usize,
    connections: std::sync::Arc<std::sync::atomic::AtomicUsize>,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("smtp://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            connections.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            tokio::spawn(async move {
                let (reading, mut writing) = stream.into_split();
                let mut lines = BufReader::new(reading).lines();
                let (mut in_mail, mut refused, mut mails) = (false, false, 0);
                writing.write_all(b"220 test\r\n").await.expect("written");
                while let Ok(Some(line)) = lines.next_line().await {
                    let answer = match line.get(..4) {
                        _ if in_mail && line != "." => continue,
                        _ if in_mail => "250 taken",
                        Some("EHLO") => hello,
                        Some("MAIL") if mails == per_connection => "421 4.7.0 enough",
                        Some("RCPT") if line.contains("nobody") => "550 5.1.1 no such user",
                        Some("DATA") if refused => "503 5.5.1 no recipient",
                        Some("DATA") => "354 go on",
                        _ => "250 fine",
                    };
                    mails += usize::from(in_mail);
                    in_mail = answer.starts_with("354");
                    refused = answer.starts_with("550");
                    writing
                        .write_all(format!("{answer}\r\n").as_bytes())
                        .await
                        .expect("written");
                    if answer.starts_with("421") {
                        return;
                    }
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn connections_are_few_used_again_after_refusals_and_replaced_when_the_server_ends_them() {
    for hello in ["250 fine", "250-fine\r\n250 PIPELINING"] {
        let opened = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let opened_so_far = || opened.load(std::sync::atomic::Ordering::Relaxed);
        let smtp = smtp(&serve_many(hello, 1_000, opened.clone()).await);
        let sending = (0..50).map(|number| {
            let mail = Outgoing {
                to: if number % 10 == 0 {
                    "nobody@example.org".into()
                } else {
                    "ada@example.org".into()
                },
                ..mail()
            };
            let smtp = &smtp;
            async move { smtp.send(&mail).await }
        });
        let outcomes = futures::future::join_all(sending).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 45);
        assert!(opened_so_far() <= 2, "{} connections", opened_so_far());

        let opened = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let smtp = self::smtp(&serve_many(hello, 3, opened.clone()).await);
        for _ in 0..9 {
            smtp.send(&mail())
                .await
                .expect("taken, on a new connection where the old one was ended");
        }
        assert_eq!(opened.load(std::sync::atomic::Ordering::Relaxed), 3);
    }
}

#[tokio::test]
async fn a_return_path_names_the_mail_and_a_header_takes_no_second_line() {
    let from: Mailbox = "B <b@example.org>".parse().expect("a mailbox");
    let writer = Writer::new(&from, Some("bounces@in.example.org".parse().expect("an address")), None);
    let mail = mail();
    let message = writer.write(&mail).expect("a mail");
    assert_eq!(message.return_path.to_string(), "bounces+a.1@in.example.org");
    assert!(message.to_text().ends_with("\r\n") && message.to_text().is_ascii());
    let hostile = Outgoing {
        message_id: "<a@example.org>\r\nBcc: eve@example.org".into(),
        ..mail.clone()
    };
    assert!(matches!(writer.write(&hostile), Err(SendError::Refused(problem)) if problem.contains("Message-ID")));
    let subject = Outgoing {
        subject: "Cats\r\nBcc: eve@example.org".into(),
        ..mail
    };
    let message = writer.write(&subject).expect("encoded");
    assert!(!message.to_text().contains("Bcc"), "{}", message.to_text());
}
