//! BibTeX and biblatex. Pure, over a reader.
//!
//! Entries, values and names follow BibTeX's own rules ([`entries`], [`fields`], [`names`]); what those forbid and people write
//! is forgiven. A crate would read a file as a whole and end at its first mistake; here a file of any size is read in little
//! memory, and an entry that never ends is quarantined while the others are taken.

mod entries;
mod fields;
mod inheritance;
mod names;

use std::io::BufRead;

use domain::LinkKind;
use domain::merging::{Identifier, Scheme};
use domain::tex;

use super::FileProgress;
use crate::dates;
use crate::draft::{PageContext, RecordDraft};
use crate::encoding::lenient;
use crate::error::SourceError;
use crate::interpretation::{Interpretation, Sink};
use crate::record::{QuarantinedRecord, RecordLocation};
use crate::text_format::{TextFormat, TextFormats};
use entries::{BibtexEntries, EntryExtent, MAX_ENTRY_BYTES, RawEntry};
use fields::{BibtexFields, BibtexMacros};
use inheritance::{Inheritance, WaitingEntry};

/// Entries beyond those asked for that are read while some wait for their volume.
const MAX_MORE: u64 = 10_000;

/// Reads about `most` records from a byte on. What is before it is read for macros and volumes only.
///
/// # Errors
/// A file that cannot be read, and what `sink` answers.
pub fn parse(
    input: impl BufRead,
    from: u64,
    most: u64,
    context: &PageContext,
    sink: &mut Sink<'_>,
) -> Result<FileProgress, SourceError> {
    let mut entries = BibtexEntries::new(input);
    let mut library = Library::default();
    let mut records = 0;
    let progress = loop {
        let wanted = records < most || (library.inheritance.is_waiting() && records < most.saturating_add(MAX_MORE));
        if !wanted {
            break FileProgress::More(entries.position());
        }
        let Some(entry) = entries.next()? else {
            break FileProgress::Finished;
        };
        let is_new = entry.byte >= from;
        let Some(found) = library.read(&entry, records + 1).filter(|_| is_new) else {
            continue;
        };
        records += 1;
        for entry in found.map_or_else(|broken| vec![broken], |entry| library.complete(entry)) {
            send(entry, context, sink)?;
        }
    };
    for entry in library.inheritance.rest() {
        send(LibraryEntry::Sound(entry), context, sink)?;
    }
    Ok(progress)
}

/// What entries of a file share.
#[derive(Default)]
struct Library {
    macros: BibtexMacros,
    inheritance: Inheritance,
}

/// An entry that is a record.
enum LibraryEntry {
    Sound(WaitingEntry),
    Broken(String, RecordLocation, String),
}

impl Library {
    /// Reads an entry. `None` for one that is no work.
    fn read(&mut self, entry: &RawEntry<'_>, record: u64) -> Option<Result<WaitingEntry, LibraryEntry>> {
        let text = lenient(entry.text);
        let fields = fields::read(&text, &self.macros);
        match fields.kind.as_str() {
            "comment" | "preamble" | "control" | "ieeetranbstctl" | "set" => return None,
            "string" => {
                self.macros.define(fields);
                return None;
            }
            _ => {}
        }
        let location = RecordLocation {
            record,
            byte: entry.byte,
            line: 0,
        };
        let excerpt = text.chars().take(QuarantinedRecord::EXCERPT_BYTES).collect();
        let reason = match entry.extent {
            EntryExtent::Whole => {
                self.inheritance.remember(&fields);
                let is_work = fields.kind != "xdata";
                return is_work.then_some(Ok(WaitingEntry {
                    fields,
                    location,
                    excerpt,
                }));
            }
            EntryExtent::Open => "the entry does not end".to_owned(),
            EntryExtent::TooLong => format!("the entry has more than {MAX_ENTRY_BYTES} bytes"),
        };
        Some(Err(LibraryEntry::Broken(reason, location, excerpt)))
    }

    fn complete(&mut self, entry: WaitingEntry) -> Vec<LibraryEntry> {
        self.inheritance
            .take(entry)
            .into_iter()
            .map(LibraryEntry::Sound)
            .collect()
    }
}

fn send(entry: LibraryEntry, context: &PageContext, sink: &mut Sink<'_>) -> Result<(), SourceError> {
    let (interpretation, location, excerpt) = match entry {
        LibraryEntry::Sound(entry) => (interpret(&entry.fields), entry.location, entry.excerpt),
        LibraryEntry::Broken(reason, location, excerpt) => (Interpretation::unreadable(reason), location, excerpt),
    };
    match interpretation.into_item(context, location, || excerpt) {
        Some(item) => sink(item),
        None => Ok(()),
    }
}

/// What an entry means.
fn interpret(fields: &BibtexFields) -> Interpretation {
    let text = |names: &[&str]| fields.first_of(names).unwrap_or_default().to_owned();
    let mut draft = RecordDraft {
        native_id: fields.key.clone(),
        formats: TextFormats::all(TextFormat::Tex),
        title: text(&["title"]),
        abstract_text: text(&["abstract"]),
        authors: fields.get("author").map(names::split).unwrap_or_default(),
        categories: categories(fields),
        comment: tex::plain(&text(&["note", "comment", "addendum"])),
        published: published(fields),
        language: tex::plain(&text(&["langid", "language"])),
        ..RecordDraft::default()
    };
    draft.datestamp = draft.published;
    identify(fields, &mut draft);
    for (kind, names) in [
        (LinkKind::Abstract, ["url", "link"]),
        (LinkKind::Pdf, ["pdf", "pdf_url"]),
    ] {
        if let Some(address) = fields.first_of(&names) {
            draft.link(kind, &tex::unescaped(address));
        }
    }
    Interpretation::paper(draft)
}

/// `date`, or `year` with `month` and `day`. When an address was visited (`urldate`) is no date of the work.
fn published(fields: &BibtexFields) -> Option<jiff::Timestamp> {
    let text = |name: &str| tex::plain(fields.get(name).unwrap_or_default());
    let year = text("year");
    // Some write a whole date into the year.
    let parts = || dates::of_parts(&year, &text("month"), &text("day"));
    dates::parse(&text("date"))
        .or_else(|| dates::parse(&year).filter(|_| year.len() > 6))
        .or_else(parts)
}

/// Keywords, of which there may be several fields; the class that arXiv gives goes first.
fn categories(fields: &BibtexFields) -> Vec<String> {
    let class = fields.first_of(&["primaryclass", "eprintclass"]);
    let keywords = ["keywords", "keyword"].into_iter().flat_map(|name| fields.all(name));
    let words = keywords.flat_map(|words| words.split([',', ';']));
    class
        .into_iter()
        .chain(words)
        .map(|word| word.trim().to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

fn identify(fields: &BibtexFields, draft: &mut RecordDraft) {
    let text = |name: &str| tex::unescaped(fields.get(name).unwrap_or_default());
    let doi = text("doi");
    let label = doi.get(..4).filter(|label| label.eq_ignore_ascii_case("doi:"));
    draft.identify(Scheme::Doi, doi[label.map_or(0, str::len)..].trim());
    draft.identify(Scheme::Pubmed, &text("pmid"));
    let kind = fields.first_of(&["archiveprefix", "eprinttype"]).unwrap_or_default();
    let eprint = match kind.to_ascii_lowercase().as_str() {
        "" | "arxiv" => Some(Scheme::Arxiv),
        "pubmed" => Some(Scheme::Pubmed),
        _ => None,
    };
    if let Some(scheme) = eprint {
        draft.identify(scheme, &text("eprint"));
    }
    if let Some(identifier) = Identifier::recognise(&text("url")) {
        draft.identifiers.insert(identifier);
    }
    // `arXiv preprint arXiv:2603.00001`, as search engines write it, and the volume `abs/2603.00001` of CoRR, as dblp does.
    let journal = text("journal");
    if let Some((_, id)) = journal.split_once("arXiv:") {
        draft.identify(Scheme::Arxiv, id.split_whitespace().next().unwrap_or_default());
    }
    if let ("CoRR", Some(id)) = (journal.as_str(), text("volume").strip_prefix("abs/")) {
        draft.identify(Scheme::Arxiv, id);
    }
}
