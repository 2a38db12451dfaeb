//! Signed mails, verified by a program of other makers.
#![expect(clippy::unwrap_used, reason = "tests")]

use tests::Platform;
use tests::dkim::{Dkim, DkimKeyFile};

const PAPER: &str = r#"{"id":"p1","published":"2026-01-02","title":"Zürich's lakes  from above","abstract":"Colour tells algae. .Dots = 50 % of it.\n\nFrom here on."}"#;

fn changed(mail: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(mail.to_vec()).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    text.replacen(from, to, 1).into_bytes()
}

#[test]
fn mails_are_signed_so_that_others_can_tell() {
    let folder = tempfile::tempdir().unwrap();
    let rsa = DkimKeyFile::make("rsa", folder.path());
    let ed25519 = DkimKeyFile::make("ed25519", folder.path());
    for keys in [vec![&rsa], vec![&ed25519], vec![&rsa, &ed25519]] {
        let data = tempfile::tempdir().unwrap();
        let mut environment = vec![(
            "BROADSHEET_NOTIFICATION__FROM".to_owned(),
            "Zürichs Broadsheet <digest@mail.example.org>".to_owned(),
        )];
        environment.extend(keys.iter().flat_map(|key| key.settings()));
        let environment: Vec<_> = environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let platform = Platform::start_with(data.path(), &environment);
        let taken = platform.run_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPER);
        assert_eq!(taken.status, 0, "{taken:?}");
        platform.must(&["subscribe", "eve@example.org"]);
        platform.must(&["subscribe", "ada@example.org", "--confirm"]);
        platform.must(&["digest", "send", "--to", "ada@example.org", "--now"]);
        let mails = tests::raw_mails(data.path());
        assert_eq!(mails.len(), 2, "a confirmation and a digest");
        let records = Dkim::new(&keys);
        let all = |verified: bool| -> Vec<(String, bool)> {
            keys.iter().map(|key| (key.selector().to_owned(), verified)).collect()
        };
        for mail in mails.iter().map(String::as_bytes) {
            assert_eq!(records.verify(mail), all(true), "{}", String::from_utf8_lossy(mail));
            for (from, to) in [
                ("Subject: ", "Subject: x"),
                ("BROADSHEET", "BROADSHEETS"),
                ("To: ", "To: x"),
            ] {
                assert_eq!(records.verify(&changed(mail, from, to)), all(false), "{from}");
            }
            // What mail servers on the way may do: fold and trim.
            let rewritten = changed(mail, "MIME-Version: 1.0", "MIME-Version:\r\n  1.0  ");
            assert_eq!(records.verify(&rewritten), all(true));
        }
    }
}
