//! Secrets: settings whose values are used but never shown, and the files that hold them.
//!
//! The commented defaults mark them: the line of a secret ends with `# secret`. Each can also be the content of a file, which
//! `<key>_file` names. It never decides what a secret is good for.

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// What stands for a value that must not be seen.
pub(crate) const NOT_SHOWN: &str = "(not shown)";
/// What the line of a secret in the defaults ends with.
const MARK: &str = "# secret";
/// Most bytes of a file; the largest secret is a certificate's key or a list of keys.
const MOST_BYTES: u64 = 64 * 1024;

/// A secret: it can be used, but `{:?}` does not show it, and it cannot be printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret {
    text: String,
    file: Option<PathBuf>,
}

/// A file of a secret that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {problem}", path.display())]
pub struct SecretFileError {
    path: PathBuf,
    problem: String,
}

impl Secret {
    /// From its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            file: None,
        }
    }

    /// From a file, which holds it alone.
    pub fn from_file(path: &Path) -> Result<Self, SecretFileError> {
        Ok(Self::new(read_file(path)?).with_file(Some(path.to_owned())))
    }

    /// With the file that it was read from.
    pub(crate) fn with_file(mut self, file: Option<PathBuf>) -> Self {
        self.file = file;
        self
    }

    /// What it was when the settings were read, for where it is used and nowhere else.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What it is now: a file is read again, because it may have been replaced meanwhile.
    pub fn current(&self) -> Result<String, SecretFileError> {
        self.file.as_deref().map_or_else(|| Ok(self.text.clone()), read_file)
    }

    /// True where none is set.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NOT_SHOWN)
    }
}

/// The keys that the text of some defaults marks as secrets.
pub(crate) fn marked(defaults: &str) -> Vec<String> {
    let mut section = "";
    let mut keys = Vec::new();
    for line in defaults.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if line.ends_with(MARK)
            && !line.starts_with('#')
            && let Some((key, _)) = line.split_once('=')
        {
            keys.push(format!("{section}.{}", key.trim()));
        }
    }
    keys
}

/// The secret in a file, without the line's end behind it.
pub(crate) fn read_file(path: &Path) -> Result<String, SecretFileError> {
    let wrong = |problem: String| SecretFileError {
        path: path.to_owned(),
        problem,
    };
    let unreadable = |error: std::io::Error| wrong(format!("cannot be read: {error}"));
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    // Reading something else, such as a pipe, might never end.
    if !metadata.is_file() {
        return Err(wrong("is not a file".to_owned()));
    }
    let mode = metadata.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(wrong(format!(
            "is open to everybody on this machine (mode {:04o}); its owner, and a group at most, may have access: chmod o= it",
            mode & 0o7777
        )));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(wrong(format!(
            "is larger than {MOST_BYTES} bytes; it must hold the secret alone"
        )));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("is not text in UTF-8".to_owned()))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(wrong("is empty; it must hold the secret".to_owned()));
    }
    Ok(secret.to_owned())
}

/// A text with what stands before the `@` of each URL left out: a user's name and password.
pub fn without_userinfo(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, behind) = rest.split_at(at + "://".len());
        shown.push_str(before);
        let end = behind
            .find(|c: char| c.is_whitespace() || matches!(c, ',' | '"' | '\'' | '<' | '>'))
            .unwrap_or(behind.len());
        // The last one: an @ in a password should be written as %40, but may not be.
        let host = behind[..end].rfind('@').map_or(0, |at| at + 1);
        if host > 0 {
            shown.push_str("***@");
        }
        shown.push_str(&behind[host..end]);
        rest = &behind[end..];
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("broadsheet-secret-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("a folder");
            Self(path)
        }

        fn file(&self, content: &[u8], mode: u32) -> PathBuf {
            let path = self.0.join("secret");
            let _ = fs::remove_file(&path);
            fs::write(&path, content).expect("a file");
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a mode");
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_secret_is_used_but_not_shown() {
        let secret = Secret::new("hunter2");
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(format!("{:?}", Some(&secret)), "Some((not shown))");
    }

    #[test]
    fn a_file_holds_the_secret_and_a_line_end_at_most() {
        let folder = Folder::new("holds");
        let read = |content: &[u8], mode| read_file(&folder.file(content, mode)).map_err(|error| error.to_string());
        assert_eq!(read(b"a secret \r\n", 0o600).as_deref(), Ok("a secret "));
        assert_eq!(read(b"a secret", 0o440).as_deref(), Ok("a secret"));
        for (content, mode, problem) in [
            (&b"x"[..], 0o644, "is open to everybody on this machine (mode 0644)"),
            (b"\n", 0o600, "is empty"),
            (b"\xff", 0o600, "is not text in UTF-8"),
            (&vec![b'x'; 65_537][..], 0o600, "is larger than 65536 bytes"),
        ] {
            let refusal = read(content, mode).expect_err("a problem");
            assert!(refusal.contains(problem), "{refusal}");
        }
        let missing = read_file(&folder.0.join("missing")).expect_err("no file").to_string();
        assert!(missing.contains("missing cannot be read: No such file"), "{missing}");
        let no_file = read_file(&folder.0).expect_err("a folder").to_string();
        assert!(no_file.contains("is not a file"), "{no_file}");
    }

    #[test]
    fn a_replaced_file_is_read_again() {
        let folder = Folder::new("again");
        let file = folder.file(b"old", 0o600);
        let secret = Secret::new("old").with_file(Some(file));
        folder.file(b"new", 0o600);
        assert_eq!(secret.current().as_deref(), Ok("new"));
        assert_eq!(Secret::new("fixed").current().as_deref(), Ok("fixed"));
    }

    #[test]
    fn names_and_passwords_in_urls_are_left_out() {
        for (text, shown) in [
            ("nats://a:b@host:4222", "nats://***@host:4222"),
            ("nats://a:b@one:1,nats://a:b@two:2", "nats://***@one:1,nats://***@two:2"),
            ("redis://:p@ss/word@host/0 is gone", "redis://***@host/0 is gone"),
            ("\"smtp://u@h\"", "\"smtp://***@h\""),
            ("http://host/path", "http://host/path"),
            ("no url, a@b", "no url, a@b"),
        ] {
            assert_eq!(without_userinfo(text), shown);
        }
    }

    #[test]
    fn the_defaults_say_what_is_secret() {
        let text = "[a]\n# A comment. # secret\nopen = 1\nhidden = \"\" # secret\n[b]\nalso = \"\"  # secret\n";
        assert_eq!(marked(text), ["a.hidden", "b.also"]);
    }
}
