//! `broadsheet mail check` against a DNS server and a mail server of the test's own: what is right passes, and of what is
//! wrong it says what and which record to publish.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write as _;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use tests::certificates::Certificates;
use tests::dkim::DkimKeyFile;
use tests::dns::DnsServer;
use tests::smtp::SmtpServer;
use tests::{Ran, binary, ran};

/// A configured sender, with its keys and a mail server that speaks TLS.
struct Sender {
    rsa: DkimKeyFile,
    ed25519: DkimKeyFile,
    certificates: Certificates,
    mail_server: SmtpServer,
    _folder: TempDir,
}

impl Sender {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificates = Certificates::make();
        Self {
            rsa: DkimKeyFile::make("rsa", folder.path()),
            ed25519: DkimKeyFile::make("ed25519", folder.path()),
            mail_server: SmtpServer::with_starttls(&certificates),
            certificates,
            _folder: folder,
        }
    }

    /// The zone of a sender with which all is well.
    fn zone(&self) -> String {
        let key = |key: &DkimKeyFile| {
            // A string of a text has at most 255 bytes.
            let strings = key.record().as_bytes().chunks(200);
            let strings: Vec<String> = strings
                .map(|one| format!("\"{}\"", String::from_utf8_lossy(one)))
                .collect();
            format!(
                "{}._domainkey.mail.example.org. 60 IN TXT {}",
                key.selector(),
                strings.join(" ")
            )
        };
        [
            "in.mail.example.org. 60 IN TXT \"v=spf1 include:_spf.example.org ip6:2001:db8::/32 -all\"".to_owned(),
            "in.mail.example.org. 60 IN MX 10 mx.example.org.".to_owned(),
            "_spf.example.org. 60 IN TXT \"v=spf1 a:mail.example.org -all\"".to_owned(),
            "mail.example.org. 60 IN A 192.0.2.1".to_owned(),
            "mx.example.org. 60 IN A 192.0.2.2".to_owned(),
            "_dmarc.mail.example.org. 60 IN TXT \"v=DMARC1; p=quarantine\"".to_owned(),
            "1.2.0.192.in-addr.arpa. 60 IN PTR mail.example.org.".to_owned(),
            key(&self.rsa),
            key(&self.ed25519),
        ]
        .join("\n")
    }

    /// Checks over a zone, with more environment and arguments.
    fn check(&self, zone: &str, environment: &[(&str, &str)], arguments: &[&str]) -> (Ran, Value) {
        let dns = DnsServer::start(zone);
        let url = format!("{}?tls=required", self.mail_server.url_with_password());
        let output = Command::new(binary())
            .args(["mail", "check", "--json", "--dns", &dns.address()])
            .args(arguments)
            .env("BROADSHEET_NOTIFICATION__FROM", "Broadsheet <digest@mail.example.org>")
            .env("BROADSHEET_NOTIFICATION__BOUNCE_ADDRESS", "bounces@in.mail.example.org")
            .env("BROADSHEET_NOTIFICATION__SMTP_URL", url)
            .env("BROADSHEET_NOTIFICATION__CA_FILE", self.certificates.authority())
            .envs(self.rsa.settings())
            .envs(self.ed25519.settings())
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let ran = ran(output);
        let checks = ran.json()["checks"].clone();
        (ran, checks)
    }
}

/// The finding of a check.
fn finding<'a>(checks: &'a Value, name: &str) -> &'a Value {
    let found = checks.as_array().unwrap().iter().find(|one| one["check"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {checks}"))
}

#[test]
fn a_sender_with_which_all_is_well_passes() {
    let sender = Sender::new();
    let (ran, checks) = sender.check(&sender.zone(), &[], &["--ip", "192.0.2.1"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    for name in ["spf", "dkim-rsa", "dkim-ed25519", "dmarc", "ptr", "mx", "tls"] {
        assert_eq!(finding(&checks, name)["level"], "ok", "{checks}");
    }
    assert!(sender.mail_server.password(), "the password went out encrypted");
}

#[test]
fn an_unknown_sending_address_is_said_and_fails_nothing() {
    let sender = Sender::new();
    let (ran, checks) = sender.check(&sender.zone(), &[], &[]);
    assert_eq!(ran.status, 0, "{ran:?}");
    for name in ["spf", "ptr"] {
        let finding = finding(&checks, name);
        let advice = finding["advice"].as_str().unwrap();
        assert!(finding["level"] == "warn" && advice.contains("--ip"), "{finding}");
    }
}

#[test]
fn an_empty_zone_fails_and_says_what_to_publish() {
    let sender = Sender::new();
    let (ran, checks) = sender.check("other.example. 60 IN A 192.0.2.9", &[], &["--ip", "192.0.2.1"]);
    assert!(ran.status == 1 && ran.err.contains("6 of 7 checks failed"), "{ran:?}");
    let mut zone = String::new();
    for name in ["spf", "dkim-rsa", "dkim-ed25519", "dmarc", "ptr", "mx"] {
        let finding = finding(&checks, name);
        assert_eq!(finding["level"], "fail", "{finding}");
        let publish = finding["publish"].as_array().unwrap();
        assert!(!publish.is_empty(), "{finding}");
        for record in publish {
            let [name, kind, value] = ["name", "type", "value"].map(|key| record[key].as_str().unwrap());
            writeln!(zone, "{name} 60 IN {kind} {value}").unwrap();
        }
    }
    // Who publishes just that, and the address of the mail server for bounces, passes; the suggested policy only watches.
    zone.push_str("mail.in.mail.example.org. 60 IN A 192.0.2.2\n");
    let (ran, checks) = sender.check(&zone, &[], &["--ip", "192.0.2.1"]);
    assert_eq!(ran.status, 0, "{zone}: {ran:?}");
    for (name, level) in [
        ("spf", "ok"),
        ("dkim-rsa", "ok"),
        ("dkim-ed25519", "ok"),
        ("dmarc", "warn"),
        ("ptr", "ok"),
        ("mx", "ok"),
    ] {
        assert_eq!(finding(&checks, name)["level"], level, "{checks}");
    }
}

#[test]
fn what_is_wrong_is_found_one_by_one() {
    let sender = Sender::new();
    let good = sender.zone();
    let other = DkimKeyFile::make("rsa", tempfile::tempdir().unwrap().path());
    for (from, to, name, said) in [
        (
            "a:mail.example.org -all",
            "a:mx.example.org -all",
            "spf",
            "192.0.2.1 must not send",
        ),
        ("v=spf1 include:", "v=spf1 inclde:", "spf", "inclde:_spf.example.org"),
        ("ip6:2001:db8::/32 -all", "+all", "spf", "every machine"),
        ("v=DMARC1; p=quarantine", "v=DMARC1; p=drop", "dmarc", "drop"),
        (
            "IN PTR mail.example.org.",
            "IN PTR mx.example.org.",
            "ptr",
            "does not lead back",
        ),
        ("IN MX 10 mx.example.org.", "IN MX 0 .", "mx", "takes no mail"),
        ("mx.example.org. 60 IN A 192.0.2.2", "", "mx", "has no address"),
        (
            sender.rsa.record().get(80..120).unwrap(),
            other.record().get(80..120).unwrap(),
            "dkim-rsa",
            "another key",
        ),
        ("k=ed25519", "k=rsa", "dkim-ed25519", "type rsa"),
    ] {
        assert!(good.contains(from), "{from} in {good}");
        let (ran, checks) = sender.check(&good.replace(from, to), &[], &["--ip", "192.0.2.1"]);
        let finding = finding(&checks, name);
        assert!(finding["found"].as_str().unwrap().contains(said), "{to}: {finding}");
        assert!(finding["level"] == "fail" && ran.status == 1, "{to}: {finding} {ran:?}");
    }
}

#[test]
fn a_mail_server_that_nobody_vouches_for_fails() {
    let sender = Sender::new();
    let arguments = ["--ip", "192.0.2.1"];
    let stranger = Certificates::make();
    let authority = stranger.authority().display().to_string();
    let environment = [("BROADSHEET_NOTIFICATION__CA_FILE", authority.as_str())];
    let (ran, checks) = sender.check(&sender.zone(), &environment, &arguments);
    let tls = finding(&checks, "tls");
    assert!(
        tls["level"] == "fail" && tls["found"].as_str().unwrap().contains("certificate"),
        "{tls}"
    );
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(sender.mail_server.was_left_alone());
}

#[test]
fn ed25519_alone_is_warned_of() {
    let sender = Sender::new();
    let environment = [
        ("BROADSHEET_NOTIFICATION__DKIM_RSA_KEY_FILE", ""),
        ("BROADSHEET_NOTIFICATION__DKIM_RSA_SELECTOR", ""),
    ];
    let (ran, checks) = sender.check(&sender.zone(), &environment, &["--ip", "192.0.2.1"]);
    let rsa = finding(&checks, "dkim-rsa");
    assert!(
        rsa["level"] == "warn" && rsa["advice"].as_str().unwrap().contains("Gmail"),
        "{rsa}"
    );
    assert_eq!(ran.status, 0, "{ran:?}");
}

#[test]
fn mistakes_in_the_configuration_are_told_as_by_up() {
    let output = Command::new(binary())
        .args(["mail", "check"])
        .env("BROADSHEET_NOTIFICATION__FROM", "nobody")
        .output()
        .unwrap();
    let ran = ran(output);
    assert!(ran.status == 64 && ran.err.contains("notification.from"), "{ran:?}");
}
