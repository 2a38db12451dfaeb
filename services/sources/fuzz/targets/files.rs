//! JSON Lines, BibTeX and CSV.
#![no_main]

mod shared;

use libfuzzer_sys::fuzz_target;
use sources::parsing::PageFormat;

fuzz_target!(|page: &[u8]| {
    shared::check(&[PageFormat::Jsonl, PageFormat::Bibtex, PageFormat::Csv, PageFormat::File], page);
});
