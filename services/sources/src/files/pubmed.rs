//! XML of PubMed. Pure, over a reader.

use std::io::Read;

use domain::AuthorName;
use domain::merging::Scheme;
use jiff::Timestamp;

use super::FileProgress;
use super::records::RecordSender;
use crate::dates;
use crate::draft::RecordDraft;
use crate::error::SourceError;
use crate::interpretation::Interpretation;
use crate::record::{PageItem, RecordLocation};
use crate::text_format::{TextFormat, TextFormats};
use crate::xml::{FieldHandler, RecordHandler, StartTag, read_records};

/// Reads a file; it is one page.
///
/// # Errors
/// A file that is no XML of PubMed or breaks off, and what the receiver answers.
pub fn parse(input: impl Read, records: &mut RecordSender<'_, '_>) -> Result<FileProgress, SourceError> {
    let context = records.context;
    let mut location = RecordLocation::default();
    let mut numbered = |item: PageItem| {
        location.record += 1;
        let location = match &item {
            PageItem::Quarantined(record) => record.location,
            _ => location,
        };
        records.pass(location, item)
    };
    read_records(input, None, &mut ArticleHandler::default(), context, &mut numbered)?;
    Ok(FileProgress::Finished)
}

#[derive(Default)]
struct ArticleHandler {
    inside: bool,
    /// Within what the article cites or comments on.
    elsewhere: bool,
    draft: RecordDraft,
    label: String,
    author: [String; 4],
    date: [String; 3],
    retracted: bool,
}

impl ArticleHandler {
    fn is_field(&mut self, tag: &StartTag<'_>) -> bool {
        let is = |attribute: &str, value: &str| tag.attribute(attribute).is_some_and(|found| found == value);
        match tag.name() {
            b"AbstractText" => {
                self.label = tag.attribute("Label").unwrap_or_default();
                true
            }
            b"ELocationID" => is("EIdType", "doi"),
            b"ArticleId" => is("IdType", "doi"),
            name => matches!(
                name,
                b"PMID"
                    | b"ArticleTitle"
                    | b"LastName"
                    | b"ForeName"
                    | b"Suffix"
                    | b"CollectiveName"
                    | b"Year"
                    | b"Month"
                    | b"Day"
                    | b"MedlineDate"
                    | b"Language"
                    | b"Keyword"
                    | b"PublicationType"
            ),
        }
    }

    fn end_author(&mut self) {
        let [family, given, suffix, group] = std::mem::take(&mut self.author);
        let name = AuthorName::new(&given, &family, &suffix);
        let group = || AuthorName::literal(&group);
        self.draft.authors.push(if name.is_empty() { group() } else { name });
    }

    /// The date of the article itself, or that of the issue where there is none.
    fn end_date(&mut self, of_article: bool) {
        let [year, month, day] = std::mem::take(&mut self.date);
        if let Some(date) = written(&year, &month, &day)
            && (of_article || self.draft.published.is_none())
        {
            self.draft.published = Some(date);
        }
    }
}

/// A month is a number or a word; a season is none.
fn written(year: &str, month: &str, day: &str) -> Option<Timestamp> {
    let numeric = !month.is_empty() && month.bytes().all(|byte| byte.is_ascii_digit());
    let separator = if numeric { "-" } else { " " };
    let parts = [year, month, day].map(str::trim);
    (1..=3)
        .rev()
        .find_map(|count| dates::parse(parts[..count].join(separator).trim_end_matches(separator)))
}

impl FieldHandler for ArticleHandler {
    fn opens(&mut self, tag: &StartTag<'_>) -> bool {
        match tag.name() {
            b"CommentsCorrectionsList" | b"ReferenceList" => self.elsewhere = true,
            b"PubDate" | b"ArticleDate" | b"PubMedPubDate" => self.date = Default::default(),
            _ => {}
        }
        self.inside && !self.elsewhere && self.is_field(tag)
    }

    fn field(&mut self, name: &[u8], text: &str) {
        let draft = &mut self.draft;
        match name {
            b"PMID" if draft.native_id.is_empty() => {
                text.clone_into(&mut draft.native_id);
                draft.identify(Scheme::Pubmed, text);
            }
            b"ArticleTitle" => text.clone_into(&mut draft.title),
            b"AbstractText" => {
                if !draft.abstract_text.is_empty() {
                    draft.abstract_text.push_str("\n\n");
                }
                if !self.label.is_empty() {
                    draft.abstract_text.push_str(&self.label);
                    draft.abstract_text.push_str(": ");
                }
                draft.abstract_text.push_str(text);
            }
            b"ELocationID" | b"ArticleId" => draft.identify(Scheme::Doi, text),
            b"LastName" => text.clone_into(&mut self.author[0]),
            b"ForeName" => text.clone_into(&mut self.author[1]),
            b"Suffix" => text.clone_into(&mut self.author[2]),
            b"CollectiveName" => text.clone_into(&mut self.author[3]),
            b"Year" => text.clone_into(&mut self.date[0]),
            b"Month" => text.clone_into(&mut self.date[1]),
            b"Day" => text.clone_into(&mut self.date[2]),
            // `2020 Mar-Apr`
            b"MedlineDate" => {
                let mut words = text.split([' ', '-']);
                words.next().unwrap_or_default().clone_into(&mut self.date[0]);
                words.next().unwrap_or_default().clone_into(&mut self.date[1]);
            }
            b"Language" => text.clone_into(&mut draft.language),
            b"Keyword" => draft.categories.push(text.to_owned()),
            b"PublicationType" => self.retracted |= text == "Retracted Publication",
            _ => {}
        }
    }

    fn closes(&mut self, name: &[u8]) {
        match name {
            b"CommentsCorrectionsList" | b"ReferenceList" => self.elsewhere = false,
            b"Author" if !self.elsewhere => self.end_author(),
            b"PubDate" => self.end_date(false),
            b"ArticleDate" => self.end_date(true),
            _ => {}
        }
    }
}

impl RecordHandler for ArticleHandler {
    const EXPECTED: &'static str = "XML of PubMed";
    const RECORD: &'static str = "an article";

    fn is_record(name: &[u8]) -> bool {
        matches!(name, b"PubmedArticle" | b"PubmedBookArticle")
    }

    fn record_begins(&mut self) {
        *self = Self {
            inside: true,
            ..Self::default()
        };
    }

    fn record_ends(&mut self, overflow: Option<String>) -> Option<Interpretation> {
        if !std::mem::take(&mut self.inside) {
            return None;
        }
        let mut draft = std::mem::take(&mut self.draft);
        draft.datestamp = draft.published;
        draft.formats = TextFormats::all(TextFormat::Markup);
        Some(match overflow {
            Some(reason) => Interpretation::unusable(draft, reason),
            None if self.retracted => Interpretation::withdrawn(draft, "retracted according to PubMed"),
            None => Interpretation::paper(draft),
        })
    }

    fn is_in_record(&self) -> bool {
        self.inside
    }
}
