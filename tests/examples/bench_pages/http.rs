//! A connection that is kept, as a browser keeps it.

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, COOKIE, HOST};
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// To one site.
pub struct Connection {
    requests: SendRequest<Full<Bytes>>,
    host: String,
    cookie: &'static str,
}

/// What came back, as it was transferred.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Connection {
    pub async fn open(web: &str) -> anyhow::Result<Self> {
        let host = web
            .strip_prefix("http://")
            .context("the pages are at http://…")?
            .to_owned();
        let stream = TcpStream::connect(&host).await?;
        stream.set_nodelay(true)?;
        let (requests, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self {
            requests,
            host,
            cookie: "",
        })
    }

    /// The same as somebody who is known by a cookie.
    pub fn known_by(mut self, cookie: &'static str) -> Self {
        self.cookie = cookie;
        self
    }

    /// Asks for a page as browsers do, compressed.
    pub async fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        let request = Request::get(path)
            .header(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8")
            .header(ACCEPT_ENCODING, "gzip, deflate, br, zstd");
        self.send(request, String::new()).await
    }

    /// Sends a form.
    pub async fn post(&mut self, path: &str, form: &str) -> anyhow::Result<Answer> {
        let request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request, form.to_owned()).await
    }

    async fn send(&mut self, mut request: hyper::http::request::Builder, body: String) -> anyhow::Result<Answer> {
        if !self.cookie.is_empty() {
            request = request.header(COOKIE, self.cookie);
        }
        let request = request.header(HOST, self.host.as_str()).body(Full::from(body))?;
        self.requests.ready().await?;
        let (head, body) = self.requests.send_request(request).await?.into_parts();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.collect().await?.to_bytes(),
        })
    }
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Milliseconds that the server says it took beyond waiting for other services.
    pub fn render_ms(&self) -> Option<f64> {
        let told = self.headers.get("server-timing")?.to_str().ok()?;
        let (_, rest) = told.split_once("page;dur=")?;
        rest.split([',', ' ']).next()?.parse().ok()
    }
}
