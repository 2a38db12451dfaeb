//! TLS of gRPC, both sides, from PEM files that are read again when they change. The stores' clients use it, too.
//!
//! A [`ServerTls`] or [`ClientTls`] is loaded once, which refuses what cannot work, and followed by [`follow_server`] or [`follow_client`] from then on: a
//! new certificate holds for the next connection, and one that cannot work is reported while the last good one stays. It
//! knows no service, and no setting by name.

mod channel;
mod client;
mod current;
mod files;
mod incoming;
mod reload;
mod server;

pub use self::channel::{ChannelError, ConnectionProblem, TlsChannel, is_loopback};
pub use self::client::ClientTls;
pub use self::files::{PemContents, TlsFileError, TlsFiles, TlsPart};
pub use self::incoming::accept;
pub use self::reload::{follow_client, follow_server, register_metrics};
pub use self::server::ServerTls;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// The one provider of cryptography.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

#[cfg(test)]
mod tests;
