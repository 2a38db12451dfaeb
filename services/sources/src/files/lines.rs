//! Lines of any length in bounded memory.

use std::io::{BufRead, Read as _};

use crate::encoding::lenient;
use crate::error::SourceError;
use crate::record::QuarantinedRecord;

/// The most bytes of a line that are kept.
pub const MAX_LINE_BYTES: usize = 2 << 20;

/// Reads lines.
pub struct Lines<R> {
    input: R,
    /// Where the next line begins.
    pub byte: u64,
    /// The number of the line that was read last, from 1.
    pub number: u64,
    /// The line that was read last, with its end.
    pub line: Vec<u8>,
}

/// Whether all of a line was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineExtent {
    /// All of it, and its end.
    Whole,
    /// All of it, but the input ends without a line end.
    Last,
    /// It was too long.
    Clipped,
}

impl<R: BufRead> Lines<R> {
    /// From a byte on, at which a line begins.
    ///
    /// # Errors
    /// An input that cannot be read to there.
    pub fn new(mut input: R, from: u64) -> Result<Self, SourceError> {
        skip(&mut input, from)?;
        Ok(Self {
            input,
            byte: from,
            number: 0,
            line: Vec::new(),
        })
    }

    /// Reads the next line. `None` at the end.
    pub fn read(&mut self) -> Result<Option<LineExtent>, SourceError> {
        self.line.clear();
        let begin = self.byte;
        loop {
            let available = self
                .input
                .fill_buf()
                .map_err(|error| SourceError::from_read(error, begin))?;
            if available.is_empty() && self.byte == begin {
                return Ok(None);
            }
            let end = memchr::memchr(b'\n', available);
            let count = end.map_or(available.len(), |end| end + 1);
            let last = available.is_empty();
            let room = MAX_LINE_BYTES.saturating_sub(self.line.len());
            self.line.extend_from_slice(&available[..count.min(room)]);
            self.input.consume(count);
            self.byte += count as u64;
            if end.is_some() || last {
                self.number += 1;
                let clipped = self.byte - begin > self.line.len() as u64;
                return Ok(Some(match (clipped, last) {
                    (true, _) => LineExtent::Clipped,
                    (false, true) => LineExtent::Last,
                    (false, false) => LineExtent::Whole,
                }));
            }
        }
    }

    /// The beginning of the line, for whoever investigates.
    pub fn excerpt(&self) -> String {
        lenient(&self.line[..self.line.len().min(QuarantinedRecord::EXCERPT_BYTES)]).into_owned()
    }
}

/// Skips the first bytes.
pub fn skip(input: &mut impl BufRead, count: u64) -> Result<(), SourceError> {
    std::io::copy(&mut input.by_ref().take(count), &mut std::io::sink())
        .map(|_| ())
        .map_err(|error| SourceError::from_read(error, 0))
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn a_long_line_is_clipped_and_the_next_one_is_read() {
        let text = [b"a\n\n".as_slice(), &vec![b'x'; MAX_LINE_BYTES + 100_000], b"\nlast"].concat();
        let mut lines = Lines::new(BufReader::with_capacity(1_000, &text[..]), 0).expect("lines");
        let mut read = Vec::new();
        while let Some(extent) = lines.read().expect("a line") {
            read.push((lines.number, lines.line.len(), extent));
        }
        let expected = [
            (1, 2, LineExtent::Whole),
            (2, 1, LineExtent::Whole),
            (3, MAX_LINE_BYTES, LineExtent::Clipped),
            (4, 4, LineExtent::Last),
        ];
        assert_eq!(read, expected);
        assert_eq!(lines.byte, text.len() as u64);
        let mut lines = Lines::new(&text[..], 2).expect("lines");
        assert_eq!(lines.read().expect("a line"), Some(LineExtent::Whole));
        assert_eq!(lines.byte, 3);
    }
}
