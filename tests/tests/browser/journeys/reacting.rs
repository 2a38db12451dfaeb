//! Votes and saved papers.

use crate::papers::days_ago;
use crate::reader::Reader;
use crate::stage::Stage;

/// The button of a paper that is saved.
pub const SAVED: &str = "button[data-action='save'][aria-pressed='true']";

/// The page of a paper, by its id.
pub fn page_of(paper: &str) -> String {
    format!("/papers/{paper}")
}

pub fn vote_moves_trending(_: &Stage, reader: &mut Reader) {
    // Each variant has a paper of its own, so that they do not lift each other's.
    let paper = format!("sample:sample-{:03}", 1 + reader.variant.index());
    let rank = |reader: &Reader| {
        reader.open("/");
        reader.papers("#trending").iter().position(|one| *one == paper)
    };
    let before = rank(reader);
    reader.open(&page_of(&paper));
    reader.press("button[data-action='vote']");
    reader.until("the vote is taken", |reader| {
        reader.sees("button[data-action='vote'][aria-pressed='true']")
    });
    reader.look("voted");
    let lifted = |reader: &Reader| match (before, rank(reader)) {
        (None | Some(0), after) => after.is_some(),
        (Some(before), Some(after)) => after < before,
        (Some(_), None) => false,
    };
    reader.until(&format!("the paper goes up from {before:?}"), lifted);
    // Who votes again is heard once.
    reader.open(&page_of(&paper));
    reader.press("button[data-action='vote']");
    reader.open(&format!("/day/{}", days_ago(0)));
    reader.look("day-after-vote");
}

pub fn save_and_take_out(_: &Stage, reader: &mut Reader) {
    let [first, second] = ["sample:sample-011", "sample:sample-012"];
    for paper in [first, second] {
        reader.open(&page_of(paper));
        reader.press("button[data-action='save']");
        reader.until("the paper is saved", |reader| reader.sees(SAVED));
    }
    reader.open("/saved");
    reader.look("saved");
    assert_eq!(reader.papers("main"), [second, first], "newest first");
    reader.press(&format!("article[data-paper='{first}'] button[data-action='save']"));
    reader.until("the paper is taken out", |reader| {
        reader.open("/saved");
        reader.papers("main") == [second]
    });
}
