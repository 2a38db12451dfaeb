//! The body of an answer, handed from the network to a parser on another thread.
//!
//! A few chunks wait between them; a parser that is slow makes the network wait. What goes wrong on the way comes out of
//! the reader as an error that carries the [`SourceError`] ([`source_error`]).

use std::io::{self, Read};
use std::time::Duration;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::gate::Permit;
use crate::error::SourceError;

/// Chunks that wait; each has at most what hyper reads at once, about 400 kB.
const WAITING_CHUNKS: usize = 4;

/// How long a body may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest time without a byte.
    pub idle: Duration,
    /// Longest time in all.
    pub total: Duration,
    /// Most bytes, unpacked.
    pub bytes: u64,
}

/// How the body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// gzip.
    Gzip,
}

/// The unpacked body, for a thread that may block.
pub struct Body(Limited<Box<dyn Read + Send>>);

impl Body {
    /// Begins to take the body off the network. The permit is given back when it has ended or nobody reads it any more.
    pub fn begin(incoming: Incoming, packing: Packing, host: &str, limits: Limits, permit: Permit) -> Self {
        let (sender, chunks) = mpsc::channel(WAITING_CHUNKS);
        let name = host.to_owned();
        tokio::spawn(async move {
            pump(incoming, &sender, &name, limits).await;
            drop(permit);
        });
        let raw = Chunks {
            chunks,
            current: Bytes::new(),
        };
        let unpacked: Box<dyn Read + Send> = match packing {
            Packing::Plain => Box::new(raw),
            Packing::Gzip => Box::new(Gzip {
                waiting: Some(raw),
                unpacker: None,
            }),
        };
        Self(Limited {
            inner: unpacked,
            left: limits.bytes,
            limit: limits.bytes,
            host: host.to_owned(),
        })
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// The error of a source that an error of reading carries, or one that says the page is malformed there.
pub fn source_error(error: io::Error, byte: u64) -> SourceError {
    let kind = error.kind();
    match error.downcast::<SourceError>() {
        Ok(carried) => carried,
        Err(other) if kind == io::ErrorKind::UnexpectedEof => SourceError::Malformed {
            byte,
            why: format!("it ends too early: {other}"),
        },
        Err(other) => SourceError::Malformed {
            byte,
            why: other.to_string(),
        },
    }
}

async fn pump(mut incoming: Incoming, chunks: &mpsc::Sender<Result<Bytes, SourceError>>, host: &str, limits: Limits) {
    let end = Instant::now() + limits.total;
    loop {
        let idle = Instant::now() + limits.idle;
        let next = tokio::select! {
            next = timeout_at(idle.min(end), incoming.frame()) => next,
            () = chunks.closed() => return,
        };
        let result = match next {
            Ok(None) => return,
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => Ok(data),
                Err(_trailers) => continue,
            },
            Ok(Some(Err(error))) => Err(SourceError::Cut {
                host: host.to_owned(),
                cause: chain(&error),
            }),
            Err(_elapsed) if idle < end => Err(too_slow(host, "send more", limits.idle)),
            Err(_elapsed) => Err(too_slow(host, "finish", limits.total)),
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

struct Chunks {
    chunks: mpsc::Receiver<Result<Bytes, SourceError>>,
    current: Bytes,
}

impl Read for Chunks {
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

/// A packed body. The unpacker reads when it is made, so it is made on the thread that may wait for the network.
struct Gzip {
    waiting: Option<Chunks>,
    unpacker: Option<MultiGzDecoder<Chunks>>,
}

impl Read for Gzip {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(raw) = self.waiting.take() {
            self.unpacker = Some(MultiGzDecoder::new(raw));
        }
        self.unpacker.as_mut().map_or(Ok(0), |unpacker| unpacker.read(buffer))
    }
}

struct Limited<R> {
    inner: R,
    left: u64,
    limit: u64,
    host: String,
}

impl<R: Read> Read for Limited<R> {
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
