//! What the tests of this crate share: a real Redis of their own, and stand-ins for the mail server and the encoder.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use domain::preferences::Channels;
use domain::schedule::Schedule;
use domain::selection::floor::PROBES;
use domain::{DenseVector, EmailAddress, EncoderId, Interest, Paper, PaperId, PaperVectors, Preferences, SparseVector};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::editions::letters::Letters;
use crate::editions::{Delivered, Edition, Editions, InterestEncoder, Occasion, Outcome, Parts};
use crate::interests::Interests;
use crate::mailer::{Mail, Outgoing, SendError, Transport, body};
use crate::subscribers::changes::Next;
use crate::subscribers::failures::Patience;
use crate::subscribers::reading::Past;
use crate::subscribers::{Channel, Opting, Subscriber, Subscribers, Terms};
use crate::tokens::Tokens;
use crate::webhook::secrets::Secrets;
use crate::webhook::{Call, CallError, Caller, Turn};
use crate::window::{Entry, Window};

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
pub struct Post {
    pub mails: Mutex<Vec<Mail>>,
    pub answers: Mutex<VecDeque<Result<(), SendError>>>,
    pub taken: Notify,
    /// One permit per answer it may give; a closed hand is a crash to the sender.
    pub hand: Semaphore,
    /// Mails it has in hand, and the most it ever had.
    pub at_once: AtomicUsize,
    pub most_at_once: AtomicUsize,
}

#[async_trait]
impl Transport for Post {
    async fn send(&self, mail: &Outgoing) -> Result<(), SendError> {
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

fn read(mail: &Outgoing) -> Mail {
    let (text, html) = body::read(&mail.body);
    Mail {
        to: mail.to.clone(),
        subject: mail.subject.clone(),
        text,
        html,
        message_id: mail.message_id.clone(),
        list_unsubscribe_url: mail.list_unsubscribe_url.clone(),
    }
}

/// A webhook that answers as told, and else that it is gone.
#[derive(Default)]
pub struct Hook {
    pub answers: Mutex<VecDeque<Result<(), CallError>>>,
}

#[async_trait]
impl Caller for Hook {
    async fn turn(&self, _: &str) -> Result<Turn, CallError> {
        Ok(Turn::default())
    }

    async fn call(&self, call: &Call, _turn: Turn) -> Result<(), CallError> {
        let answer = self.answers.lock().expect("unpoisoned").pop_front();
        answer.unwrap_or_else(|| Err(CallError::Gone(call.url.clone())))
    }
}

/// Two dimensions: texts about cats, and all others.
pub struct Meaning {
    pub calls: AtomicUsize,
    pub name: Mutex<String>,
    pub broken: Mutex<Option<String>>,
    /// A word that it cannot embed.
    pub chokes_on: Mutex<Option<String>>,
    /// Whom it unsubscribes while it works.
    pub unsubscribes: Mutex<Option<(Subscribers, String)>>,
}

#[async_trait]
impl InterestEncoder for Meaning {
    async fn embed(&self, texts: &[String]) -> Result<(EncoderId, Vec<DenseVector>), String> {
        if texts.first().is_some_and(|text| text == PROBES[0]) {
            let encoder = EncoderId::parse(&self.name.lock().expect("unpoisoned")).expect("an encoder id");
            return Ok((encoder, texts.iter().map(|text| vector(text)).collect()));
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        let whom = self.unsubscribes.lock().expect("unpoisoned").take();
        if let Some((subscribers, id)) = whom {
            subscribers
                .unsubscribe(&id, Timestamp::now())
                .await
                .expect("unsubscribed");
        }
        if let Some(problem) = self.broken.lock().expect("unpoisoned").clone() {
            return Err(problem);
        }
        let bad = self.chokes_on.lock().expect("unpoisoned").clone();
        if let Some(bad) = bad.filter(|bad| texts.contains(bad)) {
            return Err(format!("{bad} is no text"));
        }
        let encoder = EncoderId::parse(&self.name.lock().expect("unpoisoned")).expect("an encoder id");
        Ok((encoder, texts.iter().map(|text| vector(text)).collect()))
    }
}

pub fn vector(text: &str) -> DenseVector {
    DenseVector::new(meaning(text)).expect("a vector")
}

/// Room for what papers say besides: what says the same as another paper is left out of an edition.
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
pub struct House {
    pub subscribers: Subscribers,
    pub editions: Arc<Editions>,
    pub window: Arc<RwLock<Window>>,
    pub post: Arc<Post>,
    pub hook: Arc<Hook>,
    pub meaning: Arc<Meaning>,
    pub interests: Arc<Interests>,
    pub tokens: Arc<Tokens>,
    pub now: Timestamp,
    pub redis: Redis,
}

impl House {
    pub async fn build() -> Self {
        let redis = Redis::start();
        let subscribers = Subscribers::connect(&redis.url, terms()).await.expect("redis answers");
        let window = Arc::new(RwLock::new(Window::default()));
        let post = Arc::new(Post {
            mails: Mutex::default(),
            answers: Mutex::default(),
            taken: Notify::new(),
            hand: Semaphore::new(64),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        });
        let meaning = Arc::new(Meaning {
            calls: AtomicUsize::new(0),
            name: Mutex::new("test@1".to_owned()),
            broken: Mutex::default(),
            chokes_on: Mutex::default(),
            unsubscribes: Mutex::default(),
        });
        let hook = Arc::<Hook>::default();
        let tokens = Arc::new(Tokens::new(b"secret"));
        let interests = Arc::new(Interests {
            subscribers: subscribers.clone(),
            window: Arc::clone(&window),
            encoder: Arc::clone(&meaning) as Arc<dyn InterestEncoder>,
            examples: None,
        });
        let editions = Arc::new(Editions::new(Parts {
            subscribers: subscribers.clone(),
            window: Arc::clone(&window),
            interests: Arc::clone(&interests),
            transport: Arc::clone(&post) as Arc<dyn Transport>,
            caller: Arc::clone(&hook) as Arc<dyn Caller>,
            calls_at_once: 16,
            patience: Patience::For(SignedDuration::from_hours(24 * 5)),
            secrets: Arc::new(Secrets::new(b"secret")),
            tokens: Arc::clone(&tokens),
            public_url: "https://example.org".to_owned(),
            mail_domain: "example.org".to_owned(),
            first_pause: SignedDuration::from_mins(1),
            expire: SignedDuration::from_hours(12),
            connections: 16,
            send_timeout: Duration::from_secs(45),
            letters: Arc::new(Letters::new(None, "").expect("the templates render")),
        }));
        Self {
            subscribers,
            editions,
            window,
            post,
            hook,
            meaning,
            interests,
            tokens,
            now: Timestamp::now(),
            redis,
        }
    }

    pub fn add_paper(&self, id: &str, title: &str, encoder: &str) {
        self.add_paper_at(id, title, encoder, 0);
    }

    pub fn add_paper_at(&self, id: &str, title: &str, encoder: &str, minutes: i64) {
        let mut entry = entry(id, title, encoder);
        entry.indexed = Timestamp::now() + SignedDuration::from_mins(minutes);
        self.window.write().expect("unpoisoned").add(entry);
    }

    /// An active subscriber whose current slot was an hour ago.
    pub async fn reader(&self, email: &str, interests: &[&str]) -> Subscriber {
        let address = EmailAddress::parse(email).expect("an address");
        let wishes = self.wishes(interests);
        let next = self
            .subscribers
            .subscribe(&address, email, &wishes, Opting::OnRecord, self.now)
            .await;
        assert_eq!(next.expect("redis answers"), Next::Active);
        self.again(email).await
    }

    pub fn wishes(&self, interests: &[&str]) -> Preferences {
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

    /// Delivers the edition of one reader, as an operator asks for it.
    pub async fn deliver(&self, id: &str, minutes: i64) -> Delivered {
        let ids = vec![id.to_owned()];
        let outcomes = self.editions.deliver(Channel::Mail, ids, self.later(minutes)).await;
        let outcome = outcomes.expect("delivered").pop().expect("an outcome");
        outcome.result.expect("delivered")
    }

    /// Does what the scheduler does when a reader is due.
    pub async fn turn(&self, id: &str, minutes: i64) -> Outcome {
        self.turn_on(Channel::Mail, id, minutes).await
    }

    /// The same on a way.
    pub async fn turn_on(&self, channel: Channel, id: &str, minutes: i64) -> Outcome {
        let fence = self.subscribers.fence().await.expect("redis answers");
        let now = self.later(minutes);
        let ids = vec![id.to_owned()];
        let plan = self.editions.plan(channel, ids, fence, Occasion::Due, now).await;
        let (plan, stop) = (plan.expect("composed"), CancellationToken::new());
        let outcomes = self.editions.carry_out_on(channel, plan, &stop).await;
        outcomes.into_iter().next().expect("an outcome")
    }

    pub async fn preview(&self, id: &str) -> Edition {
        let edition = self.editions.preview(id, self.now).await;
        edition.expect("composed").expect("a subscriber")
    }

    /// What a reader was sent before, and what is known of an edition.
    pub async fn past(&self, id: &str, slot: Timestamp) -> Past {
        let editions = [(id, slot, Channels::Mail)];
        let pasts = self.subscribers.pasts(Channel::Mail, &editions).await;
        pasts.expect("redis answers").pop().expect("one").expect("it parses")
    }

    pub async fn due(&self, id: &str) -> Timestamp {
        self.subscribers.due(id).await.expect("redis answers").expect("due")
    }

    pub async fn set_due(&self, id: &str, minutes: i64) {
        let due = self.later(minutes);
        let set = self.subscribers.set_all_due(Channel::Mail, &[(id, due)]).await;
        set.expect("redis answers");
    }

    pub async fn again(&self, id: &str) -> Subscriber {
        self.subscribers
            .get(id)
            .await
            .expect("redis answers")
            .expect("a subscriber")
    }

    pub fn later(&self, minutes: i64) -> Timestamp {
        self.now
            .saturating_add(SignedDuration::from_mins(minutes))
            .expect("a timestamp")
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.post.mails.lock().expect("unpoisoned").clone()
    }

    pub fn answer(&self, answer: Result<(), SendError>) {
        self.post.answers.lock().expect("unpoisoned").push_back(answer);
    }
}

/// Somebody who is active, with an address that is the id, too.
pub fn subscriber(email: &str) -> Subscriber {
    let schedule = Schedule::parse("07:00", "UTC").expect("a schedule");
    Subscriber {
        id: email.to_owned(),
        email: email.to_owned(),
        state: crate::subscribers::State::Active,
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
        version: 1,
    }
}

/// Leases of a minute, a window of a week.
pub fn terms() -> Terms {
    Terms::new(SignedDuration::from_mins(1), SignedDuration::from_hours(24 * 7))
}

/// A paper of the window.
pub fn entry(id: &str, title: &str, encoder: &str) -> Entry {
    Entry {
        paper: Arc::new(Paper {
            id: PaperId::parse(id).expect("an id"),
            title: title.to_owned(),
            abstract_text: String::new(),
            authors: Vec::new(),
            categories: Vec::new(),
            published: Timestamp::UNIX_EPOCH,
            updated: None,
            links: Vec::new(),
            source: "test".into(),
            revision: 1,
            content_hash: String::new(),
            language: String::new(),
            accepted: Timestamp::UNIX_EPOCH,
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
