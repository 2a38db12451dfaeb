//! A file whose beginning can be looked at before it is read.

use std::io::{self, BufRead, Read};

use crate::encoding::Utf8Reader;

/// Bytes that are looked at.
const HEAD_BYTES: usize = 256 << 10;

/// A reader over a file, in UTF-8, that knows its beginning.
pub struct HeadReader<R: Read> {
    inner: Utf8Reader<R>,
    head: Vec<u8>,
    at: usize,
    /// What went wrong behind the beginning; whoever reads on is told.
    error: Option<io::Error>,
    whole: bool,
}

impl<R: Read> HeadReader<R> {
    /// Reads the beginning.
    ///
    /// # Errors
    /// A file of which nothing can be read.
    pub fn new(inner: R) -> io::Result<Self> {
        let mut inner = Utf8Reader::new(inner, None)?;
        let mut head = Vec::with_capacity(HEAD_BYTES);
        let mut error = None;
        let mut whole = false;
        while head.len() < HEAD_BYTES && error.is_none() && !whole {
            match inner.fill_buf() {
                Ok([]) => whole = true,
                Ok(available) => {
                    let count = available.len();
                    head.extend_from_slice(available);
                    inner.consume(count);
                }
                Err(broken) => error = Some(broken),
            }
        }
        Ok(Self {
            inner,
            head,
            at: 0,
            error,
            whole,
        })
    }

    /// The beginning, and whether that is all of the file.
    pub fn head(&self) -> (&[u8], bool) {
        (&self.head, self.whole)
    }
}

impl<R: Read> BufRead for HeadReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at < self.head.len() {
            return Ok(&self.head[self.at..]);
        }
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        if self.at < self.head.len() {
            self.at = (self.at + count).min(self.head.len());
        } else {
            self.inner.consume(count);
        }
    }
}

impl<R: Read> Read for HeadReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}
