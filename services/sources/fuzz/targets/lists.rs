//! Lists in JSON.
#![no_main]

mod shared;

use libfuzzer_sys::fuzz_target;
use sources::parsing::PageFormat;

fuzz_target!(|page: &[u8]| {
    shared::check(&[
            PageFormat::Biorxiv,
            PageFormat::Openalex,
            PageFormat::Crossref,
            PageFormat::SemanticScholar,
            PageFormat::Huggingface,
        ], page);
});
