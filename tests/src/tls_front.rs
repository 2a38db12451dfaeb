//! TLS in front of a server that speaks none, on a port of its own, by rustls itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::certificates::Certificates;

/// The front. It ends with the test.
pub struct TlsFront {
    address: SocketAddr,
    accepted: Arc<AtomicU64>,
}

impl TlsFront {
    /// Before a port of this machine; clients need a certificate of the authority.
    pub async fn before(port: u16, certificates: &Certificates) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(config(certificates)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    // A client that is refused, or a server that is gone, ends the connection and nothing else.
                    let mut client = acceptor.accept(client).await.ok()?;
                    count.fetch_add(1, Ordering::Relaxed);
                    let mut server = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await.ok()
                });
            }
        });
        Self { address, accepted }
    }

    /// Connections whose client presented a certificate of the authority.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn config(certificates: &Certificates) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(certificates.authority()).unwrap())
        .unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let chain = vec![CertificateDer::from_pem_file(certificates.certificate()).unwrap()];
    let key = PrivateKeyDer::from_pem_file(certificates.key()).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}
