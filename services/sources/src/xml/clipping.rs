//! Keeps what one step of the parser may hold within bounds, by dropping text that is too long while it passes.
//!
//! A parser of events holds an event until it ends, and text may never end. Here text and CDATA beyond the limit are
//! dropped to their end; markup beyond the limit is an error, because nothing after it can be trusted.

use std::io::{self, BufRead, Read};

use memchr::{memchr3, memmem};

use crate::record::QuarantinedRecord;

/// The most bytes of one event.
pub const MAX_EVENT_BYTES: usize = 512 << 10;
const CDATA: &[u8] = b"<![CDATA[";
const CDATA_END: &[u8] = b"]]>";

/// A reader that drops what is too long.
pub struct ClippingReader<R> {
    inner: R,
    position: u64,
    event: usize,
    head: Vec<u8>,
    injected: &'static [u8],
    clipped: bool,
    excerpt: Vec<u8>,
}

impl<R: BufRead> ClippingReader<R> {
    /// Over a reader.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            position: 0,
            event: 0,
            head: Vec::with_capacity(CDATA.len()),
            injected: &[],
            clipped: false,
            excerpt: Vec::with_capacity(QuarantinedRecord::EXCERPT_BYTES),
        }
    }

    /// The parser begins a new event.
    pub fn event_begins(&mut self) {
        self.event = 0;
        self.head.clear();
    }

    /// Bytes consumed so far, with the dropped ones.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Keeps the first bytes from here on.
    pub fn mark(&mut self) {
        self.excerpt.clear();
    }

    /// The first bytes after the last mark.
    pub fn excerpt(&self) -> &[u8] {
        &self.excerpt
    }

    /// Whether anything was dropped since this was asked last.
    pub fn was_clipped(&mut self) -> bool {
        std::mem::take(&mut self.clipped)
    }

    fn drop_rest(&mut self) -> io::Result<()> {
        if self.head.starts_with(CDATA) {
            return self.drop_cdata();
        }
        if self.head.starts_with(b"<") {
            let why = format!("markup is longer than {MAX_EVENT_BYTES} bytes");
            return Err(io::Error::other(why));
        }
        loop {
            let available = self.inner.fill_buf()?;
            let length = memchr3(b'<', b'&', b';', available);
            let count = length.unwrap_or(available.len());
            if count > 0 {
                self.clipped = true;
            }
            let ended = length.is_some() || available.is_empty();
            self.inner.consume(count);
            self.position += count as u64;
            if ended {
                return Ok(());
            }
        }
    }

    fn drop_cdata(&mut self) -> io::Result<()> {
        self.clipped = true;
        // The end may be split between two chunks, so the last two bytes are checked together with the next chunk.
        let mut tail: Vec<u8> = Vec::with_capacity(2);
        loop {
            let available = self.inner.fill_buf()?;
            if available.is_empty() {
                return Ok(());
            }
            let parted = (1..=tail.len()).rev().find(|&kept| {
                let (before, behind) = CDATA_END.split_at(kept);
                tail.ends_with(before) && available.starts_with(behind)
            });
            let end = match parted {
                Some(kept) => Some(CDATA_END.len() - kept),
                None => memmem::find(available, CDATA_END).map(|start| start + CDATA_END.len()),
            };
            let count = end.unwrap_or(available.len());
            tail.extend_from_slice(&available[count.saturating_sub(2)..count]);
            tail.drain(..tail.len().saturating_sub(2));
            self.inner.consume(count);
            self.position += count as u64;
            if end.is_some() {
                self.injected = CDATA_END;
                self.event = 0;
                return Ok(());
            }
        }
    }
}

impl<R: BufRead> BufRead for ClippingReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.injected.is_empty() && self.event > MAX_EVENT_BYTES {
            self.drop_rest()?;
        }
        if self.injected.is_empty() {
            self.inner.fill_buf()
        } else {
            Ok(self.injected)
        }
    }

    fn consume(&mut self, count: usize) {
        if !self.injected.is_empty() {
            self.injected = &self.injected[count.min(self.injected.len())..];
            return;
        }
        let wanted = CDATA.len() - self.head.len();
        let room = QuarantinedRecord::EXCERPT_BYTES - self.excerpt.len();
        if wanted > 0 || room > 0 {
            // What is consumed was filled before, so this neither reads nor fails.
            if let Ok(available) = self.inner.fill_buf() {
                let taken = &available[..count.min(available.len())];
                self.head.extend_from_slice(&taken[..taken.len().min(wanted)]);
                self.excerpt.extend_from_slice(&taken[..taken.len().min(room)]);
            }
        }
        self.inner.consume(count);
        self.position += count as u64;
        self.event += count;
    }
}

impl<R: BufRead> Read for ClippingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}
