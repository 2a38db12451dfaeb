//! What a file is packed with, by its first bytes, and how it is unpacked.
//!
//! What a packed file unpacks to is bounded, as a whole and in proportion to the file, and so is the memory of the decoder:
//! a small file that never seems to end is refused, after what came before was read.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use crate::error::SourceError;

/// Bytes read from the file at once.
const CHUNK: usize = 128 << 10;
/// Bytes that a file may unpack to whatever its own size.
const ALWAYS_ALLOWED: u64 = 64 << 20;
/// The most memory that a decoder may need for its window.
const MAX_WINDOW: u64 = 128 << 20;
/// Bytes of the longest header of a zstd frame.
const ZSTD_HEADER: usize = 18;
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What a file is packed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Nothing.
    Plain,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// xz.
    Xz,
}

/// How much a packed file may unpack to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnpackLimits {
    /// Bytes in all.
    pub bytes: u64,
    /// Bytes for each byte of the file; the first 64 MiB are allowed in any case.
    pub ratio: u64,
}

impl Default for UnpackLimits {
    fn default() -> Self {
        Self {
            bytes: 1 << 40,
            ratio: 200,
        }
    }
}

impl Compression {
    fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            start if start.starts_with(&ZSTD_MAGIC) || is_skippable(start) => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
        })
    }
}

/// Unpacks a file.
///
/// # Errors
/// A file whose first bytes cannot be read. The reader fails where the file is broken or beyond the limits.
pub fn unpack<'a>(input: impl Read + 'a, limits: UnpackLimits) -> io::Result<(Compression, Box<dyn Read + 'a>)> {
    let packed = Rc::new(Cell::new(0));
    let counted = CountingReader {
        inner: input,
        count: Rc::clone(&packed),
    };
    let mut source = Pushback::new(BufReader::with_capacity(CHUNK, counted));
    let start = source.look(ZSTD_HEADER)?;
    let compression = Compression::of(start);
    let unpacked: Box<dyn Read + 'a> = match compression {
        Compression::Plain => return Ok((compression, Box::new(source))),
        Compression::Gzip => Box::new(MultiGzDecoder::new(source)),
        Compression::Xz => {
            let kibibytes = u32::try_from(MAX_WINDOW >> 10).unwrap_or(u32::MAX);
            Box::new(XzReader::new_mem_limit(source, true, kibibytes))
        }
        Compression::Zstd => Box::new(ZstdReader {
            source,
            decoder: FrameDecoder::new(),
            open: false,
        }),
    };
    let bounded = BoundedReader {
        inner: unpacked,
        packed,
        unpacked: 0,
        limits,
    };
    Ok((compression, Box::new(bounded)))
}

/// Counts what is read.
struct CountingReader<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.set(self.count.get() + count as u64);
        Ok(count)
    }
}

/// Ends with an error where more is unpacked than is allowed.
struct BoundedReader<R> {
    inner: R,
    packed: Rc<Cell<u64>>,
    unpacked: u64,
    limits: UnpackLimits,
}

impl<R: Read> Read for BoundedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.unpacked += count as u64;
        let UnpackLimits { bytes, ratio } = self.limits;
        let why = if self.unpacked > bytes {
            format!("it unpacks to more than {bytes} bytes, the limit (max_unpacked_bytes)")
        } else if self.unpacked > ALWAYS_ALLOWED && self.unpacked / ratio.max(1) > self.packed.get() {
            format!("it unpacks to more than {ratio} times its size, the limit (max_unpacked_ratio)")
        } else {
            return Ok(count);
        };
        Err(io::Error::other(SourceError::malformed(self.unpacked, why)))
    }
}

/// A reader whose next bytes can be looked at before they are read.
struct Pushback<R> {
    inner: R,
    head: Vec<u8>,
    at: usize,
}

impl<R: Read> Pushback<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            head: Vec::new(),
            at: 0,
        }
    }

    /// The next bytes, as many as there are up to `count`.
    fn look(&mut self, count: usize) -> io::Result<&[u8]> {
        self.head.drain(..self.at);
        self.at = 0;
        let missing = count.saturating_sub(self.head.len());
        (&mut self.inner).take(missing as u64).read_to_end(&mut self.head)?;
        Ok(&self.head)
    }
}

impl<R: Read> Read for Pushback<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let waiting = &self.head[self.at..];
        if waiting.is_empty() {
            return self.inner.read(buffer);
        }
        let count = waiting.len().min(buffer.len());
        buffer[..count].copy_from_slice(&waiting[..count]);
        self.at += count;
        Ok(count)
    }
}

/// Unpacks the frames of a zstd file one after another.
struct ZstdReader<R> {
    source: Pushback<R>,
    decoder: FrameDecoder,
    open: bool,
}

impl<R: Read> ZstdReader<R> {
    /// Begins the next frame; `false` at the end of the file.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            let start = self.source.look(ZSTD_HEADER)?;
            if start.is_empty() {
                return Ok(false);
            }
            if is_skippable(start) {
                let length = little_endian(start.get(4..8).unwrap_or_default());
                io::copy(&mut (&mut self.source).take(length + 8), &mut io::sink())?;
                continue;
            }
            // The decoder asks for the memory that a frame names before it checks it.
            let window = zstd_window(start).ok_or(io::ErrorKind::UnexpectedEof)?;
            if window > MAX_WINDOW {
                let why = format!("zstd asks for a window of {window} bytes; at most {MAX_WINDOW} are allowed");
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            self.decoder.init(&mut self.source).map_err(invalid)?;
            self.open = true;
            return Ok(true);
        }
    }
}

impl<R: Read> Read for ZstdReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.open && !self.begin()? {
                return Ok(0);
            }
            if self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let strategy = BlockDecodingStrategy::UptoBytes(buffer.len());
                self.decoder
                    .decode_blocks(&mut self.source, strategy)
                    .map_err(invalid)?;
            }
            let count = self.decoder.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            self.open = !self.decoder.is_finished();
        }
    }
}

fn invalid(error: impl fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("zstd: {error}"))
}

fn is_skippable(start: &[u8]) -> bool {
    matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// The window that a frame of zstd asks for; `None` where its header is cut off or is none.
fn zstd_window(start: &[u8]) -> Option<u64> {
    let header = start.strip_prefix(&ZSTD_MAGIC)?;
    let (&descriptor, rest) = header.split_first()?;
    if descriptor & 0x20 == 0 {
        let window = *rest.first()?;
        let base = 1_u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    // A frame in a single segment has no window: its content is it.
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let content = rest.get(dictionary..dictionary + size)?;
    Some(little_endian(content) + if size == 2 { 256 } else { 0 })
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::write::GzEncoder;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(bytes).expect("packed");
        packed.finish().expect("packed")
    }

    fn xz(bytes: &[u8]) -> Vec<u8> {
        let mut packed = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::default()).expect("a writer");
        packed.write_all(bytes).expect("packed");
        packed.finish().expect("packed")
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        compress_to_vec(bytes, CompressionLevel::Fastest)
    }

    fn read(bytes: &[u8]) -> (Compression, Vec<u8>, io::Result<usize>) {
        let (compression, mut reader) = unpack(bytes, UnpackLimits::default()).expect("a reader");
        let mut text = Vec::new();
        let end = reader.read_to_end(&mut text);
        (compression, text, end)
    }

    #[test]
    fn files_are_unpacked_by_their_first_bytes() {
        let text = b"a paper and another ".repeat(10_000);
        for (packed, expected) in [
            (text.clone(), Compression::Plain),
            (gzip(&text), Compression::Gzip),
            (zstd(&text), Compression::Zstd),
            (xz(&text), Compression::Xz),
        ] {
            let (compression, read, end) = read(&packed);
            assert_eq!((compression, read.len()), (expected, text.len()), "{end:?}");
            assert!(read == text && end.is_ok(), "{expected}");
        }
    }

    #[test]
    fn parts_that_were_joined_are_read_as_one_file() {
        let skippable = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        let zstd = [zstd(b"one "), skippable, zstd(b"two")].concat();
        for joined in [
            [gzip(b"one "), gzip(b"two")].concat(),
            zstd,
            [xz(b"one "), xz(b"two")].concat(),
        ] {
            assert_eq!(read(&joined).1, b"one two");
        }
    }

    #[test]
    fn what_is_cut_off_is_read_to_where_it_ends() {
        let text: Vec<u8> = (0..2_000_000_u32)
            .flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 9).to_le_bytes())
            .collect();
        for packed in [gzip(&text), zstd(&text), xz(&text)] {
            let (compression, read, end) = read(&packed[..packed.len() / 2]);
            assert!(end.is_err(), "{compression}");
            assert!(!read.is_empty() && text.starts_with(&read), "{compression}");
        }
    }

    #[test]
    fn a_bomb_is_refused_soon() {
        let zeros = vec![0; 80 << 20];
        for packed in [gzip(&zeros), zstd(&zeros)] {
            let (compression, read, end) = read(&packed);
            let error = SourceError::from_read(end.expect_err("a refusal"), 0).to_string();
            assert!(error.contains("more than 200 times its size"), "{compression}: {error}");
            assert!(read.len() as u64 <= ALWAYS_ALLOWED + (1 << 20));
        }
    }

    #[test]
    fn a_window_larger_than_memory_is_refused() {
        let header = [&ZSTD_MAGIC[..], &[0x00, 0xff], &[0; 12]].concat();
        let (_, read, end) = read(&header);
        let error = end.expect_err("a refusal").to_string();
        assert!(read.is_empty() && error.contains("window of"), "{error}");
        assert_eq!(zstd_window(&[&ZSTD_MAGIC[..], &[0x60, 1, 1]].concat()), Some(513));
        assert_eq!(zstd_window(&ZSTD_MAGIC), None);
    }

    #[test]
    fn the_limit_of_bytes_holds() {
        let packed = gzip(&b"0123456789".repeat(1_000));
        let limits = UnpackLimits {
            bytes: 5_000,
            ratio: 200,
        };
        let (_, mut reader) = unpack(&packed[..], limits).expect("a reader");
        let error = reader.read_to_end(&mut Vec::new()).expect_err("a refusal");
        assert!(error.to_string().contains("max_unpacked_bytes"), "{error}");
    }
}
