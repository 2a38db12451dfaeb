//! The bytes of one connection, watched as they pass: when they come, whether they are taken, and what they begin with.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::{Connected, TcpConnectInfo};
use tracing::{debug, warn};

use super::state::{ConnectionState, Protocol};
use super::table::ConnectionTable;

/// What a client of HTTP/2 begins with (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Types of TLS records (RFC 8446, 5.1): those of a handshake, and data, which is encrypted.
const HANDSHAKE_RECORDS: std::ops::RangeInclusive<u8> = 20..=22;
const DATA_RECORD: u8 = 23;
const RECORD_HEADER: usize = 5;

/// Before the next attempt where no connection can be accepted, for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// A connection in a [`ConnectionTable`], until it is dropped.
pub struct WatchedStream {
    stream: TcpStream,
    peer: SocketAddr,
    opening: Opening,
    /// None where the owner closes the connection itself.
    closing: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    state: Arc<ConnectionState>,
    table: Arc<ConnectionTable>,
}

/// How far the first bytes are understood.
enum Opening {
    /// So many bytes of the preface have come.
    Preface(usize),
    /// So many bytes of the header of a record, and so many of the record that are still to come.
    Record {
        header: [u8; RECORD_HEADER],
        filled: usize,
        rest: usize,
    },
    /// It is known what is spoken.
    Over,
}

/// The next connection that is within the limits of its table. Others are closed as they come.
pub async fn accept(table: &Arc<ConnectionTable>, listener: &TcpListener) -> WatchedStream {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if is_about_one_connection(&error) => continue,
            Err(error) => {
                warn!(%error, server = table.server(), "no connection can be accepted");
                table.clock().sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(state) = table.admit(peer) else {
            continue;
        };
        // Without it, a client that acknowledges late waits 40 ms for the end of each answer.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "a connection ended at once");
        }
        return WatchedStream::new(stream, peer, state, Arc::clone(table));
    }
}

/// Whether only the connection that was to be accepted has failed.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

impl WatchedStream {
    fn new(stream: TcpStream, peer: SocketAddr, state: Arc<ConnectionState>, table: Arc<ConnectionTable>) -> Self {
        Self {
            stream,
            peer,
            opening: Opening::Preface(0),
            closing: Some(Box::pin(state.closing())),
            state,
            table,
        }
    }

    /// Leaves it to whoever serves it to close it in time ([`ConnectionState::closed`]), and not in the middle of a frame.
    #[must_use]
    pub fn closed_by_owner(mut self) -> Self {
        self.closing = None;
        self
    }

    /// What is known of the connection.
    pub fn state(&self) -> &Arc<ConnectionState> {
        &self.state
    }

    /// Address and port of the client.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }
}

impl Opening {
    /// Takes the next bytes in; the protocol, once it is known.
    fn advance(&mut self, bytes: &[u8]) -> Option<Protocol> {
        for (position, byte) in bytes.iter().enumerate() {
            match self {
                Self::Over => return None,
                Self::Preface(0) if HANDSHAKE_RECORDS.contains(byte) => {
                    *self = Self::Record {
                        header: [*byte, 0, 0, 0, 0],
                        filled: 1,
                        rest: 0,
                    };
                }
                Self::Preface(matched) if PREFACE[*matched] == *byte => {
                    *matched += 1;
                    if *matched == PREFACE.len() {
                        *self = Self::Over;
                        return Some(Protocol::Http2);
                    }
                }
                Self::Preface(_) => {
                    *self = Self::Over;
                    return Some(Protocol::Http1);
                }
                Self::Record { .. } => return self.advance_records(&bytes[position..]),
            }
        }
        None
    }

    /// Follows the records of a TLS handshake. Encrypted data follows the handshake; if it does not, TLS itself ends the
    /// connection.
    fn advance_records(&mut self, bytes: &[u8]) -> Option<Protocol> {
        let Self::Record { header, filled, rest } = self else {
            return None;
        };
        let mut left = bytes;
        while let Some((first, following)) = left.split_first() {
            if *rest > 0 {
                let skipped = left.len().min(*rest);
                *rest -= skipped;
                left = &left[skipped..];
                continue;
            }
            header[*filled] = *first;
            *filled += 1;
            left = following;
            if header[0] == DATA_RECORD {
                *self = Self::Over;
                return Some(Protocol::Tls);
            }
            if *filled == RECORD_HEADER {
                *filled = 0;
                *rest = usize::from(u16::from_be_bytes([header[3], header[4]]));
            }
        }
        None
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        if polled.is_pending() {
            return this.poll_closed(context);
        }
        let new = &buffer.filled()[before..];
        if !new.is_empty() {
            this.state.note_read();
            if let Some(protocol) = this.opening.advance(new) {
                this.state.speaks(protocol);
            }
        }
        polled
    }
}

impl WatchedStream {
    /// An error once the connection is to be closed.
    fn poll_closed<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        let Some(closing) = &mut self.closing else {
            return Poll::Pending;
        };
        closing.as_mut().poll(context).map(|()| Err(closed()))
    }

    fn watch_write<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.state.note_write(polled.is_ready());
        if polled.is_pending() {
            return self.poll_closed(context);
        }
        polled
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.watch_write(context, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(context, parts);
        this.watch_write(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connected for WatchedStream {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl Drop for WatchedStream {
    fn drop(&mut self) {
        self.table.forget(self.peer, &self.state);
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "closed because it kept the server waiting")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is understood when the bytes come one by one.
    fn spoken(bytes: &[u8]) -> Option<Protocol> {
        let mut opening = Opening::Preface(0);
        bytes
            .iter()
            .find_map(|byte| opening.advance(std::slice::from_ref(byte)))
    }

    #[test]
    fn the_protocol_is_told_by_the_first_bytes() {
        assert_eq!(spoken(b"GET / HTTP/1.1\r\n"), Some(Protocol::Http1));
        assert_eq!(spoken(b"POST / HTTP/1.1\r\n"), Some(Protocol::Http1));
        assert_eq!(spoken(b"PRI * HTTP/2.0\r\n"), None, "not yet");
        assert_eq!(spoken(PREFACE), Some(Protocol::Http2));
        assert_eq!(Opening::Preface(0).advance(PREFACE), Some(Protocol::Http2));
        assert_eq!(spoken(b""), None);
    }

    #[test]
    fn tls_is_told_once_data_is_encrypted() {
        let hello = [&[22, 3, 1, 0, 3][..], &[23, 23, 23]].concat();
        assert_eq!(spoken(&hello), None, "a handshake that goes no further");
        let changed = [&hello[..], &[20, 3, 3, 0, 1, 1]].concat();
        assert_eq!(spoken(&changed), None);
        let finished = [&changed[..], &[23, 3, 3]].concat();
        assert_eq!(spoken(&finished), Some(Protocol::Tls));
        assert_eq!(Opening::Preface(0).advance(&finished), Some(Protocol::Tls));
    }
}
