//! CSV and TSV with a header. Pure, over a reader.
//!
//! An unclosed quote swallows what follows, as in any reader of CSV; the record it makes is too long and is quarantined, and
//! reading goes on behind it. That bound is why this is built on `csv-core`: the `csv` crate buffers a record whatever its
//! length.

use std::borrow::Cow;
use std::io::BufRead;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::loose::Loose;
use super::meaning::{Meaning, meaning, of_field};
use super::records::RecordSender;
use super::{FilePage, FileProgress, lines};
use crate::encoding::lenient;
use crate::error::SourceError;
use crate::interpretation::Interpretation;
use crate::record::RecordLocation;
use crate::text_format::TextFormat;

/// The most bytes of one record.
const MAX_RECORD_BYTES: usize = 4 << 20;
/// The most columns.
const MAX_COLUMNS: usize = 1_024;
/// What may stand between two values.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The delimiter of a table that begins so: the one by which most columns of its header have a meaning. `None` where no
/// column is the title.
pub fn delimiter(head: &[u8]) -> Option<u8> {
    let (named, head) = preamble(head);
    let known = |delimiter: u8| {
        let mut rows = CsvRows::new(head, delimiter);
        let CsvRow::Fields(columns) = rows.next().ok()? else {
            return None;
        };
        let meanings = header(&columns)
            .iter()
            .filter_map(|name| meaning(name))
            .collect::<Vec<_>>();
        let titled = meanings.iter().any(|(meaning, _)| *meaning == Meaning::Title);
        titled.then_some((meanings.len(), columns.len(), delimiter))
    };
    let candidates = named.map_or(&DELIMITERS[..], head_delimiter);
    candidates
        .iter()
        .filter_map(|delimiter| known(*delimiter))
        .max()
        .map(|(.., delimiter)| delimiter)
}

/// Reads a page of a table, or from the end of the header.
///
/// # Errors
/// A file that cannot be read, and what the receiver answers.
pub fn parse(
    mut input: impl BufRead,
    delimiter: u8,
    page: FilePage,
    records: &mut RecordSender<'_, '_>,
) -> Result<FileProgress, SourceError> {
    let begin = preamble_length(input.fill_buf().unwrap_or_default());
    input.consume(begin);
    let mut rows = CsvRows::new(input, delimiter);
    let columns = match rows.next()? {
        CsvRow::Fields(fields) => header(&fields),
        CsvRow::Broken(why) => return Err(SourceError::malformed(0, format!("the header cannot be read: {why}"))),
        CsvRow::End => return Ok(FileProgress::Finished),
    };
    check_header(&columns, records)?;
    rows.byte += begin as u64;
    if page.from > rows.byte {
        lines::skip(&mut rows.input, page.from - rows.byte)?;
        rows.byte = page.from;
        rows.reader = reader(delimiter);
    }
    let mut location = RecordLocation::default();
    while location.record < page.most {
        location.byte = rows.byte;
        location.line = rows.reader.line();
        let row = rows.next()?;
        if matches!(row, CsvRow::End) {
            return Ok(FileProgress::Finished);
        }
        location.record += 1;
        match row {
            CsvRow::Fields(values) => send(&columns, &values, location, &rows, records)?,
            CsvRow::Broken(why) => records.send(Interpretation::unreadable(why), location, || rows.excerpt())?,
            CsvRow::End => {}
        }
    }
    Ok(FileProgress::More(rows.byte))
}

/// Refuses a table without a column of titles before each of its records is refused for that.
fn check_header(columns: &[String], records: &RecordSender<'_, '_>) -> Result<(), SourceError> {
    let titled = |name: &String| matches!(meaning(name), Some((Meaning::Title, _)));
    let mapping = &records.options.mapping;
    let mapped = mapping.keys().any(|field| of_field(field) == Some(Meaning::Title));
    if mapped || columns.iter().any(titled) {
        return Ok(());
    }
    let shown = domain::text::shorten(&columns.join(", "));
    let why = format!("the header names no title; its columns are {shown:?}");
    Err(SourceError::malformed(0, why))
}

fn send<R: BufRead>(
    columns: &[String],
    values: &[String],
    location: RecordLocation,
    rows: &CsvRows<R>,
    records: &mut RecordSender<'_, '_>,
) -> Result<(), SourceError> {
    let superfluous = values.get(columns.len()..).unwrap_or_default();
    if values.len() < columns.len() || superfluous.iter().any(|value| !value.trim().is_empty()) {
        let why = format!(
            "the record has {} fields and the header {}",
            values.len(),
            columns.len()
        );
        return records.send(Interpretation::unreadable(why), location, || rows.excerpt());
    }
    let members = columns.iter().zip(values);
    let members = members.map(|(name, value)| (Cow::Borrowed(name.as_str()), Loose::text(value)));
    let record = Loose::Object(members.collect());
    records.send_loose(&record, TextFormat::Mixed, location, || rows.excerpt())
}

fn header(fields: &[String]) -> Vec<String> {
    fields.iter().map(|name| name.trim().to_owned()).collect()
}

/// Excel names the delimiter in a line before the header: `sep=;`.
fn preamble(head: &[u8]) -> (Option<u8>, &[u8]) {
    let length = preamble_length(head);
    let named = (length > 0).then(|| head[b"sep=".len()]);
    (named, &head[length..])
}

fn preamble_length(head: &[u8]) -> usize {
    match head {
        [b's', b'e', b'p', b'=', _, b'\r', b'\n', ..] => 7,
        [b's', b'e', b'p', b'=', _, b'\n', ..] => 6,
        _ => 0,
    }
}

/// The delimiter that a file names, if it can be one.
fn head_delimiter(named: u8) -> &'static [u8] {
    let known = DELIMITERS.iter().position(|delimiter| *delimiter == named);
    known.map_or(&DELIMITERS[..], |at| &DELIMITERS[at..=at])
}

fn reader(delimiter: u8) -> Reader {
    ReaderBuilder::new().delimiter(delimiter).build()
}

struct CsvRows<R> {
    input: R,
    reader: Reader,
    output: Vec<u8>,
    ends: Vec<usize>,
    byte: u64,
}

enum CsvRow {
    Fields(Vec<String>),
    Broken(String),
    End,
}

impl<R: BufRead> CsvRows<R> {
    fn new(input: R, delimiter: u8) -> Self {
        Self {
            input,
            reader: reader(delimiter),
            output: vec![0; 64 << 10],
            ends: vec![0; MAX_COLUMNS],
            byte: 0,
        }
    }

    fn next(&mut self) -> Result<CsvRow, SourceError> {
        let (mut written, mut fields) = (0, 0);
        let mut broken = None::<String>;
        loop {
            let available = self
                .input
                .fill_buf()
                .map_err(|error| SourceError::from_read(error, self.byte))?;
            let (result, read, wrote, ended) =
                self.reader
                    .read_record(available, &mut self.output[written..], &mut self.ends[fields..]);
            self.input.consume(read);
            self.byte += read as u64;
            written += wrote;
            fields += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.output.len() < MAX_RECORD_BYTES => {
                    self.output.resize(self.output.len() * 2, 0);
                }
                ReadRecordResult::OutputFull => {
                    broken = Some(format!("the record has more than {MAX_RECORD_BYTES} bytes"));
                    written = 0;
                }
                ReadRecordResult::OutputEndsFull => {
                    broken = Some(format!("the record has more than {MAX_COLUMNS} fields"));
                    fields = 0;
                }
                ReadRecordResult::End => return Ok(CsvRow::End),
                ReadRecordResult::Record => {
                    return Ok(match broken {
                        Some(why) => CsvRow::Broken(why),
                        None => CsvRow::Fields(self.fields(fields)),
                    });
                }
            }
        }
    }

    fn fields(&self, count: usize) -> Vec<String> {
        let mut start = 0;
        let mut fields = Vec::with_capacity(count);
        for &end in &self.ends[..count] {
            let end = end.clamp(start, self.output.len());
            fields.push(lenient(&self.output[start..end]).into_owned());
            start = end;
        }
        fields
    }

    fn excerpt(&self) -> String {
        let end = self.ends.first().copied().unwrap_or(0).min(self.output.len());
        lenient(&self.output[..end]).into_owned()
    }
}
