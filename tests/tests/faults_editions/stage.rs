//! Everything the fault test plays on: servers, proxies, two replicas of notification, and what can be asked of them.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use common::bus::{Bus, BusConfig};
use common::grpc::{ServiceChannel, channel};
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use nix::sys::signal::Signal;
use proto::convert::to_wire_time;
use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use proto::delivery::v1::{Delivery, ListDeliveriesRequest, SendTestEditionRequest};
use proto::papers::v1::{Paper, PaperIndexed, PaperVectors};
use proto::subscriptions::v1::subscription_service_client::SubscriptionServiceClient;
use proto::subscriptions::v1::{Consent, Schedule, SubscribeRequest, UnsubscribeRequest};
use serde_json::Value;
use standalone::Toolbox;
use tests::killable::Killable;
use tests::proxy::Proxy;
use tests::services::free_ports;
use tests::{binaries, eventually, get, python};

/// Of notification.
pub const REPLICAS: usize = 2;
/// Of each replica to the SMTP server.
pub const CONNECTIONS: u64 = 4;
/// The shortest that is allowed, so that work of the dead is free soon.
pub const LEASE: Duration = Duration::from_secs(5);
/// Subscribers of one slot.
const PER_SLOT: usize = 1_000;
/// What subscribing takes, with a margin.
const LEAD: SignedDuration = SignedDuration::from_secs(8);

/// The stage. Everything on it ends with it.
pub struct Stage {
    pub replicas: Vec<Killable>,
    pub redis: Killable,
    pub nats: Killable,
    pub mail_server: Killable,
    /// Between notification and the SMTP server.
    pub smtp: Proxy,
    /// Between notification and Redis.
    pub store: Proxy,
    /// Who left, and when that was acknowledged, in seconds since the epoch.
    pub left: HashMap<String, f64>,
    doors: Vec<String>,
    admins: Vec<String>,
    log: PathBuf,
    folder: tempfile::TempDir,
}

impl Stage {
    pub async fn build() -> Self {
        let mut folder = tempfile::tempdir().unwrap();
        // What the processes said, for who looks for the reason of a failure.
        folder.disable_cleanup(std::env::var_os("BROADSHEET_FAULTS_KEEP").is_some());
        let path = folder.path();
        let [redis_port, nats_port, mail_port, one, two, three, four] = free_ports::<7>();
        let python = tokio::task::spawn_blocking(python::python).await.unwrap();
        let tools = tokio::task::spawn_blocking(|| {
            let toolbox = Toolbox::from_env();
            binaries();
            (toolbox.redis_server().unwrap(), toolbox.nats_server().unwrap())
        });
        let (redis_server, nats_server) = tools.await.unwrap();
        let log = path.join("mails.jsonl");
        std::fs::write(&log, "").unwrap();
        let script = python::script("smtp_log.py").into_os_string();
        let mail_arguments = vec![script, mail_port.to_string().into(), log.clone().into()];
        let redis = Killable::start(
            "redis",
            &redis_server,
            redis_arguments(redis_port, path),
            Vec::new(),
            path,
        );
        let nats = Killable::start("nats", &nats_server, nats_arguments(nats_port, path), Vec::new(), path);
        let mail_server = Killable::start("mail_server", &python, mail_arguments, Vec::new(), path);
        let (smtp, store) = (Proxy::to(mail_port).await, Proxy::to(redis_port).await);
        publish_papers(nats_port).await;
        let listening = |ports: [u16; REPLICAS]| ports.map(|port| format!("127.0.0.1:{port}")).to_vec();
        let (doors, admins) = (listening([one, two]), listening([three, four]));
        let replica = |index: usize| {
            let mut environment = settings(nats_port, &store, &smtp);
            environment.push(("BROADSHEET_GRPC__LISTEN".to_owned(), doors[index].clone()));
            environment.push(("BROADSHEET_ADMIN__LISTEN".to_owned(), admins[index].clone()));
            let name = format!("notification-{index}");
            Killable::start(&name, &binaries().join("notification"), Vec::new(), environment, path)
        };
        let this = Self {
            replicas: (0..REPLICAS).map(replica).collect(),
            redis,
            nats,
            mail_server,
            smtp,
            store,
            left: HashMap::new(),
            doors,
            admins,
            log,
            folder,
        };
        this.until_ready().await;
        this
    }

    /// Subscribes so many, due at the next full minutes, a thousand at each.
    pub async fn subscribe(&self, count: usize) -> Vec<String> {
        let first = Timestamp::now() + LEAD + SignedDuration::from_secs(i64::try_from(count / 100).unwrap());
        let readers: Vec<(String, String)> = (0..count)
            .map(|number| {
                let minutes = i64::try_from(1 + number % count.div_ceil(PER_SLOT)).unwrap();
                let slot = (first + SignedDuration::from_mins(minutes)).to_zoned_datetime(jiff::tz::TimeZone::UTC);
                (
                    format!("reader{number}@example.org"),
                    slot.strftime("%H:%M").to_string(),
                )
            })
            .collect();
        let subscribing = futures::stream::iter(&readers).map(async |(reader, time)| {
            let request = SubscribeRequest {
                email: reader.clone(),
                schedule: Some(Schedule {
                    time: time.clone(),
                    time_zone: "UTC".to_owned(),
                    ..Schedule::default()
                }),
                consent: Consent::OnRecord.into(),
                ..SubscribeRequest::default()
            };
            let mut door = SubscriptionServiceClient::new(self.door(0));
            door.subscribe(request).await.unwrap();
        });
        subscribing.buffer_unordered(16).collect::<()>().await;
        readers.into_iter().map(|(reader, _)| reader).collect()
    }

    /// Subscribers with the tokens of the links in mails to them, which test mails bring.
    pub async fn links(&self, readers: impl Iterator<Item = &String>) -> Vec<(String, String)> {
        let readers: Vec<&String> = readers.collect();
        let mailing = futures::stream::iter(&readers).map(async |reader| {
            let request = SendTestEditionRequest {
                email: (*reader).clone(),
            };
            DeliveryServiceClient::new(self.door(0))
                .send_test_edition(request)
                .await
                .unwrap();
        });
        mailing.buffer_unordered(4).collect::<()>().await;
        let mut tokens = HashMap::new();
        for mail in self.log() {
            let link = mail["unsubscribe"].as_str().unwrap().trim_matches(['<', '>']);
            let token = link.rsplit_once("token=").unwrap().1.to_owned();
            tokens.insert(mail["to"].as_str().unwrap().to_owned(), token);
        }
        readers
            .into_iter()
            .map(|reader| (reader.clone(), tokens[reader].clone()))
            .collect()
    }

    /// Unsubscribes one of those that are to leave, and notes when that was acknowledged.
    pub async fn unsubscribe(&mut self, leavers: &mut Vec<(String, String)>) {
        let Some((reader, token)) = leavers.pop() else {
            return;
        };
        for door in 0..REPLICAS {
            let request = UnsubscribeRequest { token: token.clone() };
            let asking = async {
                SubscriptionServiceClient::new(self.door(door))
                    .unsubscribe(request)
                    .await
            };
            let answer = tokio::time::timeout(LEASE, asking).await;
            if answer.is_ok_and(|answer| answer.is_ok()) {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
                self.left.insert(reader, now.as_secs_f64());
                return;
            }
        }
        // Nobody acknowledged it: it may hold or not, and is tried again.
        self.supervise();
        leavers.insert(0, (reader, token));
    }

    /// Digests that the SMTP server has on disk, by recipient.
    pub fn mails(&self) -> HashMap<String, Vec<Value>> {
        let mut mails: HashMap<String, Vec<Value>> = HashMap::new();
        let digests = self.log();
        for mail in digests.filter(|mail| !mail["subject"].as_str().unwrap().starts_with("[Test]")) {
            mails
                .entry(mail["to"].as_str().unwrap().to_owned())
                .or_default()
                .push(mail);
        }
        mails
    }

    pub async fn until_the_first_mail(&self) {
        // Slots are minutes.
        while self.mails().is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What was recorded for a subscriber.
    pub async fn deliveries(&self, reader: &str) -> Vec<Delivery> {
        eventually("the records can be read", async || {
            let request = ListDeliveriesRequest {
                email: reader.to_owned(),
                ..ListDeliveriesRequest::default()
            };
            let answer = DeliveryServiceClient::new(self.door(0)).list_deliveries(request).await;
            Some(answer.ok()?.into_inner().deliveries)
        })
        .await
    }

    /// Starts what ended by itself.
    pub fn supervise(&mut self) {
        for one in &mut self.replicas {
            one.supervise();
        }
        for one in [&mut self.redis, &mut self.nats, &mut self.mail_server] {
            one.supervise();
        }
    }

    /// Ends all faults.
    pub async fn leave_alone(&mut self) {
        for one in &self.replicas {
            one.signal(Signal::SIGCONT);
        }
        self.smtp.delay(Duration::ZERO);
        self.supervise();
        self.until_ready().await;
    }

    pub fn last_words(&self) -> String {
        let words = self.replicas.iter().map(Killable::last_words);
        words.collect::<Vec<_>>().join("\n--\n")
    }

    pub fn end(self) {
        drop(self.replicas);
        drop(self.folder);
    }

    fn door(&self, replica: usize) -> ServiceChannel {
        channel(&format!("http://{}", self.doors[replica]), None).unwrap()
    }

    fn log(&self) -> impl Iterator<Item = Value> + use<> {
        let text = std::fs::read_to_string(&self.log).unwrap();
        // A server that is killed while it writes leaves half a line; it has answered nobody.
        let whole: Vec<Value> = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        whole.into_iter()
    }

    async fn until_ready(&self) {
        for admin in &self.admins {
            let url = format!("http://{admin}/readyz");
            let ready = eventually("notification becomes ready", async || {
                let url = url.clone();
                let status = tokio::task::spawn_blocking(move || get(&url).0).await.unwrap();
                (status == 200).then_some(())
            });
            ready.await;
        }
    }
}

fn settings(nats: u16, store: &Proxy, smtp: &Proxy) -> Vec<(String, String)> {
    let settings = [
        ("NATS__URL", format!("nats://127.0.0.1:{nats}")),
        ("NOTIFICATION__REDIS_URL", format!("redis://{}", store.address())),
        // Nobody here has interests.
        ("NOTIFICATION__EMBEDDING_URL", "http://127.0.0.1:9".to_owned()),
        ("NOTIFICATION__SMTP_URL", format!("smtp://{}", smtp.address())),
        ("NOTIFICATION__FROM", "Broadsheet <digest@example.org>".to_owned()),
        ("NOTIFICATION__PUBLIC_URL", "https://example.org".to_owned()),
        ("NOTIFICATION__TOKEN_KEY", "0123456789abcdef".repeat(2)),
        ("NOTIFICATION__RETRY_SECONDS", "1".to_owned()),
        ("NOTIFICATION__LEASE_SECONDS", LEASE.as_secs().to_string()),
        ("NOTIFICATION__CONNECTIONS", CONNECTIONS.to_string()),
    ];
    settings
        .map(|(name, value)| (format!("BROADSHEET_{name}"), value))
        .to_vec()
}

fn redis_arguments(port: u16, folder: &Path) -> Vec<OsString> {
    let folder = folder.join("redis");
    std::fs::create_dir(&folder).unwrap();
    let port = port.to_string();
    let arguments = [
        "--port",
        &port,
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "yes",
    ];
    let mut arguments = arguments.map(OsString::from).to_vec();
    arguments.extend(["--appendfsync".into(), "everysec".into(), "--dir".into(), folder.into()]);
    arguments
}

fn nats_arguments(port: u16, folder: &Path) -> Vec<OsString> {
    let port = port.to_string();
    let mut arguments = ["-a", "127.0.0.1", "-p", &port, "-js", "-sd"]
        .map(OsString::from)
        .to_vec();
    arguments.push(folder.join("nats").into());
    arguments
}

/// Twenty papers, as indexing publishes them.
async fn publish_papers(nats: u16) {
    let config = BusConfig {
        url: format!("nats://127.0.0.1:{nats}"),
        replicas: 1,
        max_age: Duration::from_hours(24),
    };
    let bus = Bus::connect(config, "faults").await.unwrap();
    for number in 0..20 {
        let now = to_wire_time(Timestamp::now());
        let paper = Paper {
            id: format!("test:p{number}"),
            title: format!("Paper {number}"),
            r#abstract: "What survives when everything else is killed.".to_owned(),
            source: "test".to_owned(),
            revision: 1,
            published_time: Some(now),
            accepted_time: Some(now),
            ..Paper::default()
        };
        let event = PaperIndexed {
            paper: Some(paper),
            vectors: Some(PaperVectors {
                encoder_id: "test@1".to_owned(),
                dense: vec![1.0, 0.0],
                ..PaperVectors::default()
            }),
            indexed_time: Some(now),
        };
        bus.publish(&format!("p{number}"), &event).await.unwrap();
    }
}
