//! The bus: what each service may publish, read and request, tried one by one against a server that has been told the rights that
//! `broadsheet nats permissions` prints.
//!
//! What is expected follows from the flow table and from what the house says about it, not from the rights themselves.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::bus::{Bus, BusError};
use common::clock::Clock;
use common::config::{BusConfig, COMMON_DEFAULTS, CommonConfig, Settings};
use common::flow::{self, BUCKETS, Bucket, Consumption, FLOW, LOGS, SERVICES};
use common::permissions::{bucket_stream, readable, streams};
use common::storage::StreamLimits;
use common::{journal, streams as stream_setup};
use serde_json::{Value, json};
use tests::certificates::Certificates;
use tests::nats::{NatsServer, RawNats, Taken, password_of};
use tests::{binary, eventually, ran};

use super::Answered;

/// The one service whose process has no connection to the bus, and so no user there.
const WITHOUT_BUS: &str = "web";

/// What was tried as one user, and what went otherwise than it should.
struct Trial<'a> {
    service: &'a str,
    nats: RawNats,
    answered: Answered,
    wrong: Vec<String>,
}

impl Trial<'_> {
    fn note(&mut self, what: &str, allowed: bool, expected: bool) {
        self.answered.allowed += usize::from(allowed);
        self.answered.refused += usize::from(!allowed);
        if allowed != expected {
            let found = if allowed { "allowed" } else { "refused" };
            self.wrong.push(format!("{}: {what} is {found}", self.service));
        }
    }

    fn publish(&mut self, subject: &str, expected: bool) {
        let taken = self.nats.publish(subject, b"x");
        self.note(&format!("publish {subject}"), taken == Taken::Allowed, expected);
    }

    fn subscribe(&mut self, subject: &str, expected: bool) {
        let taken = self.nats.subscribe(subject);
        self.note(&format!("subscribe {subject}"), taken == Taken::Allowed, expected);
    }

    /// A request whose answer does not matter, or does not come.
    fn ask(&mut self, subject: &str, expected: bool) {
        self.publish(&format!("$JS.API.{subject}"), expected);
    }

    /// A request that the server has to refuse, by its rights or in its answer.
    fn never(&mut self, subject: &str, body: &Value) {
        let answer = self.nats.request(&format!("$JS.API.{subject}"), body);
        self.note(&format!("{subject} with {body}"), answer.is_ok(), false);
    }
}

/// Tries everything as each service, and counts.
pub async fn check() -> Answered {
    let server = NatsServer::with_permissions().await;
    let _maker = set_up(&server).await;
    let before = subscribers(&server);
    assert_eq!(before, 1, "there is a subscriber to steal");
    let mut answered = Answered::default();
    let mut wrong = Vec::new();
    // The one that may purge comes last.
    let (maker, others): (Vec<&str>, Vec<&str>) = SERVICES.iter().partition(|name| **name == flow::STREAM_MAKER);
    for service in others.into_iter().chain(maker) {
        if service == flow::STREAM_MAKER {
            assert_eq!(
                subscribers(&server),
                before,
                "no other service changed the log of subscribers"
            );
        }
        if service == WITHOUT_BUS {
            answered.refused += strangers_are_refused(&server);
            continue;
        }
        let login = password_of(service);
        let mut trial = Trial {
            service,
            nats: RawNats::connect(server.port, Some((service, &login))).unwrap(),
            answered: Answered::default(),
            wrong: Vec::new(),
        };
        subjects(&mut trial);
        stream_requests(&mut trial);
        consumers(&mut trial);
        smuggling(&mut trial);
        subscriptions(&mut trial);
        answered.allowed += trial.answered.allowed;
        answered.refused += trial.answered.refused;
        wrong.extend(trial.wrong);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    answered
}

/// Streams, buckets and consumers, made as the services make them, and one subscriber.
async fn set_up(server: &NatsServer) -> Bus {
    let bus = connect(server, flow::STREAM_MAKER).await.unwrap();
    stream_setup::ensure(&bus).await.unwrap();
    let day = Duration::from_hours(24);
    let retention = journal::LogRetention {
        deliveries: day,
        pending: day,
    };
    journal::Journal::open(&bus, retention).await.unwrap();
    let login = password_of("operator");
    let mut operator = RawNats::connect(server.port, Some(("operator", &login))).unwrap();
    for route in &FLOW {
        if let Consumption::WorkQueue { consumer, .. } = route.consumption {
            let subject = format!("$JS.API.CONSUMER.CREATE.{}.{consumer}.{}", flow::STREAM, route.subject);
            let config = json!({ "durable_name": consumer, "filter_subject": route.subject, "ack_policy": "explicit" });
            let body = json!({ "stream_name": flow::STREAM, "config": config });
            operator.request(&subject, &body).unwrap();
        }
    }
    assert_eq!(operator.publish("subscribers.ada", b"ada@example.org"), Taken::Allowed);
    bus
}

async fn connect(server: &NatsServer, user: &str) -> Result<Bus, BusError> {
    let url = format!("nats://{user}:{}@127.0.0.1:{}", password_of(user), server.port);
    let config = BusConfig::new(&url, 1, Duration::from_hours(24), StreamLimits::uniform(64)).unwrap();
    Bus::connect(config, user, Clock::system()).await
}

/// Messages in the log of subscribers.
fn subscribers(server: &NatsServer) -> u64 {
    let login = password_of("operator");
    let mut operator = RawNats::connect(server.port, Some(("operator", &login))).unwrap();
    let subject = format!("$JS.API.STREAM.INFO.{}", flow::SUBSCRIBERS);
    let info = operator.request(&subject, &Value::Null).unwrap();
    info["state"]["messages"].as_u64().unwrap()
}

/// Without a user, with one that the server does not know, with a wrong password, and with another user's.
fn strangers_are_refused(server: &NatsServer) -> usize {
    let (web, ingest) = (password_of(WITHOUT_BUS), password_of("ingest"));
    let logins = [
        None,
        Some((WITHOUT_BUS, web.as_str())),
        Some((WITHOUT_BUS, ingest.as_str())),
        Some(("notification", ingest.as_str())),
        Some(("notification", "")),
    ];
    for login in logins {
        let refused = RawNats::connect(server.port, login).err().unwrap();
        assert!(refused.contains("Authorization Violation"), "{login:?}: {refused}");
    }
    logins.len()
}

fn subjects(trial: &mut Trial) {
    let service = trial.service;
    let maker = service == flow::STREAM_MAKER;
    let mut seen = std::collections::BTreeSet::new();
    for route in FLOW.iter().filter(|route| seen.insert(route.subject)) {
        let publishes = FLOW
            .iter()
            .any(|one| one.subject == route.subject && one.from == service);
        // Dead letters go back to where they came from.
        trial.publish(route.subject, publishes || maker);
    }
    for log in LOGS {
        trial.publish(&format!("{}.eve", log.prefix), log.owner == service);
    }
    for bucket in BUCKETS {
        trial.publish(&format!("$KV.{}.key", bucket.name), bucket.owner == service);
    }
    for route in &FLOW {
        if let Consumption::WorkQueue { consumer, .. } = route.consumption {
            let own = route.to == service;
            trial.publish(&format!("{}.{consumer}", flow::DEAD_LETTER_PREFIX), own);
            trial.publish(&format!("$JS.ACK.{}.{consumer}.1.1.1.1.1", flow::STREAM), own);
        }
    }
    for other in SERVICES {
        trial.publish(&format!("{}.{other}", flow::AUDIT_PREFIX), other == service);
        trial.publish(&format!("_INBOX_{other}.answer"), false);
    }
    for anywhere in [
        "anything",
        "$SYS.REQ.SERVER.PING",
        "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.PAPERS.x",
    ] {
        trial.publish(anywhere, false);
    }
}

/// A log or bucket of the service's own.
fn owns(service: &str, stream: &str) -> bool {
    let logs = LOGS.iter().any(|log| log.stream == stream && log.owner == service);
    let is_bucket = |bucket: &Bucket| bucket_stream(bucket.name) == stream && bucket.owner == service;
    logs || BUCKETS.iter().any(is_bucket)
}

fn stream_of(subject: &str) -> &'static str {
    flow::stream_of(subject).unwrap()
}

fn stream_requests(trial: &mut Trial) {
    let service = trial.service;
    let maker = service == flow::STREAM_MAKER;
    let shared = [
        flow::STREAM,
        flow::ATTENTION_STREAM,
        flow::ADVISORY_STREAM,
        flow::DEAD_LETTER_STREAM,
        flow::AUDIT_STREAM,
    ];
    for stream in streams() {
        let owned = owns(service, &stream);
        let is = |name: &str| stream == name;
        let by_place = is(flow::STREAM) && service == flow::REREADING_SERVICE || is(flow::DEAD_LETTER_STREAM) && maker;
        let bucket = stream.starts_with("KV_");
        trial.ask(
            &format!("STREAM.INFO.{stream}"),
            shared.iter().any(|name| is(name)) || owned || maker,
        );
        trial.ask(&format!("STREAM.MSG.GET.{stream}"), owned || by_place);
        trial.ask(&format!("DIRECT.GET.{stream}"), owned && bucket);
        trial.ask(&format!("DIRECT.GET.{stream}.subscribers.ada"), owned && bucket);
        trial.ask(&format!("STREAM.CREATE.{stream}"), maker);
        trial.ask(&format!("STREAM.UPDATE.{stream}"), maker);
        trial.ask(
            &format!("STREAM.MSG.DELETE.{stream}"),
            owned || is(flow::DEAD_LETTER_STREAM) && maker,
        );
        for never in [
            "STREAM.DELETE",
            "STREAM.SNAPSHOT",
            "STREAM.RESTORE",
            "CONSUMER.NAMES",
            "CONSUMER.LIST",
        ] {
            trial.ask(&format!("{never}.{stream}"), false);
        }
    }
    trial.ask("STREAM.CREATE.COPY", false);
    trial.ask("STREAM.NAMES", false);
    trial.ask("STREAM.LIST", false);
}

fn consumers(trial: &mut Trial) {
    let service = trial.service;
    let mine = readable(service);
    let mut seen = std::collections::BTreeSet::new();
    for route in FLOW.iter().filter(|route| seen.insert(route.subject)) {
        let expected = mine.contains(route.subject);
        trial.ask(
            &format!("CONSUMER.CREATE.{}.fresh.{}", stream_of(route.subject), route.subject),
            expected,
        );
    }
    for route in &FLOW {
        if let Consumption::WorkQueue { consumer, .. } = route.consumption {
            let own = route.to == service;
            trial.ask(&format!("CONSUMER.MSG.NEXT.{}.{consumer}", flow::STREAM), own);
            trial.ask(
                &format!("CONSUMER.CREATE.{}.{consumer}.{}", flow::STREAM, route.subject),
                own,
            );
            trial.ask(&format!("CONSUMER.CREATE.{}.{consumer}", flow::STREAM), false);
        }
    }
    for stream in streams() {
        let owned = owns(service, &stream);
        let all_of_it = owned || stream == flow::AUDIT_STREAM && service == flow::STREAM_MAKER;
        trial.ask(&format!("CONSUMER.CREATE.{stream}.fresh"), all_of_it);
        trial.ask(
            &format!("CONSUMER.MSG.NEXT.{stream}.fresh"),
            all_of_it || mine.iter().any(|subject| stream_of(subject) == stream),
        );
        // The old form, which says nothing of what is read.
        trial.ask(&format!("CONSUMER.DURABLE.CREATE.{stream}.fresh"), false);
    }
}

/// Requests whose subject is allowed and whose body wants more.
fn smuggling(trial: &mut Trial) {
    if trial.service == flow::STREAM_MAKER {
        return;
    }
    let allowed = *readable(trial.service).first().unwrap();
    let own = stream_of(allowed);
    let subject = format!("CONSUMER.CREATE.{own}.smuggler.{allowed}");
    let foreign = FLOW
        .iter()
        .find(|route| !readable(trial.service).contains(route.subject));
    let foreign = foreign.map_or("subscribers.>", |route| route.subject);
    for (stream, config) in [
        (own, json!({ "name": "smuggler", "filter_subject": foreign })),
        (own, json!({ "name": "smuggler", "filter_subject": ">" })),
        (own, json!({ "name": "smuggler" })),
        (
            own,
            json!({ "name": "smuggler", "filter_subjects": [allowed, foreign] }),
        ),
        (
            flow::SUBSCRIBERS,
            json!({ "name": "smuggler", "filter_subject": allowed }),
        ),
        (
            flow::SUBSCRIBERS,
            json!({ "name": "smuggler", "filter_subject": "subscribers.>" }),
        ),
    ] {
        trial.never(&subject, &json!({ "stream_name": stream, "config": config }));
    }
}

fn subscriptions(trial: &mut Trial) {
    for other in SERVICES {
        trial.subscribe(&format!("_INBOX_{other}.>"), other == trial.service);
    }
    let prefixes = LOGS.iter().map(|log| format!("{}.>", log.prefix));
    let buckets = BUCKETS.iter().map(|bucket| format!("$KV.{}.>", bucket.name));
    let subjects = FLOW.iter().map(|route| route.subject.to_owned());
    let everything = [">", "*.>", "_INBOX.>", "$JS.>", "$SYS.>", "audit.>"].map(str::to_owned);
    for subject in prefixes.chain(buckets).chain(subjects).chain(everything) {
        trial.subscribe(&subject, false);
    }
}

#[test]
fn the_rights_in_the_repository_are_those_of_the_table() {
    let printed = ran(Command::new(binary())
        .args(["nats", "permissions", "--format", "conf"])
        .output()
        .unwrap());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/nats/permissions.conf");
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(
        kept == printed.out,
        "deploy/nats/permissions.conf is out of date; write it with `broadsheet nats permissions`"
    );
}

fn settings(variables: &[(&str, String)]) -> BusConfig {
    let variables = variables
        .iter()
        .map(|(key, value)| (format!("BROADSHEET_NATS__{key}"), value.clone()));
    let mut settings = Settings::load(&[COMMON_DEFAULTS], None, variables);
    let config = CommonConfig::read(&mut settings);
    settings.finish().unwrap();
    config.bus
}

fn write_secret(path: &Path, secret: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, secret).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_password_is_read_again_at_the_next_connection() {
    let users = |password: &str| format!("authorization {{ user: ingest, password: {password} }}");
    let server = NatsServer::start(&users("first-password")).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    write_secret(&file, "first-password\n");
    let config = settings(&[
        ("URL", server.url()),
        ("USER", "ingest".to_owned()),
        ("PASSWORD_FILE", file.display().to_string()),
    ]);
    let bus = Bus::connect(config, "test", Clock::system()).await.unwrap();
    stream_setup::ensure(&bus).await.unwrap();
    write_secret(&file, "second-password\n");
    server.reconfigure(&users("second-password"));
    let old = RawNats::connect(server.port, Some(("ingest", "first-password"))).err();
    assert!(old.is_some(), "the old password is good no longer");
    eventually("the bus is there again with the new password", async || {
        stream_setup::ensure(&bus).await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_over_mutual_tls_knows_its_users_by_nkey() {
    let pair = nkeys::KeyPair::new_user();
    let certificates = Certificates::make();
    let show = |path: std::path::PathBuf| path.display().to_string();
    let (authority, certificate, key) = (
        show(certificates.authority()),
        show(certificates.certificate()),
        show(certificates.key()),
    );
    let tls =
        format!("tls {{ cert_file: \"{certificate}\", key_file: \"{key}\", ca_file: \"{authority}\", verify: true }}");
    let users = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", pair.public_key());
    let server = NatsServer::start(&format!("{tls}\n{users}")).await;
    let folder = tempfile::tempdir().unwrap();
    let seed = folder.path().join("seed");
    write_secret(&seed, &pair.seed().unwrap());
    let known = [
        ("URL", server.url()),
        ("CA_FILE", authority.clone()),
        ("TLS_CERTIFICATE", certificate.clone()),
        ("TLS_KEY", key.clone()),
        ("NKEY_SEED_FILE", seed.display().to_string()),
    ];
    let bus = Bus::connect(settings(&known), "test", Clock::system()).await.unwrap();
    stream_setup::ensure(&bus).await.unwrap();
    write_secret(&seed, &nkeys::KeyPair::new_user().seed().unwrap());
    let stranger = Bus::connect(settings(&known), "test", Clock::system())
        .await
        .err()
        .unwrap();
    assert!(matches!(stranger, BusError::Refused { .. }), "{stranger}");
}
