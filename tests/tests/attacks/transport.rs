//! gRPC without TLS, and with certificates that are wrong, missing, expired or replaced.

use std::ffi::OsStr;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::config::CallerConfig;
use common::grpc::connect;
use common::tls::ClientTls;
use proto::operations::v1::GetStatusRequest;
use proto::operations::v1::operations_service_client::OperationsServiceClient;
use tempfile::TempDir;
use tests::certificates::{Certificates, IdentityFiles};
use tests::transport::{client_tls, client_tls_of};
use tests::{Platform, Ran, counted, eventually, ran, until, up};
use tonic::{Code, Status};

/// A platform that asks its callers for certificates.
struct MtlsPlatform {
    certificates: Certificates,
    platform: Platform,
    _folder: TempDir,
}

impl MtlsPlatform {
    fn start() -> Self {
        let (certificates, folder) = (Certificates::make(), tempfile::tempdir().unwrap());
        let environment = certificates.environment();
        let environment: Vec<(&str, &str)> = environment
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let platform = Platform::start_with(folder.path(), &environment);
        Self {
            certificates,
            platform,
            _folder: folder,
        }
    }

    /// A call over a connection of its own.
    async fn call(&self, tls: ClientTls) -> Result<(), Status> {
        call(&self.platform.endpoint("grpc"), tls).await
    }

    fn command(&self, environment: &[(&str, impl AsRef<OsStr>)]) -> Ran {
        let mut command = std::process::Command::new(tests::binary());
        command.args(["status", "--endpoint", &self.platform.endpoint("grpc")]);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        ran(command.output().unwrap())
    }
}

async fn call(url: &str, tls: ClientTls) -> Result<(), Status> {
    let caller = CallerConfig {
        tls,
        ..CallerConfig::default()
    };
    let channel = connect(url, &caller).unwrap();
    let mut operations = OperationsServiceClient::new(channel);
    operations.get_status(GetStatusRequest {}).await.map(drop)
}

fn with(authorities: &Certificates, identity: Option<IdentityFiles>) -> ClientTls {
    let identity = identity.map(|files| (files.certificate, files.key));
    client_tls_of(Some(authorities.authority()), identity)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_without_a_certificate_of_ours_is_refused() {
    let it = MtlsPlatform::start();
    let (ours, theirs) = (&it.certificates, Certificates::make());
    it.call(client_tls(ours)).await.unwrap();
    for (tls, said) in [
        (with(ours, None), "the server requires a certificate"),
        (
            with(ours, Some(theirs.identity("client"))),
            "does not accept the certificate",
        ),
        (
            with(&theirs, Some(ours.client())),
            "the certificate of the server is not accepted",
        ),
    ] {
        let refused = it.call(tls).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{refused}");
        assert!(refused.message().contains(said), "{said}: {refused}");
    }
    let plain = it.platform.endpoint("grpc").replace("https://", "http://");
    let refused = call(&plain, ClientTls::default()).await.unwrap_err();
    assert!(refused.message().contains("the server speaks TLS"), "{refused}");
    let admin = it.platform.endpoint("admin");
    for reason in ["no_certificate", "certificate", "no_tls"] {
        let series = format!("broadsheet_grpc_handshakes_failed_total{{reason=\"{reason}\"}}");
        until("the refusal is counted", || {
            (counted(&admin, &series) > 0).then_some(())
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_of_a_caller_is_refused() {
    let it = MtlsPlatform::start();
    let expired = it.certificates.expired();
    // Ours would not even present it, so another client does.
    let refused = foreign_call(&it.platform.address("grpc"), &it.certificates, &expired).await;
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("CertificateExpired"), "{said}");
    let fresh = it.certificates.identity("fresh");
    foreign_call(&it.platform.address("grpc"), &it.certificates, &fresh)
        .await
        .unwrap();
}

/// A handshake by rustls itself, and the first bytes of the server's HTTP/2.
async fn foreign_call(address: &str, authority: &Certificates, identity: &IdentityFiles) -> std::io::Result<()> {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(authority.authority()).unwrap())
        .unwrap();
    let chain = vec![CertificateDer::from_pem_file(&identity.certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&identity.key).unwrap();
    let mut config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let socket = tokio::net::TcpStream::connect(address).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, socket).await?;
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await?;
    stream.read_exact(&mut [0; 9]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_never_end_keep_nobody_out() {
    let it = MtlsPlatform::start();
    let address = it.platform.address("grpc");
    let silent: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(&address).unwrap()).collect();
    for _ in 0..20 {
        it.call(client_tls(&it.certificates)).await.unwrap();
    }
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_replaced_under_load_without_a_failed_call() {
    let it = Arc::new(MtlsPlatform::start());
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let callers = (0..4).map(|_| {
        let (it, stop, calls) = (Arc::clone(&it), Arc::clone(&stop), Arc::clone(&calls));
        tokio::spawn(async move {
            // One that follows no files, as a client between two looks at them.
            let tls = client_tls(&it.certificates);
            while !stop.load(Ordering::Relaxed) {
                it.call(tls.clone()).await.unwrap();
                calls.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    let admin = it.platform.endpoint("admin");
    for _ in 0..3 {
        let seen = ["grpc_server", "grpc_client"].map(|purpose| expiry(&admin, purpose));
        assert!(seen.iter().all(|expiry| *expiry > 0), "{seen:?}");
        it.certificates.renew(&it.certificates.server());
        it.certificates.renew(&it.certificates.client());
        until("the new certificates are in use", || {
            let now = ["grpc_server", "grpc_client"].map(|purpose| expiry(&admin, purpose));
            (now[0] > seen[0] && now[1] > seen[1]).then_some(())
        });
        let answered = it.command(&it.certificates.environment());
        assert_eq!(answered.status, 0, "{answered:?}");
        let before = calls.load(Ordering::Relaxed);
        eventually("calls go on", async || {
            (calls.load(Ordering::Relaxed) > before + 20).then_some(())
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
}

fn expiry(admin: &str, purpose: &str) -> u64 {
    counted(
        admin,
        &format!("broadsheet_tls_certificate_expiry_seconds{{use=\"{purpose}\"}}"),
    )
}

#[test]
fn commands_present_certificates_and_say_what_is_wrong() {
    let it = MtlsPlatform::start();
    let (ours, theirs) = (&it.certificates, Certificates::make());
    let (authority, client) = (ours.authority(), ours.client());
    let ca = ("BROADSHEET_GRPC__TLS_CA", &authority);
    let identity = [
        ("BROADSHEET_GRPC__TLS_CLIENT_CERTIFICATE", &client.certificate),
        ("BROADSHEET_GRPC__TLS_CLIENT_KEY", &client.key),
    ];
    let good = it.command(&[ca, identity[0], identity[1]]);
    assert_eq!(good.status, 0, "{good:?}");
    let foreign = theirs.authority();
    for (environment, status, said) in [
        (vec![ca], 69, "requires a certificate"),
        (
            vec![("BROADSHEET_GRPC__TLS_CA", &foreign), identity[0], identity[1]],
            69,
            "is not accepted",
        ),
        (vec![identity[0], identity[1]], 69, "is not accepted"),
        (
            vec![("BROADSHEET_GRPC__TLS_CA", &client.key)],
            64,
            "no certificate in PEM",
        ),
    ] {
        let refused = it.command(&environment);
        assert_eq!(refused.status, status, "{refused:?}");
        assert!(refused.err.contains(said), "{said}: {refused:?}");
    }
}

#[test]
fn nothing_goes_in_clear_to_another_host_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.toml").display().to_string();
    let made = std::process::Command::new(tests::binary())
        .args(["keys", "init", "--file", &keys, "--output"])
        .arg(folder.path().join("keys"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let keys = ("BROADSHEET_GRPC__KEYS", keys.as_str());
    let check = |environment: &[(&str, &str)]| {
        let mut command = up(folder.path());
        command.arg("--check-config").envs(environment.iter().copied());
        ran(command.output().unwrap())
    };
    for (setting, key, value) in [
        ("grpc.listen", "BROADSHEET_GRPC__LISTEN", "0.0.0.0:7100"),
        ("web.search_url", "BROADSHEET_WEB__SEARCH_URL", "http://indexing:7100"),
        (
            "notification.embedding_url",
            "BROADSHEET_NOTIFICATION__EMBEDDING_URL",
            "http://10.0.0.1:7100",
        ),
        (
            "indexing.qdrant_url",
            "BROADSHEET_INDEXING__QDRANT_URL",
            "http://qdrant:6334",
        ),
        (
            "telemetry.otlp_endpoint",
            "BROADSHEET_TELEMETRY__OTLP_ENDPOINT",
            "http://collector:4317",
        ),
    ] {
        let refused = check(&[keys, (key, value)]);
        assert_eq!(refused.status, 64, "{key}: {refused:?}");
        assert!(
            refused.err.contains(setting) && refused.err.contains("grpc.allow_plaintext"),
            "{refused:?}"
        );
        let allowed = check(&[keys, (key, value), ("BROADSHEET_GRPC__ALLOW_PLAINTEXT", "true")]);
        assert_eq!(allowed.status, 0, "{key}: {allowed:?}");
        let encrypted = check(&[keys, (key, &value.replace("http://", "https://"))]);
        assert_eq!(
            encrypted.status == 0,
            value.starts_with("http://"),
            "{key}: {encrypted:?}"
        );
    }
    let mut command = std::process::Command::new(tests::binary());
    command.args(["status", "--endpoint", "http://192.0.2.1:7100", "--key", "bsk_secret"]);
    let refused = ran(command.output().unwrap());
    assert_eq!(refused.status, 65, "{refused:?}");
    assert!(
        refused.err.contains("--allow-plaintext") && !refused.err.contains("secret"),
        "{refused:?}"
    );
}

#[test]
fn certificates_that_cannot_work_are_refused_at_the_check() {
    let (certificates, other) = (Certificates::make(), Certificates::make());
    let expired = certificates.expired();
    let text = |path: PathBuf| path.display().to_string();
    let (certificate, key) = (text(certificates.certificate()), text(certificates.key()));
    let (old, old_key) = (text(expired.certificate), text(expired.key));
    let (other_key, none) = (text(other.key()), "/nonexistent/tls.pem".to_owned());
    let server = |certificate: &str, key: &str| {
        vec![
            ("BROADSHEET_GRPC__TLS_CERTIFICATE", certificate.to_owned()),
            ("BROADSHEET_GRPC__TLS_KEY", key.to_owned()),
        ]
    };
    let mail = vec![("BROADSHEET_NOTIFICATION__CA_FILE", key.clone())];
    let plain_redis = vec![
        ("BROADSHEET_NOTIFICATION__REDIS_URL", "redis://127.0.0.1:1".to_owned()),
        ("BROADSHEET_NOTIFICATION__REDIS_CA", certificate.clone()),
    ];
    let redis = vec![
        ("BROADSHEET_NOTIFICATION__REDIS_URL", "rediss://127.0.0.1:1".to_owned()),
        ("BROADSHEET_NOTIFICATION__REDIS_CA", key.clone()),
    ];
    for (environment, setting, said) in [
        (server(&none, &key), "grpc.tls_certificate", "cannot be read"),
        (server(&key, &key), "grpc.tls_certificate", "holds no certificate"),
        (
            server(&certificate, &other_key),
            "grpc.tls_key",
            "is not the key of the certificate",
        ),
        (
            server(&certificate, ""),
            "grpc.tls_key",
            "together with grpc.tls_certificate",
        ),
        (server(&old, &old_key), "grpc.tls_certificate", "expired at 2020-01-01"),
        (
            vec![("BROADSHEET_GRPC__TLS_CLIENT_CA", certificate.clone())],
            "grpc.tls_client_ca",
            "grpc.tls_certificate is",
        ),
        (
            vec![("BROADSHEET_GRPC__TLS_CA", none.clone())],
            "grpc.tls_ca",
            "cannot be read",
        ),
        (redis, "notification.redis_ca", "holds no certificate"),
        (mail, "notification.ca_file", "holds no certificate"),
        (plain_redis, "notification.redis_url", "must begin with rediss://"),
    ] {
        let environment: Vec<(&str, &str)> = environment
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let mut command = std::process::Command::new(tests::binaries().join("notification"));
        command.arg("--check-config").envs(environment);
        let refused = ran(command.output().unwrap());
        assert_eq!(refused.status, 64, "{setting}: {refused:?}");
        assert!(
            refused.err.contains(setting) && refused.err.contains(said),
            "{said}: {refused:?}"
        );
        assert!(!refused.err.contains("PRIVATE KEY"), "{refused:?}");
    }
    let sound = server(&certificate, &key);
    let sound: Vec<(&str, &str)> = sound.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut command = std::process::Command::new(tests::binaries().join("notification"));
    let output = command.arg("--check-config").envs(sound).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
