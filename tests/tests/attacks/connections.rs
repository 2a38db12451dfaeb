//! Connections: half-sent requests, idle connections, too many of them.

use std::time::Duration;

use futures::future::join_all;
use tests::{PATIENCE, Platform, counted, eventually, get};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// Nothing; what begins a request over HTTP/1.1 and over HTTP/2; what begins a handshake of TLS.
const BEGINNINGS: [&[u8]; 4] = [
    b"",
    b"GET / HTTP/1.1\r\nhost: a\r\nx-slow: ",
    b"PRI * HTTP/2.0\r\n",
    &[22, 3, 1, 2, 0, 1, 0, 1],
];
const SERVERS: [&str; 3] = ["web", "admin", "grpc"];
const LIMITS: [(&str, &str); 2] = [
    ("BROADSHEET_WEB__CONNECTIONS", "64"),
    ("BROADSHEET_GRPC__CONNECTIONS", "64"),
];
/// More than there may be.
const FLOOD: usize = 200;
/// What one client may have, of so many.
const SHARE: usize = 8;
/// An address of this machine that is neither that of a proxy nor that of another client.
const ATTACKER: &str = "127.0.0.2";

fn host(platform: &Platform, server: &str) -> String {
    let url = platform.endpoint(server);
    url.trim_start_matches("http://").trim_end_matches('/').to_owned()
}

/// A connection from one of this machine's addresses.
pub async fn connect_from(source: &str, host: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
    socket.connect(host.parse().unwrap()).await.unwrap()
}

/// Returns when the server has closed a connection, into which a byte is sent now and then where it `trickles`.
async fn closed(mut connection: TcpStream, trickles: bool) {
    let (mut reading, mut writing) = connection.split();
    let mut beat = tokio::time::interval(Duration::from_millis(500));
    let mut thrown_away = [0; 1024];
    loop {
        tokio::select! {
            read = reading.read(&mut thrown_away) => if !matches!(read, Ok(count) if count > 0) { return },
            _ = beat.tick(), if trickles => if writing.write_all(b"0").await.is_err() { return },
        }
    }
}

async fn waits_for_the_rest(server: &str, host: &str, beginning: &[u8]) -> Option<String> {
    let mut connection = connect_from(ATTACKER, host).await;
    connection.write_all(beginning).await.unwrap();
    let trickles = beginning.starts_with(b"GET");
    let ended = tokio::time::timeout(PATIENCE / 2, closed(connection, trickles)).await;
    let shown = String::from_utf8_lossy(beginning);
    ended
        .is_err()
        .then(|| format!("{server} waits for the rest of {shown:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_request_is_cut_off_on_every_server() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    let hosts = SERVERS.map(|server| (server, host(&platform, server)));
    let attacks = hosts
        .iter()
        .flat_map(|(server, host)| BEGINNINGS.map(|beginning| waits_for_the_rest(server, host, beginning)));
    let open: Vec<String> = join_all(attacks).await.into_iter().flatten().collect();
    assert!(open.is_empty(), "{open:?}");
    let admin = platform.endpoint("admin");
    for server in SERVERS {
        let series =
            format!("broadsheet_process_connections_closed_total{{reason=\"slow_request\",server=\"{server}\"}}");
        assert!(counted(&admin, &series) >= 2, "{server}");
    }
}

/// How many connections the server has not closed.
fn still_open(connections: &[TcpStream]) -> usize {
    let is_open = |connection: &&TcpStream| {
        let mut thrown_away = [0; 1024];
        match connection.try_read(&mut thrown_away) {
            Ok(count) => count > 0,
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        }
    };
    connections.iter().filter(is_open).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_one_client_keeps_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start_with(folder.path(), &LIMITS);
    let mut flood = Vec::new();
    for (server, beginning) in [
        ("web", BEGINNINGS[1]),
        ("admin", BEGINNINGS[1]),
        ("grpc", BEGINNINGS[2]),
    ] {
        let host = host(&platform, server);
        let mut held = Vec::new();
        for _ in 0..FLOOD {
            let mut connection = connect_from(ATTACKER, &host).await;
            // Those that are closed at once cannot be written to.
            let _ = connection.write_all(beginning).await;
            held.push(connection);
        }
        flood.push((server, held));
    }
    for (server, held) in &flood {
        let what = format!("{server} keeps more than a share for one client");
        eventually(&what, || async { (still_open(held) <= SHARE).then_some(()) }).await;
    }
    let (web, admin) = (platform.endpoint("web"), platform.endpoint("admin"));
    for _ in 0..20 {
        assert_eq!(get(&web).0, 200);
        assert_eq!(get(&format!("{admin}/readyz")).0, 200);
    }
    platform.must(&["search", "owls"]);
    drop(flood);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_of_many_clients_make_room() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start_with(folder.path(), &LIMITS);
    let host = host(&platform, "web");
    let request = format!("GET /robots.txt HTTP/1.1\r\nhost: {host}\r\n\r\n");
    let mut held = Vec::new();
    for client in 0..FLOOD {
        let mut connection = connect_from(&format!("127.0.1.{client}"), &host).await;
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; 15];
        connection.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 200 OK", "client {client}");
        held.push(connection);
    }
    let series = "broadsheet_process_connections_closed_total{reason=\"made_room\",server=\"web\"}";
    let made_room = counted(&platform.endpoint("admin"), series);
    assert!(made_room >= 130, "{made_room}");
    let first = tokio::time::timeout(PATIENCE, closed(held.swap_remove(0), false)).await;
    assert!(first.is_ok(), "the one that is idle for longest goes first");
    assert_eq!(get(&platform.endpoint("web")).0, 200);
}
