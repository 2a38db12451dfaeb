//! What all parsers share: where items go, and how a record that cannot be used is set aside.

use jiff::Timestamp;

use crate::draft::{Context, Draft};
use crate::error::SourceError;
use crate::record::{Item, Place, Record, SetAside, Withdrawal};
use domain::PaperId;

/// Takes items. An error ends the page.
pub type Sink<'a> = dyn FnMut(Item) -> Result<(), SourceError> + 'a;

/// What a record turned out to be.
#[derive(Debug)]
pub enum Outcome {
    /// A paper.
    Paper(Box<Draft>),
    /// A paper that was taken back, and why.
    Withdrawn(Box<Draft>, String),
    /// Nothing that is wanted here.
    Skipped,
    /// Not usable, and why.
    Bad(Box<Draft>, String),
}

impl Outcome {
    /// Makes the item. `excerpt` is asked for only where the record is set aside.
    pub fn into_item(self, context: &Context, place: Place, excerpt: impl FnOnce() -> String) -> Option<Item> {
        let (draft, reason) = match self {
            Self::Skipped => return None,
            Self::Bad(draft, reason) => (draft, reason),
            Self::Withdrawn(draft, reason) => match withdrawal(&draft, context, reason) {
                Ok(withdrawal) => return Some(Item::Record(Record::Withdrawn(withdrawal))),
                Err(reason) => (draft, reason),
            },
            Self::Paper(draft) => {
                let (id, datestamp) = (label(&draft), draft.datestamp);
                return Some(match draft.into_claim(context) {
                    Ok(claim) => Item::Record(Record::Paper(Box::new(claim))),
                    Err(reason) => aside(reason, place, id, datestamp, &excerpt()),
                });
            }
        };
        Some(aside(reason, place, label(&draft), draft.datestamp, &excerpt()))
    }
}

/// A record set aside.
pub fn aside(reason: String, place: Place, id: String, datestamp: Option<Timestamp>, excerpt: &str) -> Item {
    let mut end = excerpt.len().min(SetAside::EXCERPT_BYTES);
    while !excerpt.is_char_boundary(end) {
        end -= 1;
    }
    Item::SetAside(SetAside {
        reason,
        place,
        id,
        datestamp,
        excerpt: excerpt[..end].to_owned(),
    })
}

fn label(draft: &Draft) -> String {
    let known = draft.identifiers.paper_id().map(|id| id.to_string());
    known.unwrap_or_else(|| domain::text::shorten(&draft.native_id))
}

fn withdrawal(draft: &Draft, context: &Context, reason: String) -> Result<Withdrawal, String> {
    let id = match draft.identifiers.paper_id() {
        Some(id) => id,
        None => {
            PaperId::from_submission(draft.native_id.trim(), &context.source).map_err(|error| format!("id {error}"))?
        }
    };
    Ok(Withdrawal {
        id,
        identifiers: draft.identifiers.clone(),
        datestamp: draft.datestamp,
        reason,
    })
}
