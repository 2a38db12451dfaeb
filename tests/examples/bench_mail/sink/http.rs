//! As a server that takes webhooks. Challenges are answered and not counted.

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::{Counts, some};

/// What the body of a digest begins with.
const DIGEST: &[u8] = br#"{"type":"digest.published""#;

pub async fn serve(mut stream: BufReader<TcpStream>, counts: &Counts) -> std::io::Result<()> {
    while let Some(length) = head(&mut stream).await? {
        let (mut read, mut beginning) = (0, Vec::with_capacity(DIGEST.len()));
        while read < length {
            let see = |chunk: &[u8]| {
                let lacking = DIGEST.len() - beginning.len();
                beginning.extend_from_slice(&chunk[..chunk.len().min(lacking)]);
            };
            read += some(&mut stream, length - read, see).await?;
        }
        if beginning == DIGEST {
            counts.digest(length);
        }
        stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
    }
    Ok(())
}

/// Reads to the end of the headers and answers how long the body is; nothing where the other side hung up.
async fn head(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<usize>> {
    let (mut line, mut length) = (String::new(), None);
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let Some((name, value)) = line.split_once(':') else {
            if line == "\r\n" {
                let length = length.context("a request without content-length");
                return length.map(Some).map_err(std::io::Error::other);
            }
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok();
        }
    }
}
