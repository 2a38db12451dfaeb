//! CSV with a header. Pure, over a reader.
//!
//! Quotes that never end swallow what follows, as in any reader of CSV; the record they make is too long and is set aside.

use std::collections::BTreeMap;
use std::io::BufRead;

use csv_core::{ReadRecordResult, Reader};

use super::{Part, Rest, fields};
use crate::draft::{Context, Draft};
use crate::encoding::lenient;
use crate::error::SourceError;
use crate::http::body::source_error;
use crate::page::{Outcome, Sink};
use crate::record::Place;

/// Most bytes of one record.
const MAX_RECORD_BYTES: usize = 4 << 20;
/// Most columns.
const MAX_COLUMNS: usize = 1_024;

/// Reads at most `most` records from a byte on, or from behind the header.
///
/// # Errors
/// A file that cannot be read, or whose items nobody takes.
pub fn parse(
    input: impl BufRead,
    from: u64,
    most: u64,
    mapping: &BTreeMap<String, String>,
    context: &Context,
    sink: &mut Sink<'_>,
) -> Result<Part, SourceError> {
    let mut rows = Rows::new(input);
    let header = match rows.next()? {
        Row::Fields(fields) => header(&fields),
        Row::Broken(why) => return Err(crate::xml::malformed(0, format!("the header cannot be read: {why}"))),
        Row::End => {
            return Ok(Part {
                byte: 0,
                rest: Rest::None,
            });
        }
    };
    if from > rows.byte {
        super::jsonl::skip(&mut rows.input, from - rows.byte)?;
        rows.byte = from;
        rows.reader = Reader::new();
    }
    let mut place = Place::default();
    while place.record < most {
        place.byte = rows.byte;
        let outcome = match rows.next()? {
            Row::End => {
                return Ok(Part {
                    byte: rows.byte,
                    rest: Rest::None,
                });
            }
            Row::Broken(why) => Outcome::Bad(Box::<Draft>::default(), why),
            Row::Fields(fields) if fields.len() != header.len() => {
                let why = format!("the record has {} fields and the header {}", fields.len(), header.len());
                Outcome::Bad(Box::<Draft>::default(), why)
            }
            Row::Fields(values) => Outcome::Paper(Box::new(fields::draft(mapping, |name| {
                let column = header.iter().position(|column| column.eq_ignore_ascii_case(name));
                let value = column.map(|column| values[column].trim()).unwrap_or_default();
                if value.is_empty() {
                    Vec::new()
                } else {
                    vec![value.to_owned()]
                }
            }))),
        };
        place.record += 1;
        if let Some(item) = outcome.into_item(context, place, || rows.excerpt()) {
            sink(item)?;
        }
    }
    Ok(Part {
        byte: rows.byte,
        rest: Rest::Some,
    })
}

fn header(fields: &[String]) -> Vec<String> {
    fields
        .iter()
        .map(|name| name.trim().trim_start_matches('\u{feff}').to_owned())
        .collect()
}

struct Rows<R> {
    input: R,
    reader: Reader,
    output: Vec<u8>,
    ends: Vec<usize>,
    byte: u64,
}

enum Row {
    Fields(Vec<String>),
    Broken(String),
    End,
}

impl<R: BufRead> Rows<R> {
    fn new(input: R) -> Self {
        Self {
            input,
            reader: Reader::new(),
            output: vec![0; 64 << 10],
            ends: vec![0; MAX_COLUMNS],
            byte: 0,
        }
    }

    fn next(&mut self) -> Result<Row, SourceError> {
        let (mut written, mut fields) = (0, 0);
        let mut broken = None::<String>;
        loop {
            let available = self.input.fill_buf().map_err(|error| source_error(error, self.byte))?;
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
                ReadRecordResult::End => return Ok(Row::End),
                ReadRecordResult::Record => {
                    return Ok(match broken {
                        Some(why) => Row::Broken(why),
                        None => Row::Fields(self.fields(fields)),
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
