//! Lists in JSON.
#![no_main]

mod shared;

use libfuzzer_sys::fuzz_target;
use sources::parsing::Format;

fuzz_target!(|page: &[u8]| {
    shared::check(&[
            Format::Biorxiv,
            Format::Openalex,
            Format::Crossref,
            Format::SemanticScholar,
            Format::Huggingface,
        ], page);
});
