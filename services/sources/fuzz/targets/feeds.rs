//! Atom and RSS, as feeds, as announcements and as answers of arXiv's API.
#![no_main]

mod shared;

use libfuzzer_sys::fuzz_target;
use sources::parsing::Format;

fuzz_target!(|page: &[u8]| {
    shared::check(&[Format::Feed, Format::ArxivAnnounced, Format::ArxivAtom], page);
});
