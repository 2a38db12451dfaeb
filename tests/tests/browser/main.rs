//! The pages in a real Chromium, against a real platform: what readers do from the first search to the last mail, with and
//! without scripts, on a phone and on a desk, in the dark and in the light; and what holds for every page on the way.
//!
//! `BROADSHEET_BROWSER=skip` leaves it out where neither browser nor package registries are to be had. Pictures of every page
//! lie in the target folder, under `screenshots`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod journeys;
mod loaded;
mod papers;
mod reader;
mod rules;
mod stage;
mod tools;
mod validity;
mod variant;
mod webdriver;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};

use self::reader::Reader;
use self::stage::Stage;
use self::variant::Variant;

/// What a reader does, in any variant.
type Journey = fn(&Stage, &mut Reader);
/// What is looked at without a screen.
type Check = fn(&Stage);

fn main() {
    let arguments = Arguments::from_args();
    let skip = std::env::var("BROADSHEET_BROWSER").is_ok_and(|word| word == "skip");
    if skip {
        println!("skipped: BROADSHEET_BROWSER=skip leaves the tests in a browser out");
    }
    let stage = Arc::<OnceLock<Stage>>::default();
    let conclusion = libtest_mimic::run(&arguments, trials(&stage, skip));
    if let Some(stage) = stage.get() {
        if let Some((page, bytes)) = stage.heaviest() {
            println!("heaviest page: {page}, {bytes} bytes with all that belongs to it");
        }
        println!("screenshots: {}", stage.screenshots.display());
    }
    // Ends the platform and the browsers, which an exit would leave behind.
    drop(stage);
    conclusion.exit();
}

fn trials(stage: &Arc<OnceLock<Stage>>, skip: bool) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (name, journey) in journeys::IN_EVERY_VARIANT {
        for variant in Variant::ALL {
            let stage = Arc::clone(stage);
            let run = move || walk(stage.get_or_init(Stage::start), variant, name, *journey);
            trials.push(Trial::test(format!("{name}, {}", variant.name()), run));
        }
    }
    for (name, check) in journeys::ONCE {
        let stage = Arc::clone(stage);
        let run = move || {
            check(stage.get_or_init(Stage::start));
            Ok(())
        };
        trials.push(Trial::test(*name, run));
    }
    trials.into_iter().map(|trial| trial.with_ignored_flag(skip)).collect()
}

/// Leads a reader through a journey, and tells of everything that was wrong on the way, also where it ends early.
fn walk(stage: &Stage, variant: Variant, name: &str, journey: Journey) -> Result<(), Failed> {
    let mut reader = Reader::new(stage, variant);
    let walked = catch_unwind(AssertUnwindSafe(|| journey(stage, &mut reader)));
    if let Err(reason) = &walked {
        reader.stumbled(name, reason.as_ref());
    }
    reader.leave().map_err(Failed::from)
}
