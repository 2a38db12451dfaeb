//! Redis and Qdrant behind TLS that asks for certificates: the platform presents one, trusts only the named authority, and
//! connects anew when the files change.
#![expect(clippy::unwrap_used, reason = "tests")]

use tests::certificates::{Certificates, IdentityFiles};
use tests::qdrant::Server;
use tests::servers::Servers;
use tests::tls_front::TlsFront;
use tests::{Platform, ran, until, up};

const PAPER: &str =
    r#"{"id":"p1","published":"2026-01-02","title":"Counting whales from orbit","abstract":"Satellites find whales."}"#;

/// Settings of a store: its authority, and the certificate to present.
fn files(prefix: &str, authority: &Certificates, identity: &IdentityFiles) -> Vec<(String, String)> {
    let files = [
        ("CA", authority.authority()),
        ("CLIENT_CERTIFICATE", identity.certificate.clone()),
        ("CLIENT_KEY", identity.key.clone()),
    ];
    let setting = |(name, path): (&str, std::path::PathBuf)| (format!("{prefix}_{name}"), path.display().to_string());
    files.map(setting).into()
}

fn start(folder: &std::path::Path, environment: &[(String, String)]) -> Platform {
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (&**name, &**value)).collect();
    Platform::start_with(folder, &environment)
}

/// The error that keeps a platform from starting.
fn refused(folder: &std::path::Path, environment: &[(String, String)]) -> String {
    let output = up(folder)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .output();
    let ended = ran(output.unwrap());
    assert_eq!(ended.status, 1, "{ended:?}");
    ended.err
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_are_kept_in_a_redis_behind_tls() {
    let (certificates, other) = (Certificates::make(), Certificates::make());
    let servers = Servers::start().await;
    let redis = servers.redis();
    let port = redis.rsplit(':').next().unwrap().trim_end_matches('/').parse().unwrap();
    let front = TlsFront::before(port, &certificates).await;
    let client = certificates.identity("redis");
    let (login, _) = redis.trim_start_matches("redis://").rsplit_once('@').unwrap();
    let url = |scheme: &str| {
        let url = format!("{scheme}://{login}@{}", front.address());
        ("BROADSHEET_NOTIFICATION__REDIS_URL".to_owned(), url)
    };
    let settings = |authority, identity: &IdentityFiles| {
        let mut settings = files("BROADSHEET_NOTIFICATION__REDIS", authority, identity);
        settings.push(url("rediss"));
        settings
    };
    let folder = tempfile::tempdir().unwrap();
    let distrusted = refused(folder.path(), &settings(&other, &client));
    assert!(distrusted.contains("UnknownIssuer"), "{distrusted}");
    refused(folder.path(), &settings(&certificates, &other.identity("redis")));
    assert_eq!(front.accepted(), 0, "nobody got in");

    let platform = start(folder.path(), &settings(&certificates, &client));
    platform.must(&["subscribe", "ada@example.org", "--confirm"]);
    let before = front.accepted();
    certificates.renew(&client);
    until("it connects with the new certificate", || {
        (front.accepted() > before).then_some(())
    });
    platform.must(&["subscribe", "grace@example.org", "--confirm"]);
    let listed = platform.must(&["subscribers", "list"]).out;
    assert!(listed.contains("ada@") && listed.contains("grace@"), "{listed}");
    assert_eq!(platform.stop(), 0);
    servers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_is_kept_in_a_qdrant_behind_tls() {
    let (certificates, other) = (Certificates::make(), Certificates::make());
    let mut server = Server::with_data().await;
    let port = server.url.rsplit(':').next().unwrap().parse().unwrap();
    let front = TlsFront::before(port, &certificates).await;
    let client = certificates.identity("qdrant");
    let with = |authority, identity: &IdentityFiles| {
        let mut settings = files("BROADSHEET_INDEXING__QDRANT", authority, identity);
        settings.push((
            "BROADSHEET_INDEXING__QDRANT_URL".to_owned(),
            format!("https://{}", front.address()),
        ));
        settings
    };
    let folder = tempfile::tempdir().unwrap();
    let platform = start(folder.path(), &with(&certificates, &client));
    let taken = platform.run_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPER);
    assert_eq!(taken.status, 0, "{taken:?}");
    let found = platform.must(&["search", "whales"]).out;
    assert!(found.contains("Counting whales from orbit"), "{found}");
    assert_eq!(platform.stop(), 0);
    let accepted = front.accepted();
    let target = format!("https://{}", front.address());
    let mut copy = std::process::Command::new(tests::binary());
    copy.args(["index", "copy", "--to", &target, "--data"])
        .arg(folder.path());
    copy.envs(with(&other, &client));
    let distrusted = ran(copy.output().unwrap());
    assert!(
        distrusted.status != 0 && distrusted.err.contains("UnknownIssuer"),
        "{distrusted:?}"
    );
    assert_eq!(front.accepted(), accepted);
    server.stop().await;
}
