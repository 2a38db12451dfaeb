//! Runs of bytes between ASCII: each is UTF-8, or in the encoding that was claimed.

use encoding_rs::Encoding;

/// A run of other bytes than ASCII that is kept for the next chunk.
const MAX_RUN: usize = 1 << 10;

/// How many bytes can be read without what follows: up to the last ASCII, or all but the end of a run that is long.
pub fn whole_runs(raw: &[u8]) -> usize {
    let tail = raw.iter().rev().take(MAX_RUN).position(u8::is_ascii);
    match tail {
        Some(tail) => raw.len() - tail,
        None if raw.len() < MAX_RUN => 0,
        // A character has at most four bytes, and its first is no continuation.
        None => {
            let back = raw.iter().rev().take(4).position(|byte| byte & 0xc0 != 0x80);
            raw.len() - back.map_or(0, |back| back + 1)
        }
    }
}

/// Writes bytes as UTF-8: what is ASCII or UTF-8 already, and other runs from their encoding.
pub fn write_runs(raw: &[u8], encoding: &'static Encoding, written: &mut Vec<u8>) {
    let mut rest = raw;
    while let Err(error) = std::str::from_utf8(rest) {
        // The run that holds the first wrong byte.
        let valid = &rest[..error.valid_up_to()];
        let start = valid.iter().rposition(u8::is_ascii).map_or(0, |last| last + 1);
        let length = rest[start..]
            .iter()
            .position(u8::is_ascii)
            .unwrap_or(rest.len() - start);
        written.extend_from_slice(&rest[..start]);
        write_run(&rest[start..start + length], encoding, written);
        rest = &rest[start + length..];
    }
    written.extend_from_slice(rest);
}

/// Writes a run that is no UTF-8. One that mostly is has lost a few bytes.
fn write_run(run: &[u8], encoding: &'static Encoding, written: &mut Vec<u8>) {
    let chunks = || run.utf8_chunks();
    let characters: usize = chunks().map(|chunk| chunk.valid().chars().count()).sum();
    let wrong: usize = chunks().map(|chunk| chunk.invalid().len()).sum();
    if characters <= wrong * 2 {
        written.extend_from_slice(encoding.decode_without_bom_handling(run).0.as_bytes());
        return;
    }
    for chunk in chunks() {
        written.extend_from_slice(chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            written.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}
