//! A server of feeds that does what a test says: answers, answers slowly, answers half, hangs up, or says nothing.
//!
//! It takes note of everything that it is asked, and when. It speaks as much HTTP/1.1 as a client of feeds needs, one
//! request a connection.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What was asked.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The path, with a slash in front.
    pub path: String,
    /// The query, decoded.
    pub query: BTreeMap<String, String>,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// When it came.
    pub at: Instant,
    /// How many requests were under way, this one included.
    pub together: usize,
}

impl Ask {
    /// A part of the query; empty where it is not there.
    pub fn get(&self, name: &str) -> &str {
        self.query.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// How to answer.
pub enum Reply {
    /// Status, further headers, body.
    Full(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// A good answer that comes in pieces of this many bytes with a pause before each.
    Slow(Vec<u8>, usize, Duration),
    /// A good answer whose connection breaks behind this many bytes.
    Cut(Vec<u8>, usize),
    /// A good answer that is made while it is sent; `false` from a write ends it.
    Streamed(Box<WritePage>),
    /// The connection is closed without a word.
    HangUp,
    /// Nothing comes for this long.
    Silence(Duration),
}

impl Reply {
    /// A good answer.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::Full(200, Vec::new(), body.into())
    }

    /// A status with headers and a short body.
    pub fn status(status: u16, headers: Vec<(&'static str, String)>) -> Self {
        Self::Full(status, headers, format!("status {status}").into_bytes())
    }
}

/// Writes a page as far as anybody reads it.
pub type WritePage = dyn FnOnce(&mut dyn Write) + Send;

type Handler = dyn Fn(&Ask, usize) -> Reply + Send + Sync;

/// A server; it ends with the process.
pub struct FeedServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Ask>>>,
}

impl FeedServer {
    /// Listens on a free port of this machine. The handler is given the request and how many came before it.
    pub fn start(handler: impl Fn(&Ask, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, handler): (_, Arc<Handler>) = (Arc::clone(&asked), Arc::new(handler));
        let together = Arc::new(AtomicUsize::new(0));
        start_thread(move || {
            for stream in listener.incoming().flatten() {
                let (log, handler, together) = (Arc::clone(&log), Arc::clone(&handler), Arc::clone(&together));
                start_thread(move || {
                    let count = together.fetch_add(1, Ordering::SeqCst) + 1;
                    // A client that goes away is part of the tests.
                    let _ = serve(stream, count, &log, &handler);
                    together.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, asked }
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Host and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that was asked so far.
    pub fn asked(&self) -> Vec<Ask> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A thread that ends with the process.
fn start_thread(work: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().name("feed server".to_owned());
    thread.spawn(work).expect("a thread");
}

fn serve(stream: TcpStream, together: usize, log: &Mutex<Vec<Ask>>, handler: &Arc<Handler>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let Some(ask) = read_request(&mut reader, together)? else {
        return Ok(());
    };
    let before = {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push(ask.clone());
        log.len() - 1
    };
    let mut stream = stream;
    match handler(&ask, before) {
        Reply::Full(status, headers, body) => {
            head(&mut stream, status, &headers, Some(body.len()))?;
            stream.write_all(&body)
        }
        Reply::Slow(body, piece, pause) => {
            head(&mut stream, 200, &[], Some(body.len()))?;
            for piece in body.chunks(piece.max(1)) {
                thread::sleep(pause);
                stream.write_all(piece)?;
                stream.flush()?;
            }
            Ok(())
        }
        Reply::Cut(body, after) => {
            head(&mut stream, 200, &[], Some(body.len()))?;
            stream.write_all(&body[..after.min(body.len())])
        }
        Reply::Streamed(write) => {
            head(&mut stream, 200, &[], None)?;
            write(&mut stream);
            Ok(())
        }
        Reply::HangUp => Ok(()),
        Reply::Silence(pause) => {
            thread::sleep(pause);
            Ok(())
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>, together: usize) -> std::io::Result<Option<Ask>> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let at = Instant::now();
    let Some(target) = line.split(' ').nth(1).map(str::to_owned) else {
        return Ok(None);
    };
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    // A client that speaks to a proxy names the whole address.
    let local = target.strip_prefix("http://").map_or(target.as_str(), |rest| {
        rest.find('/').map_or("/", |slash| &rest[slash..])
    });
    let (path, query) = local.split_once('?').unwrap_or((local, ""));
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    Ok(Some(Ask {
        path: path.to_owned(),
        query: query.map(|(name, value)| (decoded(name), decoded(value))).collect(),
        headers,
        at,
        together,
    }))
}

fn head(
    stream: &mut TcpStream,
    status: u16,
    headers: &[(&'static str, String)],
    length: Option<usize>,
) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} Whatever\r\nConnection: close\r\n");
    if let Some(length) = length {
        let _ = write!(head, "Content-Length: {length}\r\n"); // writing to a String cannot fail
    }
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let hex = behind.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &behind[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(first),
        }
        rest = behind;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
