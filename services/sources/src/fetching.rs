//! An answer read by a parser on a thread that may block, its items handed on one by one.

use std::io::Read;

use crate::error::SourceError;
use crate::page::Sink;
use crate::record::Item;
use crate::source::{Counts, Outlet};

/// What is known when a page was read to its end.
pub struct Fetched<T> {
    /// What the parser says about the page.
    pub facts: T,
    /// What it held.
    pub counts: Counts,
}

/// Runs a parser over a body. It ends early when nobody takes the items any more.
pub async fn read_answer<B, T, P>(body: B, outlet: Outlet, parse: P) -> Result<Fetched<T>, SourceError>
where
    B: Read + Send + 'static,
    T: Send + 'static,
    P: FnOnce(B, &mut Sink<'_>) -> Result<T, SourceError> + Send + 'static,
{
    let reading = tokio::task::spawn_blocking(move || {
        let mut counts = Counts::default();
        let mut sink = |item: Item| {
            counts.add(&item);
            outlet.put_blocking(item)
        };
        let facts = parse(body, &mut sink)?;
        Ok(Fetched { facts, counts })
    });
    reading.await.unwrap_or_else(|error| {
        Err(SourceError::Malformed {
            byte: 0,
            why: format!("the parser failed: {error}"),
        })
    })
}
