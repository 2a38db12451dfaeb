//! Sources as a harvester uses them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::clock::{Clock, ManualClock};
use sources::{
    Cursor, DateRange, HostRule, HttpConfig, PageSummary, Source, SourceClient, SourceConfig, SourceError, build,
    read_page,
};

use super::Read;

/// How long a test waits for what must happen.
const DEADLINE: Duration = Duration::from_secs(30);

/// Settings without pauses between requests.
pub fn unlimited() -> HttpConfig {
    HttpConfig {
        contact: "ops@example.org".into(),
        proxy: "none".into(),
        default_host: HostRule {
            host: String::new(),
            interval_milliseconds: 0,
            connections: 4,
        },
        ..HttpConfig::default()
    }
}

/// A source by its settings, over a client by its own.
pub fn source_with(http: &HttpConfig, settings: &str, clock: Clock) -> Arc<dyn Source> {
    let config = SourceConfig::read("test", settings.parse().expect("TOML")).expect("settings");
    build(&config, &SourceClient::new(http, clock).expect("a client"))
}

/// A source by its settings, on the clock of this machine.
pub fn source(settings: &str) -> Arc<dyn Source> {
    source_with(&unlimited(), settings, Clock::system())
}

/// A clock that stands still.
pub fn still_clock() -> (Clock, ManualClock) {
    Clock::manual("2026-03-20T00:00:00Z".parse().expect("a timestamp"))
}

/// The output of work that waits for the clock: moves it by `step` a thousand times a second until the work is done.
pub async fn on_moved_clock<T>(hand: &ManualClock, step: Duration, work: impl Future<Output = T>) -> T {
    let moved = async {
        let begun = Instant::now();
        while begun.elapsed() < DEADLINE {
            tokio::time::sleep(Duration::from_millis(1)).await;
            hand.advance(step);
        }
        panic!("the work was not done after {:?} of a moved clock", step * 1_000 * 30);
    };
    tokio::select! {
        output = work => output,
        () = moved => unreachable!("it panics"),
    }
}

/// Returns once somebody waits for the clock.
pub async fn until_somebody_sleeps(hand: &ManualClock) {
    let asleep = async {
        while hand.sleepers() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(DEADLINE, asleep)
        .await
        .expect("somebody who sleeps");
}

/// Reads a page: what it held and how it ended.
pub async fn page(source: &Arc<dyn Source>, cursor: &Cursor) -> (Read, Result<PageSummary, SourceError>) {
    let mut items = read_page(Arc::clone(source), cursor.clone());
    let mut read = Read::default();
    while let Some(item) = items.next().await {
        read.take(item);
    }
    (read, items.finish().await)
}

/// A cursor at the first of March.
pub fn beginning(source: &Arc<dyn Source>) -> Cursor {
    let range = DateRange {
        from: Some("2026-03-01T00:00:00Z".parse().expect("a timestamp")),
        until: None,
    };
    source.begin(range).expect("a cursor")
}
