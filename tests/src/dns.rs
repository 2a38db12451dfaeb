//! A real DNS server on loopback, over UDP and TCP, for the records of a test.

use std::net::SocketAddr;
use std::sync::Arc;

use hickory_server::Server;
use hickory_server::proto::rr::{LowerName, Name};
use hickory_server::proto::serialize::txt::Parser;
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::Runtime;

use crate::PATIENCE;

/// Bytes of answers that wait for a slow client.
const ANSWERS: usize = 64 * 1024;
const HEAD: &str = "@ 3600 IN SOA ns.test. admin.test. 1 3600 600 86400 0\n@ 3600 IN NS ns.test.\n";

/// The server. It ends with the test.
pub struct DnsServer {
    address: SocketAddr,
    _runtime: Runtime,
}

impl DnsServer {
    /// Starts one that knows the lines of a zone file, such as `example.org. 60 IN TXT "v=spf1 -all"`, and says of all other
    /// names that they do not exist.
    pub fn start(zone: &str) -> Self {
        let (origin, records) = Parser::new(format!("{HEAD}{zone}\n"), None, Some(Name::root()))
            .parse()
            .unwrap_or_else(|error| panic!("{error} in {zone}"));
        let handler = InMemoryZoneHandler::<hickory_server::net::runtime::TokioRuntimeProvider>::new(
            origin.clone(),
            records,
            ZoneType::Primary,
            AxfrPolicy::Deny,
        );
        let mut catalog = Catalog::new();
        catalog.upsert(LowerName::new(&origin), vec![Arc::new(handler.unwrap())]);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let address = runtime.block_on(async {
            let (udp, tcp) = sockets().await;
            let address = udp.local_addr().unwrap();
            let mut server = Server::new(catalog);
            server.register_socket(udp);
            server.register_listener(tcp, PATIENCE, ANSWERS);
            tokio::spawn(async move { server.block_until_done().await });
            address
        });
        Self {
            address,
            _runtime: runtime,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.address.to_string()
    }
}

/// The same port of both protocols.
async fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both UDP and TCP")
}
