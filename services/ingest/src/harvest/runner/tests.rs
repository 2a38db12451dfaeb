//! Leases, pauses and failures on a clock that the test moves, over a real bucket.

use common::bus::Bus;
use common::clock::ManualClock;
use sources::{ChangeStatus, ItemSender, RecordCounts, SourceConfig, SourceError, SourceKind};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::super::plan::HarvestTiming;
use super::*;
use crate::registry::Registry;
use crate::registry::tests::RegistryFixture;

const LEASE: Duration = Duration::from_secs(15);
/// How long a test waits for what must happen.
const DEADLINE: Duration = Duration::from_secs(30);

/// What a [`FakeSource`] does when a page is fetched.
#[derive(Clone, Copy)]
enum FakeFetch {
    /// Gives an empty page, the last of its pass.
    Page,
    /// Asks to be left alone for this long.
    Busy(Duration),
    /// Never answers.
    Hang,
    Panic,
}

/// A source that does what a test says, the last of it for ever, and counts how often it was fetched.
struct FakeSource {
    script: Vec<FakeFetch>,
    fetches: watch::Sender<usize>,
}

impl FakeSource {
    fn new(script: &[FakeFetch]) -> Arc<Self> {
        Arc::new(Self {
            script: script.to_vec(),
            fetches: watch::Sender::new(0),
        })
    }

    fn fetches(&self) -> usize {
        *self.fetches.borrow()
    }

    async fn until_fetched(&self, times: usize) {
        let mut count = self.fetches.subscribe();
        let reached = tokio::time::timeout(DEADLINE, count.wait_for(|count| *count >= times)).await;
        reached.expect("a fetch in time").expect("the source");
    }
}

#[tonic::async_trait]
impl Source for FakeSource {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn kind(&self) -> SourceKind {
        SourceKind::Feed
    }

    fn begin(&self, range: DateRange) -> Result<Cursor, CursorError> {
        Cursor::start(SourceKind::Feed, range)
    }

    async fn fetch(&self, cursor: &Cursor, _items: ItemSender) -> Result<PageSummary, SourceError> {
        let number = self.fetches();
        self.fetches.send_modify(|fetches| *fetches += 1);
        match self.script[number.min(self.script.len() - 1)] {
            FakeFetch::Page => Ok(PageSummary {
                next: cursor.clone(),
                next_fetch: NextFetch::Later(Duration::ZERO),
                counts: RecordCounts::default(),
                change: ChangeStatus::Unchanged,
            }),
            FakeFetch::Busy(pause) => Err(SourceError::Busy {
                host: "example.org".to_owned(),
                status: 503,
                after: Some(pause),
            }),
            FakeFetch::Hang => std::future::pending().await,
            FakeFetch::Panic => panic!("a source that panics"),
        }
    }
}

/// Runners of replicas over one store, on one clock.
struct RunnerFixture {
    registry: RegistryFixture,
    store: SourceStateStore,
    clock: Clock,
    hand: ManualClock,
    runners: JoinSet<()>,
}

impl RunnerFixture {
    async fn start() -> Self {
        let registry = RegistryFixture::start().await;
        let store = SourceStateStore::open(&registry.bus).await.expect("a store");
        let (clock, hand) = Clock::manual("2026-03-02T12:00:00Z".parse().expect("a timestamp"));
        Self {
            registry,
            store,
            clock,
            hand,
            runners: JoinSet::new(),
        }
    }

    fn bus(&self) -> &Bus {
        &self.registry.bus
    }

    /// Starts the runner of a replica.
    async fn run(&mut self, owner: u64, source: &Arc<FakeSource>) {
        let settings = "kind = \"feed\"\nurls = [\"https://example.org/feed\"]";
        let ingester = PageIngester {
            registry: Arc::new(Registry::open(self.bus()).await.expect("a registry")),
            bus: self.bus().clone(),
            concurrency: 4,
            clock: self.clock.clone(),
        };
        let source: Arc<dyn Source> = Arc::clone(source) as _;
        let runner = SourceRunner {
            source,
            scheduled: ScheduledSource {
                source: SourceConfig::read("fake", settings.parse().expect("TOML")).expect("settings"),
                timing: HarvestTiming {
                    interval: SignedDuration::from_hours(1),
                    jitter: 0.0,
                },
                first_run: FirstRun::Ago(SignedDuration::from_hours(1)),
                fingerprint: "a".to_owned(),
            },
            store: self.store.clone(),
            ingester,
            owner,
            lease: LEASE,
            clock: self.clock.clone(),
            stop: CancellationToken::new(),
        };
        self.runners.spawn(runner.run());
    }

    /// The stored state once it is as a test expects.
    async fn until_state(&self, expected: impl Fn(&SourceState) -> bool) -> SourceState {
        let mut states = self.store.follow("fake").await.expect("states");
        let reached = async {
            loop {
                let state = states.next().await.expect("a state").expect("a readable state");
                if expected(&state) {
                    return state;
                }
            }
        };
        let reached = tokio::time::timeout(DEADLINE, reached).await;
        reached.expect("the expected state in time")
    }

    /// Returns once so many runners wait for the clock.
    async fn until_asleep(&self, sleepers: usize) {
        let asleep = async {
            while self.hand.sleepers() != sleepers {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let asleep = tokio::time::timeout(DEADLINE, asleep).await;
        asleep.expect("runners that sleep");
    }

    async fn stop(mut self) {
        self.runners.shutdown().await;
        Box::pin(self.registry.stop()).await;
    }
}

#[tokio::test]
async fn a_replica_that_died_loses_its_lease_after_its_length() {
    let mut fixture = Box::pin(RunnerFixture::start()).await;
    let (dead, other) = (FakeSource::new(&[FakeFetch::Hang]), FakeSource::new(&[FakeFetch::Page]));
    fixture.run(1, &dead).await;
    dead.until_fetched(1).await;
    fixture.runners.shutdown().await;

    fixture.run(2, &other).await;
    fixture.until_asleep(1).await;
    fixture.hand.advance(Duration::from_millis(14_999));
    fixture.until_asleep(1).await;
    assert_eq!(other.fetches(), 0, "the lease still lasts");
    fixture.hand.advance(Duration::from_millis(1));
    other.until_fetched(1).await;
    let state = fixture.until_state(|state| state.lease.is_none()).await;
    assert_eq!(state.last_success, Some(fixture.clock.now()));
    fixture.stop().await;
}

#[tokio::test]
async fn heartbeats_keep_a_lease() {
    let mut fixture = Box::pin(RunnerFixture::start()).await;
    let (slow, other) = (FakeSource::new(&[FakeFetch::Hang]), FakeSource::new(&[FakeFetch::Page]));
    fixture.run(1, &slow).await;
    slow.until_fetched(1).await;
    fixture.run(2, &other).await;
    fixture.until_asleep(2).await;
    for beat in 2..=8 {
        fixture.hand.advance(LEASE / 3);
        let state = fixture
            .until_state(|state| state.lease.is_some_and(|lease| lease.heartbeat >= beat))
            .await;
        assert_eq!(state.lease.map(|lease| lease.owner), Some(1));
        fixture.until_asleep(2).await;
    }
    assert_eq!((slow.fetches(), other.fetches()), (1, 0));
    fixture.stop().await;
}

#[tokio::test]
async fn a_source_that_asks_for_a_pause_is_left_alone() {
    let mut fixture = Box::pin(RunnerFixture::start()).await;
    let pause = Duration::from_hours(6);
    let source = FakeSource::new(&[FakeFetch::Busy(pause), FakeFetch::Page]);
    fixture.run(1, &source).await;
    let begun = fixture.clock.now();
    let state = fixture
        .until_state(|state| state.failures == 1 && state.lease.is_none())
        .await;
    assert_eq!(state.due, Some(begun + pause));
    fixture.until_asleep(1).await;
    fixture.hand.advance(Duration::from_secs(6 * 3_600 - 1));
    fixture.until_asleep(1).await;
    assert_eq!(source.fetches(), 1);
    fixture.hand.advance(Duration::from_secs(1));
    let state = fixture.until_state(|state| state.last_success.is_some()).await;
    assert_eq!((source.fetches(), state.failures, state.last_error), (2, 0, None));
    fixture.stop().await;
}

#[tokio::test]
async fn a_panic_in_a_source_is_a_failed_page() {
    let mut fixture = Box::pin(RunnerFixture::start()).await;
    let source = FakeSource::new(&[FakeFetch::Panic, FakeFetch::Page]);
    fixture.run(1, &source).await;
    let state = fixture
        .until_state(|state| state.failures == 1 && state.lease.is_none())
        .await;
    let error = state.last_error.expect("an error");
    assert!(error.contains("panic"), "{error}");
    fixture.until_asleep(1).await;
    fixture.hand.advance(Duration::from_mins(1));
    fixture.until_state(|state| state.last_success.is_some()).await;
    fixture.stop().await;
}

#[tokio::test]
async fn a_state_of_another_release_is_neither_used_nor_replaced() {
    let mut fixture = Box::pin(RunnerFixture::start()).await;
    let bucket = fixture.bus().jetstream().get_key_value("ingest-sources").await;
    let bucket = bucket.expect("the bucket");
    let strange = r#"{"stopped_until_the_moon_is_full":true}"#;
    bucket.put("fake", strange.into()).await.expect("stored");
    let source = FakeSource::new(&[FakeFetch::Page]);
    fixture.run(1, &source).await;
    for _ in 0..3 {
        fixture.until_asleep(1).await;
        fixture.hand.advance(RETRY_PAUSE);
    }
    fixture.until_asleep(1).await;
    assert_eq!(source.fetches(), 0);
    let error = fixture.store.read("fake").await.expect_err("an error");
    assert!(matches!(error, StateStoreError::Unreadable { .. }), "{error}");
    let stored = bucket.get("fake").await.expect("an entry").expect("a value");
    assert_eq!(stored, strange.as_bytes());
    fixture.stop().await;
}
