//! Lines of any length in bounded memory, and the dates in them: what the imports of counts, subscribers and judged data
//! sets share. Papers are read by `sources::files`.

use std::io::{BufRead, Read};
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use proto::convert::to_wire_time;

use crate::error::CommandError;

/// Longest line in bytes; a longer one is neither kept nor parsed. A message of the bus or of gRPC holds no more.
const MAX_LINE_BYTES: usize = 2 * 1024 * 1024;

/// Opens a file, or standard input for `-`.
pub fn open(file: &Path) -> Result<Box<dyn Read + Send>, CommandError> {
    if file == Path::new("-") {
        return Ok(Box::new(std::io::stdin()));
    }
    match std::fs::File::open(file) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(CommandError::other(format!("{}: {error}", file.display()))),
    }
}

/// Reads the next line without its end into `line`; of one that is too long, only enough to see that. False at the end of
/// the input.
pub fn next(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    let mut any = false;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        let room = (MAX_LINE_BYTES + 1).saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let read = part.len() + usize::from(end.is_some());
        reader.consume(read);
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// A time in RFC 3339, or a day, which begins at midnight UTC.
pub fn date(field: &str, text: &str) -> Result<Option<prost_types::Timestamp>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let time = text.parse::<Timestamp>().ok().or_else(|| {
        let day: Date = text.parse().ok()?;
        Some(day.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp())
    });
    let time = time.ok_or_else(|| {
        format!("{field} is {text:?}; it must be a day such as 2026-03-01 or a time such as 2026-03-01T12:00:00Z")
    })?;
    Ok(Some(to_wire_time(time)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_refused_and_the_next_one_is_read() {
        let long = vec![b'x'; MAX_LINE_BYTES + 100_000];
        let mut input = [b"a\n\n".as_slice(), &long, b"\nlast"].concat();
        let mut reader = std::io::BufReader::with_capacity(1_000, input.as_mut_slice() as &[u8]);
        let (mut line, mut lengths) = (Vec::new(), Vec::new());
        while next(&mut reader, &mut line).expect("a line") {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [1, 0, MAX_LINE_BYTES + 1, 4]);
    }
}
