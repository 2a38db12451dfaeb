//! Attacks on the bus and on secrets: who comes without the right password, who has one service and wants another's data, and who
//! reads logs, files and error messages.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use serde_json::json;
use tests::nats::{NatsServer, RawNats, Taken, password_of};
use tests::services::{self, NAMES};
use tests::{Ran, binaries, processes_over, ran, up};

const PASSWORD: &str = "hunter2-is-secret";
const ANY_GRPC: (&str, &str) = ("BROADSHEET_GRPC__LISTEN", "127.0.0.1:0");
const ANY_ADMIN: (&str, &str) = ("BROADSHEET_ADMIN__LISTEN", "127.0.0.1:0");
/// Connections that a service makes in vain before its log is read.
const ATTEMPTS: usize = 5;

fn refused_by_nats(environment: &[(&str, &str)]) -> Ran {
    let mut all = vec![ANY_GRPC, ANY_ADMIN];
    all.extend_from_slice(environment);
    services::run("ingest", &all)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_ends_a_service_and_is_named() {
    let server = NatsServer::with_permissions().await;
    let url = server.url();
    let nobody = refused_by_nats(&[("BROADSHEET_NATS__URL", &url)]);
    let stranger = refused_by_nats(&[
        ("BROADSHEET_NATS__URL", &url),
        ("BROADSHEET_NATS__USER", "ingest"),
        ("BROADSHEET_NATS__PASSWORD", PASSWORD),
    ]);
    let in_url = url.replace("nats://", &format!("nats://ingest:{PASSWORD}@"));
    let in_url = refused_by_nats(&[("BROADSHEET_NATS__URL", &in_url)]);
    for (refused, login) in [
        (nobody, "a client without a user"),
        (stranger, "user \"ingest\" with this password"),
        (in_url, "user \"ingest\" with this password"),
    ] {
        assert_eq!(refused.status, 1, "{refused:?}");
        let said = format!("nats-server at {url} refuses {login}: authorization violation");
        assert!(refused.err.contains(&said), "{refused:?}");
        assert!(
            !refused.err.contains("does not answer yet"),
            "it is not asked again: {refused:?}"
        );
        assert!(!refused.err.contains(PASSWORD), "{refused:?}");
    }
    let refusals = server.log().matches("authentication error").count();
    assert!(refusals >= 3, "the server knows of them: {}", server.log());
    let known = password_of("ingest");
    RawNats::connect(server.port, Some(("ingest", &known))).unwrap();
}

/// A service that seeks a bus which hangs up on it.
struct Seeking {
    process: Child,
    attempts: mpsc::Receiver<()>,
    log: tempfile::NamedTempFile,
}

impl Seeking {
    fn start(name: &str, log_filter: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, attempts) = mpsc::channel();
        std::thread::spawn(move || {
            for _ in listener.incoming().flatten() {
                if sender.send(()).is_err() {
                    return;
                }
            }
        });
        let log = tempfile::NamedTempFile::new().unwrap();
        let process = Command::new(binaries().join(name))
            .env_clear()
            .envs([ANY_GRPC, ANY_ADMIN])
            .env("BROADSHEET_NATS__URL", format!("nats://{name}:{PASSWORD}@{address}"))
            .env("BROADSHEET_TELEMETRY__LOG", log_filter)
            // Enough of the others for each to come as far as the bus.
            .env("BROADSHEET_EMBEDDING__MODEL", "/nowhere")
            .env("BROADSHEET_INDEXING__FOLDER", "/nowhere")
            .env("BROADSHEET_NOTIFICATION__PUBLIC_URL", "http://localhost")
            .stdout(log.reopen().unwrap())
            .stderr(log.reopen().unwrap())
            .spawn()
            .unwrap();
        Self { process, attempts, log }
    }

    /// Everything it said while it tried in vain so often.
    fn said(mut self) -> String {
        for _ in 0..ATTEMPTS {
            self.attempts.recv_timeout(tests::PATIENCE).unwrap();
        }
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        std::fs::read_to_string(self.log.path()).unwrap()
    }
}

#[test]
fn a_connection_that_fails_tells_the_log_no_password() {
    let on_the_bus = NAMES.into_iter().filter(|name| *name != "web");
    let seeking: Vec<Seeking> = on_the_bus.map(|name| Seeking::start(name, "trace")).collect();
    for service in seeking {
        let said = service.said();
        assert!(said.contains("nats-server does not answer yet"), "{said}");
        assert!(!said.contains(PASSWORD), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_of_embedding_gets_no_subscriber() {
    let server = NatsServer::with_permissions().await;
    let as_user = |user: &str| RawNats::connect(server.port, Some((user, &password_of(user)))).unwrap();
    let mut operator = as_user("operator");
    let stream = json!({ "name": "SUBSCRIBERS", "subjects": ["subscribers.*"], "max_msgs_per_subject": 1, "allow_direct": true });
    operator.request("$JS.API.STREAM.CREATE.SUBSCRIBERS", &stream).unwrap();
    assert_eq!(operator.publish("subscribers.ada", b"ada@example.org"), Taken::Allowed);
    let mut embedding = as_user("embedding");
    let consumer = json!({ "stream_name": "SUBSCRIBERS", "config": { "name": "thief" } });
    for (request, body) in [
        ("STREAM.INFO.SUBSCRIBERS", json!({ "subjects_filter": ">" })),
        ("STREAM.MSG.GET.SUBSCRIBERS", json!({ "seq": 1 })),
        ("DIRECT.GET.SUBSCRIBERS", json!({ "seq": 1 })),
        ("DIRECT.GET.SUBSCRIBERS.subscribers.ada", json!({})),
        ("CONSUMER.CREATE.SUBSCRIBERS", consumer.clone()),
        ("CONSUMER.CREATE.SUBSCRIBERS.thief", consumer.clone()),
        ("CONSUMER.CREATE.PAPERS.thief.papers.accepted", consumer),
        (
            "STREAM.CREATE.COPY",
            json!({ "name": "COPY", "sources": [{ "name": "SUBSCRIBERS" }] }),
        ),
        ("STREAM.PURGE.SUBSCRIBERS", json!({})),
        ("STREAM.DELETE.SUBSCRIBERS", json!({})),
    ] {
        let refused = embedding.request(&format!("$JS.API.{request}"), &body);
        assert!(refused.is_err(), "{request}: {refused:?}");
    }
    for subject in ["subscribers.>", ">", "_INBOX_notification.>", "_INBOX.>"] {
        assert!(matches!(embedding.subscribe(subject), Taken::Refused(_)), "{subject}");
    }
    assert!(matches!(
        embedding.publish("subscribers.ada", b"gone"),
        Taken::Refused(_)
    ));
    let kept = operator.request(
        "$JS.API.STREAM.MSG.GET.SUBSCRIBERS",
        &json!({ "last_by_subj": "subscribers.ada" }),
    );
    assert_eq!(kept.unwrap()["message"]["seq"], 1);
}

#[test]
fn web_needs_no_bus_and_no_password_of_one() {
    // Nobody listens there, and the process would not be up without a bus if it wanted one.
    let [grpc, admin, pages] = services::free_ports::<3>().map(|port| format!("127.0.0.1:{port}"));
    let mut process = Command::new(binaries().join("web"))
        .env_clear()
        .env("BROADSHEET_NATS__URL", "nats://127.0.0.1:9")
        .env("BROADSHEET_GRPC__LISTEN", grpc)
        .env("BROADSHEET_ADMIN__LISTEN", &admin)
        .env("BROADSHEET_WEB__LISTEN", &pages)
        .env("BROADSHEET_WEB__COOKIE_KEY", "0123456789abcdef".repeat(2))
        .spawn()
        .unwrap();
    tests::until("web is ready without a bus", || {
        let (status, _) = tests::get(&format!("http://{admin}/readyz"));
        (status == 200).then_some(())
    });
    assert_eq!(tests::get(&format!("http://{pages}/about")).0, 200);
    process.kill().unwrap();
    process.wait().unwrap();
}

#[test]
fn the_servers_of_up_are_closed_to_other_users() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let platform = tests::Platform::start(&data);
    let config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(data.join("nats/nats.conf")).unwrap()).unwrap();
    let address = config["listen"].as_str().unwrap();
    let port = address.rsplit_once(':').unwrap().1.parse().unwrap();
    let refused = RawNats::connect(port, None).err().unwrap();
    assert!(refused.contains("Authorization Violation"), "{refused}");
    let arguments = processes_over(&data);
    let redis = arguments.iter().find(|line| line.contains("--appendonly")).unwrap();
    let port = redis.split(' ').skip_while(|word| *word != "--port").nth(1).unwrap();
    let mut stranger = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    stranger.write_all(b"KEYS *\r\n").unwrap();
    let mut answer = String::new();
    BufReader::new(stranger).read_line(&mut answer).unwrap();
    assert!(answer.starts_with("-NOAUTH"), "{answer}");
    let password = config["authorization"]["password"].as_str().unwrap();
    assert!(arguments.iter().all(|line| !line.contains(password)), "{arguments:?}");
    private(&data);
    drop(platform);
}

/// Everything in a data folder is its owner's alone: the folders keep others out, and files with secrets are so by themselves.
fn private(data: &Path) {
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for folder in ["", "nats", "redis", "logs", "mail", "index"] {
        assert_eq!(mode(&data.join(folder)), 0o700, "{folder}");
    }
    for file in ["endpoint.json", "token.key", "nats/nats.conf", "redis/password.conf"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
}

fn checked(name: &str, environment: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let mut command = Command::new(binaries().join(name));
    command.env_clear().envs(environment.iter().copied()).args(arguments);
    ran(command.stdin(Stdio::null()).output().unwrap())
}

#[test]
fn wrong_configurations_are_reported_without_their_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.toml");
    std::fs::write(
        &broken,
        format!("[grpc]\nlisten = \"127.0.0.1:0\"\nkey = \"{PASSWORD}\n"),
    )
    .unwrap();
    let misspelt = folder.path().join("misspelt.toml");
    std::fs::write(
        &misspelt,
        format!("[nats]\npasword = \"{PASSWORD}\"\n[natz]\npassword = \"{PASSWORD}\"\n"),
    )
    .unwrap();
    let url = format!("nats://ingest:{PASSWORD}@one:4222,htp://ingest:{PASSWORD}@two:4222");
    let http = format!("ftp://embedding:{PASSWORD}@example.org");
    let environment = [
        ("BROADSHEET_NATS__URL", url.as_str()),
        ("BROADSHEET_NATS__NKEY_SEED", PASSWORD),
        ("BROADSHEET_NATS__CREDENTIALS", PASSWORD),
        ("BROADSHEET_NATS__PASSWROD", PASSWORD),
        ("BROADSHEET_GRPC__TOKEN", PASSWORD),
        ("BROADSHEET_TELEMETRY__OTLP_ENDPOINT", http.as_str()),
        ("BROADSHEET_NOTIFICATION__TOKEN_KEY", PASSWORD),
        ("BROADSHEET_NOTIFICATION__REDIS_URL", http.as_str()),
        ("BROADSHEET_NOTIFICATION__SMTP_URL", http.as_str()),
        ("BROADSHEET_INDEXING__EMBEDDING_URL", http.as_str()),
        ("BROADSHEET_WEB__SEARCH_URL", http.as_str()),
    ];
    for name in NAMES {
        for (environment, arguments) in [
            (&environment[..], &["--check-config"][..]),
            (&[], &["--check-config", "--config", broken.to_str().unwrap()]),
            (&[], &["--check-config", "--config", misspelt.to_str().unwrap()]),
        ] {
            let refused = checked(name, environment, arguments);
            assert_eq!(refused.status, 64, "{name}: {refused:?}");
            assert!(
                !refused.err.contains(PASSWORD) && !refused.out.contains(PASSWORD),
                "{name}: {refused:?}"
            );
        }
        let printed = checked(name, &environment, &["--print-config"]);
        assert!(!printed.out.contains(PASSWORD), "{name}: {printed:?}");
    }
    let mut all = up(folder.path());
    all.arg("--check-config")
        .env_remove("BROADSHEET_NATS__URL")
        .envs(environment);
    let refused = ran(all.output().unwrap());
    assert_eq!(refused.status, 64, "{refused:?}");
    assert!(refused.err.contains("grpc.token = (not shown)"), "{refused:?}");
    assert!(!refused.err.contains(PASSWORD), "{refused:?}");
}

#[test]
fn a_secret_in_a_file_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let path = file.display().to_string();
    let check = |mode: u32| {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let environment = [
            ("BROADSHEET_NATS__USER", "ingest"),
            ("BROADSHEET_NATS__PASSWORD_FILE", path.as_str()),
        ];
        checked("ingest", &environment, &["--check-config"])
    };
    let open = check(0o644);
    assert_eq!(open.status, 64, "{open:?}");
    for said in [
        "1 mistake:",
        "nats.password_file",
        &path,
        "is open to everybody on this machine",
        "chmod",
    ] {
        assert!(open.err.contains(said), "{said}: {open:?}");
    }
    assert!(!open.err.contains(PASSWORD), "{open:?}");
    assert_eq!(check(0o600).status, 0);
    assert_eq!(check(0o440).status, 0);
    let both = checked(
        "ingest",
        &[
            ("BROADSHEET_NATS__USER", "ingest"),
            ("BROADSHEET_NATS__PASSWORD", PASSWORD),
            ("BROADSHEET_NATS__PASSWORD_FILE", path.as_str()),
        ],
        &["--check-config"],
    );
    assert!(
        both.err.contains("set both directly and by nats.password_file"),
        "{both:?}"
    );
    assert!(!both.err.contains(PASSWORD), "{both:?}");
}
