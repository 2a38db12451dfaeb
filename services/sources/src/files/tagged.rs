//! RIS and MEDLINE: a record is lines that begin with a tag. Pure, over a reader.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::BufRead;

use domain::merging::Scheme;

use super::lines::{LineExtent, Lines};
use super::loose::Loose;
use super::records::RecordSender;
use super::{FilePage, FileProgress};
use crate::draft::RecordDraft;
use crate::encoding::lenient;
use crate::error::SourceError;
use crate::interpretation::Interpretation;
use crate::record::{QuarantinedRecord, RecordLocation};
use crate::text_format::TextFormat;

/// The most bytes of one record.
const MAX_RECORD_BYTES: usize = 4 << 20;

/// What is different between the two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagDialect {
    /// `TY  - JOUR` to `ER  - `.
    Ris,
    /// `PMID- 123` to an empty line.
    Medline,
}

/// Reads a page of a file.
///
/// # Errors
/// A file that cannot be read on, and what the receiver answers.
pub fn parse(
    input: impl BufRead,
    dialect: TagDialect,
    page: FilePage,
    records: &mut RecordSender<'_, '_>,
) -> Result<FileProgress, SourceError> {
    let mut lines = Lines::new(input, page.from)?;
    let mut record = TaggedRecord::default();
    let mut done = 0;
    while done < page.most {
        let begin = lines.byte;
        let extent = lines.read()?;
        let line = lenient(&lines.line);
        let line = line.trim_end_matches(['\r', '\n']);
        let step = match extent {
            None => Step::Ends,
            Some(_) => dialect.step(line, record.fields.is_empty()),
        };
        if matches!(step, Step::Ends | Step::Begins(..)) && !record.fields.is_empty() {
            let whole = extent.is_some() || record.extent != LineExtent::Last;
            record.location.record = done + 1;
            std::mem::take(&mut record).send(dialect, whole, records)?;
            done += 1;
            if let (Step::Begins(..), true) = (&step, done >= page.most) {
                return Ok(FileProgress::More(begin));
            }
        }
        let Some(extent) = extent else {
            return Ok(FileProgress::Finished);
        };
        record.take(step, extent, begin, lines.number);
    }
    Ok(FileProgress::More(lines.byte))
}

/// What a line does.
#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    /// Begins a record with a field.
    Begins(&'a str, &'a str),
    /// Adds a field to it.
    Field(&'a str, &'a str),
    /// Goes on with the last field.
    Continues(&'a str),
    /// Ends the record.
    Ends,
}

impl TagDialect {
    fn step(self, line: &str, outside: bool) -> Step<'_> {
        match (self, self.field(line)) {
            (Self::Ris, Some(("ER", _))) => Step::Ends,
            (Self::Ris, Some(("TY", value))) => Step::Begins("TY", value),
            (Self::Medline, Some(("PMID", value))) => Step::Begins("PMID", value),
            (_, Some(_)) if outside => Step::Ends,
            (_, Some((tag, value))) => Step::Field(tag, value),
            (Self::Medline, None) if line.trim().is_empty() => Step::Ends,
            (_, None) => Step::Continues(line.trim()),
        }
    }

    /// The tag and the value of a line: `AU  - Lovelace, Ada`, `FAU - Lovelace, Ada`.
    fn field(self, line: &str) -> Option<(&str, &str)> {
        let (tag, value) = line.split_once('-')?;
        let padded = match self {
            Self::Ris => tag.len() == 4 && tag.is_ascii() && tag.ends_with("  "),
            Self::Medline => tag.len() == 4,
        };
        let tag = tag.trim_end();
        let valid = tag
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        (padded && valid && tag.len() >= 2).then(|| (tag, value.trim()))
    }

    /// What a tag is called among the names of fields.
    fn name(self, tag: &str) -> Option<&'static str> {
        Some(match (self, tag) {
            (Self::Ris, "TI" | "T1" | "CT") | (Self::Medline, "TI") => "title",
            (Self::Ris, "BT") | (Self::Medline, "BTI" | "TT") => "item title",
            (Self::Ris, "AB" | "N2") | (Self::Medline, "AB") => "abstract",
            (Self::Ris, "AU" | "A1") | (Self::Medline, "FAU" | "CN" | "FCN") => "authors",
            (Self::Medline, "AU") => "creators",
            (Self::Ris, "KW") | (Self::Medline, "OT") => "keywords",
            (Self::Medline, "MH") => "subjects",
            (Self::Ris, "DA") | (Self::Medline, "DP") => "date",
            (Self::Medline, "DEP") => "publication date",
            (Self::Ris, "PY" | "Y1") => "year",
            (Self::Ris, "DO") | (Self::Medline, "DOI") => "doi",
            (Self::Medline, "PMID") => "pmid",
            (Self::Ris, "UR" | "L2") => "url",
            (Self::Ris, "L1") => "pdf",
            (_, "LA") => "language",
            (Self::Ris, "ID") => "id",
            (Self::Ris, "AN") => "accession number",
            _ => return None,
        })
    }
}

/// A record that is being read.
struct TaggedRecord {
    fields: Vec<(String, String)>,
    bytes: usize,
    location: RecordLocation,
    extent: LineExtent,
}

impl Default for TaggedRecord {
    fn default() -> Self {
        Self {
            fields: Vec::new(),
            bytes: 0,
            location: RecordLocation::default(),
            extent: LineExtent::Whole,
        }
    }
}

impl TaggedRecord {
    fn take(&mut self, step: Step<'_>, extent: LineExtent, byte: u64, line: u64) {
        let (tag, value) = match step {
            Step::Begins(tag, value) => {
                self.location.byte = byte;
                self.location.line = line;
                (tag, value)
            }
            Step::Field(tag, value) => (tag, value),
            Step::Continues(value) => ("", value),
            Step::Ends => return,
        };
        if extent != LineExtent::Whole {
            self.extent = extent;
        }
        self.bytes += tag.len() + value.len();
        if self.bytes > MAX_RECORD_BYTES {
            return;
        }
        match self.fields.last_mut() {
            Some((_, last)) if tag.is_empty() => {
                last.push(' ');
                last.push_str(value);
            }
            _ if tag.is_empty() => {}
            _ => self.fields.push((tag.to_owned(), value.to_owned())),
        }
    }

    /// Sends what the record means; one that the end of the file cut off within a line is refused.
    fn send(self, dialect: TagDialect, whole: bool, records: &mut RecordSender<'_, '_>) -> Result<(), SourceError> {
        let refused = if self.bytes > MAX_RECORD_BYTES || self.extent == LineExtent::Clipped {
            Some(format!("the record has more than {MAX_RECORD_BYTES} bytes"))
        } else if whole {
            None
        } else {
            Some("the file ends within the record".to_owned())
        };
        let location = self.location;
        if let Some(reason) = refused {
            return records.send(Interpretation::unreadable(reason), location, || self.excerpt());
        }
        let record = self.named(dialect, records);
        if dialect == TagDialect::Medline && self.values("PT").any(|kind| kind == "Retracted Publication") {
            return self.retract(location, records);
        }
        records.send_loose(&record, TextFormat::Mixed, location, || self.excerpt())
    }

    /// A paper that PubMed says was retracted.
    fn retract(&self, location: RecordLocation, records: &mut RecordSender<'_, '_>) -> Result<(), SourceError> {
        let mut draft = RecordDraft::default();
        for pmid in self.values("PMID") {
            pmid.clone_into(&mut draft.native_id);
            draft.identify(Scheme::Pubmed, pmid);
        }
        for doi in self.dois() {
            draft.identify(Scheme::Doi, doi);
        }
        let withdrawn = Interpretation::withdrawn(draft, "retracted according to PubMed");
        records.send(withdrawn, location, || self.excerpt())
    }

    fn values<'a>(&'a self, tag: &'a str) -> impl Iterator<Item = &'a str> {
        let of_tag = self.fields.iter().filter(move |(found, _)| found == tag);
        of_tag.map(|(_, value)| value.as_str())
    }

    /// MEDLINE marks the DOI among other identifiers: `10.1000/x [doi]`.
    fn dois(&self) -> impl Iterator<Item = &str> {
        let identifiers = self.values("LID").chain(self.values("AID"));
        identifiers.filter_map(|identifier| identifier.strip_suffix("[doi]").map(str::trim))
    }

    /// The record with the names that fields of a paper have; of most fields there may be several.
    fn named<'a>(&'a self, dialect: TagDialect, records: &mut RecordSender<'_, '_>) -> Loose<'a> {
        let mut members: Vec<(Cow<'a, str>, Loose<'a>)> = Vec::new();
        let mut add = |name: &'static str, value: Cow<'a, str>| {
            let known = members.iter_mut().find(|(known, _)| known == name);
            match known {
                Some((_, Loose::List(values))) => values.push(Loose::Text(value)),
                _ => members.push((Cow::Borrowed(name), Loose::List(vec![Loose::Text(value)]))),
            }
        };
        for (tag, value) in &self.fields {
            match dialect.name(tag) {
                Some("date" | "year" | "publication date") => {}
                Some(name) => add(name, Cow::Borrowed(value)),
                None if is_administrative(tag) => {}
                None => records.unread.add(tag),
            }
        }
        if dialect == TagDialect::Medline {
            self.dois().take(1).for_each(|doi| add("doi", Cow::Borrowed(doi)));
        }
        // A date is one value, the best there is.
        for name in ["publication date", "date", "year"] {
            let mut of_name = self.fields.iter().filter(|(tag, _)| dialect.name(tag) == Some(name));
            let best = of_name.find_map(|(_, value)| readable_date(value));
            if let Some(best) = best {
                members.push((Cow::Borrowed(name), Loose::Text(best)));
            }
        }
        Loose::Object(members)
    }

    fn excerpt(&self) -> String {
        let mut excerpt = String::new();
        for (tag, value) in &self.fields {
            if excerpt.len() < QuarantinedRecord::EXCERPT_BYTES {
                let end = value.floor_char_boundary(QuarantinedRecord::EXCERPT_BYTES);
                let _ = writeln!(excerpt, "{tag}  - {}", &value[..end]);
            }
        }
        excerpt
    }
}

/// A date as `crate::dates` reads it: `2020/03/15/`, `2020///spring`, `2020 Mar-Apr` and `2020 Spring` as far as they go.
fn readable_date(value: &str) -> Option<Cow<'_, str>> {
    let value = value.trim();
    let value = value
        .split_once("//")
        .map_or(value, |(date, _)| date)
        .trim_end_matches('/');
    if crate::dates::parse(value).is_some() {
        return Some(Cow::Borrowed(value));
    }
    let words: Vec<&str> = value.split([' ', '-', '/']).collect();
    (1..words.len()).rev().find_map(|count| {
        let shorter = words[..count].join(" ");
        crate::dates::parse(&shorter).map(|_| Cow::Owned(shorter))
    })
}

/// Tags about the entry and the journal's issue, which say nothing that a paper here has.
fn is_administrative(tag: &str) -> bool {
    matches!(
        tag,
        "TY" | "ER"
            | "PT"
            | "OWN"
            | "STAT"
            | "DCOM"
            | "LR"
            | "IS"
            | "VI"
            | "IP"
            | "PG"
            | "VL"
            | "SP"
            | "EP"
            | "SN"
            | "JO"
            | "JF"
            | "JA"
            | "J1"
            | "J2"
            | "T2"
            | "JT"
            | "TA"
            | "JID"
            | "PB"
            | "CY"
            | "PL"
            | "SO"
            | "EDAT"
            | "MHDA"
            | "CRDT"
            | "PHST"
            | "PST"
            | "SB"
            | "LID"
            | "AID"
            | "AD"
            | "AUID"
            | "CI"
            | "RN"
            | "GR"
            | "DB"
            | "DP"
            | "M3"
            | "Y2"
            | "N1"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_far_as_they_go() {
        for (value, expected) in [
            ("2020/03/15/", Some("2020-03-15")),
            ("2020///spring", Some("2020-01-01")),
            ("2020 Mar-Apr", Some("2020-03-01")),
            ("2020 of the usual kind", Some("2020-01-01")),
            ("2020 Mar 15", Some("2020-03-15")),
            ("soon", None),
        ] {
            let read = readable_date(value).and_then(|date| crate::dates::parse(&date));
            assert_eq!(
                read.map(|date| date.to_string()[..10].to_owned()).as_deref(),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn tags_are_told_from_text() {
        assert_eq!(TagDialect::Ris.field("AU  - Lee, A."), Some(("AU", "Lee, A.")));
        assert_eq!(TagDialect::Ris.field("ER  -"), Some(("ER", "")));
        assert_eq!(TagDialect::Medline.field("PMID- 12"), Some(("PMID", "12")));
        assert_eq!(
            TagDialect::Medline.field("TI  - Well-known"),
            Some(("TI", "Well-known"))
        );
        for line in ["well - known", "      a long-term study", "", "A-B"] {
            assert_eq!(TagDialect::Ris.field(line), None, "{line}");
            assert_eq!(TagDialect::Medline.field(line), None, "{line}");
        }
    }
}
