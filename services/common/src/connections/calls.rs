//! gRPC calls: which connection has one under way, and messages of callers that do not come to their end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::body::Body as AnyBody;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tonic::Status;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};

use super::state::TrackedBody;
use super::table::ConnectionTable;

/// For one message, from the time at which it is waited for or begun: enough for the largest over a slow line. Between the
/// messages of a stream any time may pass.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// Compressed or not, and the length (the length-prefixed messages of gRPC).
const MESSAGE_HEADER: usize = 5;

/// Middleware: a connection with a call under way is in use, and the caller's messages have an end.
pub async fn watch_call(State(table): State<Arc<ConnectionTable>>, request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    let plain = extensions.get::<TcpConnectInfo>();
    let encrypted = || {
        extensions
            .get::<TlsConnectInfo<TcpConnectInfo>>()
            .map(TlsConnectInfo::get_ref)
    };
    let peer = plain.or_else(encrypted).and_then(TcpConnectInfo::remote_addr);
    let active = peer.and_then(|peer| table.begin_request(peer));
    let request = request.map(|body| AnyBody::new(PromptBody::new(body)));
    let response = next.run(request).await;
    response.map(|body| AnyBody::new(TrackedBody::new(body, active)))
}

/// The messages of a caller. One that is begun, and the first one, must come to their end in time.
struct PromptBody {
    body: AnyBody,
    position: MessagePosition,
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
}

/// Where in the messages a body is.
#[derive(Debug, PartialEq, Eq)]
struct MessagePosition {
    header: [u8; MESSAGE_HEADER],
    filled: usize,
    rest: usize,
    any: bool,
}

impl PromptBody {
    fn new(body: AnyBody) -> Self {
        Self {
            body,
            position: MessagePosition::start(),
            timer: None,
        }
    }
}

impl MessagePosition {
    fn start() -> Self {
        Self {
            header: [0; MESSAGE_HEADER],
            filled: 0,
            rest: 0,
            any: false,
        }
    }

    /// Whether something is owed: the first message, or the rest of one.
    fn is_due(&self) -> bool {
        !self.any || self.filled > 0 || self.rest > 0
    }

    /// Follows the next bytes; true where a message has come to its end.
    fn advance(&mut self, mut bytes: &[u8]) -> bool {
        let mut ended = false;
        while !bytes.is_empty() {
            if self.rest > 0 {
                let skipped = bytes.len().min(self.rest);
                self.rest -= skipped;
                bytes = &bytes[skipped..];
            } else {
                let taken = bytes.len().min(MESSAGE_HEADER - self.filled);
                self.header[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
                self.filled += taken;
                bytes = &bytes[taken..];
                if self.filled < MESSAGE_HEADER {
                    continue;
                }
                self.filled = 0;
                let [_, length @ ..] = self.header;
                self.rest = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            }
            if self.rest == 0 {
                self.any = true;
                ended = true;
            }
        }
        ended
    }
}

impl Body for PromptBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                if frame.data_ref().is_some_and(|data| this.position.advance(data)) {
                    this.timer = None;
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending if this.position.is_due() => {
                let timer = this
                    .timer
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(MESSAGE_TIMEOUT)));
                timer.as_mut().poll(context).map(|()| Some(Err(too_slow().into())))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn too_slow() -> Status {
    let seconds = MESSAGE_TIMEOUT.as_secs();
    Status::deadline_exceeded(format!("the message was not sent to its end within {seconds} s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: u8) -> Vec<u8> {
        let mut message = vec![0, 0, 0, 0, length];
        message.extend(std::iter::repeat_n(7, length.into()));
        message
    }

    #[test]
    fn messages_are_followed_however_they_are_cut() {
        let bytes = [message(3), message(0), message(200)].concat();
        for size in 1..bytes.len() {
            let mut position = MessagePosition::start();
            assert!(position.is_due(), "the first one");
            for chunk in bytes.chunks(size) {
                position.advance(chunk);
            }
            assert!(!position.is_due(), "pieces of {size}");
            position.advance(&[0]);
            assert!(position.is_due(), "one is begun");
        }
        let mut position = MessagePosition::start();
        assert!(!position.advance(&bytes[..7]));
        assert!(position.advance(&bytes[7..9]), "the end of the first");
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_does_not_end_is_given_up() {
        let half = futures::stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(&[0, 0, 0, 0, 9, 1])) });
        let body = AnyBody::from_stream(futures::StreamExt::chain(half, futures::stream::pending()));
        let mut body = PromptBody::new(body);
        let next = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        next.expect("a frame").expect("what was sent");
        let next = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        let error = next.expect("an end").expect_err("given up");
        let status = error.downcast::<Status>().expect("a status");
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
    }
}
