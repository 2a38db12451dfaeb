//! Sources as a harvester uses them, over a client in a hurry.

use std::sync::Arc;

use sources::{Client, Cursor, HostRule, HttpConfig, Page, Reading, Source, SourceConfig, SourceError, Span, build};

use super::Read;

/// A client that does not wait for long.
pub fn quick() -> HttpConfig {
    HttpConfig {
        contact: "ops@example.org".into(),
        proxy: "none".into(),
        first_pause_milliseconds: 10,
        idle_timeout_seconds: 2,
        patience_seconds: 2,
        default_host: HostRule {
            host: String::new(),
            interval_milliseconds: 0,
            connections: 4,
        },
        ..HttpConfig::default()
    }
}

/// A source by its settings, over a client by its own.
pub fn source_with(http: &HttpConfig, settings: &str) -> Arc<dyn Source> {
    let config = SourceConfig::read("test", settings.parse().expect("TOML")).expect("settings");
    build(&config, &Client::new(http).expect("a client"))
}

/// A source by its settings.
pub fn source(settings: &str) -> Arc<dyn Source> {
    source_with(&quick(), settings)
}

/// Reads a page: what it held and how it ended.
pub async fn page(source: &Arc<dyn Source>, cursor: &Cursor) -> (Read, Result<Page, SourceError>) {
    let mut reading = Reading::begin(Arc::clone(source), cursor.clone());
    let mut read = Read::default();
    while let Some(item) = reading.next().await {
        read.take(item);
    }
    (read, reading.finish().await)
}

/// A cursor at the first of March.
pub fn beginning(source: &Arc<dyn Source>) -> Cursor {
    let span = Span {
        from: Some("2026-03-01T00:00:00Z".parse().expect("a timestamp")),
        until: None,
    };
    source.begin(span).expect("a cursor")
}
