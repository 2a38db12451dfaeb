//! Parameters of the lists that feeds, the API and tools offer, and the words for why a paper trends.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use proto::convert::to_wire_time;
use proto::search::v1::{PaperFilter, SearchOrder, TrendingPaper, TrendingWindow};
use tonic::Status;

/// Parses the name of a trending window; the default is the day.
///
/// # Errors
/// INVALID_ARGUMENT, with the allowed names.
pub fn window(name: &str) -> Result<TrendingWindow, Status> {
    match name {
        "" | "day" => Ok(TrendingWindow::Day),
        "week" => Ok(TrendingWindow::Week),
        "month" => Ok(TrendingWindow::Month),
        other => Err(not_allowed("window", other, "day, week and month")),
    }
}

/// Parses the name of an order; the default is relevance.
///
/// # Errors
/// INVALID_ARGUMENT, with the allowed names.
pub fn order(name: &str) -> Result<SearchOrder, Status> {
    match name {
        "" | "relevance" => Ok(SearchOrder::Relevance),
        "newest" => Ok(SearchOrder::Newest),
        "trending" => Ok(SearchOrder::Trending),
        other => Err(not_allowed("sort", other, "relevance, newest and trending")),
    }
}

/// INVALID_ARGUMENT for a value that is not allowed.
pub fn not_allowed(field: &str, value: &str, allowed: &str) -> Status {
    let value = domain::text::shorten(value);
    common::status::invalid(field, format!("is {value:?}; allowed are {allowed}"))
}

/// A filter for a category; none if it is empty.
pub fn category_filter(category: &str) -> Option<PaperFilter> {
    (!category.is_empty()).then(|| PaperFilter {
        categories: vec![category.to_owned()],
        ..PaperFilter::default()
    })
}

/// Leaves out papers of unknown date, which are in no list of new ones.
pub fn dated(mut filter: PaperFilter) -> PaperFilter {
    if filter.published_after.is_none() && filter.published_before.is_none() {
        filter.published_after = Some(to_wire_time(Timestamp::MIN));
    }
    filter
}

/// The start of a day in UTC, as a protobuf timestamp.
pub fn start_of(day: Date) -> Option<prost_types::Timestamp> {
    let time: Timestamp = day.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp();
    Some(to_wire_time(time))
}

/// Why a paper trends, in words that change only when a reader does something.
pub fn trending_reason(trending: &TrendingPaper) -> String {
    let count = |name: &str, one: &str, many: &str| {
        let readers = trending.parts.iter().find(|part| part.name == name)?.readers;
        let noun = if readers == 1 { one } else { many };
        (readers > 0).then(|| format!("{readers} {noun}"))
    };
    let all = [
        count("votes", "vote", "votes"),
        count("saves", "save", "saves"),
        count("reads", "read", "reads"),
        count("clicks", "click", "clicks"),
    ];
    let counts: Vec<String> = all.into_iter().flatten().collect();
    if counts.is_empty() {
        return "Trending".to_owned();
    }
    format!("Trending: {} in the last 30 days", counts.join(", "))
}

/// Readers who voted for a paper in the last 30 days.
pub fn votes(trending: &TrendingPaper) -> u32 {
    let part = trending.parts.iter().find(|part| part.name == "votes");
    part.map_or(0, |part| part.readers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_new_papers_hold_dated_ones_alone() {
        let everything = dated(PaperFilter::default());
        assert_eq!(everything.published_after, Some(to_wire_time(Timestamp::MIN)));
        let period = PaperFilter {
            published_before: Some(to_wire_time(Timestamp::UNIX_EPOCH)),
            ..PaperFilter::default()
        };
        assert_eq!(dated(period.clone()), period, "a period has no other papers");
    }
}
