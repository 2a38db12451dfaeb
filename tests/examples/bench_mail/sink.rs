//! A mail server that takes everything, keeps nothing, and counts. As those that people run, it offers PIPELINING and answers
//! commands that came together together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

pub struct Sink {
    port: u16,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    mails: AtomicUsize,
    bytes: AtomicUsize,
    connections: AtomicUsize,
    most_connections: AtomicUsize,
}

impl Sink {
    pub async fn start() -> anyhow::Result<Self> {
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
                    let _ = serve(stream, &counts).await;
                    counts.connections.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Ok(Self { port, counts })
    }

    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    pub fn mails(&self) -> usize {
        self.counts.mails.load(Ordering::Relaxed)
    }

    pub fn bytes(&self) -> usize {
        self.counts.bytes.load(Ordering::Relaxed)
    }

    pub fn most_connections(&self) -> usize {
        self.counts.most_connections.load(Ordering::Relaxed)
    }
}

async fn serve(stream: TcpStream, counts: &Counts) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::with_capacity(64 * 1024, stream);
    stream.get_mut().write_all(b"220 sink\r\n").await?;
    let (mut line, mut answers) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let command = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let answer: &[u8] = match command.as_slice() {
            b"EHLO" => b"250-sink\r\n250 PIPELINING\r\n",
            b"DATA" => b"354 go on\r\n",
            b"QUIT" => b"221 bye\r\n",
            _ => b"250 fine\r\n",
        };
        answers.extend_from_slice(answer);
        if command == b"DATA" {
            stream.get_mut().write_all(&answers).await?;
            let bytes = content(&mut stream).await?;
            counts.bytes.fetch_add(bytes, Ordering::Relaxed);
            counts.mails.fetch_add(1, Ordering::Relaxed);
            answers.clear();
            answers.extend_from_slice(b"250 taken\r\n");
        }
        if stream.buffer().is_empty() {
            stream.get_mut().write_all(&answers).await?;
            answers.clear();
        }
    }
}

/// Reads to the line that ends a mail, by its bytes and not by lines: the sink shall not be what is measured.
async fn content(stream: &mut BufReader<TcpStream>) -> std::io::Result<usize> {
    const END: &[u8] = b"\r\n.\r\n";
    let (mut bytes, mut tail) = (0, Vec::with_capacity(16));
    loop {
        let chunk = stream.fill_buf().await?;
        let length = chunk.len();
        if length == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let kept = &chunk[length.saturating_sub(END.len())..];
        tail.extend_from_slice(kept);
        let from = tail.len().saturating_sub(END.len());
        tail.drain(..from);
        bytes += length;
        stream.consume(length);
        // Nothing follows a mail before it is answered.
        if tail == END {
            return Ok(bytes);
        }
    }
}
