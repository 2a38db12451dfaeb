//! Data sets that are not part of the repository: where they are, and what a test does without them.
//!
//! In CI a missing data set fails the test, because a proof that did not run proves nothing; elsewhere the test says that
//! it is skipped. `BROADSHEET_DATA=skip` leaves out, in CI too, what needs data.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The variable that names the folder of the data sets.
const VARIABLE: &str = "BROADSHEET_DATA";

/// Where a data set is, or why there is none.
#[derive(Debug, PartialEq, Eq)]
enum DataSet {
    Found(PathBuf),
    Skipped(String),
    /// It must be there and is not.
    Missing(String),
}

/// A file or folder by its path in the folder of the data sets, which is the one that `BROADSHEET_DATA` names, else
/// `../shared/data` beside the checkout. `None`, and a line on standard error, where it is not there.
///
/// # Panics
/// In CI, where it is not there.
pub fn find(path: &str) -> Option<PathBuf> {
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    match look_up(path, std::env::var_os(VARIABLE), in_ci) {
        DataSet::Found(path) => Some(path),
        DataSet::Missing(why) => panic!("{why}"),
        DataSet::Skipped(why) => {
            // Past the capture of the test harness, which shows nothing of a test that passes.
            let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
            None
        }
    }
}

fn look_up(path: &str, variable: Option<OsString>, in_ci: bool) -> DataSet {
    if variable.as_ref().is_some_and(|value| value == "skip") {
        return DataSet::Skipped(format!("{VARIABLE}=skip leaves out what needs {path}"));
    }
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let full = variable.map_or_else(beside, PathBuf::from).join(path);
    if full.exists() {
        return DataSet::Found(full);
    }
    let why = format!(
        "{} does not exist; set {VARIABLE} to the folder that holds {path}, or to skip",
        full.display()
    );
    if in_ci {
        DataSet::Missing(why)
    } else {
        DataSet::Skipped(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_data_fails_in_ci_and_is_skipped_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("here"), "").unwrap();
        let variable = || Some(folder.path().as_os_str().to_owned());
        assert_eq!(
            look_up("here", variable(), true),
            DataSet::Found(folder.path().join("here"))
        );
        assert!(matches!(look_up("gone", variable(), true), DataSet::Missing(why) if why.contains("gone")));
        assert!(matches!(look_up("gone", variable(), false), DataSet::Skipped(why) if why.contains(VARIABLE)));
        assert!(matches!(
            look_up("here", Some("skip".into()), true),
            DataSet::Skipped(_)
        ));
    }
}
