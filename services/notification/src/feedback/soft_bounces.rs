//! Soft bounces: digests that bounced although the address may be a good one. Several in a row say that it is not.

use jiff::{SignedDuration, Timestamp};

/// When soft bounces end a subscription.
#[derive(Debug, Clone, Copy)]
pub struct SoftBounceLimit {
    /// So many digests in a row that bounced; 0 for never.
    pub max_in_row: usize,
    /// All of them within this time.
    pub within: SignedDuration,
}

impl SoftBounceLimit {
    /// Whether so many digests in a row, among them that of `slot`, bounced within the time. `mailed` says of each digest
    /// whether it bounced, the oldest first; one that did not ends a row.
    pub fn is_reached(&self, mailed: &[(Timestamp, bool)], slot: Timestamp) -> bool {
        if self.max_in_row == 0 {
            return false;
        }
        mailed.windows(self.max_in_row).any(|row| {
            let [(first, _), ..] = row else { return false };
            let last = row.last().map_or(*first, |(last, _)| *last);
            let in_time = last.duration_since(*first) <= self.within;
            row.iter().all(|(_, bounced)| *bounced) && (*first..=last).contains(&slot) && in_time
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: usize) -> Timestamp {
        let seconds = i64::try_from(number).expect("few") * 24 * 3600;
        Timestamp::from_second(seconds).expect("in range")
    }

    #[test]
    fn a_delivered_digest_or_time_breaks_a_row() {
        let rows = |marks: &str| -> Vec<(Timestamp, bool)> {
            let days = marks.chars().enumerate();
            days.filter(|(_, mark)| *mark != ' ')
                .map(|(number, mark)| (day(number), mark == 'x'))
                .collect()
        };
        let limit = SoftBounceLimit {
            max_in_row: 3,
            within: SignedDuration::from_hours(4 * 24),
        };
        for (marks, slot, expected) in [
            ("xxx", 2, true),
            ("xxx", 0, true),
            ("x xx", 3, true),
            ("xx.x", 3, false),
            ("xxx.x", 4, false),
            ("xx", 1, false),
            ("x    xx", 6, false),
            (".xxx", 0, false),
            ("", 0, false),
        ] {
            assert_eq!(limit.is_reached(&rows(marks), day(slot)), expected, "{marks:?} {slot}");
        }
        let never = SoftBounceLimit { max_in_row: 0, ..limit };
        assert!(!never.is_reached(&rows("xxx"), day(0)));
    }
}
