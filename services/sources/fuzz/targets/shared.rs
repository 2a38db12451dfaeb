//! What every target checks: no panic, no more items than bytes, and every paper is one that ingest takes.

use sources::parsing::{PageFormat, parse};
use sources::PageItem;

/// Reads the input as each of the formats.
pub fn check(formats: &[PageFormat], page: &[u8]) {
    let now = jiff::Timestamp::from_second(1_788_000_000).expect("a timestamp");
    for format in formats {
        let mut items = 0_usize;
        let _ = parse(*format, page, now, |item| {
            items += 1;
            if let PageItem::Paper(record) = item {
                let paper = record.submission.into_paper(now);
                assert!(paper.is_ok(), "{format:?}: {paper:?}");
            }
            Ok(())
        });
        assert!(items <= page.len(), "{format:?}: {items} items of {} bytes", page.len());
    }
}
