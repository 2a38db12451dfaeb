//! Mails of made-up papers, written once at the start: a template that does not render must not be found by readers.

use domain::preferences::Format;
use domain::schedule::Schedule;
use domain::{Interest, Link, LinkKind, Paper, PaperId, Preferences};
use jiff::Timestamp;
use minijinja::{Error, ErrorKind};

use super::{Issue, Letters, Links};
use crate::tokens::Tokens;

/// Writes every mail with much and with little in it.
pub fn check(letters: &Letters) -> Result<(), Error> {
    let (full, bare) = papers()?;
    let schedule =
        Schedule::parse("07:00", "UTC").map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    let mut preferences = Preferences::plain(schedule, 10);
    preferences.interests.push(Interest::in_words("lakes"));
    let links = Links::new(
        "https://example.org",
        &Tokens::new(b"sample"),
        "sample",
        Timestamp::UNIX_EPOCH,
    );
    for format in [Format::Html, Format::Text] {
        preferences.format = format;
        for papers in [vec![&full, &bare], vec![&bare], Vec::new()] {
            letters.issue(Issue {
                to: "reader@example.org",
                preferences: &preferences,
                date: "Monday, 2 March 2026",
                papers: papers.into_iter().map(|paper| (paper, "new today")).collect(),
                interests: vec![Some(0)],
                links: &links,
                message_id: "<sample@example.org>".to_owned(),
            })?;
        }
    }
    let confirm = "https://example.org/confirm?token=sample";
    letters.confirmation("reader@example.org", "en", confirm, "<sample@example.org>".to_owned())?;
    for notice in super::notices::samples("en", &links) {
        letters.webhook_ended(&notice)?;
    }
    Ok(())
}

/// One that has everything, and one that has nothing but a title.
fn papers() -> Result<(Paper, Paper), Error> {
    let id = PaperId::parse("arxiv:2603.00001")
        .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    let bare = Paper {
        id,
        title: "Lakes from above".to_owned(),
        abstract_text: String::new(),
        authors: Vec::new(),
        categories: Vec::new(),
        published: Timestamp::UNIX_EPOCH,
        updated: None,
        links: Vec::new(),
        source: "sample".to_owned(),
        revision: 1,
        content_hash: String::new(),
        language: String::new(),
        accepted: Timestamp::UNIX_EPOCH,
    };
    let link = |kind, url: &str| Link {
        kind,
        url: url.to_owned(),
    };
    let full = Paper {
        abstract_text: "We look at lakes. Colour tells algae.".to_owned(),
        authors: (1..=7).map(|number| format!("Author {number}")).collect(),
        categories: vec!["physics.ao-ph".to_owned()],
        links: vec![
            link(LinkKind::Abstract, "https://example.org/abs/1"),
            link(LinkKind::Pdf, "https://example.org/pdf/1"),
        ],
        language: "de".to_owned(),
        ..bare.clone()
    };
    Ok((full, bare))
}
