//! A server that takes every digest, keeps nothing, and counts. As a mail server it offers PIPELINING and answers commands
//! that came together together, as those do that people run; as one that takes webhooks it keeps connections open.

mod http;
mod smtp;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What a sink speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Smtp,
    Http,
}

pub struct Sink {
    protocol: Protocol,
    port: u16,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    digests: AtomicUsize,
    bytes: AtomicUsize,
    connections: AtomicUsize,
    most_connections: AtomicUsize,
}

impl Sink {
    pub async fn start(protocol: Protocol) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let counts = Arc::new(Counts::default());
        let counting = Arc::clone(&counts);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counts = Arc::clone(&counting);
                let open = counts.connections.fetch_add(1, Ordering::Relaxed) + 1;
                counts.most_connections.fetch_max(open, Ordering::Relaxed);
                tokio::spawn(async move {
                    // A client that hangs up is one that has nothing more to send.
                    let _ = serve(protocol, stream, &counts).await;
                    counts.connections.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Ok(Self { protocol, port, counts })
    }

    pub fn url(&self) -> String {
        let scheme = match self.protocol {
            Protocol::Smtp => "smtp",
            Protocol::Http => "http",
        };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    pub fn digests(&self) -> usize {
        self.counts.digests.load(Ordering::Relaxed)
    }

    pub fn bytes(&self) -> usize {
        self.counts.bytes.load(Ordering::Relaxed)
    }

    pub fn most_connections(&self) -> usize {
        self.counts.most_connections.load(Ordering::Relaxed)
    }
}

impl Counts {
    fn digest(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.digests.fetch_add(1, Ordering::Relaxed);
    }
}

async fn serve(protocol: Protocol, stream: TcpStream, counts: &Counts) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let stream = BufReader::with_capacity(64 * 1024, stream);
    match protocol {
        Protocol::Smtp => smtp::serve(stream, counts).await,
        Protocol::Http => http::serve(stream, counts).await,
    }
}

/// Reads what has come, at most `most` bytes and at least one, and shows it to `see`.
async fn some(stream: &mut BufReader<TcpStream>, most: usize, see: impl FnOnce(&[u8])) -> std::io::Result<usize> {
    let chunk = stream.fill_buf().await?;
    let length = chunk.len().min(most);
    if length == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    see(&chunk[..length]);
    stream.consume(length);
    Ok(length)
}
