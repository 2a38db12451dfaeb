//! The lists that feeds, the API and tools offer, as questions to the search service.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use proto::convert::to_wire_time;
use proto::search::v1::{PaperFilter, SearchOrder, TrendingPaper, TrendingWindow};
use tonic::Status;

/// Reads the name of a window; nothing is the day.
///
/// # Errors
/// INVALID_ARGUMENT, with the names there are.
pub fn window(name: &str) -> Result<TrendingWindow, Status> {
    match name {
        "" | "day" => Ok(TrendingWindow::Day),
        "week" => Ok(TrendingWindow::Week),
        "month" => Ok(TrendingWindow::Month),
        other => Err(not_one_of("window", other, "day, week and month")),
    }
}

/// Reads the name of an order; nothing is by relevance.
///
/// # Errors
/// INVALID_ARGUMENT, with the names there are.
pub fn order(name: &str) -> Result<SearchOrder, Status> {
    match name {
        "" | "relevance" => Ok(SearchOrder::Relevance),
        "newest" => Ok(SearchOrder::Newest),
        "trending" => Ok(SearchOrder::Trending),
        other => Err(not_one_of("sort", other, "relevance, newest and trending")),
    }
}

/// INVALID_ARGUMENT for a value that is none of those that are allowed.
pub fn not_one_of(field: &str, value: &str, allowed: &str) -> Status {
    let value = domain::text::shorten(value);
    common::status::invalid(field, format!("is {value:?}; allowed are {allowed}"))
}

/// Papers of a category; all where it is empty.
pub fn in_category(category: &str) -> Option<PaperFilter> {
    (!category.is_empty()).then(|| PaperFilter {
        categories: vec![category.to_owned()],
        ..PaperFilter::default()
    })
}

/// The beginning of a day, UTC, as the contract has it.
pub fn start_of(day: Date) -> Option<prost_types::Timestamp> {
    let time: Timestamp = day.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp();
    Some(to_wire_time(time))
}

/// What readers did with a paper that trends, in words that change only when somebody does something.
pub fn attention(trending: &TrendingPaper) -> String {
    let words = |name: &str, one: &str, many: &str| {
        let readers = trending.parts.iter().find(|part| part.name == name)?.readers;
        let verb = if readers == 1 { one } else { many };
        (readers > 0).then(|| format!("{readers} {verb}"))
    };
    let all = [
        words("votes", "vote", "votes"),
        words("saves", "reader saved it", "readers saved it"),
        words("reads", "read it here", "read it here"),
        words("clicks", "followed its links", "followed its links"),
    ];
    let said: Vec<String> = all.into_iter().flatten().collect();
    if said.is_empty() {
        return "Trending".to_owned();
    }
    format!("Trending: {} in the last 30 days", said.join(", "))
}

/// Readers who voted for a paper in the last 30 days.
pub fn votes(trending: &TrendingPaper) -> u32 {
    let part = trending.parts.iter().find(|part| part.name == "votes");
    part.map_or(0, |part| part.readers)
}
