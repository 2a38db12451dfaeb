//! CSV with a header. Pure, over a reader.
//!
//! An unclosed quote swallows what follows, as in any reader of CSV; the record it makes is too long and is quarantined, and
//! reading goes on behind it. That bound is why this is built on `csv-core`: the `csv` crate buffers a record whatever its
//! length.

use std::collections::BTreeMap;
use std::io::BufRead;

use csv_core::{ReadRecordResult, Reader};

use super::{FileProgress, fields};
use crate::draft::PageContext;
use crate::encoding::lenient;
use crate::error::SourceError;
use crate::interpretation::{Interpretation, Sink};
use crate::record::RecordLocation;

/// The most bytes of one record.
const MAX_RECORD_BYTES: usize = 4 << 20;
/// The most columns.
const MAX_COLUMNS: usize = 1_024;

/// Reads at most `most` records from a byte on, or from the end of the header.
///
/// # Errors
/// A file that cannot be read, and what `sink` answers.
pub fn parse(
    input: impl BufRead,
    from: u64,
    most: u64,
    mapping: &BTreeMap<String, String>,
    context: &PageContext,
    sink: &mut Sink<'_>,
) -> Result<FileProgress, SourceError> {
    let mut rows = CsvRows::new(input);
    let header = match rows.next()? {
        CsvRow::Fields(fields) => header(&fields),
        CsvRow::Broken(why) => return Err(SourceError::malformed(0, format!("the header cannot be read: {why}"))),
        CsvRow::End => return Ok(FileProgress::Finished),
    };
    if from > rows.byte {
        super::jsonl::skip(&mut rows.input, from - rows.byte)?;
        rows.byte = from;
        rows.reader = Reader::new();
    }
    let mut location = RecordLocation::default();
    while location.record < most {
        location.byte = rows.byte;
        let interpretation = match rows.next()? {
            CsvRow::End => return Ok(FileProgress::Finished),
            CsvRow::Broken(why) => Interpretation::unreadable(why),
            CsvRow::Fields(values) => interpret(&header, &values, mapping),
        };
        location.record += 1;
        if let Some(item) = interpretation.into_item(context, location, || rows.excerpt()) {
            sink(item)?;
        }
    }
    Ok(FileProgress::More(rows.byte))
}

fn interpret(header: &[String], values: &[String], mapping: &BTreeMap<String, String>) -> Interpretation {
    if values.len() != header.len() {
        let why = format!("the record has {} fields and the header {}", values.len(), header.len());
        return Interpretation::unreadable(why);
    }
    Interpretation::paper(fields::draft(mapping, |name| {
        let column = header.iter().position(|column| column.eq_ignore_ascii_case(name));
        let value = column.map(|column| values[column].trim());
        let value = value.filter(|value| !value.is_empty());
        value.map(str::to_owned).into_iter().collect()
    }))
}

fn header(fields: &[String]) -> Vec<String> {
    fields
        .iter()
        .map(|name| name.trim().trim_start_matches('\u{feff}').to_owned())
        .collect()
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
    fn new(input: R) -> Self {
        Self {
            input,
            reader: Reader::new(),
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
