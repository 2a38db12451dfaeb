//! A TCP proxy between a service and a server, which cuts connections and holds up answers when a test says so.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The proxy. It ends with the test.
pub struct Proxy {
    address: SocketAddr,
    faults: Arc<Faults>,
}

struct Faults {
    /// Milliseconds before an answer of the server goes on.
    delay: AtomicU64,
    /// Changes when all connections are cut.
    cut: watch::Sender<u64>,
}

impl Proxy {
    /// To a port of this machine, which nobody has to listen on yet.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let faults = Arc::new(Faults {
            delay: AtomicU64::new(0),
            cut: watch::Sender::new(0),
        });
        let this = Self {
            address: listener.local_addr().unwrap(),
            faults: Arc::clone(&faults),
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, port, Arc::clone(&faults)));
            }
        });
        this
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks every connection, whatever is on its way.
    pub fn cut(&self) {
        self.faults.cut.send_modify(|cuts| *cuts += 1);
    }

    /// Holds up answers by this much from now on.
    pub fn delay(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap();
        self.faults.delay.store(by, Ordering::Relaxed);
    }
}

async fn serve(client: TcpStream, port: u16, faults: Arc<Faults>) {
    let mut cut = faults.cut.subscribe();
    // A server that is not there looks like one that hangs up.
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
        return;
    };
    for stream in [&client, &server] {
        let _ = stream.set_nodelay(true);
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        () = copy(from_client, to_server, || Duration::ZERO) => {}
        () = copy(from_server, to_client, || Duration::from_millis(faults.delay.load(Ordering::Relaxed))) => {}
        _ = cut.changed() => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: impl Fn() -> Duration) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        tokio::time::sleep(delay()).await;
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
