//! The structure of the production code, held to its figures: no module circles, no type name that several share, one
//! clock, supervised tasks, one module style, the words of the glossary, short files and functions.
//!
//! It reads `services/*/src` and `proto/src` as syntax, without what is compiled for tests alone, and says nothing about
//! style: that is for `cargo clippy`. `just structure` runs it and prints every finding with its place.
#![expect(clippy::unwrap_used, reason = "tests")]

mod checks;
mod cycles;
mod names;
mod paths;
mod workspace;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// How many findings of a kind are accepted. Where one is to be above 0, its reason stands beside it.
const LIMITS: [(Kind, usize); 8] = [
    (Kind::Cycles, 0),
    (Kind::SameNames, 0),
    (Kind::Clocks, 0),
    (Kind::Spawns, 0),
    (Kind::ModRs, 0),
    (Kind::Words, 0),
    (Kind::Long, 0),
    (Kind::TestNames, 0),
];

/// Words that the glossary in ARCHITECTURE.md replaced: no identifier and no file is made of them.
const WORDS: &[&str] = &[
    "appetite", "board", "claims", "crew", "desk", "edition", "editions", "era", "errand", "frontage", "gap", "heat",
    "hop", "hops", "keeper", "landing", "lanes", "plate", "plates", "press", "probes", "shelf", "shim", "sought",
    "wishes",
];

/// Words that the glossary replaced in one crate; elsewhere a letter is one of the alphabet, or a dead letter.
const WORDS_OF_A_CRATE: &[(&str, &[&str])] = &[("notification", &["letter", "letters"])];

/// Names in which such a word has its ordinary meaning.
const ORDINARY: &[&str] = &["dead_letter", "dead_letters"];

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Groups of modules of one crate that use each other in a circle, parent and child aside.
    Cycles,
    /// Names that four or more types share.
    SameNames,
    /// Readings of the wall clock outside `clock.rs`.
    Clocks,
    /// Tasks started outside `services/common`.
    Spawns,
    /// Files called `mod.rs`.
    ModRs,
    /// Identifiers and files with words that the glossary replaced.
    Words,
    /// Files over 500 lines and functions over 70.
    Long,
    /// Names of tests over 60 characters.
    TestNames,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Cycles => "cycles",
            Self::SameNames => "same_names",
            Self::Clocks => "clocks",
            Self::Spawns => "spawns",
            Self::ModRs => "mod_rs",
            Self::Words => "words",
            Self::Long => "long",
            Self::TestNames => "test_names",
        }
    }
}

/// A place in the code that counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    kind: Kind,
    file: PathBuf,
    line: usize,
    text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}:{}: {}",
            self.kind.name(),
            self.file.display(),
            self.line,
            self.text
        )
    }
}

#[test]
fn the_structure_is_within_its_limits() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let crates = workspace::read(root);
    assert!(crates.len() > 10, "the workspace has more crates than {}", crates.len());
    let mut findings = checks::findings(&crates);
    findings.extend(cycles::findings(&crates));
    findings.extend(names::long_test_names(root));
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    for finding in &findings {
        // A circle is one finding, whatever the number of its modules.
        *counts.entry(finding.kind).or_default() += 1;
    }
    let count = |kind: Kind| counts.get(&kind).copied().unwrap_or(0);
    let over: Vec<String> = LIMITS
        .iter()
        .filter(|(kind, limit)| count(*kind) > *limit)
        .map(|(kind, limit)| format!("{}={} (limit {limit})", kind.name(), count(*kind)))
        .collect();
    let figures = LIMITS.map(|(kind, _)| format!("{}={}", kind.name(), count(kind)));
    println!("{}", figures[7]);
    println!("structure: {}", figures[..7].join(" "));
    assert!(over.is_empty(), "over the limit: {}", over.join(", "));
}
