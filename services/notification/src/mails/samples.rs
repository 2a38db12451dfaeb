//! Writes every mail once at the start, from made-up papers: readers must not be the first to find a template that does not
//! render.

use std::sync::Arc;

use domain::preferences::MailFormat;
use domain::schedule::Schedule;
use domain::{Interest, Link, LinkKind, Paper, PaperId, Preferences};
use jiff::Timestamp;
use minijinja::{Error, ErrorKind};

use super::{AccountLinkMail, ConfirmationContent, DigestContent, Links, MailPaper, MailWriter, webhook_notice};
use crate::signing_keys::SigningKeys;
use crate::tokens::{LinkHolder, Tokens};

const MESSAGE_ID: &str = "<sample@example.org>";

/// Writes every mail with much and with little in it.
pub fn write_all(writer: &MailWriter) -> Result<(), Error> {
    let (full, bare) = papers()?;
    let schedule =
        Schedule::parse("07:00", "UTC").map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    let mut preferences = Preferences::plain(schedule, 10);
    preferences.interests.push(Interest::in_words("lakes"));
    let tokens = Tokens::new(SigningKeys::single(b"sample"));
    let holder = LinkHolder { id: "sample", epoch: 0 };
    let links = Links::new("https://example.org", &tokens, holder, Timestamp::UNIX_EPOCH);
    for format in [MailFormat::Html, MailFormat::Text] {
        preferences.format = format;
        for papers in [vec![&full, &bare], vec![&bare], Vec::new()] {
            let papers = papers.into_iter().zip([Some(0), None]);
            writer.digest(&DigestContent {
                to: "reader@example.org",
                preferences: &preferences,
                day: jiff::civil::date(2026, 3, 2),
                papers: papers.map(|(paper, interest)| in_mail(paper, interest)).collect(),
                links: &links,
                message_id: MESSAGE_ID.to_owned(),
            })?;
        }
    }
    writer.confirmation(&ConfirmationContent {
        to: "reader@example.org",
        language: "en",
        confirm_url: "https://example.org/confirm?token=sample",
        decline_url: "https://example.org/not-me?token=sample",
        message_id: MESSAGE_ID.to_owned(),
    })?;
    writer.account_link(&AccountLinkMail {
        to: "reader@example.org",
        language: "en",
        url: "https://example.org/preferences?token=sample",
        message_id: MESSAGE_ID.to_owned(),
    })?;
    for notice in webhook_notice::samples("en", &links) {
        writer.webhook_notice(&notice)?;
    }
    Ok(())
}

fn in_mail(paper: &Arc<Paper>, interest: Option<u16>) -> MailPaper<'_> {
    MailPaper {
        paper,
        reason: "new today",
        interest,
    }
}

/// One that has everything, and one that has nothing but a title.
fn papers() -> Result<(Arc<Paper>, Arc<Paper>), Error> {
    let id = PaperId::parse("arxiv:2603.00001")
        .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    let bare = Paper {
        id,
        title: "Lakes from above".to_owned(),
        abstract_text: String::new(),
        authors: Vec::new(),
        categories: Vec::new(),
        published: Some(Timestamp::UNIX_EPOCH),
        updated: None,
        links: Vec::new(),
        source: "sample".to_owned(),
        revision: 1,
        content_hash: String::new(),
        language: String::new(),
        accepted: Timestamp::UNIX_EPOCH,
        revised: Timestamp::UNIX_EPOCH,
    };
    let link = |kind, url: &str| Link {
        kind,
        url: url.to_owned(),
    };
    let full = Paper {
        abstract_text: "We look at lakes. Colour tells algae.".to_owned(),
        authors: (1..=7).map(|number| format!("Author {number}").into()).collect(),
        categories: vec!["physics.ao-ph".to_owned()],
        links: vec![
            link(LinkKind::Abstract, "https://example.org/abs/1"),
            link(LinkKind::Pdf, "https://example.org/pdf/1"),
        ],
        language: "de".to_owned(),
        ..bare.clone()
    };
    Ok((Arc::new(full), Arc::new(bare)))
}
