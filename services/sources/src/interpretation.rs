//! What a record turned out to be, and the item it becomes. Shared by all parsers.

use domain::PaperId;
use domain::merging::withdrawal_notice;
use jiff::Timestamp;

use crate::draft::{PageContext, RecordDraft};
use crate::error::SourceError;
use crate::record::{PageItem, QuarantinedRecord, RecordLocation, SignalKind, Withdrawal};

/// Receives items. An error ends the page.
pub type Sink<'a> = dyn FnMut(PageItem) -> Result<(), SourceError> + 'a;

/// What a record turned out to be.
#[derive(Debug)]
pub enum Interpretation {
    /// A paper.
    Paper(Box<RecordDraft>),
    /// A withdrawn paper, and why it was withdrawn.
    Withdrawn(Box<RecordDraft>, String),
    /// A record that the settings leave out.
    Skipped,
    /// Unusable, and why.
    Unusable(Box<RecordDraft>, String),
}

impl Interpretation {
    /// A paper, or a withdrawn one where its title, its comment or its abstract says so.
    pub fn paper(draft: RecordDraft) -> Self {
        let notice = withdrawal_notice(&draft.title, &draft.comment, &draft.abstract_text);
        match notice.map(str::to_owned) {
            Some(notice) => Self::withdrawn(draft, notice),
            None => Self::Paper(Box::new(draft)),
        }
    }

    /// A withdrawn paper.
    pub fn withdrawn(draft: RecordDraft, reason: impl Into<String>) -> Self {
        Self::Withdrawn(Box::new(draft), reason.into())
    }

    /// A record that cannot be used.
    pub fn unusable(draft: RecordDraft, reason: impl Into<String>) -> Self {
        Self::Unusable(Box::new(draft), reason.into())
    }

    /// A record of which nothing could be read.
    pub fn unreadable(reason: impl Into<String>) -> Self {
        Self::unusable(RecordDraft::default(), reason)
    }

    /// When the source last changed the record.
    pub fn datestamp(&self) -> Option<Timestamp> {
        match self {
            Self::Paper(draft) | Self::Withdrawn(draft, _) | Self::Unusable(draft, _) => draft.datestamp,
            Self::Skipped => None,
        }
    }

    /// Takes out the signals of a paper.
    pub fn take_signals(&mut self) -> Vec<(SignalKind, u64)> {
        match self {
            Self::Paper(draft) => std::mem::take(&mut draft.signals),
            Self::Withdrawn(..) | Self::Skipped | Self::Unusable(..) => Vec::new(),
        }
    }

    /// Makes the item; `None` for a skipped record. `excerpt` is called only if the record is quarantined.
    pub fn into_item(
        self,
        context: &PageContext,
        location: RecordLocation,
        excerpt: impl FnOnce() -> String,
    ) -> Option<PageItem> {
        let (draft, reason) = match self {
            Self::Skipped => return None,
            Self::Unusable(draft, reason) => (draft, reason),
            Self::Withdrawn(draft, reason) => match withdrawal(&draft, context, reason) {
                Ok(withdrawal) => return Some(PageItem::Withdrawal(withdrawal)),
                Err(reason) => (draft, reason),
            },
            Self::Paper(draft) => {
                let (id, datestamp) = (label(&draft), draft.datestamp);
                return Some(match draft.into_source_record(context) {
                    Ok(record) => PageItem::Paper(Box::new(record)),
                    Err(reason) => quarantined(reason, location, id, datestamp, &excerpt()),
                });
            }
        };
        Some(quarantined(
            reason,
            location,
            label(&draft),
            draft.datestamp,
            &excerpt(),
        ))
    }
}

/// A quarantined record.
pub fn quarantined(
    reason: String,
    location: RecordLocation,
    id: String,
    datestamp: Option<Timestamp>,
    excerpt: &str,
) -> PageItem {
    let end = excerpt.floor_char_boundary(QuarantinedRecord::EXCERPT_BYTES);
    PageItem::Quarantined(QuarantinedRecord {
        reason,
        location,
        id,
        datestamp,
        excerpt: excerpt[..end].to_owned(),
    })
}

fn label(draft: &RecordDraft) -> String {
    let known = draft.identifiers.paper_id().map(|id| id.to_string());
    known.unwrap_or_else(|| domain::text::shorten(&draft.native_id))
}

fn withdrawal(draft: &RecordDraft, context: &PageContext, reason: String) -> Result<Withdrawal, String> {
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
