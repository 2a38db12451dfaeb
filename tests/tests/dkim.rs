//! Signed mails, verified by a program of other makers.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tests::{Platform, python};

const PAPER: &str = r#"{"id":"p1","title":"Zürich's lakes  from above","abstract":"Colour tells algae. .Dots = 50 % of it.\n\nFrom here on."}"#;

fn verifier(arguments: &[&str], input: &[u8]) -> String {
    let python = python::with("dkim", &python::script("requirements-dkim.txt"));
    let mut process = Command::new(python)
        .arg(python::script("verify_dkim.py"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(input).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Every mail of a data folder as the mail server would get it.
fn raw(folder: &Path) -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(folder.join("mail/new")).unwrap();
    files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

fn changed(mail: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(mail.to_vec()).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    text.replacen(from, to, 1).into_bytes()
}

#[test]
fn mails_are_signed_so_that_others_can_tell() {
    for kind in ["ed25519", "rsa"] {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key.pem").display().to_string();
        let record = verifier(&["key", kind, &key], b"");
        let platform = Platform::start_with(
            &folder.path().join("data"),
            &[
                (
                    "BROADSHEET_NOTIFICATION__FROM",
                    "Zürichs Broadsheet <digest@mail.example.org>",
                ),
                ("BROADSHEET_NOTIFICATION__DKIM_SELECTOR", "desk"),
                ("BROADSHEET_NOTIFICATION__DKIM_KEY_FILE", &key),
            ],
        );
        let taken = platform.run_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPER);
        assert_eq!(taken.status, 0, "{taken:?}");
        platform.must(&["subscribe", "eve@example.org"]);
        platform.must(&["subscribe", "ada@example.org", "--confirm"]);
        platform.must(&["digest", "send", "--to", "ada@example.org", "--now"]);
        let mails = raw(&folder.path().join("data"));
        assert_eq!(mails.len(), 2, "a confirmation and a digest");
        for mail in &mails {
            assert_eq!(
                verifier(&["verify", &record], mail),
                "true",
                "{}",
                String::from_utf8_lossy(mail)
            );
            for (from, to) in [
                ("Subject: ", "Subject: x"),
                ("BROADSHEET", "BROADSHEETS"),
                ("To: ", "To: x"),
            ] {
                assert_eq!(
                    verifier(&["verify", &record], &changed(mail, from, to)),
                    "false",
                    "{from}"
                );
            }
            // What mail servers on the way may do: fold and trim.
            let rewritten = changed(mail, "MIME-Version: 1.0", "MIME-Version:\r\n  1.0  ");
            assert_eq!(verifier(&["verify", &record], &rewritten), "true");
        }
    }
}
