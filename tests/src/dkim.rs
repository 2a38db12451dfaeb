//! Keys that sign mails, and a verifier of other makers; `tests/python/verify_dkim.py` says how.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::python;

/// A private key in a file, of the domain mail.example.org.
pub struct DkimKeyFile {
    kind: &'static str,
    file: PathBuf,
    record: String,
}

impl DkimKeyFile {
    /// Makes one of a kind, `rsa` or `ed25519`.
    pub fn make(kind: &'static str, folder: &Path) -> Self {
        let file = folder.join(format!("{kind}.pem"));
        let record = run(&["key", kind, &file.display().to_string()], b"");
        Self { kind, file, record }
    }

    /// The first label of its record.
    pub fn selector(&self) -> &'static str {
        self.kind
    }

    /// The text of its record, at `<selector>._domainkey.mail.example.org`.
    pub fn record(&self) -> &str {
        &self.record
    }

    /// Where it lies.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The settings with which mails are signed with it.
    pub fn settings(&self) -> [(String, String); 2] {
        let name = |what: &str| format!("BROADSHEET_NOTIFICATION__DKIM_{}_{what}", self.kind.to_uppercase());
        [
            (name("KEY_FILE"), self.file.display().to_string()),
            (name("SELECTOR"), self.selector().to_owned()),
        ]
    }
}

/// Verifies mails by the records of keys, which stand in for DNS.
pub struct Dkim {
    records: Vec<String>,
}

impl Dkim {
    /// With the records of these keys.
    pub fn new(keys: &[&DkimKeyFile]) -> Self {
        let record = |key: &&DkimKeyFile| format!("{}={}", key.selector(), key.record());
        Self {
            records: keys.iter().map(record).collect(),
        }
    }

    /// The signatures of a mail in their order: the selector of each, and whether it verifies.
    pub fn verify(&self, mail: &[u8]) -> Vec<(String, bool)> {
        let mut arguments = vec!["verify"];
        arguments.extend(self.records.iter().map(String::as_str));
        let said = run(&arguments, mail);
        let signature = |line: &str| {
            let (selector, verified) = line.split_once(' ').unwrap();
            (selector.to_owned(), verified.parse().unwrap())
        };
        said.lines().map(signature).collect()
    }
}

fn run(arguments: &[&str], input: &[u8]) -> String {
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
