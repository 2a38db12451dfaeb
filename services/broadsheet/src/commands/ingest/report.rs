//! What became of the records of each input, and how that is shown.

use serde_json::{Value, json};
use sources::files::inputs::FileInput;
use sources::files::{Compression, FileFormat, UnreadFields};
use sources::{RecordLocation, SourceError};

use crate::error::CommandError;

/// Refused records that are listed; all are counted.
const MAX_LISTED: usize = 10_000;
/// Files and errors that are named.
const MAX_NAMED: usize = 20;

/// What became of a record that was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordOutcome {
    /// A paper that was new or changed.
    Accepted,
    /// A paper that was known.
    Unchanged,
    /// A paper whose text is known under another id.
    Duplicate,
    /// A withdrawal.
    Withdrawn,
}

/// What became of all records.
pub struct IngestReport {
    inputs: Vec<InputReport>,
    refused: Vec<Refusal>,
}

#[derive(Default)]
struct InputReport {
    name: String,
    /// Whether it was named by itself, and not only lay in a folder.
    named: bool,
    format: Option<(FileFormat, Compression)>,
    accepted: u64,
    unchanged: u64,
    duplicates: u64,
    withdrawn: u64,
    refused: u64,
    unread: UnreadFields,
    /// What it holds instead of papers.
    skipped: Option<String>,
    error: Option<String>,
}

struct Refusal {
    input: usize,
    location: RecordLocation,
    problem: String,
}

impl IngestReport {
    /// Of nothing so far.
    pub fn new(inputs: &[FileInput]) -> Self {
        let inputs = inputs.iter().map(|input| InputReport {
            name: input.to_string(),
            named: !matches!(input, FileInput::Found(_)),
            ..InputReport::default()
        });
        Self {
            inputs: inputs.collect(),
            refused: Vec::new(),
        }
    }

    /// Notes what an input is, and says so.
    pub fn begin(&mut self, input: usize, format: FileFormat, compression: Compression) -> String {
        let report = &mut self.inputs[input];
        report.format = Some((format, compression));
        let packed = match compression {
            Compression::Plain => String::new(),
            packed => format!(", packed with {packed}"),
        };
        format!("{}: {}{packed}", report.name, format.title())
    }

    /// Notes how an input ended.
    pub fn end(&mut self, input: usize, ended: Result<UnreadFields, SourceError>) {
        let report = &mut self.inputs[input];
        match ended {
            Ok(unread) => report.unread = unread,
            Err(SourceError::UnexpectedFormat { found, .. }) if !report.named => report.skipped = Some(found),
            Err(error) => report.error = Some(error.to_string()),
        }
    }

    /// Counts a record.
    pub fn note(&mut self, input: usize, outcome: RecordOutcome) {
        let report = &mut self.inputs[input];
        let count = match outcome {
            RecordOutcome::Accepted => &mut report.accepted,
            RecordOutcome::Unchanged => &mut report.unchanged,
            RecordOutcome::Duplicate => &mut report.duplicates,
            RecordOutcome::Withdrawn => &mut report.withdrawn,
        };
        *count += 1;
    }

    /// Counts a record that was refused.
    pub fn refuse(&mut self, input: usize, location: RecordLocation, problem: String) {
        self.inputs[input].refused += 1;
        if self.refused.len() < MAX_LISTED {
            self.refused.push(Refusal {
                input,
                location,
                problem,
            });
        }
    }

    /// Records that have an answer.
    pub fn settled(&self) -> u64 {
        self.sum(|one| one.accepted + one.unchanged + one.duplicates + one.withdrawn + one.refused)
    }

    /// Papers that were accepted, now or before.
    pub fn known(&self) -> u64 {
        self.sum(|one| one.accepted + one.unchanged)
    }

    fn sum(&self, count: impl Fn(&InputReport) -> u64) -> u64 {
        self.inputs.iter().map(count).sum()
    }

    /// The refused records, in the order of the files.
    pub fn refusals(&self) -> Vec<String> {
        let mut refused: Vec<&Refusal> = self.refused.iter().collect();
        refused.sort_by_key(|one| (one.input, one.location.byte, one.location.record));
        let named = |one: &Refusal| {
            format!(
                "{}, {}: {}",
                self.inputs[one.input].name,
                place(one.location),
                one.problem
            )
        };
        refused.into_iter().map(named).collect()
    }

    /// Prints it.
    pub fn show(&self, as_json: bool) {
        if as_json {
            println!("{}", self.json());
            return;
        }
        for refusal in self.refusals() {
            eprintln!("{refusal}");
        }
        let unlisted = self.sum(|one| one.refused) - self.refused.len() as u64;
        if unlisted > 0 {
            eprintln!("and {unlisted} more were refused");
        }
        self.show_skipped();
        for one in self.inputs.iter().filter(|one| !one.unread.is_empty()).take(MAX_NAMED) {
            eprintln!("{}: fields not understood: {}", one.name, one.unread);
        }
        if self.inputs.len() > 1 {
            for one in self.inputs.iter().filter(|one| one.format.is_some()) {
                println!("{}: {}", one.name, one.counts());
            }
        }
        println!("{}", self.total().counts());
    }

    fn show_skipped(&self) {
        let skipped: Vec<&InputReport> = self.inputs.iter().filter(|one| one.skipped.is_some()).collect();
        for one in skipped.iter().take(MAX_NAMED) {
            eprintln!(
                "{}: left out, it is {}",
                one.name,
                one.skipped.as_deref().unwrap_or_default()
            );
        }
        if let Some(more @ 1..) = skipped.len().checked_sub(MAX_NAMED) {
            eprintln!("and {more} more files of other kinds were left out");
        }
    }

    fn total(&self) -> InputReport {
        InputReport {
            accepted: self.sum(|one| one.accepted),
            unchanged: self.sum(|one| one.unchanged),
            duplicates: self.sum(|one| one.duplicates),
            withdrawn: self.sum(|one| one.withdrawn),
            refused: self.sum(|one| one.refused),
            ..InputReport::default()
        }
    }

    fn json(&self) -> Value {
        let mut refused: Vec<&Refusal> = self.refused.iter().collect();
        refused.sort_by_key(|one| (one.input, one.location.byte, one.location.record));
        let refused = refused.into_iter().map(|one| {
            json!({
                "file": self.inputs[one.input].name,
                "line": (one.location.line > 0).then_some(one.location.line),
                "record": one.location.record,
                "byte": one.location.byte,
                "problem": one.problem,
            })
        });
        let mut report = self.total().json();
        report["refused"] = refused.collect();
        report["refused_count"] = json!(self.sum(|one| one.refused));
        report["files"] = self.inputs.iter().map(InputReport::described).collect();
        report
    }

    /// An error where something was refused, or an input could not be read.
    pub fn check(&self) -> Result<(), CommandError> {
        let broken: Vec<String> = self
            .inputs
            .iter()
            .filter_map(|one| Some(format!("{}: {}", one.name, one.error.as_ref()?)))
            .collect();
        let refused = match self.sum(|one| one.refused) {
            0 => None,
            1 => Some("1 record was refused; all others were accepted".to_owned()),
            count => Some(format!("{count} records were refused; all others were accepted")),
        };
        let unnamed = broken.len().saturating_sub(MAX_NAMED);
        let unnamed = (unnamed > 0).then(|| format!("{unnamed} more files could not be read"));
        let problems: Vec<String> = broken
            .into_iter()
            .take(MAX_NAMED)
            .chain(unnamed)
            .chain(refused)
            .collect();
        if problems.is_empty() {
            return Ok(());
        }
        Err(CommandError::data(problems.join("\n")))
    }
}

impl InputReport {
    fn counts(&self) -> String {
        let withdrawn = match self.withdrawn {
            0 => String::new(),
            count => format!("{count} withdrawn, "),
        };
        format!(
            "{} accepted, {} unchanged, {} duplicates, {withdrawn}{} refused",
            self.accepted, self.unchanged, self.duplicates, self.refused
        )
    }

    fn json(&self) -> Value {
        json!({
            "accepted": self.accepted,
            "unchanged": self.unchanged,
            "duplicates": self.duplicates,
            "withdrawn": self.withdrawn,
        })
    }

    fn described(&self) -> Value {
        let mut report = self.json();
        let unread = self.unread.by_count().into_iter();
        report["name"] = json!(self.name);
        report["refused"] = json!(self.refused);
        report["format"] = json!(self.format.map(|(format, _)| format.as_str()));
        report["compression"] = json!(self.format.map(|(_, compression)| compression.to_string()));
        report["not_understood"] = unread.map(|(name, count)| (name.to_owned(), json!(count))).collect();
        report["left_out"] = json!(self.skipped);
        report["error"] = json!(self.error);
        report
    }
}

/// Where a record is, for a person.
fn place(location: RecordLocation) -> String {
    match location {
        RecordLocation { line: line @ 1.., .. } => format!("line {line}"),
        RecordLocation {
            byte: byte @ 1..,
            record,
            ..
        } => format!("record {record} (byte {byte})"),
        RecordLocation { record, .. } => format!("record {record}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(record: u64, byte: u64, line: u64) -> RecordLocation {
        RecordLocation { record, byte, line }
    }

    #[test]
    fn refused_records_are_named_with_their_places() {
        let inputs = [FileInput::Standard, FileInput::Named("b.json".into())];
        let mut report = IngestReport::new(&inputs);
        report.refuse(1, at(5, 120, 0), "title is \"\"".into());
        report.refuse(0, at(3, 90, 4), "title is \"\"".into());
        report.refuse(0, at(1, 0, 1), "the record is no JSON".into());
        report.note(1, RecordOutcome::Accepted);
        let lines = [
            "standard input, line 1: the record is no JSON",
            "standard input, line 4: title is \"\"",
            "b.json, record 5 (byte 120): title is \"\"",
        ];
        assert_eq!(report.refusals(), lines);
        let json = report.json();
        assert_eq!((&json["accepted"], &json["refused_count"]), (&json!(1), &json!(3)));
        assert_eq!(
            (&json["refused"][1]["line"], &json["refused"][2]["line"]),
            (&json!(4), &Value::Null)
        );
        assert_eq!(json["files"][1]["name"], "b.json");
        assert!(format!("{:?}", report.check()).contains("3 records were refused"));
    }

    #[test]
    fn a_file_of_a_folder_need_not_hold_papers() {
        let unexpected = || SourceError::UnexpectedFormat {
            expected: "papers",
            found: "a PDF".into(),
        };
        let mut report = IngestReport::new(&[FileInput::Found("a.pdf".into()), FileInput::Named("b.pdf".into())]);
        report.end(0, Err(unexpected()));
        assert!(report.check().is_ok());
        assert_eq!(report.json()["files"][0]["left_out"], "a PDF");
        report.end(1, Err(unexpected()));
        let error = format!("{:?}", report.check());
        assert!(error.contains("b.pdf: expected papers, found a PDF"), "{error}");
    }

    #[test]
    fn the_list_of_refusals_is_bounded() {
        let mut report = IngestReport::new(&[FileInput::Standard]);
        for record in 0..MAX_LISTED as u64 + 5 {
            report.refuse(0, at(record, record, record), "wrong".into());
        }
        assert_eq!(report.refusals().len(), MAX_LISTED);
        assert_eq!(report.settled(), MAX_LISTED as u64 + 5);
    }
}
