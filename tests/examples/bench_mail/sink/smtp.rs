//! As a mail server.

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::{Counts, some};

pub async fn serve(mut stream: BufReader<TcpStream>, counts: &Counts) -> std::io::Result<()> {
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
            counts.digest(content(&mut stream).await?);
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
        let see = |chunk: &[u8]| tail.extend_from_slice(&chunk[chunk.len().saturating_sub(END.len())..]);
        bytes += some(stream, usize::MAX, see).await?;
        let from = tail.len().saturating_sub(END.len());
        tail.drain(..from);
        // Nothing follows a mail before it is answered.
        if tail == END {
            return Ok(bytes);
        }
    }
}
