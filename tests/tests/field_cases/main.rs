//! Inputs after public bug reports of neighbouring programs, through the front door: files by `broadsheet ingest`, feeds by
//! sources over HTTP; what became of them is read over gRPC, in pages, feeds, exports and digests.
//!
//! The inputs are in `field-cases` of the data sets, a folder each, with what a person would expect. The last line counts
//! them.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod bibtex;
mod feeds;
mod files;
mod readers;
mod stage;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Trial};

use self::stage::Stage;

/// What must hold in a case.
type Check = fn(&Stage);

fn main() {
    let arguments = Arguments::from_args();
    let inputs = tests::data::find("field-cases");
    let skip = inputs.is_none();
    let inputs = inputs.unwrap_or_default();
    let stage = Arc::<OnceLock<Option<Stage>>>::default();
    let cases = [bibtex::CASES, feeds::CASES, files::CASES, readers::CASES].concat();
    let trials = cases.into_iter().map(|(name, check)| {
        let (stage, inputs) = (Arc::clone(&stage), inputs.clone());
        let run = move || {
            // One that does not start is not tried again for each case.
            let start = || catch_unwind(AssertUnwindSafe(|| Stage::start(&inputs))).ok();
            check(
                stage
                    .get_or_init(start)
                    .as_ref()
                    .expect("the platform takes all inputs"),
            );
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(skip)
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    println!(
        "field_cases: tried={} passed={}",
        conclusion.num_passed + conclusion.num_failed,
        conclusion.num_passed
    );
    // Ends the platform, which an exit would leave behind.
    drop(stage);
    conclusion.exit();
}
