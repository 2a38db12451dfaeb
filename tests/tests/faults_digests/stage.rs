//! Everything the fault test plays on: servers, proxies, two replicas of notification, and what can be asked of them.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use common::bus::Bus;
use common::clock::Clock;
use common::config::BusConfig;
use common::grpc::{ServiceChannel, channel};
use common::storage::StreamLimits;
use common::streams;
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use nix::sys::signal::Signal;
use proto::convert::to_wire_time;
use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use proto::delivery::v1::{Channel, Delivery, ListDeliveriesRequest};
use proto::papers::v1::{Paper, PaperIndexed, PaperVectors};
use proto::subscriptions::v1::subscription_service_client::SubscriptionServiceClient;
use proto::subscriptions::v1::{
    Consent, DeliveryChannel, GetSubscriberTokenRequest, Schedule, SubscribeRequest, UnsubscribeRequest, WebhookState,
};
use serde_json::Value;
use standalone::Toolbox;
use tests::killable::Killable;
use tests::proxy::Proxy;
use tests::services::free_ports;
use tests::{PATIENCE, binaries, eventually, get, python};

/// Of notification.
pub const REPLICAS: usize = 2;
/// Digests of each replica on each way.
pub const AT_ONCE: u64 = 4;
/// The shortest that is allowed, so that work of the dead is free soon.
pub const LEASE: Duration = Duration::from_secs(5);
/// Subscribers of one slot.
const PER_SLOT: usize = 1_000;

/// What subscribing so many takes, with a margin.
fn lead(count: usize) -> SignedDuration {
    SignedDuration::from_secs(8 + i64::try_from(count / 100).unwrap())
}

/// A way on which digests come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Mail,
    Webhook,
}

impl Way {
    pub const ALL: [Self; 2] = [Self::Mail, Self::Webhook];

    /// Whether the subscriber of a number has it: of four two have mail, one has a webhook, and one has both.
    pub fn is_of(self, number: usize) -> bool {
        match number % 4 {
            0 => self == Self::Webhook,
            1 => true,
            _ => self == Self::Mail,
        }
    }

    /// Answers of the receiver to one digest.
    pub fn answers(self) -> u64 {
        match self {
            Self::Mail => 4,
            Self::Webhook => 1,
        }
    }

    pub fn channel(self) -> Channel {
        match self {
            Self::Mail => Channel::Mail,
            Self::Webhook => Channel::Webhook,
        }
    }
}

/// A digest that a receiver has.
#[derive(Debug)]
pub struct Received {
    /// Of the digest; the same at every attempt.
    pub id: String,
    /// When the attempt began, in seconds since the epoch.
    pub begun: f64,
}

/// The stage. Everything on it ends with it.
pub struct Stage {
    pub replicas: Vec<Killable>,
    pub redis: Killable,
    pub nats: Killable,
    pub mail_server: Killable,
    pub webhook_server: Killable,
    /// Between notification and Redis.
    pub store: Proxy,
    /// Between notification and NATS.
    pub bus: Proxy,
    /// Who left, and when that was acknowledged, in seconds since the epoch.
    pub left: HashMap<String, f64>,
    doors: Vec<String>,
    admins: Vec<String>,
    /// Between notification and the receivers.
    proxies: [Proxy; 2],
    /// What the receivers have.
    logs: [PathBuf; 2],
    folder: tempfile::TempDir,
}

impl Stage {
    pub async fn build() -> Self {
        let mut folder = tempfile::tempdir().unwrap();
        // What the processes said, for who looks for the reason of a failure.
        folder.disable_cleanup(std::env::var_os("BROADSHEET_FAULTS_KEEP").is_some());
        let path = folder.path();
        let [redis_port, nats_port, mail_port, hook_port, one, two, three, four] = free_ports::<8>();
        let python = tokio::task::spawn_blocking(python::python).await.unwrap();
        let tools = tokio::task::spawn_blocking(|| {
            let toolbox = Toolbox::from_env();
            binaries();
            (toolbox.redis_server().unwrap(), toolbox.nats_server().unwrap())
        });
        let (redis_server, nats_server) = tools.await.unwrap();
        let logs = ["mails.jsonl", "calls.jsonl"].map(|name| path.join(name));
        let receiver = |name: &str, port: u16, log: &Path| {
            std::fs::write(log, "").unwrap();
            let script = python::script(&format!("{name}_log.py")).into_os_string();
            let arguments = vec![script, port.to_string().into(), log.into()];
            Killable::start(name, &python, arguments, Vec::new(), path)
        };
        let mail_server = receiver("smtp", mail_port, &logs[0]);
        let webhook_server = receiver("webhook", hook_port, &logs[1]);
        let redis = Killable::start(
            "redis",
            &redis_server,
            redis_arguments(redis_port, path),
            Vec::new(),
            path,
        );
        let nats = Killable::start("nats", &nats_server, nats_arguments(nats_port, path), Vec::new(), path);
        let proxies = [Proxy::to(mail_port).await, Proxy::to(hook_port).await];
        let (store, bus) = (Proxy::to(redis_port).await, Proxy::to(nats_port).await);
        publish_papers(nats_port).await;
        let listening = |ports: [u16; REPLICAS]| ports.map(|port| format!("127.0.0.1:{port}")).to_vec();
        let (doors, admins) = (listening([one, two]), listening([three, four]));
        let replica = |index: usize| {
            let mut environment = settings(&bus, &store, &proxies[0]);
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
            webhook_server,
            store,
            bus,
            left: HashMap::new(),
            doors,
            admins,
            proxies,
            logs,
            folder,
        };
        this.until_ready().await;
        this
    }

    /// Subscribes so many, due at the next full minutes, a thousand at each.
    pub async fn subscribe(&self, count: usize) -> Vec<String> {
        let first = Timestamp::now() + lead(count);
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
        let numbered = readers.iter().enumerate();
        let subscribing = futures::stream::iter(numbered).map(async |(number, (reader, time))| {
            let [mail, webhook] = Way::ALL.map(|way| way.is_of(number));
            let request = SubscribeRequest {
                email: reader.clone(),
                schedule: Some(Schedule {
                    time: time.clone(),
                    time_zone: "UTC".to_owned(),
                    ..Schedule::default()
                }),
                consent: Consent::OnRecord.into(),
                delivery_channel: match (mail, webhook) {
                    (true, true) => DeliveryChannel::MailAndWebhook.into(),
                    (false, true) => DeliveryChannel::Webhook.into(),
                    _ => DeliveryChannel::Mail.into(),
                },
                webhook_url: if webhook {
                    format!("http://{}/{reader}", self.proxy(Way::Webhook).address())
                } else {
                    String::new()
                },
                ..SubscribeRequest::default()
            };
            let mut door = SubscriptionServiceClient::new(self.door(0));
            let answer = door.subscribe(request).await.unwrap().into_inner();
            let state = answer.webhook.map(|webhook| webhook.state());
            assert_eq!(state, webhook.then_some(WebhookState::Verified), "{reader}");
        });
        subscribing.buffer_unordered(16).collect::<()>().await;
        readers.into_iter().map(|(reader, _)| reader).collect()
    }

    /// Subscribers with the tokens of the links to them.
    pub async fn tokens(&self, readers: impl Iterator<Item = &String>) -> Vec<(String, String)> {
        let asking = futures::stream::iter(readers).map(async |reader| {
            let request = GetSubscriberTokenRequest { email: reader.clone() };
            let mut door = SubscriptionServiceClient::new(self.door(0));
            let answer = door.get_subscriber_token(request).await.unwrap();
            (reader.clone(), answer.into_inner().token)
        });
        asking.buffered(16).collect().await
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

    /// Digests that the receiver of a way has on disk, by recipient.
    pub fn received(&self, way: Way) -> HashMap<String, Vec<Received>> {
        let text = std::fs::read_to_string(&self.logs[way as usize]).unwrap();
        let mut received: HashMap<String, Vec<Received>> = HashMap::new();
        // A server that is killed while it writes leaves half a line; it has answered nobody.
        for line in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let one = Received {
                id: line["id"].as_str().unwrap().to_owned(),
                begun: line["begun"].as_f64().unwrap(),
            };
            let to = line["to"].as_str().unwrap().to_owned();
            received.entry(to).or_default().push(one);
        }
        received
    }

    /// Between notification and the receiver of a way.
    pub fn proxy(&self, way: Way) -> &Proxy {
        &self.proxies[way as usize]
    }

    /// Has a receiver take nothing for a while, because its queue is full.
    pub async fn fill(&self, way: Way, length: Duration) {
        let full = self.logs[way as usize].with_extension("jsonl.full");
        std::fs::write(&full, "").unwrap();
        tokio::time::sleep(length).await;
        std::fs::remove_file(full).unwrap();
    }

    /// Waits for the first slot of so many subscribers, and for a digest of it.
    pub async fn until_the_first_digest(&self, subscribers: usize) {
        // The slots were chosen when subscribing began, and are full minutes.
        let limit = Duration::try_from(lead(subscribers)).unwrap() + Duration::from_mins(2) + PATIENCE;
        let waiting = async {
            while self.received(Way::Mail).is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let came = tokio::time::timeout(limit, waiting).await;
        assert!(came.is_ok(), "no digest came within {limit:?}:\n{}", self.last_words());
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
        let servers = [
            &mut self.redis,
            &mut self.nats,
            &mut self.mail_server,
            &mut self.webhook_server,
        ];
        for one in servers {
            one.supervise();
        }
    }

    /// Ends all faults.
    pub async fn leave_alone(&mut self) {
        for one in &self.replicas {
            one.signal(Signal::SIGCONT);
        }
        for proxy in &self.proxies {
            proxy.delay(Duration::ZERO);
        }
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

fn settings(bus: &Proxy, store: &Proxy, smtp: &Proxy) -> Vec<(String, String)> {
    let settings = [
        ("NATS__URL", format!("nats://{}", bus.address())),
        ("NOTIFICATION__REDIS_URL", format!("redis://{}", store.address())),
        // Nobody here has interests.
        ("NOTIFICATION__EMBEDDING_URL", "http://127.0.0.1:9".to_owned()),
        ("NOTIFICATION__SMTP_URL", format!("smtp://{}", smtp.address())),
        ("NOTIFICATION__FROM", "Broadsheet <digest@example.org>".to_owned()),
        ("NOTIFICATION__PUBLIC_URL", "https://example.org".to_owned()),
        ("NOTIFICATION__TOKEN_KEY", "0123456789abcdef".repeat(2)),
        ("NOTIFICATION__RETRY_SECONDS", "1".to_owned()),
        ("NOTIFICATION__LEASE_SECONDS", LEASE.as_secs().to_string()),
        ("NOTIFICATION__CONNECTIONS", AT_ONCE.to_string()),
        ("NOTIFICATION__WEBHOOKS_AT_ONCE", AT_ONCE.to_string()),
        ("NOTIFICATION__WEBHOOK_NETWORKS", "127.0.0.0/8".to_owned()),
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
    let url = format!("nats://127.0.0.1:{nats}");
    let config = BusConfig::new(&url, 1, Duration::from_hours(24), StreamLimits::uniform(64)).unwrap();
    let bus = Bus::connect(config, "faults", Clock::system()).await.unwrap();
    streams::ensure(&bus).await.unwrap();
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
