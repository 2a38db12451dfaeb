//! Atom and RSS, as feeds, as announcements and as answers of arXiv's API.
#![no_main]

mod shared;

use libfuzzer_sys::fuzz_target;
use sources::parsing::PageFormat;

fuzz_target!(|page: &[u8]| {
    shared::check(&[PageFormat::Feed, PageFormat::ArxivAnnounced, PageFormat::ArxivAtom], page);
});
