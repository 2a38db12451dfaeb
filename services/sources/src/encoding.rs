//! Bytes of any encoding to UTF-8, as they arrive.
//!
//! The bytes win. A byte order mark decides, or zeros where UTF-16 has them. Otherwise every run of bytes that is UTF-8 is read
//! as that, whatever was declared; one that is not is read in the encoding that the document declares or the server names, or
//! in windows-1252, which it is in practice. So a document may be declared wrongly, or mixed from several.

mod runs;

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use encoding_rs::{Decoder, Encoding, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use runs::{whole_runs, write_runs};

/// Bytes read from the source at once.
const CHUNK: usize = 64 << 10;
/// How far into a document its declaration is looked for.
const DECLARATION: usize = 256;
/// How far beyond the first byte that is not ASCII a document is looked at, to tell whether it is UTF-8.
const LOOK_AHEAD: usize = 256;

/// A reader of UTF-8 over a reader of anything.
pub struct Utf8Reader<R> {
    inner: R,
    /// Bytes that were read and not yet made ready: the first `filled` of `raw`.
    raw: Vec<u8>,
    filled: usize,
    ready: Vec<u8>,
    at: usize,
    reading: EncodingReading,
    ended: bool,
}

/// How bytes are read.
enum EncodingReading {
    /// Runs of UTF-8 as UTF-8, others in this encoding, whose characters are single bytes.
    Runs(&'static Encoding),
    /// As ASCII until other bytes come; then they tell whether it is UTF-8 or this encoding.
    Undecided(&'static Encoding),
    /// All in one encoding.
    Decoder(Box<Decoder>),
}

impl<R: Read> Utf8Reader<R> {
    /// Reads the first bytes and decides. `charset` is the encoding that the server names.
    pub fn new(inner: R, charset: Option<&str>) -> io::Result<Self> {
        let mut this = Self {
            inner,
            raw: vec![0; CHUNK],
            filled: 0,
            ready: Vec::with_capacity(CHUNK),
            at: 0,
            reading: EncodingReading::Runs(WINDOWS_1252),
            ended: false,
        };
        while this.filled < DECLARATION && !this.ended {
            this.read_more()?;
        }
        let start = &this.raw[..this.filled];
        let (reading, mark) = decide(start, charset);
        this.reading = reading;
        this.raw.copy_within(mark..this.filled, 0);
        this.filled -= mark;
        Ok(this)
    }

    /// Reads once.
    fn read_more(&mut self) -> io::Result<()> {
        match self.inner.read(&mut self.raw[self.filled..]) {
            Ok(0) => self.ended = true,
            Ok(count) => self.filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Makes raw bytes ready.
    fn make_ready(&mut self) {
        self.at = 0;
        self.ready.clear();
        let raw = &self.raw[..self.filled];
        let used = match &mut self.reading {
            EncodingReading::Undecided(encoding) => {
                if let Some(reading) = decided(raw, self.ended, encoding) {
                    self.reading = reading;
                    return self.make_ready();
                }
                // What is ASCII is ready; the rest waits until there is enough of it.
                let ascii = Encoding::ascii_valid_up_to(raw);
                self.ready.extend_from_slice(&raw[..ascii]);
                ascii
            }
            EncodingReading::Runs(encoding) => {
                let used = if self.ended { raw.len() } else { whole_runs(raw) };
                write_runs(&raw[..used], encoding, &mut self.ready);
                used
            }
            EncodingReading::Decoder(decoder) => {
                let mut text = String::with_capacity(decoder.max_utf8_buffer_length(raw.len()).unwrap_or(CHUNK * 4));
                let _ = decoder.decode_to_string(raw, &mut text, self.ended);
                self.ready = text.into_bytes();
                raw.len()
            }
        };
        self.raw.copy_within(used..self.filled, 0);
        self.filled -= used;
    }
}

impl<R: Read> BufRead for Utf8Reader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.ready.len() {
            if self.filled == 0 && self.ended {
                break;
            }
            self.make_ready();
            if !self.ready.is_empty() {
                break;
            }
            if !self.ended {
                self.read_more()?;
            }
        }
        Ok(&self.ready[self.at..])
    }

    fn consume(&mut self, count: usize) {
        self.at = (self.at + count).min(self.ready.len());
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

/// How a document is read, by its first bytes, and the length of its byte order mark.
fn decide(start: &[u8], charset: Option<&str>) -> (EncodingReading, usize) {
    if let Some((encoding, mark)) = Encoding::for_bom(start) {
        if encoding != UTF_8 {
            return (decoder(encoding), mark);
        }
        return (EncodingReading::Runs(single_byte(start, charset)), mark);
    }
    if let Some(encoding) = utf_16(start) {
        return (decoder(encoding), 0);
    }
    let encoding = named_encodings(start, charset).next().unwrap_or(UTF_8);
    let reading = if encoding == ISO_2022_JP {
        decoder(encoding)
    } else if encoding == UTF_8 || encoding.is_single_byte() {
        EncodingReading::Runs(single_byte(start, charset))
    } else {
        EncodingReading::Undecided(encoding)
    };
    (reading, 0)
}

fn decoder(encoding: &'static Encoding) -> EncodingReading {
    EncodingReading::Decoder(Box::new(encoding.new_decoder_without_bom_handling()))
}

/// The encodings that the document and the server name, in this order. What could be read byte by byte is no UTF-16.
fn named_encodings(start: &[u8], charset: Option<&str>) -> impl Iterator<Item = &'static Encoding> {
    let declared = declared(start).and_then(Encoding::for_label);
    let named = charset.and_then(|name| Encoding::for_label(name.as_bytes()));
    let encodings = [declared, named].into_iter().flatten();
    encodings.filter(|encoding| encoding.is_ascii_compatible() || *encoding == ISO_2022_JP)
}

/// What bytes that are no UTF-8 are read in.
fn single_byte(start: &[u8], charset: Option<&str>) -> &'static Encoding {
    named_encodings(start, charset)
        .find(|encoding| encoding.is_single_byte())
        .unwrap_or(WINDOWS_1252)
}

/// UTF-16 without its mark: markup and keys are ASCII, every second byte of which is zero.
fn utf_16(start: &[u8]) -> Option<&'static Encoding> {
    let start = &start[..start.len().min(DECLARATION)];
    let zeros = |from: usize| start.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    let most = start.len() / 4;
    match (even > most, odd > most) {
        (true, false) if start.len() >= 4 => Some(UTF_16BE),
        (false, true) if start.len() >= 4 => Some(UTF_16LE),
        _ => None,
    }
}

/// Decides on bytes of which some are no ASCII; `None` where too few of them are known.
fn decided(raw: &[u8], ended: bool, encoding: &'static Encoding) -> Option<EncodingReading> {
    let first = Encoding::ascii_valid_up_to(raw);
    if first == raw.len() || (raw.len() < first + LOOK_AHEAD && !ended) {
        return None;
    }
    let is_utf_8 = match std::str::from_utf8(raw) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && error.valid_up_to() > first,
    };
    Some(if is_utf_8 {
        EncodingReading::Runs(WINDOWS_1252)
    } else {
        decoder(encoding)
    })
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

/// Text of a field of a file whose encoding nobody declares. What is no UTF-8 is windows-1252.
pub fn lenient(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut written = Vec::with_capacity(bytes.len() * 2);
    write_runs(bytes, WINDOWS_1252, &mut written);
    Cow::Owned(String::from_utf8_lossy(&written).into_owned())
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
    fn bytes_that_are_no_utf_8_are_read_as_declared() {
        let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><t>G\xf6del</t>";
        assert!(read(latin, Some("utf-8")).contains("Gödel"));
        assert!(read(b"<t>G\xf6del</t>", Some("iso-8859-1")).contains("Gödel"));
        let (cyrillic, ..) = encoding_rs::WINDOWS_1251.encode("<t>Русский маяк «Лев»</t>");
        assert_eq!(read(&cyrillic, Some("windows-1251")), "<t>Русский маяк «Лев»</t>");
        let lie = [b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>", cyrillic.as_ref()].concat();
        assert!(read(&lie, Some("windows-1251")).contains("Русский маяк «Лев»"));
    }

    #[test]
    fn utf_8_is_utf_8_whatever_is_declared() {
        for name in [
            "windows-1251",
            "ISO-8859-1",
            "koi8-r",
            "Shift_JIS",
            "GBK",
            "utf-16",
            "us-ascii",
        ] {
            let text = format!("<?xml version=\"1.0\" encoding=\"{name}\"?><t>Gödel – Русский маяк 灯台</t>");
            assert_eq!(read(text.as_bytes(), None), text, "declared {name}");
            assert_eq!(
                read(&text.as_bytes()[text.len() - 40..], Some(name)),
                text[text.len() - 40..],
                "named {name}"
            );
            let late = format!("{}{text}", " ".repeat(CHUNK - 70));
            assert_eq!(read(late.as_bytes(), Some(name)), late, "late, named {name}");
        }
    }

    #[test]
    fn encodings_of_several_bytes_are_decoded() {
        for encoding in [
            encoding_rs::SHIFT_JIS,
            encoding_rs::GBK,
            encoding_rs::EUC_KR,
            encoding_rs::ISO_2022_JP,
        ] {
            let text = if encoding == encoding_rs::EUC_KR {
                "<t>등대 연구</t>"
            } else {
                "<t>灯台表示</t>"
            };
            let (bytes, ..) = encoding.encode(text);
            assert_eq!(read(&bytes, Some(encoding.name())), text, "{}", encoding.name());
        }
    }

    #[test]
    fn a_mixture_is_read_part_by_part() {
        assert_eq!(read(b"G\xc3\xb6del and Erd\xf6s", None), "Gödel and Erdös");
        assert_eq!(lenient(b"caf\xe9, caf\xc3\xa9, caf\xe9"), "café, café, café");
        let cut = "Ελληνικά".as_bytes();
        assert_eq!(lenient(&cut[..cut.len() - 1]), "Ελληνικ\u{fffd}");
    }

    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn trickled(bytes: &[u8], step: usize, charset: Option<&str>) -> Vec<u8> {
        let mut text = Vec::new();
        let mut reader = Utf8Reader::new(Trickle(bytes, step), charset).expect("a reader");
        reader.read_to_end(&mut text).expect("text");
        text
    }

    #[test]
    fn where_chunks_end_makes_no_difference() {
        let text = "灯台 Gödel маяк ".repeat(200);
        for step in [1, 2, 3, 7, 255, 1_000] {
            assert_eq!(
                trickled(text.as_bytes(), step, Some("windows-1251")),
                text.as_bytes(),
                "{step}"
            );
            let (cyrillic, ..) = encoding_rs::WINDOWS_1251.encode("Русский маяк ");
            let expected = "Русский маяк ".as_bytes();
            assert_eq!(trickled(&cyrillic, step, Some("windows-1251")), expected, "{step}");
        }
        let run = "灯".repeat(CHUNK);
        assert_eq!(trickled(run.as_bytes(), 1_000, None), run.as_bytes());
    }

    #[test]
    fn utf_16_is_known_by_its_mark() {
        let mut bytes = vec![0xff, 0xfe];
        bytes.extend("<t>Gödel</t>".encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(read(&bytes, None), "<t>Gödel</t>");
        assert_eq!(read(&bytes[2..], Some("utf-8")), "<t>Gödel</t>");
        let big: Vec<u8> = "<t>Gödel</t>".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(read(&big, None), "<t>Gödel</t>");
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

        #[test]
        fn steps_make_no_difference(bytes in proptest::collection::vec(prop_oneof![Just(b'a'), any::<u8>()], 0..600), step in 1_usize..40) {
            let whole = trickled(&bytes, 10_000, Some("windows-1251"));
            prop_assert_eq!(trickled(&bytes, step, Some("windows-1251")), whole);
        }
    }
}
