//! The programs of other makers that these tests need, found or installed once by `tests/browser/setup`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where they are.
pub struct Tools {
    pub chromium: PathBuf,
    pub chromedriver: PathBuf,
    pub node: PathBuf,
    /// The folder of the npm packages.
    pub checkers: PathBuf,
}

impl Tools {
    /// Finds them; what is missing is installed.
    pub fn find() -> Self {
        let mut setup = Command::new(file("setup"));
        let output = setup.stderr(Stdio::inherit()).output().unwrap();
        assert!(
            output.status.success(),
            "the browser was not set up; the reason is above"
        );
        let places = String::from_utf8(output.stdout).unwrap();
        let place = |name: &str| {
            let named = |line: &str| line.strip_prefix(name)?.strip_prefix('=').map(PathBuf::from);
            places.lines().find_map(named).unwrap()
        };
        Self {
            chromium: place("chromium"),
            chromedriver: place("chromedriver"),
            node: place("node"),
            checkers: place("checkers"),
        }
    }
}

/// A file in `tests/browser`.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("browser").join(name)
}
