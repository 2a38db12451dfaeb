//! Papers that mean no good, and requests that cannot be.

use crate::journeys::reacting::page_of;
use crate::papers::{HOSTILE, LONG};
use crate::reader::Reader;
use crate::stage::Stage;

pub fn hostile_papers(_: &Stage, reader: &mut Reader) {
    for (paper, page) in [(HOSTILE, "paper-hostile"), (LONG, "paper-long")] {
        reader.open(&page_of(paper));
        reader.look(page);
        let taken = "return document.title === 'taken' || document.querySelector('main script, main img[src=x], main a[href^=\"javascript:\"]') !== null";
        assert_eq!(reader.run(taken, &[]), false, "a paper has become part of the page");
    }
    reader.open("/search?q=hedgehogs");
    reader.look("search-hostile");
    let found = reader.papers("#results");
    assert!(
        found.iter().any(|paper| paper == HOSTILE) && found.iter().any(|paper| paper == LONG),
        "{found:?}"
    );
}

pub fn refusals(_: &Stage, reader: &mut Reader) {
    let long = format!("/search?q={}", "hedgehog+".repeat(1_200));
    for (path, page, status) in [
        ("/no/such/page", "not-found", 404),
        ("/papers/arxiv:2611.99999", "no-such-paper", 404),
        ("/day/2026-13-45", "no-such-day", 404),
        ("/search?q=author%3A", "search-malformed", 400),
        (&long, "search-too-long", 414),
        ("/confirm?token=forged.token", "confirm-forged", 400),
        ("/preferences?token=forged.token", "preferences-forged", 400),
        ("/unsubscribe?token=", "unsubscribe-no-token", 400),
    ] {
        reader.open(path);
        reader.look_expecting(page, status);
        let text = reader.text("main");
        assert!(
            !text.contains("panicked") && text.len() > 30,
            "{path} says what to do: {text}"
        );
    }
}
