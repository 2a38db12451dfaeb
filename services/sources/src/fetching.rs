//! A response read by a parser on a thread that may block, its items sent on one by one.

use std::io::Read;

use common::tasks;

use crate::error::SourceError;
use crate::http::SourceResponse;
use crate::http::body::BodyReader;
use crate::interpretation::Sink;
use crate::record::PageItem;
use crate::source::{ItemSender, RecordCounts};

/// Runs a parser over the body of a response while it arrives. `parse` is given the body, the encoding that the server
/// names, and where items go. It ends early when nobody consumes the items any more.
///
/// # Errors
/// What the parser answers, and what went wrong on the network.
pub async fn read_response<T, P>(
    response: SourceResponse,
    items: ItemSender,
    parse: P,
) -> Result<(T, RecordCounts), SourceError>
where
    T: Send + 'static,
    P: FnOnce(BodyReader, Option<&str>, &mut Sink<'_>) -> Result<T, SourceError> + Send + 'static,
{
    let charset = response.charset();
    let body = response.body;
    let parsing = read_blocking(body.reader, items, move |reader, sink| {
        parse(reader, charset.as_deref(), sink)
    });
    // The parser drops its reader when it is finished, and with that the transfer ends.
    let (parsed, ()) = tokio::join!(parsing, body.transfer);
    parsed
}

/// Runs a parser over a reader on a thread that may block.
///
/// # Errors
/// What the parser answers.
pub async fn read_blocking<R, T, P>(reader: R, items: ItemSender, parse: P) -> Result<(T, RecordCounts), SourceError>
where
    R: Read + Send + 'static,
    T: Send + 'static,
    P: FnOnce(R, &mut Sink<'_>) -> Result<T, SourceError> + Send + 'static,
{
    tasks::blocking(move || {
        let mut counts = RecordCounts::default();
        let mut sink = |item: PageItem| {
            counts.add(&item);
            items.send_blocking(item)
        };
        let summary = parse(reader, &mut sink)?;
        Ok((summary, counts))
    })
    .await
}
