//! Bytes of any encoding to UTF-8, as they arrive.
//!
//! A byte order mark decides, then the XML declaration, then what the server says; else it is UTF-8. Invalid bytes in a text
//! that claims to be UTF-8 are kept here, and each field that has them is read as windows-1252 ([`lenient`]), which is what
//! they are in practice.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use encoding_rs::{Decoder, Encoding, UTF_8, WINDOWS_1252};

/// Bytes read from the source at once.
const CHUNK: usize = 64 << 10;
/// How far into a document its declaration is looked for.
const DECLARATION: usize = 256;

/// A reader of UTF-8 over a reader of anything.
pub struct Utf8Reader<R> {
    inner: R,
    raw: Vec<u8>,
    waiting: Vec<u8>,
    at: usize,
    decoder: Option<Decoder>,
    ended: bool,
}

impl<R: Read> Utf8Reader<R> {
    /// Reads the first bytes and decides. `charset` is the encoding that the server names.
    pub fn new(mut inner: R, charset: Option<&str>) -> io::Result<Self> {
        let mut raw = vec![0; CHUNK];
        let mut filled = 0;
        while filled < DECLARATION {
            match inner.read(&mut raw[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let (encoding, mark) = decide(&raw[..filled], charset);
        let mut this = Self {
            inner,
            waiting: Vec::with_capacity(CHUNK),
            at: 0,
            decoder: (encoding != UTF_8).then(|| encoding.new_decoder_without_bom_handling()),
            ended: false,
            raw,
        };
        this.ready(mark, filled);
        this.ended = filled < DECLARATION;
        if this.ended {
            this.finish();
        }
        Ok(this)
    }

    /// Makes raw bytes ready.
    fn ready(&mut self, from: usize, to: usize) {
        self.at = 0;
        self.waiting.clear();
        let raw = &self.raw[from..to];
        let Some(decoder) = &mut self.decoder else {
            self.waiting.extend_from_slice(raw);
            return;
        };
        let mut text = String::with_capacity(decoder.max_utf8_buffer_length(raw.len()).unwrap_or(CHUNK * 4));
        let _ = decoder.decode_to_string(raw, &mut text, false);
        self.waiting = text.into_bytes();
    }

    /// What a decoder still holds at the end of the text.
    fn finish(&mut self) {
        if let Some(decoder) = &mut self.decoder {
            let mut text = String::with_capacity(16);
            let _ = decoder.decode_to_string(&[], &mut text, true);
            self.waiting.extend_from_slice(text.as_bytes());
        }
    }
}

impl<R: Read> BufRead for Utf8Reader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.waiting.len() && !self.ended {
            let count = self.inner.read(&mut self.raw)?;
            self.ready(0, count);
            if count == 0 {
                self.ended = true;
                self.finish();
            }
        }
        Ok(&self.waiting[self.at..])
    }

    fn consume(&mut self, count: usize) {
        self.at = (self.at + count).min(self.waiting.len());
    }
}

impl<R: Read> Read for Utf8Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill_buf()?;
        let count = ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&ready[..count]);
        self.consume(count);
        Ok(count)
    }
}

/// The encoding of a text by its first bytes, and the length of its byte order mark.
fn decide(start: &[u8], charset: Option<&str>) -> (&'static Encoding, usize) {
    if let Some(found) = Encoding::for_bom(start) {
        return found;
    }
    let declared = declared(start).and_then(Encoding::for_label);
    let named = charset.and_then(|name| Encoding::for_label(name.as_bytes()));
    // A declaration that could be read byte by byte is no declaration of UTF-16.
    let encoding = declared
        .or(named)
        .filter(|encoding| encoding.is_ascii_compatible())
        .unwrap_or(UTF_8);
    (encoding, 0)
}

fn declared(start: &[u8]) -> Option<&[u8]> {
    let start = &start[..start.len().min(DECLARATION)];
    if !start.trim_ascii_start().starts_with(b"<?xml") {
        return None;
    }
    let end = memchr::memmem::find(start, b"?>")?;
    let name = memchr::memmem::find(&start[..end], b"encoding")? + b"encoding".len();
    let rest = start[name..end]
        .trim_ascii_start()
        .strip_prefix(b"=")?
        .trim_ascii_start();
    let (quote, rest) = rest.split_first()?;
    let close = memchr::memchr(*quote, rest)?;
    Some(&rest[..close])
}

/// Text of a field. What is no UTF-8 is windows-1252.
pub fn lenient(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8], charset: Option<&str>) -> String {
        let mut text = Vec::new();
        Utf8Reader::new(bytes, charset)
            .expect("a reader")
            .read_to_end(&mut text)
            .expect("text");
        lenient(&text).into_owned()
    }

    #[test]
    fn the_declaration_decides_before_the_server() {
        let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><t>G\xf6del</t>";
        assert!(read(latin, Some("utf-8")).contains("Gödel"));
        assert!(read(b"<t>G\xf6del</t>", Some("iso-8859-1")).contains("Gödel"));
        assert!(
            read(
                "<?xml version=\"1.0\" encoding=\"utf-8\"?><t>Gödel</t>".as_bytes(),
                Some("latin1")
            )
            .contains("Gödel")
        );
    }

    #[test]
    fn utf_16_is_known_by_its_mark() {
        let mut bytes = vec![0xff, 0xfe];
        bytes.extend("<t>Gödel</t>".encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(read(&bytes, None), "<t>Gödel</t>");
    }

    #[test]
    fn a_lie_about_utf_8_is_read_as_what_it_is() {
        assert_eq!(
            read(b"<t>Erd\xf6s \x96 R\xe9nyi</t>", Some("utf-8")),
            "<t>Erdös – Rényi</t>"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..2_000), charset in "[a-z0-9-]{0,12}") {
            let text = read(&bytes, Some(&charset));
            prop_assert!(text.len() <= bytes.len() * 4 + 16);
        }
    }
}
