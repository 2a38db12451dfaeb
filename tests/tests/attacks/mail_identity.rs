//! Forged senders and unsigned mail: signatures that others verify, unsubscribing by mail, passwords in clear, keys that
//! others can read.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tests::dkim::{Dkim, DkimKeyFile};
use tests::{Platform, counted, until};

const PAPER: &str =
    r#"{"id":"p1","published":"2026-01-02","title":"Zürich's lakes from above","abstract":"Colour tells algae."}"#;
const ADA: &str = "ada@example.org";
const EVE: &str = "eve@example.org";

/// A platform that signs with both keys, reads a bounce maildir, and has sent Ada and Eve a digest each.
struct Sender {
    platform: Platform,
    rsa: DkimKeyFile,
    ed25519: DkimKeyFile,
    folder: TempDir,
}

impl Sender {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rsa = DkimKeyFile::make("rsa", folder.path());
        let ed25519 = DkimKeyFile::make("ed25519", folder.path());
        let bounces = folder.path().join("bounces");
        for part in ["new", "cur", "tmp"] {
            std::fs::create_dir_all(bounces.join(part)).unwrap();
        }
        let mut environment = vec![
            (
                "BROADSHEET_NOTIFICATION__FROM".to_owned(),
                "Broadsheet <digest@mail.example.org>".to_owned(),
            ),
            (
                "BROADSHEET_NOTIFICATION__BOUNCE_ADDRESS".to_owned(),
                "bounces@in.mail.example.org".to_owned(),
            ),
            (
                "BROADSHEET_NOTIFICATION__BOUNCE_MAILDIR".to_owned(),
                bounces.display().to_string(),
            ),
        ];
        environment.extend(rsa.settings());
        environment.extend(ed25519.settings());
        let environment: Vec<_> = environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let platform = Platform::start_with(&folder.path().join("data"), &environment);
        platform.must_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPER);
        for reader in [ADA, EVE] {
            platform.must(&["subscribe", reader, "--confirm"]);
            platform.must(&["digest", "send", "--to", reader, "--now"]);
        }
        Self {
            platform,
            rsa,
            ed25519,
            folder,
        }
    }

    /// The digest of a reader, as it went over the wire.
    fn digest_to(&self, reader: &str) -> String {
        let to = format!("To: {reader}\r\n");
        let mut mails = tests::raw_mails(&self.folder.path().join("data")).into_iter();
        mails.find(|mail| mail.contains(&to)).unwrap()
    }

    /// Puts messages into the bounce maildir as a mail server does, and waits until all are handled.
    fn receive(&self, messages: &[String]) {
        let bounces = self.folder.path().join("bounces");
        for (number, message) in messages.iter().enumerate() {
            let name = format!("message{number}");
            std::fs::write(bounces.join("tmp").join(&name), message).unwrap();
            std::fs::rename(bounces.join("tmp").join(&name), bounces.join("new").join(&name)).unwrap();
        }
        until("the messages are handled", || {
            let handled = std::fs::read_dir(bounces.join("cur")).unwrap().count();
            (handled == messages.len()).then_some(())
        });
    }

    fn state(&self, reader: &str) -> String {
        let shown = self.platform.must(&["subscribers", "show", reader, "--json"]);
        shown.json()["state"].as_str().unwrap().to_owned()
    }

    fn feedback(&self, kind: &str) -> u64 {
        let series = format!("broadsheet_notification_feedback_total{{kind=\"{kind}\"}}");
        counted(&self.platform.endpoint("admin"), &series)
    }
}

/// The value of a header, unfolded.
fn header(mail: &str, name: &str) -> String {
    let (head, _) = mail.split_once("\r\n\r\n").unwrap();
    let head = head.replace("\r\n ", " ");
    let mut lines = head
        .split("\r\n")
        .filter_map(|line| line.strip_prefix(&format!("{name}: ")));
    let value = lines.next().unwrap_or_else(|| panic!("no {name} in {mail}"));
    assert!(lines.next().is_none(), "{name} comes twice in {mail}");
    value.to_owned()
}

/// The mail address in List-Unsubscribe.
fn unsubscribe_address(mail: &str) -> String {
    let value = header(mail, "List-Unsubscribe");
    let (url, address) = value.split_once(", ").unwrap();
    assert!(url.starts_with("<http"), "{value}");
    let address = address
        .strip_prefix("<mailto:")
        .and_then(|rest| rest.strip_suffix("?subject=unsubscribe>"));
    address.unwrap_or_else(|| panic!("{value}")).to_owned()
}

fn unsubscription(to: &str) -> String {
    format!("From: somebody@example.net\r\nTo: {to}\r\nSubject: unsubscribe\r\n\r\nunsubscribe {EVE} please\r\n")
}

fn local_part(address: &str) -> &str {
    address.split_once('@').unwrap().0
}

/// An address with its last character changed.
fn forged(address: &str) -> String {
    let (local, host) = address.split_once('@').unwrap();
    let (kept, last) = local.split_at(local.len() - 1);
    let other = if last == "0" { "1" } else { "0" };
    format!("{kept}{other}@{host}")
}

#[test]
fn a_forged_address_unsubscribes_nobody_and_the_real_one_does() {
    let sender = Sender::start();
    let digest = sender.digest_to(EVE);
    let real = unsubscribe_address(&sender.digest_to(ADA));
    let of_eve = unsubscribe_address(&digest);
    assert!(local_part(&of_eve).len() <= 64, "{of_eve}");
    // What Ada knows who was handed Eve's digest without List-Unsubscribe, and an address of her own.
    let message_id = header(&digest, "Message-ID");
    let (left, _) = message_id.trim_start_matches('<').split_once('@').unwrap();
    let (id, _) = left.split_once('.').unwrap();
    let complaints = header(&digest, "CFBL-Address");
    let (complaints, _) = complaints.split_once(';').unwrap();
    let complaint_id = header(&digest, "CFBL-Feedback-ID");
    let (theirs, own) = (local_part(&of_eve), local_part(&real));
    // With the code of her own address behind the name of Eve.
    let (named, proven) = (&theirs[..theirs.len() - 12], &own[own.len() - 12..]);
    let forgeries = [
        forged(&of_eve),
        complaints.to_owned(),
        format!("bounces+{complaint_id}@in.mail.example.org"),
        "bounces@in.mail.example.org".to_owned(),
        format!("{named}{proven}@in.mail.example.org"),
        format!("bounces+{id}@in.mail.example.org"),
        format!("bounces+{left}@in.mail.example.org"),
        format!("x{}@in.mail.example.org", "+x".repeat(5_000)),
    ];
    let messages: Vec<String> = forgeries
        .iter()
        .chain([&real, &real])
        .map(|to| unsubscription(to))
        .collect();
    sender.receive(&messages);
    assert_eq!(
        (sender.state(EVE).as_str(), sender.state(ADA).as_str()),
        ("active", "unsubscribed")
    );
    assert_eq!(sender.feedback("unsubscription"), 2);
    assert_eq!(sender.feedback("not_a_report"), forgeries.len() as u64);
}

#[test]
fn no_header_of_a_signed_mail_can_be_changed_or_added() {
    let sender = Sender::start();
    let digest = sender.digest_to(ADA);
    let verifier = Dkim::new(&[&sender.rsa, &sender.ed25519]);
    let signatures = |verified: bool| vec![("rsa".to_owned(), verified), ("ed25519".to_owned(), verified)];
    assert_eq!(verifier.verify(digest.as_bytes()), signatures(true), "{digest}");
    for name in [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "MIME-Version",
        "List-Id",
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
        "Feedback-ID",
        "CFBL-Address",
        "CFBL-Feedback-ID",
        "Auto-Submitted",
        "Precedence",
    ] {
        let begin = format!("\r\n{name}: ");
        assert!(digest.contains(&begin), "no {name} in {digest}");
        let changed = digest.replacen(&begin, &format!("{begin}x"), 1);
        assert_eq!(verifier.verify(changed.as_bytes()), signatures(false), "{name} changed");
    }
    for added in [
        "From: Eve <eve@example.net>",
        "Subject: You have won",
        "Reply-To: eve@example.net",
        "Cc: eve@example.net",
        "List-Unsubscribe: <https://eve.example.net/>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "CFBL-Address: eve@example.net; report=arf",
    ] {
        let changed = format!("{added}\r\n{digest}");
        assert_eq!(verifier.verify(changed.as_bytes()), signatures(false), "{added}");
    }
    assert_eq!(header(&digest, "List-Id"), "<digests.mail.example.org>");
    assert!(header(&digest, "CFBL-Address").ends_with("@in.mail.example.org; report=arf"));
    let feedback_id = header(&digest, "Feedback-ID");
    assert_eq!(
        feedback_id,
        header(&sender.digest_to(EVE), "Feedback-ID"),
        "it names no reader"
    );
}

#[test]
fn a_mail_password_goes_nowhere_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let check = |url: &str| {
        let output = tests::up(folder.path())
            .arg("--check-config")
            .env("BROADSHEET_NOTIFICATION__SMTP_URL", url)
            .output()
            .unwrap();
        tests::ran(output)
    };
    for url in [
        "smtp://ada:secret@mail.example.org",
        "smtp://ada:secret@mail.example.org:587?tls=opportunistic",
        "smtp://ada:secret@192.0.2.1",
        "smtp://ada:secret@localhost.example.org",
    ] {
        let refused = check(url);
        assert!(
            refused.status == 64
                && refused.err.contains("notification.smtp_url")
                && refused.err.contains("tls=required"),
            "{url}: {refused:?}"
        );
        assert!(!refused.err.contains("secret"), "{refused:?}");
    }
    for url in [
        "smtps://ada:secret@mail.example.org",
        "smtp://ada:secret@mail.example.org?tls=required",
        "smtp://ada:secret@127.0.0.1:2525",
        "smtp://mail.example.org",
    ] {
        let taken = check(url);
        assert_eq!(taken.status, 0, "{url}: {taken:?}");
    }
}

#[test]
fn a_key_that_others_can_read_signs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let key = DkimKeyFile::make("ed25519", folder.path());
    let start = |mode: u32| {
        std::fs::set_permissions(key.file(), std::fs::Permissions::from_mode(mode)).unwrap();
        let output = tests::up(&data_folder(folder.path(), mode))
            .envs(key.settings())
            .output()
            .unwrap();
        tests::ran(output)
    };
    for mode in [0o644, 0o640] {
        let refused = start(mode);
        assert!(refused.status != 0, "{mode:o}: {refused:?}");
        let said = format!("chmod 600 {}", key.file().display());
        assert!(refused.err.contains(&said), "{mode:o}: {refused:?}");
    }
}

fn data_folder(folder: &Path, mode: u32) -> PathBuf {
    folder.join(format!("data-{mode:o}"))
}
