//! The body of a response, passed from the network to a parser on another thread.
//!
//! A few chunks wait between the two, so a slow parser makes the network wait. What goes wrong on the network comes out of
//! the reader as an error that carries the [`SourceError`].

use std::io::{self, Read};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use common::clock::Clock;
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::mpsc;

use super::gate::HostPermit;
use crate::error::SourceError;

/// Chunks that wait for the parser; each has at most what hyper reads at once, about 400 kB.
const WAITING_CHUNKS: usize = 4;

/// How long and how large a body may be.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// The longest time without a byte.
    pub idle: Duration,
    /// The longest time in all.
    pub total: Duration,
    /// The most bytes, decompressed.
    pub bytes: u64,
}

/// How the body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentCoding {
    /// Not at all.
    Identity,
    /// gzip.
    Gzip,
}

/// A body that is still to be received. Nothing is received unless `transfer` is awaited while `reader` is read.
pub struct ResponseBody {
    /// The decompressed body.
    pub reader: BodyReader,
    /// Receives the body. Ends with the body, or when the reader is dropped, and releases the host's permit.
    pub transfer: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// The decompressed body, for a thread that may block.
pub struct BodyReader(LimitedReader<Box<dyn Read + Send>>);

impl ResponseBody {
    /// The body of a response of `host`, received within limits that `clock` measures.
    pub fn new(
        incoming: Incoming,
        coding: ContentCoding,
        host: &str,
        limits: BodyLimits,
        permit: HostPermit,
        clock: Clock,
    ) -> Self {
        let (sender, chunks) = mpsc::channel(WAITING_CHUNKS);
        let raw = ChunkReader {
            chunks,
            current: Bytes::new(),
        };
        let decoded: Box<dyn Read + Send> = match coding {
            ContentCoding::Identity => Box::new(raw),
            ContentCoding::Gzip => Box::new(GzipReader {
                waiting: Some(raw),
                decoder: None,
            }),
        };
        let reader = BodyReader(LimitedReader {
            inner: decoded,
            left: limits.bytes,
            limit: limits.bytes,
            host: host.to_owned(),
        });
        let host = host.to_owned();
        let transfer = Box::pin(async move {
            receive(incoming, &sender, &host, limits, &clock).await;
            drop(permit);
        });
        Self { reader, transfer }
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

async fn receive(
    mut incoming: Incoming,
    chunks: &mpsc::Sender<Result<Bytes, SourceError>>,
    host: &str,
    limits: BodyLimits,
    clock: &Clock,
) {
    let begun = clock.instant();
    loop {
        let left = limits.total.saturating_sub(clock.elapsed(begun));
        let next = tokio::select! {
            next = clock.timeout(limits.idle.min(left), incoming.frame()) => next,
            () = chunks.closed() => return,
        };
        let result = match next {
            Some(None) => return,
            Some(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => Ok(data),
                Err(_trailers) => continue,
            },
            Some(Some(Err(error))) => Err(SourceError::Cut {
                host: host.to_owned(),
                cause: chain(&error),
            }),
            None if limits.idle < left => Err(too_slow(host, "send more", limits.idle)),
            None => Err(too_slow(host, "finish", limits.total)),
        };
        let last = result.is_err();
        if chunks.send(result).await.is_err() || last {
            return;
        }
    }
}

fn too_slow(host: &str, step: &'static str, limit: Duration) -> SourceError {
    SourceError::TimedOut {
        host: host.to_owned(),
        step,
        seconds: limit.as_secs(),
    }
}

/// An error with its causes, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

struct ChunkReader {
    chunks: mpsc::Receiver<Result<Bytes, SourceError>>,
    current: Bytes,
}

impl Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                None => return Ok(0),
                Some(Ok(chunk)) => self.current = chunk,
                Some(Err(error)) => return Err(io::Error::other(error)),
            }
        }
        let count = buffer.len().min(self.current.len());
        buffer[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

/// A compressed body. The decoder reads when it is made, so it is made on the thread that may wait for the network.
struct GzipReader {
    waiting: Option<ChunkReader>,
    decoder: Option<MultiGzDecoder<ChunkReader>>,
}

impl Read for GzipReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(raw) = self.waiting.take() {
            self.decoder = Some(MultiGzDecoder::new(raw));
        }
        self.decoder.as_mut().map_or(Ok(0), |decoder| decoder.read(buffer))
    }
}

struct LimitedReader<R> {
    inner: R,
    left: u64,
    limit: u64,
    host: String,
}

impl<R: Read> Read for LimitedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            io::Error::other(SourceError::TooLarge {
                host: self.host.clone(),
                limit: self.limit,
            })
        })?;
        Ok(count)
    }
}
