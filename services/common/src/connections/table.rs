//! The table of the open connections of a server, and who makes room where it is full.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::{IntCounterVec, IntGaugeVec};
use tracing::{debug, warn};

use super::state::{ActiveRequest, CloseReason, ConnectionState, IdleHttp2, Ticks};
use crate::clock::Clock;
use crate::metrics::{counters, gauges};

/// Between two looks at all connections.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// One client may have this share of all connections, and this many in any case.
const CLIENT_SHARE: usize = 16;
const CLIENT_LEAST: usize = 8;
/// File descriptors for everything but connections: files, stores, the bus, other services.
const OTHER_FILES: u64 = 512;

static OPEN: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauges(
        "broadsheet_process_connections",
        "Connections that clients have open, by server (web, grpc, admin).",
        &["server"],
    )
});
static CLOSED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "broadsheet_process_connections_closed_total",
        "Connections closed or refused by the server for a reason other than the end of the exchange.",
        &["server", "reason"],
    )
});

/// How many connections a server takes.
#[derive(Clone)]
pub struct ConnectionLimits {
    total: usize,
    exempt: ExemptClients,
    idle_http2: IdleHttp2,
}

type ExemptClients = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

impl ConnectionLimits {
    /// So many in all.
    pub fn new(total: usize) -> Self {
        Self {
            total,
            exempt: Arc::new(|_| false),
            idle_http2: IdleHttp2::Closed,
        }
    }

    /// These clients may have all of them: proxies, which bring everybody's requests.
    #[must_use]
    pub fn exempting(mut self, exempt: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        self.exempt = Arc::new(exempt);
        self
    }

    /// Clients of gRPC keep a connection for calls to come, and answer pings meanwhile.
    #[must_use]
    pub fn keeping_idle_http2(mut self) -> Self {
        self.idle_http2 = IdleHttp2::Kept;
        self
    }

    fn per_client(&self) -> usize {
        (self.total / CLIENT_SHARE).max(CLIENT_LEAST)
    }
}

impl fmt::Debug for ConnectionLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionLimits")
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

/// The open connections of one server.
pub struct ConnectionTable {
    server: &'static str,
    limits: ConnectionLimits,
    ticks: Ticks,
    open: Mutex<OpenConnections>,
}

#[derive(Default)]
struct OpenConnections {
    by_peer: HashMap<SocketAddr, Arc<ConnectionState>>,
    by_client: HashMap<u128, usize>,
}

impl ConnectionTable {
    /// Of a server by its name in metrics.
    pub fn new(server: &'static str, limits: ConnectionLimits, clock: Clock) -> Arc<Self> {
        OPEN.with_label_values(&[server]);
        for reason in CloseReason::ALL {
            CLOSED.with_label_values(&[server, reason.name()]);
        }
        make_room_for(server, limits.total);
        Arc::new(Self {
            server,
            limits,
            ticks: Ticks::new(clock),
            open: Mutex::default(),
        })
    }

    /// What the times of its connections are measured by.
    pub fn clock(&self) -> &Clock {
        self.ticks.clock()
    }

    /// Its server's name in metrics.
    pub fn server(&self) -> &'static str {
        self.server
    }

    /// Looks for connections that keep the server waiting, again and again, and closes them.
    pub async fn sweep(&self) {
        loop {
            self.ticks.clock().sleep(SWEEP_INTERVAL).await;
            self.close_overdue();
        }
    }

    /// A request of a client by its address and port has begun; none where its connection is not known.
    pub(crate) fn begin_request(&self, peer: SocketAddr) -> Option<ActiveRequest> {
        let state = self.lock().by_peer.get(&peer).cloned()?;
        Some(state.begin())
    }

    /// Takes note of a connection, or refuses it.
    pub(super) fn admit(&self, peer: SocketAddr) -> Option<Arc<ConnectionState>> {
        let address = peer.ip().to_canonical();
        let client = client_key(address);
        let exempt = (self.limits.exempt)(address);
        let mut open = self.lock();
        let of_client = open.by_client.get(&client).copied().unwrap_or(0);
        if !exempt && of_client >= self.limits.per_client() && !self.evict(&mut open, Some(client)) {
            self.count_closed(CloseReason::ClientRefused);
            return None;
        }
        if open.by_peer.len() >= self.limits.total && !self.evict(&mut open, None) {
            self.count_closed(CloseReason::Refused);
            return None;
        }
        let state = Arc::new(ConnectionState::new(
            self.ticks.clone(),
            client,
            exempt,
            self.limits.idle_http2,
        ));
        if let Some(earlier) = open.by_peer.insert(peer, Arc::clone(&state)) {
            // The port is used again before the end of the connection before was noticed.
            open.uncount(&earlier);
        }
        *open.by_client.entry(client).or_default() += 1;
        self.show(&open);
        Some(state)
    }

    /// Forgets a connection that has ended, unless it was forgotten before.
    pub(super) fn forget(&self, peer: SocketAddr, state: &Arc<ConnectionState>) {
        let mut open = self.lock();
        if open.by_peer.get(&peer).is_some_and(|known| Arc::ptr_eq(known, state)) {
            open.remove(peer);
            self.show(&open);
        }
    }

    /// Closes one connection that serves no request, of this client or of any; false where each serves one.
    fn evict(&self, open: &mut OpenConnections, client: Option<u128>) -> bool {
        let candidates = open.by_peer.iter().filter(|(_, state)| {
            let considered = client.map_or(!state.is_exempt(), |client| state.client() == client);
            considered && state.is_idle()
        });
        let least_useful = candidates.min_by_key(|(_, state)| state.usefulness());
        let Some(peer) = least_useful.map(|(peer, _)| *peer) else {
            return false;
        };
        if let Some(state) = open.remove(peer) {
            self.count_closed(CloseReason::MadeRoom);
            state.close(CloseReason::MadeRoom);
        }
        true
    }

    fn close_overdue(&self) {
        let now = self.ticks.now();
        let mut open = self.lock();
        let overdue: Vec<(SocketAddr, CloseReason)> = open
            .by_peer
            .iter()
            .filter_map(|(peer, state)| Some((*peer, state.overdue(now)?)))
            .collect();
        for (peer, reason) in overdue {
            if let Some(state) = open.remove(peer) {
                debug!(server = self.server, client = %peer.ip(), reason = reason.name(), "closing a connection");
                self.count_closed(reason);
                state.close(reason);
            }
        }
        self.show(&open);
    }

    fn count_closed(&self, reason: CloseReason) {
        CLOSED.with_label_values(&[self.server, reason.name()]).inc();
    }

    fn show(&self, open: &OpenConnections) {
        let count = i64::try_from(open.by_peer.len()).unwrap_or(i64::MAX);
        OPEN.with_label_values(&[self.server]).set(count);
    }

    fn lock(&self) -> MutexGuard<'_, OpenConnections> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenConnections {
    fn remove(&mut self, peer: SocketAddr) -> Option<Arc<ConnectionState>> {
        let state = self.by_peer.remove(&peer)?;
        self.uncount(&state);
        Some(state)
    }

    fn uncount(&mut self, state: &ConnectionState) {
        if let Some(count) = self.by_client.get_mut(&state.client()) {
            *count -= 1;
            if *count == 0 {
                self.by_client.remove(&state.client());
            }
        }
    }
}

/// What counts as one client: an address, or for IPv6 the /64 network that a household gets.
pub fn client_key(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits() & !u128::from(u64::MAX),
    }
}

/// Raises the limit of open files as far as this process may, and says where that is too little.
fn make_room_for(server: &str, connections: usize) {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    let raised = soft >= hard || setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
    let limit = if raised { hard } else { soft };
    let wanted = u64::try_from(connections)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHER_FILES);
    if limit < wanted {
        warn!(
            server,
            limit, wanted, "fewer files may be open (ulimit -n) than connections are allowed"
        );
    }
}

#[cfg(test)]
mod tests;
