//! What the tests of this crate share: the service over a store in memory, or over a real Redis, with a clock that is moved
//! by hand, and stand-ins for the mail server, webhooks and the encoder.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use common::clock::{Clock, ManualClock};
use common::tasks::{Supervisor, Tasks};
use common::tls::ClientTls;
use domain::preferences::Channels;
use domain::schedule::Schedule;
use domain::selection::floor::CALIBRATION_QUERIES;
use domain::{DenseVector, EmailAddress, EncoderId, Interest, Paper, PaperId, PaperVectors, Preferences, SparseVector};
use jiff::{SignedDuration, Timestamp};
use proto::embedding::v1::EmbedPriority;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::digests::{
    DeliveryOutcome, Digest, DigestDependencies, DigestSettings, DigestTrigger, Digests, SettledDigest,
};
use crate::interests::{EmbedFailure, InterestEmbedder, InterestEncoder};
use crate::limits::ConfirmationLimits;
use crate::mail_ids::MailIds;
use crate::mailer::{EncodedMail, Mail, SendError, Transport};
use crate::mails::MailWriter;
use crate::ports::{DeliveryLedger, DueQueue, PendingStore, RateLimiter, StoreRecovery, StoreTimes, SubscriberStore};
use crate::signing_keys::SigningKeys;
use crate::store::memory::MemoryStore;
use crate::store::redis::RedisStore;
use crate::subscribers::confirmations::Confirmations;
use crate::subscribers::deliveries::DeliveryHistory;
use crate::subscribers::subscriptions::SubscribeOutcome;
use crate::subscribers::webhook::FailureTolerance;
use crate::subscribers::{Channel, Subscriber, SubscriberState, Subscriptions};
use crate::tokens::Tokens;
use crate::webhooks::secrets::WebhookSecrets;
use crate::webhooks::{HostPermit, WebhookClient, WebhookError, WebhookRequest};
use crate::window::{SharedWindow, WindowEntry};

/// Lets other tasks run until something has happened.
pub async fn until(happened: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if happened() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never happened");
}

/// A Redis that ends with the test.
pub struct Redis {
    child: Child,
    pub url: String,
    folder: tempfile::TempDir,
}

impl Redis {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            child: spawn(folder.path()),
            url: format!("redis+unix://{}", folder.path().join("redis.sock").display()),
            folder,
        }
    }

    /// Kills it; what it has on its disk stays.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// Starts it over what is on its disk.
    pub fn start_again(&mut self) {
        self.child = spawn(self.folder.path());
    }
}

fn spawn(folder: &Path) -> Child {
    let program = standalone::Toolbox::from_env().redis_server().expect("a redis-server");
    let mut child = Command::new(program)
        .args(["--port", "0", "--save", "", "--appendonly", "yes", "--unixsocket"])
        .arg(folder.join("redis.sock"))
        .arg("--dir")
        .arg(folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("redis-server starts");
    let log = BufReader::new(child.stdout.take().expect("a pipe"));
    let ready = log
        .lines()
        .map_while(Result::ok)
        .any(|line| line.contains("eady to accept connections"));
    assert!(ready, "redis-server ended");
    child
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A mail server that answers as told and keeps what it took.
pub struct FakeTransport {
    pub mails: Mutex<Vec<Mail>>,
    pub answers: Mutex<VecDeque<Result<(), SendError>>>,
    pub taken: Notify,
    /// One permit per answer it may give; a closed hand is a crash to the sender.
    pub hand: Semaphore,
    /// Mails it is handling, and the most it ever was.
    pub at_once: AtomicUsize,
    pub most_at_once: AtomicUsize,
}

#[async_trait]
impl Transport for FakeTransport {
    async fn send(&self, mail: &EncodedMail) -> Result<(), SendError> {
        let answer = self.answers.lock().expect("unpoisoned").pop_front().unwrap_or(Ok(()));
        if answer.is_ok() {
            self.mails.lock().expect("unpoisoned").push(read(mail));
        }
        let at_once = 1 + self.at_once.fetch_add(1, Ordering::Relaxed);
        self.most_at_once.fetch_max(at_once, Ordering::Relaxed);
        self.taken.notify_one();
        let _permit = self.hand.acquire().await.expect("open");
        self.at_once.fetch_sub(1, Ordering::Relaxed);
        answer
    }
}

fn read(mail: &EncodedMail) -> Mail {
    let (text, html) = mail.body.parsed();
    Mail {
        to: mail.to.clone(),
        subject: mail.subject.clone(),
        text,
        html,
        message_id: mail.message_id.clone(),
        list_unsubscribe_url: mail.list_unsubscribe_url.clone(),
        kind: mail.kind,
    }
}

/// A webhook that answers as told, and else that it is gone.
#[derive(Default)]
pub struct FakeWebhook {
    pub answers: Mutex<VecDeque<Result<(), WebhookError>>>,
}

#[async_trait]
impl WebhookClient for FakeWebhook {
    async fn admit(&self, _: &str) -> Result<HostPermit, WebhookError> {
        Ok(HostPermit::default())
    }

    async fn send(&self, request: &WebhookRequest, _: HostPermit) -> Result<(), WebhookError> {
        let answer = self.answers.lock().expect("unpoisoned").pop_front();
        answer.unwrap_or_else(|| Err(WebhookError::Gone(request.url.clone())))
    }
}

/// Two dimensions: texts about cats, and all others.
pub struct FakeEncoder {
    pub calls: AtomicUsize,
    pub name: Mutex<String>,
    pub broken: Mutex<Option<String>>,
    /// When it has room for texts of people whom nobody knows again.
    pub busy: Mutex<Option<Duration>>,
    /// A word that it cannot embed.
    pub chokes_on: Mutex<Option<String>>,
    /// Whom it unsubscribes while it works.
    pub unsubscribes: Mutex<Option<(Subscriptions, String)>>,
}

#[async_trait]
impl InterestEncoder for FakeEncoder {
    async fn embed(
        &self,
        texts: &[String],
        priority: EmbedPriority,
    ) -> Result<(EncoderId, Vec<DenseVector>), EmbedFailure> {
        if texts.first().is_some_and(|text| text == CALIBRATION_QUERIES[0]) {
            let encoder = EncoderId::parse(&self.name.lock().expect("unpoisoned")).expect("an encoder id");
            return Ok((encoder, texts.iter().map(|text| vector(text)).collect()));
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        let whom = self.unsubscribes.lock().expect("unpoisoned").take();
        if let Some((subscriptions, id)) = whom {
            subscriptions.unsubscribe(&id).await.expect("unsubscribed");
        }
        if let Some(problem) = self.broken.lock().expect("unpoisoned").clone() {
            return Err(EmbedFailure::Failed(problem));
        }
        if priority == EmbedPriority::BestEffort
            && let Some(retry_after) = *self.busy.lock().expect("unpoisoned")
        {
            return Err(EmbedFailure::Busy { retry_after });
        }
        let bad = self.chokes_on.lock().expect("unpoisoned").clone();
        if let Some(bad) = bad.filter(|bad| texts.contains(bad)) {
            return Err(EmbedFailure::Failed(format!("{bad} is no text")));
        }
        let encoder = EncoderId::parse(&self.name.lock().expect("unpoisoned")).expect("an encoder id");
        Ok((encoder, texts.iter().map(|text| vector(text)).collect()))
    }
}

pub fn vector(text: &str) -> DenseVector {
    DenseVector::new(meaning(text)).expect("a vector")
}

/// Room for what papers say besides: what says the same as another paper is left out of a digest.
const DETAILS: usize = 61;

fn meaning(text: &str) -> Vec<f32> {
    let mut values = vec![0.0; 2 + DETAILS];
    values[usize::from(!text.contains("cats"))] = 1.0;
    values
}

fn vector_of_paper(id: &str, title: &str) -> DenseVector {
    let mut values = meaning(title);
    let detail: usize = id
        .bytes()
        .fold(0, |hash, byte| (hash * 31 + usize::from(byte)) % DETAILS);
    values[0] *= 0.8;
    values[1] *= 0.8;
    values[2 + detail] = 0.6;
    DenseVector::new(values).expect("a vector")
}

/// The service without its front door.
pub struct TestService {
    pub subscriptions: Subscriptions,
    pub store: Arc<dyn SubscriberStore>,
    pub ledger: Arc<dyn DeliveryLedger>,
    pub due_queue: Arc<dyn DueQueue>,
    pub rate_limiter: Arc<dyn RateLimiter>,
    pub recovery: Arc<dyn StoreRecovery>,
    pub confirmations: Confirmations,
    pub digests: Arc<Digests>,
    pub window: SharedWindow,
    pub transport: Arc<FakeTransport>,
    pub webhook: Arc<FakeWebhook>,
    pub encoder: Arc<FakeEncoder>,
    pub interests: Arc<InterestEmbedder>,
    pub tokens: Arc<Tokens>,
    pub clock: Clock,
    pub hand: ManualClock,
    pub tasks: Tasks,
    /// When the test began.
    pub now: Timestamp,
}

/// The ports of a store.
pub struct TestStore {
    pub store: Arc<dyn SubscriberStore>,
    pub ledger: Arc<dyn DeliveryLedger>,
    pub due_queue: Arc<dyn DueQueue>,
    pub rate_limiter: Arc<dyn RateLimiter>,
    pub recovery: Arc<dyn StoreRecovery>,
    pub pending: Arc<dyn PendingStore>,
}

impl TestStore {
    pub fn memory() -> Self {
        let store = Arc::new(MemoryStore::new(times()));
        Self {
            store: store.clone(),
            ledger: store.clone(),
            due_queue: store.clone(),
            rate_limiter: store.clone(),
            pending: store.clone(),
            recovery: store,
        }
    }

    pub async fn redis(url: &str, clock: &Clock, tasks: &Tasks) -> Self {
        let store = RedisStore::connect(url, &ClientTls::default(), None, times(), clock.clone(), tasks).await;
        store.expect("redis answers").into()
    }
}

impl From<RedisStore> for TestStore {
    fn from(store: RedisStore) -> Self {
        Self {
            store: store.subscribers,
            ledger: store.ledger,
            due_queue: store.due_queue,
            rate_limiter: store.rate_limiter,
            recovery: store.recovery,
            pending: store.pending,
        }
    }
}

/// The time at which tests begin.
pub fn start_of_tests() -> Timestamp {
    "2026-03-02T12:00:00Z".parse().expect("a timestamp")
}

/// Tasks that nobody supervises: a panic among them is in the log of the test.
pub fn tasks() -> Tasks {
    Supervisor::new(CancellationToken::new()).tasks()
}

impl TestService {
    /// Over memory.
    pub fn build() -> Self {
        Self::over(TestStore::memory(), Clock::manual(start_of_tests()), tasks())
    }

    /// Over a Redis.
    pub async fn on_redis(redis: &Redis) -> Self {
        let (clock, tasks) = (Clock::manual(start_of_tests()), tasks());
        let store = TestStore::redis(&redis.url, &clock.0, &tasks).await;
        Self::over(store, clock, tasks)
    }

    /// Over any store.
    pub fn over(store: TestStore, (clock, hand): (Clock, ManualClock), tasks: Tasks) -> Self {
        let window = SharedWindow::default();
        let transport = Arc::new(FakeTransport {
            mails: Mutex::default(),
            answers: Mutex::default(),
            taken: Notify::new(),
            hand: Semaphore::new(64),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        });
        let encoder = Arc::new(FakeEncoder {
            calls: AtomicUsize::new(0),
            name: Mutex::new("test@1".to_owned()),
            broken: Mutex::default(),
            busy: Mutex::default(),
            chokes_on: Mutex::default(),
            unsubscribes: Mutex::default(),
        });
        let webhook = Arc::<FakeWebhook>::default();
        let tokens = Arc::new(Tokens::new(SigningKeys::single(b"secret")));
        let interests = Arc::new(InterestEmbedder {
            store: Arc::clone(&store.store),
            window: window.clone(),
            encoder: Arc::clone(&encoder) as Arc<dyn InterestEncoder>,
            examples: None,
            clock: clock.clone(),
        });
        let needed = DigestDependencies {
            subscriptions: Subscriptions::new(Arc::clone(&store.store), clock.clone()),
            store: Arc::clone(&store.store),
            ledger: Arc::clone(&store.ledger),
            due_queue: Arc::clone(&store.due_queue),
            window: window.clone(),
            interests: Arc::clone(&interests),
            transport: Arc::clone(&transport) as Arc<dyn Transport>,
            webhook_client: Arc::clone(&webhook) as Arc<dyn WebhookClient>,
            mail_writer: Arc::new(MailWriter::new(None, "").expect("the templates render")),
            tokens: Arc::clone(&tokens),
            secrets: Arc::new(WebhookSecrets::new(SigningKeys::single(b"secret"))),
            mail_ids: Arc::new(mail_ids()),
            clock: clock.clone(),
            tasks: tasks.clone(),
        };
        let confirmations = Confirmations {
            subscriptions: needed.subscriptions.clone(),
            pending: store.pending,
            rate_limiter: Arc::clone(&store.rate_limiter),
            limits: ConfirmationLimits {
                domain: 100,
                hour: 100,
                day: 100,
            },
            budget: 100_000,
            clock: clock.clone(),
        };
        Self {
            subscriptions: needed.subscriptions.clone(),
            confirmations,
            digests: Arc::new(Digests::new(needed, settings())),
            store: store.store,
            ledger: store.ledger,
            due_queue: store.due_queue,
            rate_limiter: store.rate_limiter,
            recovery: store.recovery,
            window,
            transport,
            webhook,
            encoder,
            interests,
            tokens,
            now: clock.now(),
            clock,
            hand,
            tasks,
        }
    }

    /// Sets the clock to so many minutes after the beginning.
    pub fn at(&self, minutes: i64) -> &Self {
        self.hand.set(self.later(minutes));
        self
    }

    pub fn add_paper(&self, id: &str, title: &str, encoder: &str) {
        self.add_paper_at(id, title, encoder, 0);
    }

    pub fn add_paper_at(&self, id: &str, title: &str, encoder: &str, minutes: i64) {
        let mut entry = entry(id, title, encoder);
        entry.indexed = self.later(minutes);
        self.window.write().add(entry);
    }

    /// An active subscriber whose current slot was an hour ago.
    pub async fn reader(&self, email: &str, interests: &[&str]) -> Subscriber {
        let address = EmailAddress::parse(email).expect("an address");
        let preferences = self.preferences(interests);
        let outcome = self.subscriptions.subscribe(&address, email, &preferences).await;
        assert_eq!(outcome.expect("the store answers"), SubscribeOutcome::Active);
        self.again(email).await
    }

    pub fn preferences(&self, interests: &[&str]) -> Preferences {
        let hour_ago = self
            .later(-60)
            .to_zoned_datetime(jiff::tz::TimeZone::UTC)
            .strftime("%H:%M");
        let schedule = Schedule::parse(&hour_ago.to_string(), "UTC").expect("a schedule");
        Preferences {
            interests: interests.iter().map(|words| Interest::in_words(words)).collect(),
            ..Preferences::plain(schedule, 10)
        }
    }

    /// Delivers the digest of one reader, as an operator asks for it.
    pub async fn deliver(&self, id: &str, minutes: i64) -> SettledDigest {
        let ids = vec![id.to_owned()];
        let outcomes = self.at(minutes).digests.deliver_now(Channel::Mail, ids).await;
        let outcome = outcomes.expect("delivered").pop().expect("an outcome");
        outcome.result.expect("delivered")
    }

    /// Does what the scheduler does when a reader is due.
    pub async fn deliver_due(&self, id: &str, minutes: i64) -> DeliveryOutcome {
        self.deliver_due_on(Channel::Mail, id, minutes).await
    }

    /// The same on a channel.
    pub async fn deliver_due_on(&self, channel: Channel, id: &str, minutes: i64) -> DeliveryOutcome {
        let token = self.due_queue.token().await.expect("the store answers");
        let now = self.at(minutes).clock.now();
        let ids = vec![id.to_owned()];
        let trigger = DigestTrigger::Schedule;
        let batch = self.digests.prepare(channel, ids, &token, trigger, now).await;
        let (batch, stop) = (batch.expect("composed"), CancellationToken::new());
        let outcomes = self.digests.deliver(channel, batch, &stop).await;
        outcomes.into_iter().next().expect("an outcome")
    }

    pub async fn preview(&self, id: &str) -> Digest {
        let digest = self.digests.preview(id).await;
        digest.expect("composed").expect("a subscriber")
    }

    /// What a reader was sent before, and what is known of a digest.
    pub async fn history(&self, id: &str, slot: Timestamp) -> DeliveryHistory {
        let digests = [(id, slot, Channels::Mail)];
        let histories = self.ledger.histories(Channel::Mail, &digests).await;
        histories
            .expect("the store answers")
            .pop()
            .expect("one")
            .expect("it parses")
    }

    pub async fn due(&self, id: &str) -> Timestamp {
        self.due_queue.due(id).await.expect("the store answers").expect("due")
    }

    pub async fn set_due(&self, id: &str, minutes: i64) {
        let due = self.later(minutes);
        let set = self.due_queue.reschedule(Channel::Mail, &[(id, due)]).await;
        set.expect("the store answers");
    }

    pub async fn again(&self, id: &str) -> Subscriber {
        let known = self.subscriptions.get(id).await.expect("the store answers");
        known.expect("a subscriber")
    }

    pub fn later(&self, minutes: i64) -> Timestamp {
        self.now
            .saturating_add(SignedDuration::from_mins(minutes))
            .expect("a timestamp")
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.transport.mails.lock().expect("unpoisoned").clone()
    }

    pub fn answer(&self, answer: Result<(), SendError>) {
        self.transport.answers.lock().expect("unpoisoned").push_back(answer);
    }
}

fn settings() -> DigestSettings {
    DigestSettings {
        public_url: "https://example.org".to_owned(),
        first_pause: SignedDuration::from_mins(1),
        expire: SignedDuration::from_hours(12),
        connections: 16,
        calls_at_once: 16,
        send_timeout: Duration::from_secs(45),
        tolerance: FailureTolerance::For(SignedDuration::from_hours(24 * 5)),
    }
}

/// Somebody who is active, with an address that is the id, too.
pub fn subscriber(email: &str) -> Subscriber {
    let schedule = Schedule::parse("07:00", "UTC").expect("a schedule");
    Subscriber {
        id: email.to_owned(),
        email: email.to_owned(),
        state: SubscriberState::Active,
        preferences: Preferences::plain(schedule, 10),
        unwanted: Vec::new(),
        created: Timestamp::UNIX_EPOCH,
        confirmed: None,
        ended: None,
        paused_until: None,
        asked: None,
        due_since: None,
        consent: None,
        webhook: None,
        pause_reason: String::new(),
        link_epoch: 0,
        pseudonym: String::new(),
        votes: Vec::new(),
        version: 1,
    }
}

/// Names of mails of example.org.
pub fn mail_ids() -> MailIds {
    MailIds::new(SigningKeys::single(b"secret"), "example.org")
}

/// Leases of a minute, a window of a week.
pub fn times() -> StoreTimes {
    StoreTimes::new(SignedDuration::from_mins(1), SignedDuration::from_hours(24 * 7))
}

/// A paper of the window.
pub fn entry(id: &str, title: &str, encoder: &str) -> WindowEntry {
    WindowEntry {
        paper: Arc::new(Paper {
            id: PaperId::parse(id).expect("an id"),
            title: title.to_owned(),
            abstract_text: String::new(),
            authors: Vec::new(),
            categories: Vec::new(),
            published: Some(Timestamp::UNIX_EPOCH),
            updated: None,
            links: Vec::new(),
            source: "test".into(),
            revision: 1,
            content_hash: String::new(),
            language: String::new(),
            accepted: Timestamp::UNIX_EPOCH,
            revised: Timestamp::UNIX_EPOCH,
        }),
        vectors: PaperVectors {
            encoder: EncoderId::parse(encoder).expect("an encoder id"),
            dense: vector_of_paper(id, title),
            sparse: SparseVector::default(),
            truncated: false,
        },
        indexed: Timestamp::UNIX_EPOCH,
        trace: None,
    }
}
